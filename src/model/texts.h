/* A set of byte strings, numbered in the order they came: how tokens and lemmas are found. */
#ifndef TAMIS_MODEL_TEXTS_H
#define TAMIS_MODEL_TEXTS_H

#include "base/status.h"

typedef struct tmsi_text {
    const char *at; /* no closing 0 */
    size_t bytes;
} tmsi_text;

/* Zero-filled but for context it is empty. The bytes stay their owner's. */
typedef struct tmsi_texts {
    tms_context *context;
    tmsi_text *items;
    int64_t count, capacity;
    int32_t *slots;    /* open addressing, at most half full: a number, or -1 */
    size_t slot_count; /* a power of two */
} tmsi_texts;

/* The number of that text, or -1. */
int64_t tmsi_texts_find(const tmsi_texts *texts, tmsi_text text);

/* *out_number is the text's: an equal one's, or a new one (then it was the count). At most
 * INT32_MAX texts. */
tms_status tmsi_texts_add(tmsi_texts *texts, tmsi_text text, int64_t *out_number);

void tmsi_texts_free(tmsi_texts *texts);

#endif
