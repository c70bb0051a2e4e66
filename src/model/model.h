/* Models that the command can run: a folder opened, texts in, embeddings out. The contracts are
 * those of the public twins in tamis.h. */
#ifndef TAMIS_MODEL_MODEL_H
#define TAMIS_MODEL_MODEL_H

#include "model/encoder.h"
#include "model/pooling.h"
#include "model/tokenizer.h"

enum { TMSI_MODEL_TOKENS_DEFAULT = 256 };

struct tms_model {
    tms_context *context;
    tmsi_tokenizer *tokenizer;
    tmsi_encoder *encoder;
    tmsi_pooling pooling;
    int64_t max_tokens;
};

/* What of the desc is the encoder's. */
static inline tmsi_encoder_options tmsi_model_options(const tms_model_desc *desc) {
    return (tmsi_encoder_options){.dense_kernels = desc->dense_kernels != 0,
                                  .keep_dense = desc->keep_dense != 0};
}

/* max_tokens: 0 for the default. */
tms_status tmsi_model_open(tms_context *context, const char *path,
                           const tmsi_encoder_options *options, int64_t max_tokens,
                           tms_model **out_model);
void tmsi_model_close(tms_model *model);
void tmsi_model_describe(const tms_model *model, tms_model_info *out_info);
size_t tmsi_model_kernels(const tms_model *model, char *text, size_t text_bytes);
tms_status tmsi_model_tokenize(const tms_model *model, const char *text, size_t text_bytes,
                               int32_t *out_ids, int64_t capacity, int64_t *out_count);
tms_status tmsi_model_embed(tms_model *model, const char *const *texts, const size_t *lengths,
                            int64_t count, tms_progress progress, void *progress_user, float *out);

#endif
