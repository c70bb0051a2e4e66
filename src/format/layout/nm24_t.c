#include "format/layout/nm24_t.h"

#include "base/memory.h"
#include "format/layout.h"

static tms_status check_part(const tms_part *part) {
    if (part->dtype != TMS_F32 || part->keep != 2 || part->group != 4 ||
        part->parameters[0] != TMSI_NM24_T_BLOCK)
        return tmsi_fail(TMS_ERR_INVALID,
                         "nm24-t holds 2:4 weights in f32 and blocks of %d, not %d:%d in %s and %d",
                         TMSI_NM24_T_BLOCK, part->keep, part->group,
                         tms_dtype_name((tms_dtype)part->dtype), part->parameters[0]);
    return TMS_OK;
}

tms_status tmsi_layout_nm24_t_bytes(tms_context *context, const tmsi_source *source,
                                    const tms_part *part, size_t *out) {
    size_t weights, bytes;
    tms_status status = check_part(part);

    (void)context;
    if (status != TMS_OK)
        return status;
    /* Four bytes for every other weight, and two bits each: 17 bytes for 8 weights. */
    if (!tmsi_mul_bytes((size_t)source->n, (size_t)tmsi_nm24_t_padded(source->k), &weights) ||
        !tmsi_mul_bytes(weights / 8, 17, &bytes))
        return tmsi_fail(TMS_ERR_INVALID, "%lld x %lld weights in nm24-t do not fit in memory",
                         (long long)source->n, (long long)source->k);
    *out = bytes;
    return TMS_OK;
}

/* Writes the at most two non-zeros of a group; false where there are more. */
static bool write_group(const float *group, float *values, uint32_t *out_code) {
    int32_t found = 0;

    for (uint32_t i = 0; i < 4; i++) {
        if (group[i] == 0.0f)
            continue;
        if (found == 2)
            return false;
        values[found] = group[i];
        *out_code |= i << (2 * found);
        found++;
    }
    return true;
}

tms_status tmsi_layout_nm24_t_build(tms_context *context, const tmsi_source *source,
                                    const tms_part *part, void *dst) {
    const int64_t padded = tmsi_nm24_t_padded(source->k);
    float *values = dst, *row = NULL;
    uint32_t *words = (uint32_t *)(values + source->n * padded / 2);
    tms_status status = TMS_OK;

    TMS_TRY(check_part(part));
    TMS_TRY(tmsi_alloc(context, (size_t)padded, sizeof *row, &row)); /* zero past k */
    for (int64_t n = 0; n < source->n; n++) {
        tmsi_source_row(source, n, row);
        for (int64_t k = 0; k < source->k; k += 4) {
            int64_t first = k / TMSI_NM24_T_BLOCK * TMSI_NM24_T_BLOCK;
            int64_t depth = tmsi_min(TMSI_NM24_T_BLOCK, padded - first);
            int64_t at = source->n * first + n * depth + k - first; /* if all were stored */
            uint32_t code = 0;
            if (!write_group(row + k, values + at / 2, &code)) {
                status = tmsi_fail(TMS_ERR_PATTERN,
                                   "row %lld has more than 2 non-zeros in columns %lld to %lld, "
                                   "but 2:4 allows 2 in each 4",
                                   (long long)n, (long long)k, (long long)k + 3);
                goto done;
            }
            words[at / TMSI_NM24_T_WORD] |= code << (k % TMSI_NM24_T_WORD);
        }
    }
done:
    tmsi_free(context, row);
    return status;
}
