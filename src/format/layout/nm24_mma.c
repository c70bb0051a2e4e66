#include "format/layout/nm24_mma.h"

#include "base/dtype.h"
#include "base/memory.h"
#include "format/layout.h"

enum { BLOCK = TMSI_NM24_MMA_BLOCK };

static tms_status check_part(const tms_part *part) {
    if ((part->dtype != TMS_BF16 && part->dtype != TMS_F16) || part->keep != 2 || part->group != 4)
        return tmsi_fail(TMS_ERR_INVALID,
                         "nm24-mma holds 2:4 weights in bf16 or f16, not %d:%d in %s", part->keep,
                         part->group, tms_dtype_name((tms_dtype)part->dtype));
    return TMS_OK;
}

tms_status tmsi_layout_nm24_mma_bytes(tms_context *context, const tmsi_source *source,
                                      const tms_part *part, size_t *out) {
    size_t blocks;
    tms_status status = check_part(part);

    (void)context;
    if (status != TMS_OK)
        return status;
    if (!tmsi_mul_bytes((size_t)tmsi_div_up(source->n, BLOCK),
                        (size_t)tmsi_div_up(source->k, BLOCK), &blocks) ||
        !tmsi_mul_bytes(blocks, TMSI_NM24_MMA_BLOCK_BYTES, out))
        return tmsi_fail(TMS_ERR_INVALID, "%lld x %lld weights in nm24-mma do not fit in memory",
                         (long long)source->n, (long long)source->k);
    return TMS_OK;
}

/* The kept positions of a group, ascending; false where it has more than two non-zeros. */
static bool find_kept(const float *group, uint32_t kept[2]) {
    uint32_t found = 0;

    for (uint32_t i = 0; i < 4; i++) {
        if (group[i] == 0.0f)
            continue;
        if (found == 2)
            return false;
        kept[found++] = i;
    }
    if (found == 0) {
        kept[0] = 0;
        kept[1] = 1;
    } else if (found == 1) {
        kept[1] = 3;
        if (kept[0] == 3)
            kept[0] = 0;
    }
    return true;
}

/* One group into its block: two values and a nibble. r is the row in the block, k a column there.
 */
static void write_group(char *block, const float *group, const uint32_t kept[2], tms_dtype dtype,
                        int64_t r, int64_t k) {
    const int64_t q = k / 16, g = k % 16 / 4;
    uint16_t *values = (uint16_t *)(block + 64 * r + 16 * (q ^ (r / 2 % 4)) + 4 * g);
    uint32_t *words = (uint32_t *)(block + TMSI_NM24_MMA_VALUE_BYTES);

    for (int i = 0; i < 2; i++) {
        /* -0 leaves as +0 */
        float value = group[kept[i]] == 0.0f ? 0.0f : group[kept[i]];
        values[i] = dtype == TMS_BF16 ? tmsi_bf16_from_f32(value) : tmsi_f16_from_f32(value);
    }
    words[32 * (r / 16) + 4 * (r % 8) + q] |= (kept[0] | kept[1] << 2)
                                              << (16 * (r / 8 % 2) + 4 * g);
}

tms_status tmsi_layout_nm24_mma_build(tms_context *context, const tmsi_source *source,
                                      const tms_part *part, void *dst) {
    const int64_t padded = tmsi_div_up(source->k, BLOCK) * BLOCK;
    const int64_t rows = tmsi_div_up(source->n, BLOCK) * BLOCK;
    float *row = NULL;
    tms_status status = TMS_OK;

    TMS_TRY(check_part(part));
    TMS_TRY(tmsi_alloc(context, (size_t)padded, sizeof *row, &row)); /* zero past k */
    for (int64_t n = 0; n < rows; n++) {
        char *block = (char *)dst + n / BLOCK * (padded / BLOCK) * TMSI_NM24_MMA_BLOCK_BYTES;

        if (n < source->n)
            tmsi_source_row(source, n, row);
        else if (n == source->n)
            memset(row, 0, (size_t)padded * sizeof *row);
        for (int64_t k = 0; k < padded; k += 4) {
            uint32_t kept[2];

            if (!find_kept(row + k, kept)) {
                status = tmsi_fail(TMS_ERR_PATTERN,
                                   "row %lld has more than 2 non-zeros in columns %lld to %lld, "
                                   "but 2:4 allows 2 in each 4",
                                   (long long)n, (long long)k, (long long)k + 3);
                goto done;
            }
            write_group(block + k / BLOCK * TMSI_NM24_MMA_BLOCK_BYTES, row + k, kept,
                        (tms_dtype)part->dtype, n % BLOCK, k % BLOCK);
        }
    }
done:
    tmsi_free(context, row);
    return status;
}
