#include "model/encoder.h"

#include <string.h>

#include "base/memory.h"

static const tmsi_architecture_ops *const architecture_ops[TMSI_ARCHITECTURE_COUNT] = {
#define TMSI_ARCHITECTURE(word, ...) [TMSI_ARCHITECTURE_##word] = &tmsi_architecture_##word,
#include "checkpoint/architecture.def"
#undef TMSI_ARCHITECTURE
};

/* Stricter than jobs, which take any file: a model_type that is given must be one of the table. */
static tms_status find_architecture(const tms_checkpoint *checkpoint,
                                    const tmsi_architecture **out) {
    static const char known[] =
#define TMSI_ARCHITECTURE(word, model_type, ...) " " model_type
#include "checkpoint/architecture.def"
#undef TMSI_ARCHITECTURE
        ;
    const tmsi_architecture *found = tmsi_architecture_find(checkpoint);
    tms_status status = TMS_OK;
    const char *type = NULL;

    if (json_object_get(checkpoint->config, "model_type") != NULL)
        TMS_TRY(tmsi_json_text(checkpoint->config, "model_type", &type));
    if (type != NULL && (found == NULL || strcmp(found->name, type) != 0))
        return tmsi_fail(TMS_ERR_UNSUPPORTED,
                         "model_type is \"%.40s\", but the architectures that can be run are:%s",
                         type, known);
    if (found == NULL)
        return tmsi_fail(TMS_ERR_UNSUPPORTED,
                         "config.json has no model_type, and no tensor is named as in the "
                         "architectures that can be run:%s",
                         known);
    *out = found;
done:
    return status;
}

tms_status tmsi_encoder_create(tms_checkpoint *checkpoint, const tmsi_encoder_options *options,
                               tmsi_encoder **out_encoder) {
    const tmsi_architecture *architecture = NULL;
    const tmsi_architecture_ops *ops;
    tms_status status = TMS_OK;
    tmsi_encoder *self = NULL;

    TMS_TRY(find_architecture(checkpoint, &architecture));
    ops = architecture_ops[architecture - tmsi_architectures];
    TMS_TRY(tmsi_alloc(checkpoint->context, 1, ops->bytes, &self));
    self->ops = ops;
    self->architecture = architecture;
    self->context = checkpoint->context;
    self->checkpoint = checkpoint;
    TMS_TRY(ops->create(self, options));
    *out_encoder = self;
    self = NULL;
done:
    if (self != NULL)
        self->checkpoint = NULL; /* stays the caller's */
    tmsi_encoder_destroy(self);
    return status;
}

void tmsi_encoder_destroy(tmsi_encoder *encoder) {
    if (encoder == NULL)
        return;
    encoder->ops->destroy(encoder);
    for (int64_t block = 0; encoder->layers != NULL && block < encoder->sizes.blocks; block++)
        for (int64_t i = 0; i < encoder->architecture->layer_count; i++)
            tmsi_linear_free(encoder->context, tmsi_encoder_layer(encoder, block, i));
    tmsi_free(encoder->context, encoder->layers);
    tmsi_checkpoint_close(encoder->checkpoint);
    tmsi_free(encoder->context, encoder);
}

const tmsi_linear *tmsi_encoder_linear(const tmsi_encoder *encoder, int64_t i) {
    for (int64_t block = 0; block < encoder->sizes.blocks; block++)
        for (int64_t layer = 0; layer < encoder->architecture->layer_count; layer++) {
            const tmsi_linear *linear = tmsi_encoder_layer(encoder, block, layer);
            if (linear->plan != NULL && i-- == 0)
                return linear;
        }
    return NULL;
}
