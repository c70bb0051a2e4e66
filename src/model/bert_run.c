#include <math.h>
#include <string.h>

#include "base/dtype.h"
#include "base/threads.h"
#include "model/bert.h"

typedef struct text_job {
    const tmsi_bert *bert;
    const tmsi_text_rows *texts;
    const int32_t *ids;
    const float *in;
    float *out;
} text_job;

static void normalize(const tmsi_bert *self, const tmsi_norm_weights *weights, int64_t tokens,
                      float *x) {
    tmsi_norm norm = {x,
                      tokens,
                      self->config.hidden,
                      weights->weight,
                      weights->bias,
                      (float)self->config.norm_eps};
    tmsi_norm_run(self->context, &norm);
}

static void embed_text(void *arg, int64_t text) {
    const text_job *job = arg;
    const tmsi_bert *self = job->bert;
    int64_t first = job->texts->offsets[text], last = job->texts->offsets[text + 1];
    int64_t hidden = self->config.hidden;
    size_t row_bytes = (size_t)hidden * tmsi_dtype_bytes(self->words->dtype);

    for (int64_t token = first; token < last; token++) {
        float *x = job->out + token * hidden;
        tmsi_widen_f32((const char *)self->words->data + (size_t)job->ids[token] * row_bytes,
                       self->words->dtype, hidden, x);
        for (int64_t i = 0; i < hidden; i++)
            x[i] += tmsi_load_f32(self->positions->data, self->positions->dtype,
                                  (token - first) * hidden + i) +
                    self->type[i];
    }
}

void tmsi_bert_embed(const tmsi_bert *bert, const tmsi_text_rows *texts, const int32_t *ids,
                     float *x) {
    text_job job = {bert, texts, ids, NULL, x};

    tmsi_parallel_for(bert->context, texts->count, embed_text, &job);
    normalize(bert, &bert->embedding_norm, texts->offsets[texts->count], x);
}

/* qkv [tokens, 3 * hidden] by one product, or by three. */
static void project(const tmsi_bert *self, const tmsi_bert_block *block, int64_t tokens,
                    const float *x) {
    int64_t hidden = self->config.hidden;

    for (int i = TMSI_BERT_QUERY; i <= TMSI_BERT_VALUE; i++)
        if (block->layers[i].plan != NULL)
            tmsi_linear_run(&block->layers[i], x, tokens, self->qkv + i * hidden, 3 * hidden,
                            self->work);
}

void tmsi_bert_run_block(const tmsi_bert *bert, int64_t block, const tmsi_text_rows *texts,
                         tmsi_observe observe, void *user, float *x) {
    const tmsi_bert_config *config = &bert->config;
    const tmsi_bert_block *self = &bert->blocks[block];
    int64_t tokens = texts->offsets[texts->count], hidden = config->hidden;
    tmsi_attention attention = {
        texts, bert->qkv, bert->mixed, config->heads, hidden / config->heads, bert->attention_work};

    for (int i = TMSI_BERT_QUERY; observe != NULL && i <= TMSI_BERT_VALUE; i++)
        observe(user, i, x, tokens, hidden);
    project(bert, self, tokens, x);
    tmsi_attention_run(bert->context, &attention);
    if (observe != NULL)
        observe(user, TMSI_BERT_ATTENTION_OUTPUT, bert->mixed, tokens, hidden);
    tmsi_linear_run(&self->layers[TMSI_BERT_ATTENTION_OUTPUT], bert->mixed, tokens, x, hidden,
                    bert->work);
    normalize(bert, &self->attention_norm, tokens, x);
    if (observe != NULL)
        observe(user, TMSI_BERT_INTERMEDIATE, x, tokens, hidden);
    tmsi_linear_run(&self->layers[TMSI_BERT_INTERMEDIATE], x, tokens, bert->inner,
                    config->intermediate, bert->work);
    if (observe != NULL)
        observe(user, TMSI_BERT_OUTPUT, bert->inner, tokens, config->intermediate);
    tmsi_linear_run(&self->layers[TMSI_BERT_OUTPUT], bert->inner, tokens, x, hidden, bert->work);
    normalize(bert, &self->output_norm, tokens, x);
}

/* The mean's length cancels: the sum of a text's rows is brought to unit length. */
static void pool_text(void *arg, int64_t text) {
    const text_job *job = arg;
    int64_t hidden = job->bert->config.hidden;
    float *out = job->out + text * hidden;
    double squares = 0.0, inverse;

    memset(out, 0, (size_t)hidden * sizeof *out);
    for (int64_t row = job->texts->offsets[text]; row < job->texts->offsets[text + 1]; row++)
        for (int64_t i = 0; i < hidden; i++)
            out[i] += job->in[row * hidden + i];
    for (int64_t i = 0; i < hidden; i++)
        squares += (double)out[i] * (double)out[i];
    inverse = squares > 0.0 ? 1.0 / sqrt(squares) : 0.0;
    for (int64_t i = 0; i < hidden; i++)
        out[i] = (float)(out[i] * inverse);
}

void tmsi_bert_pool(const tmsi_bert *bert, const tmsi_text_rows *texts, const float *x,
                    float *out) {
    text_job job = {bert, texts, NULL, x, out};

    tmsi_parallel_for(bert->context, texts->count, pool_text, &job);
}
