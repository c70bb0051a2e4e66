#include "model/bert.h"

#include <stdio.h>
#include <string.h>

#include "base/dtype.h"
#include "base/memory.h"
#include "checkpoint/record.h"

/* What stands before "embeddings.word_embeddings.weight" in the checkpoint: "", "bert.". */
static tms_status find_prefix(tmsi_bert *self) {
    static const char word_table[] = "embeddings.word_embeddings.weight";
    size_t tail = sizeof word_table - 1;

    for (int64_t i = 0; i < self->base.checkpoint->tensor_count; i++) {
        const char *name = self->base.checkpoint->tensors[i].tensor.name;
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
    char full[TMSI_LAYER_NAME_MAX + TMSI_NAME_BYTES_MAX];
    tms_status status = TMS_OK;
    int set;

    snprintf(full, sizeof full, "%s%s.gamma", self->prefix, name);
    set = tmsi_checkpoint_find(self->base.checkpoint, full) >= 0;
    snprintf(full, sizeof full, "%s.%s", name, words[set][0]);
    TMS_TRY(tmsi_weights_vector(self->base.checkpoint, self->prefix, full, self->base.sizes.hidden,
                                &out->weight));
    snprintf(full, sizeof full, "%s.%s", name, words[set][1]);
    TMS_TRY(tmsi_weights_vector(self->base.checkpoint, self->prefix, full, self->base.sizes.hidden,
                                &out->bias));
done:
    return status;
}

static tms_status read_embeddings(tmsi_bert *self) {
    const tmsi_encoder_sizes *sizes = &self->base.sizes;
    tms_status status = TMS_OK;
    const tms_tensor *types;
    int64_t rows = 1, number;
    char full[TMSI_NAME_BYTES_MAX + TMSI_LAYER_NAME_MAX];

    TMS_TRY(tmsi_weights_table(self->base.checkpoint, self->prefix,
                               "embeddings.word_embeddings.weight", sizes->vocabulary,
                               sizes->hidden, &self->words));
    TMS_TRY(tmsi_weights_table(self->base.checkpoint, self->prefix,
                               "embeddings.position_embeddings.weight", sizes->positions,
                               sizes->hidden, &self->positions));
    /* Only type 0 is used: however many types there are is right. */
    snprintf(full, sizeof full, "%sembeddings.token_type_embeddings.weight", self->prefix);
    number = tmsi_checkpoint_find(self->base.checkpoint, full);
    if (number >= 0 && self->base.checkpoint->tensors[number].tensor.rank == 2)
        rows = tmsi_max(1, self->base.checkpoint->tensors[number].tensor.shape[0]);
    TMS_TRY(tmsi_weights_table(self->base.checkpoint, self->prefix,
                               "embeddings.token_type_embeddings.weight", rows, sizes->hidden,
                               &types));
    TMS_TRY(tmsi_alloc(self->base.context, (size_t)sizes->hidden, sizeof *self->type, &self->type));
    tmsi_widen_f32(types->data, types->dtype, sizes->hidden, self->type);
    TMS_TRY(read_norm(self, "embeddings.LayerNorm", &self->embedding_norm));
done:
    return status;
}

static void layer_shape(const tmsi_encoder_sizes *sizes, int layer, int64_t *n, int64_t *k) {
    *n = layer == TMSI_BERT_INTERMEDIATE ? sizes->intermediate : sizes->hidden;
    *k = layer == TMSI_BERT_OUTPUT ? sizes->intermediate : sizes->hidden;
}

/* Weights and biases of a block, as read. */
typedef struct block_weights {
    tmsi_weight weights[TMSI_BERT_BLOCK_LAYERS];
    float *biases[TMSI_BERT_BLOCK_LAYERS];
} block_weights;

static tms_status read_block(tmsi_bert *self, const json_t *record, int64_t block,
                             block_weights *out) {
    char name[TMSI_LAYER_NAME_MAX];
    tms_status status = TMS_OK;
    int64_t n, k;

    for (int i = 0; i < TMSI_BERT_BLOCK_LAYERS; i++) {
        layer_shape(&self->base.sizes, i, &n, &k);
        tmsi_layer_name(self->base.architecture->layers[i], block, name);
        TMS_TRY(tmsi_weights_matrix(self->base.checkpoint, record, self->prefix, name, n, k,
                                    &out->weights[i]));
        strcpy(strrchr(name, '.'), ".bias");
        TMS_TRY(tmsi_weights_vector(self->base.checkpoint, self->prefix, name, n, &out->biases[i]));
    }
    snprintf(name, sizeof name, "encoder.layer.%lld.attention.output.LayerNorm", (long long)block);
    TMS_TRY(read_norm(self, name, &self->norms[block].attention));
    snprintf(name, sizeof name, "encoder.layer.%lld.output.LayerNorm", (long long)block);
    TMS_TRY(read_norm(self, name, &self->norms[block].output));
done:
    return status;
}

/* q, k and v become one layer where they are alike. */
static tms_status create_layers(tmsi_bert *self, int64_t block, const block_weights *read,
                                const tmsi_encoder_options *options) {
    tms_status status = TMS_OK;
    bool is_stacked =
        !options->is_split &&
        (options->dense_kernels || (tmsi_weights_alike(&read->weights[0], &read->weights[1]) &&
                                    tmsi_weights_alike(&read->weights[0], &read->weights[2])));
    int32_t count;

    for (int i = 0; i < TMSI_BERT_BLOCK_LAYERS; i += count) {
        const float *biases[TMSI_LINEAR_WEIGHTS_MAX];
        tmsi_linear_desc desc = {.weights = &read->weights[i],
                                 .biases = biases,
                                 .dense_kernels = options->dense_kernels,
                                 .keep_dense = options->keep_dense,
                                 .t_max = TMSI_BATCH_TOKENS};
        count = i == TMSI_BERT_QUERY && is_stacked ? TMSI_LINEAR_WEIGHTS_MAX : 1;
        for (int32_t j = 0; j < count; j++)
            biases[j] = read->biases[i + j];
        desc.count = count;
        desc.has_residual = i == TMSI_BERT_ATTENTION_OUTPUT || i == TMSI_BERT_OUTPUT;
        if (i == TMSI_BERT_INTERMEDIATE)
            desc.activation = self->activation;
        status = tmsi_linear_create(self->base.context, &desc,
                                    tmsi_encoder_layer(&self->base, block, i));
        if (status != TMS_OK)
            TMS_TRY(tmsi_fail_in(status, "layer \"%s\"", read->weights[i].name));
    }
done:
    return status;
}

static tms_status create_block(tmsi_bert *self, const json_t *record, int64_t block,
                               const tmsi_encoder_options *options) {
    block_weights read = {0};
    tms_status status = TMS_OK;

    TMS_TRY(read_block(self, record, block, &read));
    TMS_TRY(create_layers(self, block, &read, options));
done:
    for (int i = 0; i < TMSI_BERT_BLOCK_LAYERS; i++) {
        tmsi_weight_free(self->base.context, &read.weights[i]);
        tmsi_free(self->base.context, read.biases[i]);
    }
    return status;
}

static tms_status create_buffers(tmsi_bert *self) {
    const tmsi_encoder_sizes *sizes = &self->base.sizes;
    size_t tokens = TMSI_BATCH_TOKENS, work_bytes = 0;
    tms_status status = TMS_OK;

    for (int64_t i = 0; tmsi_encoder_linear(&self->base, i) != NULL; i++)
        if (tmsi_encoder_linear(&self->base, i)->plan->work_bytes > work_bytes)
            work_bytes = tmsi_encoder_linear(&self->base, i)->plan->work_bytes;
    TMS_TRY(tmsi_alloc(self->base.context, tokens * 3 * (size_t)sizes->hidden, sizeof(float),
                       &self->qkv));
    TMS_TRY(tmsi_alloc(self->base.context, tokens * (size_t)sizes->hidden, sizeof(float),
                       &self->mixed));
    TMS_TRY(tmsi_alloc(self->base.context, tokens * (size_t)sizes->intermediate, sizeof(float),
                       &self->inner));
    TMS_TRY(tmsi_alloc(self->base.context,
                       tmsi_attention_work_floats(TMSI_BATCH_TEXTS, TMSI_BATCH_TOKENS, sizes->heads,
                                                  sizes->hidden / sizes->heads),
                       sizeof(float), &self->attention_work));
    TMS_TRY(tmsi_alloc(self->base.context, work_bytes, 1, &self->work));
done:
    return status;
}

static tms_status create(tmsi_encoder *encoder, const tmsi_encoder_options *options) {
    tmsi_bert *self = (tmsi_bert *)encoder;
    size_t blocks;
    tms_status status = TMS_OK;
    json_t *record = NULL;

    TMS_ASSERT(encoder->architecture->layer_count == TMSI_BERT_BLOCK_LAYERS);
    TMS_TRY(tmsi_record_read(encoder->checkpoint, &record));
    TMS_TRY(tmsi_bert_configure(self));
    TMS_TRY(find_prefix(self));
    TMS_TRY(read_embeddings(self));
    blocks = (size_t)encoder->sizes.blocks;
    TMS_TRY(tmsi_alloc(encoder->context, blocks, sizeof *self->norms, &self->norms));
    TMS_TRY(tmsi_alloc(encoder->context, blocks * TMSI_BERT_BLOCK_LAYERS, sizeof *encoder->layers,
                       &encoder->layers));
    for (int64_t i = 0; i < encoder->sizes.blocks; i++)
        TMS_TRY(create_block(self, record, i, options));
    TMS_TRY(create_buffers(self));
done:
    json_decref(record);
    return status;
}

static void free_norm(tms_context *context, tmsi_norm_weights *norm) {
    tmsi_free(context, norm->weight);
    tmsi_free(context, norm->bias);
}

static void destroy(tmsi_encoder *encoder) {
    tmsi_bert *self = (tmsi_bert *)encoder;
    tms_context *context = encoder->context;

    for (int64_t i = 0; self->norms != NULL && i < encoder->sizes.blocks; i++) {
        free_norm(context, &self->norms[i].attention);
        free_norm(context, &self->norms[i].output);
    }
    free_norm(context, &self->embedding_norm);
    tmsi_free(context, self->norms);
    tmsi_free(context, self->type);
    tmsi_free(context, self->qkv);
    tmsi_free(context, self->mixed);
    tmsi_free(context, self->inner);
    tmsi_free(context, self->attention_work);
    tmsi_free(context, self->work);
}

const tmsi_architecture_ops tmsi_architecture_bert = {sizeof(tmsi_bert), create, destroy,
                                                      tmsi_bert_embed, tmsi_bert_run_block};
