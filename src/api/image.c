#include <inttypes.h>

#include "api/arguments.h"
#include "base/dtype.h"
#include "base/memory.h"
#include "format/layout.h"

/* Each matrix is whole, of equal k, and of a type that every part can hold exactly. */
static tms_status check_matrix(tms_context *context, const tms_image_desc *desc, int32_t i) {
    const tms_matrix *matrix = &desc->matrices[i];
    tms_status status;

    status = tmsi_matrix_known(matrix);
    if (status != TMS_OK)
        return tmsi_fail_in(status, "desc->matrices[%d]", i);
    if (matrix->k != desc->layout.k)
        return tmsi_fail(TMS_ERR_INVALID,
                         "desc->matrices[%d].k is %" PRId64 ", but the layout's k is %" PRId64, i,
                         matrix->k, desc->layout.k);
    status = tmsi_matrix_validate(context, matrix);
    if (status != TMS_OK)
        return tmsi_fail_in(status, "desc->matrices[%d]", i);
    for (int32_t p = 0; p < desc->layout.part_count; p++) {
        tms_dtype dtype = (tms_dtype)desc->layout.parts[p].dtype;
        if (dtype != matrix->dtype && dtype != TMS_F32)
            return tmsi_fail(TMS_ERR_INVALID,
                             "desc->matrices[%d] holds %s, but part %d of the layout %s, which "
                             "cannot hold it exactly: choose the layout with w_type %s or f32",
                             i, tms_dtype_name(matrix->dtype), p, tms_dtype_name(dtype),
                             tms_dtype_name(matrix->dtype));
    }
    return TMS_OK;
}

/* The matrices join to the layout's n. */
static tms_status check_join(const tms_image_desc *desc) {
    int64_t n = 0;

    if (desc->join != TMS_JOIN_STACK && desc->join != TMS_JOIN_INTERLEAVE)
        return tmsi_fail(TMS_ERR_INVALID,
                         "desc->join is %d, but must be TMS_JOIN_STACK (0) or TMS_JOIN_INTERLEAVE "
                         "(1)",
                         (int)desc->join);
    if (desc->join == TMS_JOIN_INTERLEAVE && desc->count != 2)
        return tmsi_fail(TMS_ERR_INVALID,
                         "desc->count is %d, but two matrices are interleaved (gate and up)",
                         desc->count);
    if (desc->join == TMS_JOIN_INTERLEAVE && desc->matrices[0].n != desc->matrices[1].n)
        return tmsi_fail(TMS_ERR_INVALID,
                         "desc->matrices have %" PRId64 " and %" PRId64
                         " rows, but interleaved ones must have the same",
                         desc->matrices[0].n, desc->matrices[1].n);
    for (int32_t i = 0; i < desc->count; i++) {
        if (desc->matrices[i].n < 0 || desc->matrices[i].n > desc->layout.n - n)
            return tmsi_fail(TMS_ERR_INVALID,
                             "desc->matrices[0..%d] have more rows than the layout's n, %" PRId64,
                             i, desc->layout.n);
        n += desc->matrices[i].n;
    }
    if (n != desc->layout.n)
        return tmsi_fail(TMS_ERR_INVALID,
                         "desc->matrices have %" PRId64 " rows together, but the layout's n is "
                         "%" PRId64,
                         n, desc->layout.n);
    return TMS_OK;
}

static tms_status read_desc(tms_context *context, const tms_image_desc *given,
                            tms_image_desc *out) {
    tms_status status = TMS_OK;

    TMSI_NEED(context);
    TMS_TRY(tmsi_struct_read("desc", given, sizeof *out, out));
    if (out->matrices == NULL || out->count < 1)
        return tmsi_fail(TMS_ERR_INVALID,
                         "desc->matrices is %s and desc->count %d, but an image needs at least one "
                         "matrix",
                         out->matrices == NULL ? "NULL" : "set", out->count);
    TMS_TRY(tmsi_layout_check(&out->layout, "desc->layout"));
    TMS_TRY(check_join(out));
    for (int32_t i = 0; i < out->count; i++)
        TMS_TRY(check_matrix(context, out, i));
done:
    return status;
}

tms_status tms_image_bytes(tms_context *context, const tms_image_desc *given, size_t *out_bytes) {
    tms_image_desc desc;
    tms_status status = TMS_OK;

    tmsi_enter(__func__);
    TMSI_NEED(out_bytes);
    TMS_TRY(read_desc(context, given, &desc));
    TMS_TRY(tmsi_image_bytes(context, &desc, out_bytes));
done:
    return status;
}

tms_status tms_image_build(tms_context *context, const tms_image_desc *given, void *data,
                           size_t data_bytes, tms_image *out_image) {
    tms_image_desc desc;
    tms_status status = TMS_OK;

    tmsi_enter(__func__);
    TMSI_NEED(data);
    TMSI_NEED(out_image);
    if ((uintptr_t)data % TMSI_ALIGNMENT != 0)
        return tmsi_fail(TMS_ERR_INVALID, "data is %p, but must be aligned to %d bytes", data,
                         TMSI_ALIGNMENT);
    TMS_TRY(read_desc(context, given, &desc));
    TMS_TRY(tmsi_image_build(context, &desc, data, data_bytes, out_image));
done:
    return status;
}
