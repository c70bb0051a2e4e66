#include "model/bert.h"

#include <stdio.h>
#include <string.h>

#include "base/dtype.h"
#include "base/memory.h"
#include "checkpoint/record.h"

enum { LAYER_NAME_MAX = 64 };

/* Names of a block's linear layers, as TMSI_BERT_QUERY and so on number them. */
static const char *const layer_names[TMSI_BERT_BLOCK_LAYERS] = {
    "attention.self.query",   "attention.self.key", "attention.self.value",
    "attention.output.dense", "intermediate.dense", "output.dense"};

/* What stands before "embeddings.word_embeddings.weight" in the checkpoint: "", "bert.". */
static tms_status find_prefix(tmsi_bert *self) {
    static const char word_table[] = "embeddings.word_embeddings.weight";
    size_t tail = sizeof word_table - 1;

    for (int64_t i = 0; i < self->checkpoint->tensor_count; i++) {
        const char *name = self->checkpoint->tensors[i].tensor.name;
        size_t bytes = strlen(name), lead = bytes - tail;
        if (bytes < tail || strcmp(name + lead, word_table) != 0 || lead >= sizeof self->prefix ||
            (lead > 0 && name[lead - 1] != '.'))
            continue;
        memcpy(self->prefix, name, lead);
        return TMS_OK;
    }
    return tmsi_fail(TMS_ERR_FORMAT, "the checkpoint has no tensor \"%s\", with any prefix",
                     word_table);
}

static tms_status read_norm(tmsi_bert *self, const char *name, tmsi_norm_weights *out) {
    /* Checkpoints that came from TensorFlow keep its words. */
    static const char *const words[2][2] = {{"weight", "bias"}, {"gamma", "beta"}};
    char full[LAYER_NAME_MAX * 2 + TMSI_NAME_BYTES_MAX];
    tms_status status = TMS_OK;
    int set;

    snprintf(full, sizeof full, "%s%s.gamma", self->prefix, name);
    set = tmsi_checkpoint_find(self->checkpoint, full) >= 0;
    snprintf(full, sizeof full, "%s.%s", name, words[set][0]);
    TMS_TRY(tmsi_weights_vector(self->checkpoint, self->prefix, full, self->config.hidden,
                                &out->weight));
    snprintf(full, sizeof full, "%s.%s", name, words[set][1]);
    TMS_TRY(
        tmsi_weights_vector(self->checkpoint, self->prefix, full, self->config.hidden, &out->bias));
done:
    return status;
}

static tms_status read_embeddings(tmsi_bert *self) {
    const tmsi_bert_config *config = &self->config;
    tms_status status = TMS_OK;
    const tms_tensor *types;
    int64_t rows = 1, number;
    char full[TMSI_NAME_BYTES_MAX + LAYER_NAME_MAX];

    TMS_TRY(tmsi_weights_table(self->checkpoint, self->prefix, "embeddings.word_embeddings.weight",
                               config->vocabulary, config->hidden, &self->words));
    TMS_TRY(tmsi_weights_table(self->checkpoint, self->prefix,
                               "embeddings.position_embeddings.weight", config->positions,
                               config->hidden, &self->positions));
    /* Only type 0 is used: however many types there are is right. */
    snprintf(full, sizeof full, "%sembeddings.token_type_embeddings.weight", self->prefix);
    number = tmsi_checkpoint_find(self->checkpoint, full);
    if (number >= 0 && self->checkpoint->tensors[number].tensor.rank == 2)
        rows = tmsi_max(1, self->checkpoint->tensors[number].tensor.shape[0]);
    TMS_TRY(tmsi_weights_table(self->checkpoint, self->prefix,
                               "embeddings.token_type_embeddings.weight", rows, config->hidden,
                               &types));
    TMS_TRY(tmsi_alloc(self->context, (size_t)config->hidden, sizeof *self->type, &self->type));
    tmsi_widen_f32(types->data, types->dtype, config->hidden, self->type);
    TMS_TRY(read_norm(self, "embeddings.LayerNorm", &self->embedding_norm));
done:
    return status;
}

