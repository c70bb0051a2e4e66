/* One run of the bench: what all its parts share. */
#ifndef TAMIS_MEASURE_BENCH_H
#define TAMIS_MEASURE_BENCH_H

#include "measure/rivals.h"
#include "measure/rows.h"

typedef struct tmsi_bench {
    tms_context *context;
    const tms_bench_desc *desc; /* checked, defaults filled in */
    tms_bench_sink sink;
    void *sink_user;
    tmsi_openblas openblas;
    tmsi_row_frame frame;
    tms_checkpoint *checkpoint; /* desc->checkpoint, open; or NULL */
    int64_t *layers;            /* the numbers of its chosen tensors */
    int64_t layer_count;
    int64_t done, total; /* samples, for the progress callback */
} tmsi_bench;

/* The contract of tms_bench_run; desc as in tmsi_bench. */
tms_status tmsi_bench_run(tms_context *context, const tms_bench_desc *desc, tms_bench_sink sink,
                          void *sink_user);

/* Times candidates and counts their samples as done. */
tms_status tmsi_bench_time(tmsi_bench *bench, const char *what, const tmsi_candidate *candidates,
                           int64_t count, tmsi_timing *out);
/* Hands a row to the sink; TMS_ERR_CANCELLED where it wants no more. */
tms_status tmsi_bench_emit(tmsi_bench *bench, const tms_bench_row *row);

/* The parts: how many samples each takes, and the run. */
int64_t tmsi_bench_shapes_samples(const tmsi_bench *bench);
tms_status tmsi_bench_shapes(tmsi_bench *bench);
int64_t tmsi_bench_layers_samples(const tmsi_bench *bench);
tms_status tmsi_bench_layers(tmsi_bench *bench);
int64_t tmsi_bench_gpu_samples(const tmsi_bench *bench);
tms_status tmsi_bench_gpu(tmsi_bench *bench);
int64_t tmsi_bench_models_samples(const tmsi_bench *bench);
tms_status tmsi_bench_models(tmsi_bench *bench);

#endif
