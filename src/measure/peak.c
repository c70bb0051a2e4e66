#include "measure/peak.h"

#include <stddef.h>

#include "base/threads.h"

/* Widest first. */
static const tmsi_peak peaks[] = {
#if defined(__x86_64__)
    {"peak_fma_avx512", TMS_ISA_AVX512, 2.0 * 16 * TMSI_PEAK_CHAINS, tmsi_peak_fma_avx512},
    {"peak_fma_avx2", TMS_ISA_AVX2, 2.0 * 8 * TMSI_PEAK_CHAINS, tmsi_peak_fma_avx2},
#endif
    {NULL, 0, 0.0, NULL},
};

const tmsi_peak *tmsi_peak_find(const tms_context *context) {
    for (const tmsi_peak *peak = peaks; peak->run != NULL; peak++)
        if ((context->hardware.isa & peak->needs) == peak->needs)
            return peak;
    return NULL;
}

typedef struct peak_task {
    const tmsi_peak *peak;
    int64_t steps; /* of each thread */
} peak_task;

static void run_share(void *arg, int64_t thread) {
    const peak_task *task = arg;
    volatile float sink = task->peak->run(task->steps);

    (void)sink, (void)thread;
}

void tmsi_peak_run(const tms_context *context, const tmsi_peak *peak, int64_t t, int64_t k,
                   int64_t n) {
    double flops = 2.0 * (double)t * (double)k * (double)n;
    peak_task task = {peak, (int64_t)(flops / peak->flops / context->threads + 0.5)};

    tmsi_parallel_for(context, context->threads, run_share, &task);
}
