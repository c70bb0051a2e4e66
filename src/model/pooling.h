/* From a text's tokens to its embedding, as the folder of a sentence encoder says. */
#ifndef TAMIS_MODEL_POOLING_H
#define TAMIS_MODEL_POOLING_H

#include "model/encoder_ops.h"

typedef enum tmsi_pooling {
    TMSI_POOLING_MEAN, /* of all tokens */
    TMSI_POOLING_CLS,  /* the first token */
} tmsi_pooling;

/* From 1_Pooling/config.json; without it, the mean. TMS_ERR_UNSUPPORTED for another mode, and for
 * a modules.json with a step that we do not run: its embeddings would be others. */
tms_status tmsi_pooling_read(tms_context *context, const char *folder, tmsi_pooling *out);

/* x [tokens, hidden] to out [texts, hidden], at unit length. */
void tmsi_pooling_run(const tms_context *context, tmsi_pooling pooling, const tmsi_text_rows *texts,
                      int64_t hidden, const float *x, float *out);

#endif
