#include "format/layout/nm24_t.h"

#include "base/memory.h"

tms_status tmsi_layout_nm24_t_bytes(tms_context *context, const tmsi_source *source,
                                    const tms_part *part, size_t *out) {
    tms_status status = tmsi_nm24_check(part, TMSI_NM24_T_BLOCK);

    (void)context;
    return status != TMS_OK ? status : tmsi_nm24_bytes(source->n, source->k, out);
}

tms_status tmsi_layout_nm24_t_build(tms_context *context, const tmsi_source *source,
                                    const tms_part *part, void *dst) {
    const int64_t padded = tmsi_nm24_padded(source->k);
    float *values = dst, *row = NULL;
    uint32_t *words = (uint32_t *)(values + source->n * padded / 2);
    tms_status status = TMS_OK;

    TMS_TRY(tmsi_nm24_check(part, TMSI_NM24_T_BLOCK));
    TMS_TRY(tmsi_alloc(context, (size_t)padded, sizeof *row, &row)); /* zero past k */
    for (int64_t n = 0; n < source->n; n++) {
        tmsi_source_row(source, n, row);
        for (int64_t k = 0; k < source->k; k += 4) {
            int64_t first = k / TMSI_NM24_T_BLOCK * TMSI_NM24_T_BLOCK;
            int64_t depth = tmsi_min(TMSI_NM24_T_BLOCK, padded - first);
            int64_t at = source->n * first + n * depth + k - first; /* if all were stored */
            uint32_t code;
            TMS_TRY(tmsi_nm24_group(row + k, n, k, values + at / 2, &code));
            words[at / TMSI_NM24_WORD] |= code << (k % TMSI_NM24_WORD);
        }
    }
done:
    tmsi_free(context, row);
    return status;
}
