#include "format/layout/dense_panel.h"

#include "base/memory.h"
#include "format/layout.h"

static tms_status check_part(const tms_part *part) {
    if (part->dtype != TMS_F32 || part->parameters[0] != TMSI_DENSE_PANEL_ROWS)
        return tmsi_fail(
            TMS_ERR_INVALID, "dense-panel holds f32 in panels of %d rows, not %s in %d",
            TMSI_DENSE_PANEL_ROWS, tms_dtype_name((tms_dtype)part->dtype), part->parameters[0]);
    return TMS_OK;
}

tms_status tmsi_layout_dense_panel_bytes(tms_context *context, const tmsi_source *source,
                                         const tms_part *part, size_t *out) {
    size_t rows = tmsi_round_up((size_t)source->n, TMSI_DENSE_PANEL_ROWS), bytes;
    tms_status status = check_part(part);

    (void)context;
    if (status != TMS_OK)
        return status;
    if (!tmsi_mul_bytes(rows * sizeof(float), (size_t)source->k, &bytes))
        return tmsi_fail(TMS_ERR_INVALID, "%lld x %lld weights in dense-panel do not fit in memory",
                         (long long)source->n, (long long)source->k);
    *out = bytes;
    return TMS_OK;
}

tms_status tmsi_layout_dense_panel_build(tms_context *context, const tmsi_source *source,
                                         const tms_part *part, void *dst) {
    const int64_t rows = TMSI_DENSE_PANEL_ROWS;
    float *values = dst, *row = NULL;
    tms_status status = TMS_OK;

    TMS_TRY(check_part(part));
    TMS_TRY(tmsi_alloc(context, (size_t)source->k, sizeof *row, &row));
    for (int64_t n = 0; n < source->n; n++) {
        float *panel = values + n / rows * rows * source->k;
        tmsi_source_row(source, n, row);
        for (int64_t k = 0; k < source->k; k++)
            panel[k * rows + n % rows] = row[k];
    }
done:
    tmsi_free(context, row);
    return status;
}
