#include "measure/bench.h"

#include <string.h>

#include "base/memory.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/layers.h"

/* Samples of products repeat calls this long: far above the clock's grain and a probe's own time.
 */
static const double block_us = 3000.0;

tms_status tmsi_bench_time(tmsi_bench *bench, const char *what, const tmsi_candidate *candidates,
                           int64_t count, tmsi_timing *out) {
    const tms_bench_desc *desc = bench->desc;
    const tmsi_timing_settings settings = {
        desc->rounds,        block_us,    what,        desc->progress,
        desc->progress_user, bench->done, bench->total};
    tms_status status = tmsi_time(bench->context, candidates, count, &settings, out);

    bench->done += count * desc->rounds;
    return status;
}

tms_status tmsi_bench_emit(tmsi_bench *bench, const tms_bench_row *row) {
    if (bench->sink(bench->sink_user, row) != 0)
        return tmsi_fail(TMS_ERR_CANCELLED, "the sink wanted no more rows");
    return TMS_OK;
}

tms_status tmsi_bench_run(tms_context *context, const tms_bench_desc *desc, tms_bench_sink sink,
                          void *sink_user) {
    tmsi_bench bench;
    tms_status status;

    memset(&bench, 0, sizeof bench);
    bench.context = context;
    bench.desc = desc;
    bench.sink = sink;
    bench.sink_user = sink_user;
    if (desc->device == TMS_DEVICE_CUDA) {
        tmsi_row_frame_fill(context, context->cublaslt_text, &bench.frame);
        bench.total = tmsi_bench_gpu_samples(&bench);
        return tmsi_bench_gpu(&bench);
    }
    tmsi_openblas_open(context, &bench.openblas);
    tmsi_row_frame_fill(context, bench.openblas.version, &bench.frame);
    if (desc->checkpoint != NULL) {
        TMS_TRY(tmsi_checkpoint_open(context, desc->checkpoint, &bench.checkpoint));
        TMS_TRY(tmsi_layers_choose(bench.checkpoint, desc->layers, desc->layer_count, &bench.layers,
                                   &bench.layer_count));
        if (bench.layer_count == 0)
            TMS_TRY(tmsi_layers_fail_none(bench.checkpoint));
    }
    bench.total = tmsi_bench_shapes_samples(&bench) + tmsi_bench_layers_samples(&bench) +
                  tmsi_bench_models_samples(&bench);
    TMS_TRY(tmsi_bench_shapes(&bench));
    TMS_TRY(tmsi_bench_layers(&bench));
    TMS_TRY(tmsi_bench_models(&bench));
done:
    tmsi_free(context, bench.layers);
    tmsi_checkpoint_close(bench.checkpoint);
    return status;
}
