/* From a text's tokens to its embedding. */
#ifndef TAMIS_MODEL_POOLING_H
#define TAMIS_MODEL_POOLING_H

#include "model/encoder_ops.h"

/* x [tokens, hidden] to out [texts, hidden]: the mean of a text's tokens, at unit length. */
void tmsi_pooling_run(const tms_context *context, const tmsi_text_rows *texts, int64_t hidden,
                      const float *x, float *out);

#endif
