/* Public functions of matrices and their formats. */
#include <string.h>

#include "api/arguments.h"
#include "base/dtype.h"
#include "base/memory.h"
#include "format/format.h"

const char *tms_format_name(tms_format format) {
    return (unsigned)format < TMS_FORMAT_COUNT ? tmsi_formats[format].name : "?";
}

tms_status tms_format_parse(const char *text, tms_format *out_format) {
    tmsi_enter(__func__);
    TMSI_NEED(text);
    TMSI_NEED(out_format);
    return tmsi_format_parse(text, out_format);
}

/* Sizes that do not fit are left as 0 bytes, which no check lets pass. */
tms_matrix tms_matrix_dense(tms_dtype dtype, int64_t n, int64_t k, const void *values) {
    tms_matrix matrix = {.struct_size = sizeof matrix,
                         .format = TMS_FORMAT_DENSE,
                         .dtype = dtype,
                         .n = n,
                         .k = k,
                         .component_count = 1};
    tms_component *component = &matrix.components[0];
    size_t element_bytes =
        (unsigned)dtype < TMS_DTYPE_COUNT && n >= 0 && k >= 0 ? tmsi_dtype_bytes(dtype) : 0;

    if (__builtin_mul_overflow(n, k, &matrix.nnz) ||
        !tmsi_mul_bytes((size_t)matrix.nnz, element_bytes, &component->bytes))
        matrix.nnz = 0, component->bytes = 0;
    component->name = "values";
    component->dtype = dtype;
    component->rank = 2;
    component->shape[0] = n;
    component->shape[1] = k;
    component->data = (void *)(uintptr_t)values; /* a view serves reading and writing */
    return matrix;
}

const tms_component *tms_matrix_component(const tms_matrix *matrix, const char *name) {
    if (matrix == NULL || name == NULL)
        return NULL;
    for (int32_t i = 0; i < matrix->component_count && i < TMS_COMPONENT_MAX; i++)
        if (matrix->components[i].name != NULL && strcmp(matrix->components[i].name, name) == 0)
            return &matrix->components[i];
    return NULL;
}

size_t tms_matrix_bytes(const tms_matrix *matrix) {
    size_t bytes = 0;

    if (matrix == NULL)
        return 0;
    for (int32_t i = 0; i < matrix->component_count && i < TMS_COMPONENT_MAX; i++)
        bytes += matrix->components[i].bytes;
    return bytes;
}

static tms_status check_matrix(const tms_context *context, const tms_matrix *matrix) {
    TMSI_NEED(context);
    TMSI_NEED(matrix);
    return tmsi_matrix_known(matrix);
}

static tms_status check_dense(const tms_context *context, const tms_matrix *dense) {
    TMSI_NEED(context);
    return tmsi_dense_check("dense", dense);
}

tms_status tms_matrix_size(tms_context *context, const tms_matrix *dense,
                           const tms_format_desc *desc, tms_matrix *out_matrix) {
    tms_format_desc known;
    tms_status status;

    tmsi_enter(__func__);
    TMS_TRY(check_dense(context, dense));
    TMS_TRY(tmsi_struct_read("desc", desc, sizeof known, &known));
    TMSI_NEED(out_matrix);
    TMS_TRY(tmsi_matrix_size(context, dense, &known, out_matrix));
done:
    return status;
}

tms_status tms_matrix_encode(tms_context *context, const tms_matrix *dense,
                             const tms_matrix *matrix, int64_t *out_negative_zeros) {
    int64_t negative_zeros;
    tms_status status;

    tmsi_enter(__func__);
    TMS_TRY(check_dense(context, dense));
    TMS_TRY(check_matrix(context, matrix));
    TMS_TRY(tmsi_matrix_encode(context, dense, matrix, &negative_zeros));
    if (out_negative_zeros != NULL)
        *out_negative_zeros = negative_zeros;
done:
    return status;
}

tms_status tms_matrix_decode(tms_context *context, const tms_matrix *matrix, void *out_values) {
    tms_status status;

    tmsi_enter(__func__);
    TMS_TRY(check_matrix(context, matrix));
    if (out_values == NULL && matrix->n > 0 && matrix->k > 0)
        return tmsi_fail(TMS_ERR_INVALID, "out_values is NULL");
    TMS_TRY(tmsi_matrix_decode(context, matrix, out_values));
done:
    return status;
}

tms_status tms_matrix_validate(tms_context *context, const tms_matrix *matrix) {
    tms_status status;

    tmsi_enter(__func__);
    TMS_TRY(check_matrix(context, matrix));
    TMS_TRY(tmsi_matrix_validate(context, matrix));
done:
    return status;
}
