/* Masks, and the counting that stands beside them in the header. */
#include "api/arguments.h"
#include "base/memory.h"
#include "pattern/pattern.h"

size_t tms_mask_bytes(int64_t n, int64_t k) {
    size_t bytes;

    if (n <= 0 || k <= 0)
        return 0;
    return tmsi_mul_bytes((size_t)n, (size_t)tmsi_mask_row_bytes(k), &bytes) ? bytes : SIZE_MAX;
}

tms_status tms_mask_select(tms_context *context, const tms_select_desc *given, uint8_t *out_mask) {
    tms_status status = TMS_OK;
    tms_select_desc desc;

    tmsi_enter(__func__);
    TMSI_NEED(context);
    TMS_TRY(tmsi_struct_read("desc", given, sizeof desc, &desc));
    TMS_TRY(tmsi_pattern_valid(&desc.pattern));
    TMS_TRY(tmsi_dense_check("desc->weights", &desc.weights));
    if (desc.block_norm != TMS_NORM_L1 && desc.block_norm != TMS_NORM_L2)
        return tmsi_fail(TMS_ERR_INVALID, "desc->block_norm is %d, but must be %d (L1) or %d (L2)",
                         (int)desc.block_norm, TMS_NORM_L1, TMS_NORM_L2);
    if (out_mask == NULL && tms_mask_bytes(desc.weights.n, desc.weights.k) > 0)
        return tmsi_fail(TMS_ERR_INVALID, "out_mask is NULL, but needs %zu bytes",
                         tms_mask_bytes(desc.weights.n, desc.weights.k));
    TMS_TRY(tmsi_mask_select(context, &desc, out_mask));
done:
    return status;
}

tms_status tms_mask_apply(tms_context *context, const uint8_t *mask, const tms_matrix *dense) {
    tms_status status = TMS_OK;

    tmsi_enter(__func__);
    TMSI_NEED(context);
    TMS_TRY(tmsi_dense_check("dense", dense));
    if (mask == NULL && tms_mask_bytes(dense->n, dense->k) > 0)
        return tmsi_fail(TMS_ERR_INVALID, "mask is NULL, but %lld x %lld weights have one",
                         (long long)dense->n, (long long)dense->k);
    tmsi_mask_apply(context, mask, dense);
done:
    return status;
}

tms_status tms_matrix_count(tms_context *context, const tms_matrix *dense,
                            tms_zero_report *out_report) {
    tms_status status = TMS_OK;
    tms_zero_report report;

    tmsi_enter(__func__);
    TMSI_NEED(context);
    TMS_TRY(tmsi_dense_check("dense", dense));
    TMS_TRY(tmsi_struct_check("out_report", out_report, sizeof report));
    TMS_TRY(tmsi_matrix_count(context, dense, &report));
    tmsi_struct_write(&report, out_report);
done:
    return status;
}
