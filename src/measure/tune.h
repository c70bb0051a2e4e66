/* The tuner: measures kernels, fits prices, writes a table. tune.c drives and writes, tune_gpu.c
 * and tune_cpu.c measure. */
#ifndef TAMIS_MEASURE_TUNE_H
#define TAMIS_MEASURE_TUNE_H

#include "measure/fit.h"
#include "measure/rows.h"
#include "spmm/choose.h"

typedef struct tmsi_kernel_samples {
    tmsi_sample *items;
    int64_t count, capacity;
} tmsi_kernel_samples;

typedef struct tmsi_tuner {
    tms_context *context;
    const tms_tune_desc *desc;
    tms_bench_sink sink; /* or NULL */
    void *sink_user;
    tmsi_row_frame frame;
    tmsi_machine machine;
    tmsi_spmm_table table;
    tmsi_kernel_samples *samples; /* of each kernel */
    tmsi_tuning_point *points;    /* of the shapes that were asked for */
    int64_t point_count, point_capacity;
    int64_t done, total; /* products, for the progress callback */
} tmsi_tuner;

/* The contract of tms_tune_run; desc is checked. */
tms_status tmsi_tune_run(tms_context *context, const tms_tune_desc *desc, tms_bench_sink sink,
                         void *sink_user);

/* How many products each measures, and the measuring. */
int64_t tmsi_tune_gpu_products(const tmsi_tuner *tuner);
tms_status tmsi_tune_gpu(tmsi_tuner *tuner);
int64_t tmsi_tune_cpu_products(const tmsi_tuner *tuner);
tms_status tmsi_tune_cpu(tmsi_tuner *tuner);

/* One product more: asks the progress callback whether to go on. */
tms_status tmsi_tune_step(tmsi_tuner *tuner);
/* A measured time of kernel i: a sample, a row for the sink, and where it was asked for a point. */
tms_status tmsi_tune_keep(tmsi_tuner *tuner, int32_t i, const tms_spmm_problem *problem, int64_t t,
                          double us, bool is_asked);

#endif
