#include "format/layout/nm24_n.h"

#include "base/memory.h"
#include "format/layout/nm24.h"

tms_status tmsi_layout_nm24_n_bytes(tms_context *context, const tmsi_source *source,
                                    const tms_part *part, size_t *out) {
    int64_t rows = tmsi_div_up(source->n, TMSI_NM24_N_ROWS) * TMSI_NM24_N_ROWS;
    tms_status status = tmsi_nm24_check(part, TMSI_NM24_N_ROWS);

    (void)context;
    return status != TMS_OK ? status : tmsi_nm24_bytes(rows, source->k, out);
}

tms_status tmsi_layout_nm24_n_build(tms_context *context, const tmsi_source *source,
                                    const tms_part *part, void *dst) {
    const int64_t padded = tmsi_nm24_padded(source->k), rows = TMSI_NM24_N_ROWS;
    const int64_t panels = tmsi_div_up(source->n, rows);
    float *values = dst, *row = NULL;
    uint32_t *words = (uint32_t *)(values + panels * rows * padded / 2);
    tms_status status = TMS_OK;

    TMS_TRY(tmsi_nm24_check(part, TMSI_NM24_N_ROWS));
    TMS_TRY(tmsi_alloc(context, (size_t)padded, sizeof *row, &row)); /* zero past k */
    for (int64_t n = 0; n < source->n; n++) {
        float *panel = values + n / rows * rows * padded / 2 + n % rows;
        uint32_t *index = words + n / rows * rows * padded / TMSI_NM24_WORD + n % rows;
        tmsi_source_row(source, n, row);
        for (int64_t k = 0; k < source->k; k += 4) {
            float pair[2];
            uint32_t code;
            TMS_TRY(tmsi_nm24_group(row + k, n, k, pair, &code));
            panel[k / 2 * rows] = pair[0];
            panel[(k / 2 + 1) * rows] = pair[1];
            index[k / TMSI_NM24_WORD * rows] |= code << (k % TMSI_NM24_WORD);
        }
    }
done:
    tmsi_free(context, row);
    return status;
}
