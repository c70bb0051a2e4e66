#include "measure/timing.h"

#include "base/clock.h"
#include "base/context.h"
#include "base/memory.h"
#include "measure/probe.h"
#include "measure/statistics.h"

/* Thread pools, ours and the rivals', spin for up to some 20 ms when their work is done, and would
 * disturb whoever comes next; with one thread nobody spins. */
static const double settle_us = 25000.0;

typedef struct sample {
    double us;   /* of one call */
    double pace; /* the slower of the probes before and behind */
} sample;

/* Calls that fill a block; the first call, uncounted, warms caches and pools up. */
static tms_status count_calls(const tmsi_candidate *candidate, double block_us, int64_t *out) {
    double start, us;
    tms_status status;

    TMS_TRY(candidate->run(candidate->self));
    start = tmsi_clock_us();
    TMS_TRY(candidate->run(candidate->self));
    us = tmsi_clock_us() - start;
    *out = us >= block_us ? 1 : (int64_t)(block_us / (us > 0.05 ? us : 0.05)) + 1;
done:
    return status;
}

static tms_status take_sample(const tms_context *context, const tmsi_candidate *candidate,
                              int64_t calls, sample *out) {
    double before, start, after;
    tms_status status = TMS_OK;

    if (context->threads > 1)
        tmsi_sleep_us(settle_us);
    if (calls > 1) /* after the pause and the others' turns */
        TMS_TRY(candidate->run(candidate->self));
    before = tmsi_probe_pace();
    start = tmsi_clock_us();
    for (int64_t i = 0; i < calls; i++)
        TMS_TRY(candidate->run(candidate->self));
    out->us = (tmsi_clock_us() - start) / (double)calls;
    after = tmsi_probe_pace();
    out->pace = before < after ? before : after;
done:
    return status;
}

static void summarise(const sample *samples, double *scratch, int32_t rounds, double best,
                      tmsi_timing *out) {
    int32_t quiet = 0;
    tmsi_median median;

    for (int32_t r = 0; r < rounds; r++) {
        scratch[r] = samples[r].us;
        quiet += tmsi_probe_is_quiet(samples[r].pace, best);
    }
    median = tmsi_median_of(scratch, rounds);
    out->us = median.value;
    out->us_min = median.low;
    out->us_max = median.high;
    out->quiet = (double)quiet / rounds;
    out->rounds = rounds;
}

tms_status tmsi_time(tms_context *context, const tmsi_candidate *candidates, int64_t count,
                     const tmsi_timing_settings *settings, tmsi_timing *out) {
    static _Atomic double best; /* of the process; two who meet may lose one's */
    int32_t rounds = settings->rounds;
    sample *samples = NULL; /* [count][rounds] */
    double *scratch = NULL;
    int64_t *calls = NULL;
    tms_status status;

    TMS_TRY(tmsi_alloc(context, (size_t)count * (size_t)rounds, sizeof *samples, &samples));
    TMS_TRY(tmsi_alloc(context, (size_t)rounds, sizeof *scratch, &scratch));
    TMS_TRY(tmsi_alloc(context, (size_t)count, sizeof *calls, &calls));
    for (int64_t c = 0; c < count; c++)
        TMS_TRY(count_calls(&candidates[c], settings->block_us, &calls[c]));
    for (int32_t r = 0; r < rounds; r++)
        for (int64_t turn = 0; turn < count; turn++) {
            int64_t c = (turn + r) % count;
            sample *s = &samples[c * rounds + r];

            if (settings->progress != NULL &&
                settings->progress(settings->progress_user, settings->what,
                                   settings->done + r * count + turn, settings->total) != 0) {
                status = tmsi_fail(TMS_ERR_CANCELLED, "stopped in round %d of %d", r, rounds);
                goto done;
            }
            TMS_TRY(take_sample(context, &candidates[c], calls[c], s));
            best = s->pace > best ? s->pace : best;
        }
    for (int64_t c = 0; c < count; c++)
        summarise(samples + c * rounds, scratch, rounds, best, &out[c]);
done:
    tmsi_free(context, calls);
    tmsi_free(context, scratch);
    tmsi_free(context, samples);
    return status;
}