static void layer_shape(const tmsi_bert_config *config, int layer, int64_t *n, int64_t *k) {
    *n = layer == TMSI_BERT_INTERMEDIATE ? config->intermediate : config->hidden;
    *k = layer == TMSI_BERT_OUTPUT ? config->intermediate : config->hidden;
}

/* Weights and biases of a block, as read. */
typedef struct block_weights {
    tmsi_weight weights[TMSI_BERT_BLOCK_LAYERS];
    float *biases[TMSI_BERT_BLOCK_LAYERS];
} block_weights;

static tms_status read_block(tmsi_bert *self, const json_t *record, int64_t block,
                             block_weights *out) {
    char name[LAYER_NAME_MAX * 2];
    tms_status status = TMS_OK;
    int64_t n, k;

    for (int i = 0; i < TMSI_BERT_BLOCK_LAYERS; i++) {
        layer_shape(&self->config, i, &n, &k);
        snprintf(name, sizeof name, "encoder.layer.%lld.%s.weight", (long long)block,
                 layer_names[i]);
        TMS_TRY(tmsi_weights_matrix(self->checkpoint, record, self->prefix, name, n, k,
                                    &out->weights[i]));
        self->blocks[block].names[i] = out->weights[i].name;
        snprintf(name, sizeof name, "encoder.layer.%lld.%s.bias", (long long)block, layer_names[i]);
        TMS_TRY(tmsi_weights_vector(self->checkpoint, self->prefix, name, n, &out->biases[i]));
    }
    snprintf(name, sizeof name, "encoder.layer.%lld.attention.output.LayerNorm", (long long)block);
    TMS_TRY(read_norm(self, name, &self->blocks[block].attention_norm));
    snprintf(name, sizeof name, "encoder.layer.%lld.output.LayerNorm", (long long)block);
    TMS_TRY(read_norm(self, name, &self->blocks[block].output_norm));
done:
    return status;
}

/* q, k and v become one layer where they are alike. */
static tms_status create_layers(tmsi_bert *self, tmsi_bert_block *block, const block_weights *read,
                                const tmsi_bert_options *options) {
    tms_status status = TMS_OK;
    bool is_stacked =
        !options->split_qkv &&
        (options->dense_kernels || (tmsi_weights_alike(&read->weights[0], &read->weights[1]) &&
                                    tmsi_weights_alike(&read->weights[0], &read->weights[2])));
    int32_t count;

    for (int i = 0; i < TMSI_BERT_BLOCK_LAYERS; i += count) {
        const float *biases[TMSI_LINEAR_WEIGHTS_MAX];
        tmsi_linear_desc desc = {.weights = &read->weights[i],
                                 .biases = biases,
                                 .dense_kernels = options->dense_kernels,
                                 .keep_dense = options->keep_dense,
                                 .t_max = TMSI_BERT_BATCH_TOKENS};
        count = i == TMSI_BERT_QUERY && is_stacked ? TMSI_LINEAR_WEIGHTS_MAX : 1;
        for (int32_t j = 0; j < count; j++)
            biases[j] = read->biases[i + j];
        desc.count = count;
        desc.has_residual = i == TMSI_BERT_ATTENTION_OUTPUT || i == TMSI_BERT_OUTPUT;
        if (i == TMSI_BERT_INTERMEDIATE)
            desc.activation = self->config.activation;
        status = tmsi_linear_create(self->context, &desc, &block->layers[i]);
        if (status != TMS_OK)
            TMS_TRY(tmsi_fail_in(status, "layer \"%s\"", read->weights[i].name));
    }
done:
    return status;
}

static tms_status create_block(tmsi_bert *self, const json_t *record, int64_t block,
                               const tmsi_bert_options *options) {
    block_weights read = {0};
    tms_status status = TMS_OK;

    TMS_TRY(read_block(self, record, block, &read));
    TMS_TRY(create_layers(self, &self->blocks[block], &read, options));
done:
    for (int i = 0; i < TMSI_BERT_BLOCK_LAYERS; i++) {
        tmsi_weight_free(self->context, &read.weights[i]);
        tmsi_free(self->context, read.biases[i]);
    }
    return status;
}

