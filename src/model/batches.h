/* Texts as token ids, in batches for the encoder. */
#ifndef TAMIS_MODEL_BATCHES_H
#define TAMIS_MODEL_BATCHES_H

#include "model/model.h"

typedef struct tmsi_batches {
    tms_context *context;
    int64_t count;  /* texts */
    int64_t *order; /* [count]: which text stands at a place; longest first, equals in order */
    /* By place: */
    int64_t *offsets; /* [count + 1] into ids */
    int32_t *ids;
    int64_t *firsts; /* [batch_count + 1] places */
    int64_t batch_count;
} tmsi_batches;

/* Tokenises and sorts by length, so that a batch's texts are alike. A batch holds what
 * an encoder takes. */
tms_status tmsi_batches_create(const tms_model *model, const char *const *texts,
                               const size_t *lengths, int64_t count, tmsi_batches *out);
void tmsi_batches_free(tmsi_batches *batches); /* takes a zero-filled one */

/* Texts and ids of one batch; offsets has room for TMSI_BATCH_TEXTS + 1. */
tmsi_text_rows tmsi_batches_rows(const tmsi_batches *batches, int64_t batch, int64_t *offsets,
                                 const int32_t **out_ids);

#endif
