#include <math.h>
#include <string.h>

#include "model/bert.h"

enum {
    FEATURES_MAX = 1 << 16,
    LAYERS_MAX = 1024,
    VOCABULARY_MAX = 1 << 24,
    POSITIONS_MAX = 1 << 20,
};

/* hidden_act in config.json, and what it is here. */
static const struct {
    const char *name;
    tms_activation activation;
} activations[] = {
    {"gelu", TMS_ACT_GELU},
    {"gelu_new", TMS_ACT_GELU_TANH},
    {"gelu_pytorch_tanh", TMS_ACT_GELU_TANH},
    {"relu", TMS_ACT_RELU},
};

static tms_status read_activation(const json_t *config, tms_activation *out) {
    const char *name;
    tms_status status = TMS_OK;

    TMS_TRY(tmsi_json_text(config, "hidden_act", &name));
    for (size_t i = 0; i < sizeof activations / sizeof activations[0]; i++)
        if (strcmp(activations[i].name, name) == 0) {
            *out = activations[i].activation;
            return TMS_OK;
        }
    status = tmsi_fail(TMS_ERR_UNSUPPORTED,
                       "hidden_act is \"%.40s\", but known are gelu, gelu_new, gelu_pytorch_tanh "
                       "and relu",
                       name);
done:
    return status;
}

/* A key that older files leave out may only have one value. */
static tms_status require_text(const json_t *config, const char *key, const char *needed) {
    const char *text;
    tms_status status = TMS_OK;

    if (json_object_get(config, key) == NULL)
        return TMS_OK;
    TMS_TRY(tmsi_json_text(config, key, &text));
    if (strcmp(text, needed) != 0)
        return tmsi_fail(TMS_ERR_UNSUPPORTED, "%s is \"%.40s\", but only \"%s\" can be run", key,
                         text, needed);
done:
    return status;
}

tms_status tmsi_bert_configure(tmsi_bert *self) {
    const json_t *config = self->base.checkpoint->config;
    tmsi_encoder_sizes *sizes = &self->base.sizes;
    tms_status status = TMS_OK;

    TMS_TRY(require_text(config, "position_embedding_type", "absolute"));
    TMS_TRY(tmsi_json_int(config, "num_hidden_layers", 0, LAYERS_MAX, &sizes->blocks));
    TMS_TRY(tmsi_json_int(config, "hidden_size", 1, FEATURES_MAX, &sizes->hidden));
    TMS_TRY(tmsi_json_int(config, "num_attention_heads", 1, sizes->hidden, &sizes->heads));
    TMS_TRY(tmsi_json_int(config, "intermediate_size", 1, FEATURES_MAX, &sizes->intermediate));
    TMS_TRY(tmsi_json_int(config, "vocab_size", 1, VOCABULARY_MAX, &sizes->vocabulary));
    TMS_TRY(tmsi_json_int(config, "max_position_embeddings", 2, POSITIONS_MAX, &sizes->positions));
    self->norm_eps = 1e-12;
    if (json_object_get(config, "layer_norm_eps") != NULL)
        TMS_TRY(tmsi_json_real(config, "layer_norm_eps", 0.0, 1.0, &self->norm_eps));
    TMS_TRY(read_activation(config, &self->activation));
    if (sizes->hidden % sizes->heads != 0)
        TMS_TRY(
            tmsi_fail(TMS_ERR_FORMAT,
                      "hidden_size is %lld, but must be a multiple of num_attention_heads, %lld",
                      (long long)sizes->hidden, (long long)sizes->heads));
done:
    return status;
}