static tms_status create_buffers(tmsi_bert *self) {
    const tmsi_bert_config *config = &self->config;
    size_t tokens = TMSI_BERT_BATCH_TOKENS, work_bytes = 0;
    tms_status status = TMS_OK;

    for (int64_t i = 0; tmsi_bert_linear(self, i) != NULL; i++)
        if (tmsi_bert_linear(self, i)->plan->work_bytes > work_bytes)
            work_bytes = tmsi_bert_linear(self, i)->plan->work_bytes;
    TMS_TRY(
        tmsi_alloc(self->context, tokens * 3 * (size_t)config->hidden, sizeof(float), &self->qkv));
    TMS_TRY(
        tmsi_alloc(self->context, tokens * (size_t)config->hidden, sizeof(float), &self->mixed));
    TMS_TRY(tmsi_alloc(self->context, tokens * (size_t)config->intermediate, sizeof(float),
                       &self->inner));
    TMS_TRY(tmsi_alloc(self->context,
                       tmsi_attention_work_floats(TMSI_BERT_BATCH_TEXTS, TMSI_BERT_BATCH_TOKENS,
                                                  config->heads, config->hidden / config->heads),
                       sizeof(float), &self->attention_work));
    TMS_TRY(tmsi_alloc(self->context, work_bytes, 1, &self->work));
done:
    return status;
}

tms_status tmsi_bert_create(tms_checkpoint *checkpoint, const tmsi_bert_options *options,
                            tmsi_bert **out_bert) {
    tms_context *context = checkpoint->context;
    tms_status status = TMS_OK;
    tmsi_bert *self = NULL;
    json_t *record = NULL;

    TMS_TRY(tmsi_record_read(checkpoint, &record));
    TMS_TRY(tmsi_alloc(context, 1, sizeof *self, &self));
    self->context = context;
    self->checkpoint = checkpoint;
    TMS_TRY(tmsi_bert_config_read(checkpoint->config, &self->config));
    TMS_TRY(find_prefix(self));
    TMS_TRY(read_embeddings(self));
    TMS_TRY(tmsi_alloc(context, (size_t)self->config.layers, sizeof *self->blocks, &self->blocks));
    for (int64_t i = 0; i < self->config.layers; i++)
        TMS_TRY(create_block(self, record, i, options));
    TMS_TRY(create_buffers(self));
    *out_bert = self;
    self = NULL;
done:
    json_decref(record);
    if (self != NULL)
        self->checkpoint = NULL; /* stays the caller's */
    tmsi_bert_destroy(self);
    return status;
}

static void free_norm(tms_context *context, tmsi_norm_weights *norm) {
    tmsi_free(context, norm->weight);
    tmsi_free(context, norm->bias);
}

void tmsi_bert_destroy(tmsi_bert *bert) {
    if (bert == NULL)
        return;
    for (int64_t i = 0; bert->blocks != NULL && i < bert->config.layers; i++) {
        for (int j = 0; j < TMSI_BERT_BLOCK_LAYERS; j++)
            tmsi_linear_free(bert->context, &bert->blocks[i].layers[j]);
        free_norm(bert->context, &bert->blocks[i].attention_norm);
        free_norm(bert->context, &bert->blocks[i].output_norm);
    }
    free_norm(bert->context, &bert->embedding_norm);
    tmsi_free(bert->context, bert->blocks);
    tmsi_free(bert->context, bert->type);
    tmsi_free(bert->context, bert->qkv);
    tmsi_free(bert->context, bert->mixed);
    tmsi_free(bert->context, bert->inner);
    tmsi_free(bert->context, bert->attention_work);
    tmsi_free(bert->context, bert->work);
    tmsi_checkpoint_close(bert->checkpoint);
    tmsi_free(bert->context, bert);
}

const tmsi_linear *tmsi_bert_linear(const tmsi_bert *bert, int64_t i) {
    for (int64_t block = 0; block < bert->config.layers; block++)
        for (int j = 0; j < TMSI_BERT_BLOCK_LAYERS; j++)
            if (bert->blocks[block].layers[j].plan != NULL && i-- == 0)
                return &bert->blocks[block].layers[j];
    return NULL;
}
