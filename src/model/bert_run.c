#include "base/dtype.h"
#include "base/threads.h"
#include "model/bert.h"

typedef struct text_job {
    const tmsi_bert *bert;
    const tmsi_text_rows *texts;
    const int32_t *ids;
    float *x;
} text_job;

static void normalize(const tmsi_bert *self, const tmsi_norm_weights *weights, int64_t tokens,
                      float *x) {
    tmsi_norm norm = {
        x, tokens, self->base.sizes.hidden, weights->weight, weights->bias, (float)self->norm_eps};
    tmsi_norm_run(self->base.context, &norm);
}

static void embed_text(void *arg, int64_t text) {
    const text_job *job = arg;
    const tmsi_bert *self = job->bert;
    int64_t first = job->texts->offsets[text], last = job->texts->offsets[text + 1];
    int64_t hidden = self->base.sizes.hidden;
    size_t row_bytes = (size_t)hidden * tmsi_dtype_bytes(self->words->dtype);

    for (int64_t token = first; token < last; token++) {
        float *x = job->x + token * hidden;
        tmsi_widen_f32((const char *)self->words->data + (size_t)job->ids[token] * row_bytes,
                       self->words->dtype, hidden, x);
        for (int64_t i = 0; i < hidden; i++)
            x[i] += tmsi_load_f32(self->positions->data, self->positions->dtype,
                                  (token - first) * hidden + i) +
                    self->type[i];
    }
}

void tmsi_bert_embed(const tmsi_encoder *encoder, const tmsi_text_rows *texts, const int32_t *ids,
                     float *x) {
    const tmsi_bert *bert = (const tmsi_bert *)encoder;
    text_job job = {bert, texts, ids, x};

    tmsi_parallel_for(encoder->context, texts->count, embed_text, &job);
    normalize(bert, &bert->embedding_norm, texts->offsets[texts->count], x);
}

/* qkv [tokens, 3 * hidden] by one product, or by three. */
static void project(const tmsi_bert *self, const tmsi_linear *layers, int64_t tokens,
                    const float *x) {
    int64_t hidden = self->base.sizes.hidden;

    for (int i = TMSI_BERT_QUERY; i <= TMSI_BERT_VALUE; i++)
        if (layers[i].plan != NULL)
            tmsi_linear_run(&layers[i], x, tokens, self->qkv + i * hidden, 3 * hidden, self->work);
}

void tmsi_bert_run_block(const tmsi_encoder *encoder, int64_t block, const tmsi_text_rows *texts,
                         tmsi_observe observe, void *user, float *x) {
    const tmsi_bert *self = (const tmsi_bert *)encoder;
    const tmsi_encoder_sizes *sizes = &encoder->sizes;
    const tmsi_linear *layers = tmsi_encoder_layer(encoder, block, 0);
    int64_t tokens = texts->offsets[texts->count], hidden = sizes->hidden;
    tmsi_attention attention = {
        texts, self->qkv, self->mixed, sizes->heads, hidden / sizes->heads, self->attention_work};

    for (int i = TMSI_BERT_QUERY; observe != NULL && i <= TMSI_BERT_VALUE; i++)
        observe(user, i, x, tokens, hidden);
    project(self, layers, tokens, x);
    tmsi_attention_run(encoder->context, &attention);
    if (observe != NULL)
        observe(user, TMSI_BERT_ATTENTION_OUTPUT, self->mixed, tokens, hidden);
    tmsi_linear_run(&layers[TMSI_BERT_ATTENTION_OUTPUT], self->mixed, tokens, x, hidden,
                    self->work);
    normalize(self, &self->norms[block].attention, tokens, x);
    if (observe != NULL)
        observe(user, TMSI_BERT_INTERMEDIATE, x, tokens, hidden);
    tmsi_linear_run(&layers[TMSI_BERT_INTERMEDIATE], x, tokens, self->inner, sizes->intermediate,
                    self->work);
    if (observe != NULL)
        observe(user, TMSI_BERT_OUTPUT, self->inner, tokens, sizes->intermediate);
    tmsi_linear_run(&layers[TMSI_BERT_OUTPUT], self->inner, tokens, x, hidden, self->work);
    normalize(self, &self->norms[block].output, tokens, x);
}
