#include "model/network.h"

#include <string.h>

#include "base/memory.h"
#include "model/batches.h"

typedef struct encoder_network {
    tms_context *context;
    tms_model *model;
    tmsi_batches batches;
    float *states; /* [tokens of all texts, hidden]: what enters the next block */
    float *x;      /* one batch's, where a block runs but does not advance */
    int64_t block; /* that has not yet advanced */
} encoder_network;

static int64_t layer_count(void *self, int64_t block) {
    (void)block;
    return ((const encoder_network *)self)->model->encoder->architecture->layer_count;
}

static const char *layer_name(void *arg, int64_t block, int64_t layer) {
    const encoder_network *self = arg;
    return tmsi_encoder_layer(self->model->encoder, block, layer)->name;
}

static tms_status run_block(void *arg, int64_t block, bool advance, tmsi_observe observe,
                            void *user) {
    encoder_network *self = arg;
    const tmsi_encoder *encoder = self->model->encoder;
    int64_t hidden = encoder->sizes.hidden, offsets[TMSI_BATCH_TEXTS + 1];

    if (block != self->block)
        return tmsi_fail(TMS_ERR_INVALID, "block %lld is run, but block %lld is next",
                         (long long)block, (long long)self->block);
    for (int64_t batch = 0; batch < self->batches.batch_count; batch++) {
        const int32_t *ids;
        tmsi_text_rows rows = tmsi_batches_rows(&self->batches, batch, offsets, &ids);
        float *x = self->states + (ids - self->batches.ids) * hidden;
        if (!advance) {
            memcpy(self->x, x, (size_t)(offsets[rows.count] * hidden) * sizeof *x);
            x = self->x;
        }
        encoder->ops->run_block(encoder, block, &rows, observe, user, x);
    }
    self->block += advance;
    return TMS_OK;
}

static tms_status replace_layer(void *arg, int64_t block, int64_t layer, const float *weights) {
    encoder_network *self = arg;
    return tmsi_linear_replace(self->context,
                               tmsi_encoder_layer(self->model->encoder, block, layer), weights);
}

static tms_status multiply(void *arg, const float *x, const float *w, float *y, int64_t t,
                           int64_t k, int64_t n) {
    tms_context *context = ((const encoder_network *)arg)->context;
    tms_status status = TMS_OK;
    tmsi_linear linear = {0};
    void *work = NULL;

    if (t == 0)
        return TMS_OK;
    TMS_TRY(tmsi_linear_create_plain(context, w, n, k, t, &linear));
    TMS_TRY(tmsi_alloc(context, linear.plan->work_bytes, 1, &work));
    tmsi_linear_run(&linear, x, t, y, n, work);
done:
    tmsi_free(context, work);
    tmsi_linear_free(context, &linear);
    return status;
}

/* States that enter the first block. */
static tms_status embed_texts(encoder_network *self, const char *const *texts,
                              const size_t *lengths, int64_t count) {
    const tmsi_encoder *encoder = self->model->encoder;
    size_t hidden = (size_t)encoder->sizes.hidden;
    int64_t offsets[TMSI_BATCH_TEXTS + 1];
    tms_status status = TMS_OK;

    TMS_TRY(tmsi_batches_create(self->model, texts, lengths, count, &self->batches));
    TMS_TRY(tmsi_alloc(self->context, (size_t)self->batches.offsets[count] * hidden,
                       sizeof *self->states, &self->states));
    TMS_TRY(tmsi_alloc(self->context, TMSI_BATCH_TOKENS * hidden, sizeof *self->x, &self->x));
    for (int64_t batch = 0; batch < self->batches.batch_count; batch++) {
        const int32_t *ids;
        tmsi_text_rows rows = tmsi_batches_rows(&self->batches, batch, offsets, &ids);
        encoder->ops->embed(encoder, &rows, ids,
                            self->states + (size_t)(ids - self->batches.ids) * hidden);
    }
done:
    return status;
}

static void free_network(encoder_network *self) {
    if (self == NULL)
        return;
    tmsi_batches_free(&self->batches);
    tmsi_model_close(self->model);
    tmsi_free(self->context, self->states);
    tmsi_free(self->context, self->x);
    tmsi_free(self->context, self);
}

static tms_status open_network(tms_context *context, const char *path, const char *const *texts,
                               const size_t *lengths, int64_t count, tmsi_network *out) {
    static const tmsi_encoder_options options = {.dense_kernels = true, .is_split = true};
    tms_status status = TMS_OK;
    encoder_network *self = NULL;

    TMS_TRY(tmsi_alloc(context, 1, sizeof *self, &self));
    self->context = context;
    TMS_TRY(tmsi_model_open(context, path, &options, 0, &self->model));
    TMS_TRY(embed_texts(self, texts, lengths, count));
    *out = (tmsi_network){.self = self,
                          .block_count = self->model->encoder->sizes.blocks,
                          .layer_count = layer_count,
                          .layer_name = layer_name,
                          .run = run_block,
                          .replace = replace_layer,
                          .product = multiply};
    self = NULL;
done:
    free_network(self);
    return status;
}

static void close_network(tmsi_network *network) {
    free_network(network->self);
}

const tmsi_network_source tmsi_encoder_source = {open_network, close_network};
