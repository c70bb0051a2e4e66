#include "model/pooling.h"

#include <math.h>
#include <string.h>

#include "base/threads.h"

typedef struct pooling_job {
    const tmsi_text_rows *texts;
    int64_t hidden;
    const float *x;
    float *out;
} pooling_job;

/* The mean's length cancels: the sum of a text's rows is brought to unit length. */
static void pool_text(void *arg, int64_t text) {
    const pooling_job *job = arg;
    const int64_t *offsets = job->texts->offsets;
    int64_t hidden = job->hidden;
    float *out = job->out + text * hidden;
    double squares = 0.0, inverse;

    memset(out, 0, (size_t)hidden * sizeof *out);
    for (int64_t row = offsets[text]; row < offsets[text + 1]; row++)
        for (int64_t i = 0; i < hidden; i++)
            out[i] += job->x[row * hidden + i];
    for (int64_t i = 0; i < hidden; i++)
        squares += (double)out[i] * (double)out[i];
    inverse = squares > 0.0 ? 1.0 / sqrt(squares) : 0.0;
    for (int64_t i = 0; i < hidden; i++)
        out[i] = (float)(out[i] * inverse);
}

void tmsi_pooling_run(const tms_context *context, const tmsi_text_rows *texts, int64_t hidden,
                      const float *x, float *out) {
    pooling_job job = {texts, hidden, x, out};

    tmsi_parallel_for(context, texts->count, pool_text, &job);
}
