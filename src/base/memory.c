#include "base/memory.h"

#include <string.h>

#include "base/context.h"

tms_status tmsi_alloc(tms_context *context, size_t count, size_t bytes, void *out) {
    const tms_allocator *allocator = &context->allocator;
    size_t total;
    void *memory;

    if (!tmsi_mul_bytes(count, bytes, &total) || total > SIZE_MAX - TMSI_ALIGNMENT)
        return tmsi_fail(TMS_ERR_MEMORY, "%zu items of %zu bytes are more than memory can hold",
                         count, bytes);
    total = total == 0 ? TMSI_ALIGNMENT : tmsi_round_up(total, TMSI_ALIGNMENT);
    memory = allocator->allocate(allocator->user, total, TMSI_ALIGNMENT);
    if (memory == NULL)
        return tmsi_fail(TMS_ERR_MEMORY, "out of memory: %zu bytes were not to be had", total);
    memset(memory, 0, total);
    memcpy(out, &memory, sizeof memory);
    return TMS_OK;
}

void tmsi_free(tms_context *context, void *memory) {
    if (memory != NULL)
        context->allocator.release(context->allocator.user, memory);
}

tms_status tmsi_text_copy(tms_context *context, const char *text, size_t bytes, char **out) {
    char *copy = NULL;
    tms_status status = tmsi_alloc(context, bytes + 1, 1, &copy);

    if (status != TMS_OK)
        return status;
    if (bytes > 0) /* text may be NULL then: an empty file's map */
        memcpy(copy, text, bytes);
    *out = copy;
    return TMS_OK;
}

tms_status tmsi_grow(tms_context *context, void *array, int64_t *capacity, int64_t needed,
                     size_t item_bytes) {
    void *old, *grown = NULL;
    int64_t larger;
    tms_status status;

    if (needed <= *capacity)
        return TMS_OK;
    larger = tmsi_max(needed, *capacity + *capacity / 2 + 16);
    status = tmsi_alloc(context, (size_t)larger, item_bytes, &grown);
    if (status != TMS_OK)
        return status;
    memcpy(&old, array, sizeof old);
    if (old != NULL)
        memcpy(grown, old, (size_t)*capacity * item_bytes);
    tmsi_free(context, old);
    memcpy(array, &grown, sizeof grown);
    *capacity = larger;
    return TMS_OK;
}
