#include "format/layout/nm24.h"

#include "base/memory.h"

tms_status tmsi_nm24_check(const tms_part *part, int32_t parameter) {
    if (part->dtype != TMS_F32 || part->keep != 2 || part->group != 4 ||
        part->parameters[0] != parameter)
        return tmsi_fail(TMS_ERR_INVALID,
                         "%s holds 2:4 weights in f32 with parameter %d, not %d:%d in %s with %d",
                         tmsi_layouts[part->id].name, parameter, part->keep, part->group,
                         tms_dtype_name((tms_dtype)part->dtype), part->parameters[0]);
    return TMS_OK;
}

tms_status tmsi_nm24_bytes(int64_t rows, int64_t k, size_t *out) {
    size_t weights, bytes;

    if (!tmsi_mul_bytes((size_t)rows, (size_t)tmsi_nm24_padded(k), &weights) ||
        !tmsi_mul_bytes(weights / 8, 17, &bytes))
        return tmsi_fail(TMS_ERR_INVALID, "%lld x %lld 2:4 weights do not fit in memory",
                         (long long)rows, (long long)k);
    *out = bytes;
    return TMS_OK;
}

tms_status tmsi_nm24_group(const float group[4], int64_t n, int64_t k, float values[2],
                           uint32_t *code) {
    int32_t found = 0;

    values[0] = values[1] = 0.0f;
    *code = 0;
    for (uint32_t i = 0; i < 4; i++) {
        if (group[i] == 0.0f)
            continue;
        if (found == 2)
            return tmsi_fail(TMS_ERR_PATTERN,
                             "row %lld has more than 2 non-zeros in columns %lld to %lld, but 2:4 "
                             "allows 2 in each 4",
                             (long long)n, (long long)k, (long long)k + 3);
        values[found] = group[i];
        *code |= i << (2 * found);
        found++;
    }
    return TMS_OK;
}
