#include "model/model.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "model/batches.h"

enum { VOCABULARY_BYTES_MAX = 64 << 20 };

/* A boolean of tokenizer_config.json; `otherwise` where it is missing or null. */
static tms_status read_rule(const json_t *config, const char *key, bool otherwise, bool *out) {
    const json_t *value = json_object_get(config, key);

    if (value != NULL && !json_is_boolean(value) && !json_is_null(value))
        return tmsi_fail(TMS_ERR_FORMAT, "%s is %s, but must be true, false or null", key,
                         tmsi_json_kind(value));
    *out = json_is_boolean(value) ? json_is_true(value) : otherwise;
    return TMS_OK;
}

static tms_status apply_rules(const json_t *config, tmsi_tokenizer_rules *out) {
    bool lowercase = true; /* which strip_accents follows unless it is said */
    tms_status status = TMS_OK;

    TMS_TRY(read_rule(config, "do_lower_case", lowercase, &lowercase));
    TMS_TRY(read_rule(config, "strip_accents", lowercase, &out->strip_accents));
    TMS_TRY(read_rule(config, "tokenize_chinese_chars", true, &out->split_ideographs));
    out->lowercase = lowercase;
done:
    return status;
}

/* Rules of the uncased tokenizer, where tokenizer_config.json does not say other. */
static tms_status read_rules(tms_context *context, const char *folder, tmsi_tokenizer_rules *out) {
    static const tmsi_json_bounds bounds = {JSON_OBJECT, 1 << 20, 32};
    static const char name[] = "tokenizer_config.json";
    tms_status status = TMS_OK;
    json_t *config = NULL;

    TMS_TRY(tmsi_json_read(context, folder, name, &bounds, &config));
    status = apply_rules(config, out);
    if (status != TMS_OK)
        status = tmsi_fail_in(status, "\"%s/%s\"", folder, name);
done:
    json_decref(config);
    return status;
}

static tms_status read_tokenizer(tms_context *context, const char *folder,
                                 tmsi_tokenizer **out_tokenizer) {
    tms_status status = TMS_OK;
    tmsi_tokenizer_rules rules;
    tmsi_mapping map = {0};
    char *path = NULL;

    TMS_TRY(read_rules(context, folder, &rules));
    TMS_TRY(tmsi_path_join(context, folder, "vocab.txt", &path));
    TMS_TRY(tmsi_file_map(path, &map));
    if (map.bytes > VOCABULARY_BYTES_MAX)
        TMS_TRY(tmsi_fail(TMS_ERR_FORMAT, "%s has %zu bytes, but a vocabulary has at most %d", path,
                          map.bytes, VOCABULARY_BYTES_MAX));
    status =
        tmsi_tokenizer_create(context, (const char *)map.data, map.bytes, &rules, out_tokenizer);
    if (status != TMS_OK)
        status = tmsi_fail_in(status, "%s", path);
done:
    tmsi_file_unmap(&map);
    tmsi_free(context, path);
    return status;
}

static tms_status check_sizes(const tms_model *self, int64_t max_tokens) {
    const tmsi_encoder_sizes *sizes = &self->encoder->sizes;
    int64_t tokens = tmsi_tokenizer_count(self->tokenizer);
    int64_t longest = tmsi_min(sizes->positions, TMSI_BATCH_TOKENS);

    if (tokens > sizes->vocabulary)
        return tmsi_fail(TMS_ERR_FORMAT,
                         "vocab.txt has %lld tokens, but config.json's vocab_size is %lld",
                         (long long)tokens, (long long)sizes->vocabulary);
    if (max_tokens > longest)
        return tmsi_fail(TMS_ERR_INVALID,
                         "max_tokens is %lld, but this model takes texts of at most %lld tokens",
                         (long long)max_tokens, (long long)longest);
    return TMS_OK;
}

tms_status tmsi_model_open(tms_context *context, const char *path,
                           const tmsi_encoder_options *options, int64_t max_tokens,
                           tms_model **out_model) {
    tms_status status = TMS_OK;
    tms_checkpoint *checkpoint = NULL;
    tms_model *self = NULL;

    TMS_TRY(tmsi_alloc(context, 1, sizeof *self, &self));
    self->context = context;
    TMS_TRY(tmsi_checkpoint_open(context, path, &checkpoint));
    if (!checkpoint->is_folder || checkpoint->config == NULL)
        TMS_TRY(tmsi_fail(TMS_ERR_FORMAT,
                          "%s is no model: a folder with config.json, vocab.txt and weights is",
                          path));
    status = tmsi_encoder_create(checkpoint, options, &self->encoder);
    if (status != TMS_OK)
        TMS_TRY(tmsi_fail_in(status, "%s", path));
    checkpoint = NULL; /* now the encoder's */
    TMS_TRY(read_tokenizer(context, path, &self->tokenizer));
    TMS_TRY(tmsi_pooling_read(context, path, &self->pooling));
    TMS_TRY(check_sizes(self, max_tokens));
    self->max_tokens = max_tokens > 0
                           ? max_tokens
                           : tmsi_min(TMSI_MODEL_TOKENS_DEFAULT, self->encoder->sizes.positions);
    *out_model = self;
    self = NULL;
done:
    tmsi_checkpoint_close(checkpoint);
    tmsi_model_close(self);
    return status;
}

