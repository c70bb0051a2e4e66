#include "model/batches.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

typedef struct measured_text {
    int64_t number, first, length; /* of its ids, as tokenised */
} measured_text;

static int compare_lengths(const void *a, const void *b) {
    const measured_text *left = a, *right = b;

    if (left->length != right->length)
        return left->length < right->length ? 1 : -1;
    return left->number > right->number ? 1 : -1;
}

/* Ids of all texts, in the caller's order. */
static tms_status tokenize_all(const tms_model *model, const char *const *texts,
                               const size_t *lengths, int64_t count, measured_text *measured,
                               int32_t **ids) {
    tms_status status = TMS_OK;
    int64_t used = 0, capacity = 0;

    for (int64_t i = 0; i < count; i++) {
        TMS_TRY(tmsi_grow(model->context, ids, &capacity, used + model->max_tokens, sizeof **ids));
        measured[i].number = i;
        measured[i].first = used;
        measured[i].length = tmsi_tokenizer_encode(model->tokenizer, texts[i], lengths[i],
                                                   model->max_tokens, *ids + used);
        used += measured[i].length;
    }
done:
    return status;
}

/* Cuts the sorted texts into batches. */
static void cut_batches(tmsi_batches *self) {
    int64_t first = 0;

    for (int64_t place = 0; place < self->count; place++) {
        if (self->offsets[place + 1] - self->offsets[first] > TMSI_BATCH_TOKENS ||
            place - first == TMSI_BATCH_TEXTS) {
            self->firsts[++self->batch_count] = place;
            first = place;
        }
    }
    if (self->count > 0)
        self->firsts[++self->batch_count] = self->count;
}

tms_status tmsi_batches_create(const tms_model *model, const char *const *texts,
                               const size_t *lengths, int64_t count, tmsi_batches *out) {
    tms_context *context = model->context;
    tms_status status = TMS_OK;
    tmsi_batches self = {.context = context, .count = count};
    measured_text *measured = NULL;
    int32_t *ids = NULL;
    int64_t total = 0;

    TMS_TRY(tmsi_alloc(context, (size_t)count, sizeof *measured, &measured));
    TMS_TRY(tokenize_all(model, texts, lengths, count, measured, &ids));
    if (count > 1)
        qsort(measured, (size_t)count, sizeof *measured, compare_lengths);
    for (int64_t i = 0; i < count; i++)
        total += measured[i].length;
    TMS_TRY(tmsi_alloc(context, (size_t)total, sizeof *self.ids, &self.ids));
    TMS_TRY(tmsi_alloc(context, (size_t)count, sizeof *self.order, &self.order));
    TMS_TRY(tmsi_alloc(context, (size_t)count + 1, sizeof *self.offsets, &self.offsets));
    TMS_TRY(tmsi_alloc(context, (size_t)count + 1, sizeof *self.firsts, &self.firsts));
    for (int64_t i = 0; i < count; i++) {
        self.order[i] = measured[i].number;
        memcpy(self.ids + self.offsets[i], ids + measured[i].first,
               (size_t)measured[i].length * sizeof *ids);
        self.offsets[i + 1] = self.offsets[i] + measured[i].length;
    }
    cut_batches(&self);
    *out = self;
    self = (tmsi_batches){.context = context};
done:
    tmsi_free(context, measured);
    tmsi_free(context, ids);
    tmsi_batches_free(&self);
    return status;
}

void tmsi_batches_free(tmsi_batches *batches) {
    if (batches->context == NULL)
        return;
    tmsi_free(batches->context, batches->order);
    tmsi_free(batches->context, batches->offsets);
    tmsi_free(batches->context, batches->ids);
    tmsi_free(batches->context, batches->firsts);
}

tmsi_text_rows tmsi_batches_rows(const tmsi_batches *batches, int64_t batch, int64_t *offsets,
                                 const int32_t **out_ids) {
    int64_t first = batches->firsts[batch], count = batches->firsts[batch + 1] - first;

    for (int64_t i = 0; i <= count; i++)
        offsets[i] = batches->offsets[first + i] - batches->offsets[first];
    *out_ids = batches->ids + batches->offsets[first];
    return (tmsi_text_rows){offsets, count};
}
