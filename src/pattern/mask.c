#include "pattern/mask.h"

#include <string.h>

#include "base/dtype.h"
#include "base/memory.h"
#include "base/threads.h"
#include "pattern/kind.h"
#include "pattern/score.h"

void tmsi_mask_pack(const uint8_t *keep, int64_t count, uint8_t *bits) {
    int64_t whole = count / 8;

    for (int64_t i = 0; i < whole; i++) {
        const uint8_t *k = keep + 8 * i;
        bits[i] = (uint8_t)(k[0] | k[1] << 1 | k[2] << 2 | k[3] << 3 | k[4] << 4 | k[5] << 5 |
                            k[6] << 6 | k[7] << 7);
    }
    if (count % 8 != 0)
        bits[whole] = 0;
    for (int64_t i = 8 * whole; i < count; i++)
        bits[whole] = (uint8_t)(bits[whole] | keep[i] << (i % 8));
}

void tmsi_mask_set(uint8_t *bits, int64_t begin, int64_t end) {
    for (; begin < end && begin % 8 != 0; begin++)
        bits[begin / 8] = (uint8_t)(bits[begin / 8] | 1 << (begin % 8));
    if (begin < end)
        memset(bits + begin / 8, 0xff, (size_t)((end - begin) / 8));
    for (begin += (end - begin) / 8 * 8; begin < end; begin++)
        bits[begin / 8] = (uint8_t)(bits[begin / 8] | 1 << (begin % 8));
}

tms_status tmsi_mask_select(tms_context *context, const tms_select_desc *desc, uint8_t *out_mask) {
    const tms_matrix *weights = &desc->weights;
    tms_status status = tmsi_pattern_fits(&desc->pattern, weights->n, weights->k);

    if (status != TMS_OK || weights->n == 0 || weights->k == 0)
        return status;
    status = tmsi_scores_check(context, desc);
    if (status == TMS_OK)
        status = tmsi_patterns[desc->pattern.kind]->select(context, desc, out_mask);
    return status;
}

typedef struct application {
    const uint8_t *mask;
    const tms_matrix *dense;
    int64_t parts;
} application;

static void apply_row(const uint8_t *bits, char *row, int64_t k, size_t bytes) {
    for (int64_t column = 0; column < k; column++)
        if ((bits[column / 8] >> (column % 8) & 1) == 0)
            memset(row + (size_t)column * bytes, 0, bytes);
}

static void apply_part(void *arg, int64_t part) {
    const application *a = arg;
    int64_t k = a->dense->k;
    size_t bytes = tmsi_dtype_bytes(a->dense->dtype);
    tmsi_range rows = tmsi_part_rows(a->dense->n, a->parts, part);

    for (int64_t row = rows.begin; row < rows.end; row++)
        apply_row(a->mask + row * tmsi_mask_row_bytes(k),
                  (char *)a->dense->components[0].data + (size_t)(row * k) * bytes, k, bytes);
}

void tmsi_mask_apply(tms_context *context, const uint8_t *mask, const tms_matrix *dense) {
    application a = {mask, dense, tmsi_part_count(context, dense->n)};

    if (dense->n > 0 && dense->k > 0)
        tmsi_parallel_for(context, a.parts, apply_part, &a);
}