void tmsi_model_close(tms_model *model) {
    if (model == NULL)
        return;
    tmsi_encoder_destroy(model->encoder);
    tmsi_tokenizer_destroy(model->context, model->tokenizer);
    tmsi_free(model->context, model);
}

void tmsi_model_describe(const tms_model *model, tms_model_info *out_info) {
    const tmsi_encoder_sizes *sizes = &model->encoder->sizes;
    const tmsi_linear *linear;
    tms_model_info info = {.struct_size = sizeof info,
                           .architecture = model->encoder->architecture->name,
                           .layers = sizes->blocks,
                           .hidden = sizes->hidden,
                           .heads = sizes->heads,
                           .intermediate = sizes->intermediate,
                           .vocabulary = sizes->vocabulary,
                           .max_tokens = model->max_tokens};

    for (int64_t i = 0; (linear = tmsi_encoder_linear(model->encoder, i)) != NULL; i++) {
        info.image_bytes += linear->image.bytes;
        info.dense_bytes += (size_t)(linear->n * linear->k) * sizeof(float);
        info.linear_weights += linear->n * linear->k;
        info.linear_zeros += linear->zeros;
    }
    *out_info = info;
}

size_t tmsi_model_kernels(const tms_model *model, char *text, size_t text_bytes) {
    const tmsi_linear *linear;
    size_t used = 0;

    for (int64_t i = 0; (linear = tmsi_encoder_linear(model->encoder, i)) != NULL; i++) {
        bool has_room = used < text_bytes;
        const char *kernel = tmsi_spmm_plan_choice(linear->plan, TMSI_BATCH_TOKENS)->kernel->name;
        used += (size_t)snprintf(has_room ? text + used : NULL, has_room ? text_bytes - used : 0,
                                 "%s: %lld x %lld, %s\n", linear->name, (long long)linear->n,
                                 (long long)linear->k, kernel);
    }
    return used;
}

tms_status tmsi_model_tokenize(const tms_model *model, const char *text, size_t text_bytes,
                               int32_t *out_ids, int64_t capacity, int64_t *out_count) {
    int32_t *ids = NULL;
    tms_status status = tmsi_alloc(model->context, (size_t)model->max_tokens, sizeof *ids, &ids);

    if (status != TMS_OK)
        return status;
    *out_count = tmsi_tokenizer_encode(model->tokenizer, text, text_bytes, model->max_tokens, ids);
    if (capacity > 0)
        memcpy(out_ids, ids, (size_t)tmsi_min(capacity, *out_count) * sizeof *ids);
    tmsi_free(model->context, ids);
    return TMS_OK;
}

static tms_status report(tms_progress progress, void *user, int64_t done, int64_t total) {
    if (progress != NULL && progress(user, "texts", done, total) != 0)
        return tmsi_fail(TMS_ERR_CANCELLED, "stopped after %lld of %lld texts", (long long)done,
                         (long long)total);
    return TMS_OK;
}

tms_status tmsi_model_embed(tms_model *model, const char *const *texts, const size_t *lengths,
                            int64_t count, tms_progress progress, void *progress_user, float *out) {
    const tmsi_encoder *encoder = model->encoder;
    int64_t hidden = encoder->sizes.hidden, offsets[TMSI_BATCH_TEXTS + 1];
    tms_status status = TMS_OK;
    tmsi_batches batches = {0};
    float *x = NULL, *pooled = NULL;

    TMS_TRY(tmsi_batches_create(model, texts, lengths, count, &batches));
    TMS_TRY(tmsi_alloc(model->context, TMSI_BATCH_TOKENS * (size_t)hidden, sizeof *x, &x));
    TMS_TRY(tmsi_alloc(model->context, TMSI_BATCH_TEXTS * (size_t)hidden, sizeof *pooled, &pooled));
    for (int64_t batch = 0; batch < batches.batch_count; batch++) {
        const int32_t *ids;
        tmsi_text_rows rows = tmsi_batches_rows(&batches, batch, offsets, &ids);
        const int64_t *order = batches.order + batches.firsts[batch];
        TMS_TRY(report(progress, progress_user, batches.firsts[batch], count));
        encoder->ops->embed(encoder, &rows, ids, x);
        for (int64_t block = 0; block < encoder->sizes.blocks; block++)
            encoder->ops->run_block(encoder, block, &rows, NULL, NULL, x);
        tmsi_pooling_run(model->context, model->pooling, &rows, hidden, x, pooled);
        for (int64_t i = 0; i < rows.count; i++)
            memcpy(out + order[i] * hidden, pooled + i * hidden, (size_t)hidden * sizeof *out);
    }
    TMS_TRY(report(progress, progress_user, count, count));
done:
    tmsi_batches_free(&batches);
    tmsi_free(model->context, x);
    tmsi_free(model->context, pooled);
    return status;
}
