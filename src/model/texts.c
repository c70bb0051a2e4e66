#include "model/texts.h"

#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/memory.h"

/* The slot that holds the text, or the empty one where it belongs. */
static size_t find_slot(const tmsi_texts *texts, tmsi_text text) {
    size_t mask = texts->slot_count - 1, slot = (size_t)XXH3_64bits(text.at, text.bytes) & mask;

    for (; texts->slots[slot] >= 0; slot = (slot + 1) & mask) {
        const tmsi_text *item = &texts->items[texts->slots[slot]];
        if (item->bytes == text.bytes && memcmp(item->at, text.at, text.bytes) == 0)
            break;
    }
    return slot;
}

int64_t tmsi_texts_find(const tmsi_texts *texts, tmsi_text text) {
    return texts->count > 0 ? texts->slots[find_slot(texts, text)] : -1;
}

static tms_status grow_slots(tmsi_texts *texts) {
    size_t count = texts->slot_count > 0 ? 2 * texts->slot_count : 64;
    int32_t *slots = NULL;
    tms_status status = tmsi_alloc(texts->context, count, sizeof *slots, &slots);

    if (status != TMS_OK)
        return status;
    memset(slots, 0xff, count * sizeof *slots);
    tmsi_free(texts->context, texts->slots);
    texts->slots = slots;
    texts->slot_count = count;
    for (int32_t i = 0; i < texts->count; i++)
        slots[find_slot(texts, texts->items[i])] = i;
    return TMS_OK;
}

tms_status tmsi_texts_add(tmsi_texts *texts, tmsi_text text, int64_t *out_number) {
    tms_status status = TMS_OK;
    int64_t number = tmsi_texts_find(texts, text);

    if (number < 0) {
        if (texts->count >= INT32_MAX)
            return tmsi_fail(TMS_ERR_FORMAT, "there are more than %d texts", INT32_MAX);
        if ((size_t)texts->count >= texts->slot_count / 2)
            TMS_TRY(grow_slots(texts));
        TMS_TRY(tmsi_grow(texts->context, &texts->items, &texts->capacity, texts->count + 1,
                          sizeof *texts->items));
        number = texts->count++;
        texts->items[number] = text;
        texts->slots[find_slot(texts, text)] = (int32_t)number;
    }
    *out_number = number;
done:
    return status;
}

void tmsi_texts_free(tmsi_texts *texts) {
    tmsi_free(texts->context, texts->items);
    tmsi_free(texts->context, texts->slots);
}
