/* Memory from the context's allocator, and sizes that cannot overflow. */
#ifndef TAMIS_BASE_MEMORY_H
#define TAMIS_BASE_MEMORY_H

#include <stdbool.h>

#include "base/status.h"

/* Every allocation is aligned to this: a cache line, and the widest vector. */
enum { TMSI_ALIGNMENT = 64 };

/* *out = count items of `bytes` each, zero-filled; a count of 0 gives a valid pointer. On failure
 * (TMS_ERR_MEMORY, with the bytes asked for) *out is untouched. tmsi_free takes NULL. */
tms_status tmsi_alloc(tms_context *context, size_t count, size_t bytes, void *out);
void tmsi_free(tms_context *context, void *memory);

/* A copy of a text, of `bytes` bytes plus a closing 0. */
tms_status tmsi_text_copy(tms_context *context, const char *text, size_t bytes, char **out);

/* Grows *array so that it can hold `needed` items; *capacity is in items. Old items stay. */
tms_status tmsi_grow(tms_context *context, void *array, int64_t *capacity, int64_t needed,
                     size_t item_bytes);

/* *out = a * b (a + b); false where it does not fit. Used on every size that a file or caller
 * gives. */
static inline bool tmsi_mul_bytes(size_t a, size_t b, size_t *out) {
    return !__builtin_mul_overflow(a, b, out);
}
static inline bool tmsi_add_bytes(size_t a, size_t b, size_t *out) {
    return !__builtin_add_overflow(a, b, out);
}

static inline size_t tmsi_round_up(size_t bytes, size_t multiple) {
    return (bytes + multiple - 1) / multiple * multiple;
}
static inline int64_t tmsi_div_up(int64_t a, int64_t b) {
    return (a + b - 1) / b;
}
static inline int64_t tmsi_min(int64_t a, int64_t b) {
    return a < b ? a : b;
}
static inline int64_t tmsi_max(int64_t a, int64_t b) {
    return a > b ? a : b;
}

#endif
