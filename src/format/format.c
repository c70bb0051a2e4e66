/* What all formats share: sizes, finiteness, shapes of components, the order of checks. */
#include "format/format.h"

#include <string.h>

#include "base/dtype.h"
#include "base/memory.h"
#include "base/rows.h"
#include "format/element.h"

const tmsi_format_ops tmsi_formats[TMS_FORMAT_COUNT] = {
#define TMS_FORMAT(id, word)                                                                       \
    [TMS_FORMAT_##id] = {#word,                                                                    \
                         tmsi_##word##_describe,                                                   \
                         tmsi_##word##_count,                                                      \
                         tmsi_##word##_write,                                                      \
                         tmsi_##word##_validate,                                                   \
                         tmsi_##word##_decode_rows},
#include "format/format.def"
#undef TMS_FORMAT
};

tms_status tmsi_format_parse(const char *text, tms_format *out) {
    static const char *const names =
#define TMS_FORMAT(id, word) " " #word
#include "format/format.def"
#undef TMS_FORMAT
        ;
    for (int i = 0; i < TMS_FORMAT_COUNT; i++)
        if (strcmp(text, tmsi_formats[i].name) == 0) {
            *out = (tms_format)i;
            return TMS_OK;
        }
    return tmsi_fail(TMS_ERR_INVALID, "format \"%.40s\" is not known: there are%s", text, names);
}

tms_status tmsi_component_add(tms_matrix *matrix, const char *name, tms_dtype dtype, int32_t rank,
                              int64_t shape0, int64_t shape1, int64_t shape2) {
    const int64_t shape[3] = {shape0, shape1, shape2};
    tms_component *component = &matrix->components[matrix->component_count];

    memset(component, 0, sizeof *component);
    component->name = name;
    component->dtype = dtype;
    component->rank = rank;
    component->bytes = tmsi_dtype_bytes(dtype);
    for (int32_t i = 0; i < rank && i < 3; i++) {
        component->shape[i] = shape[i];
        if (!tmsi_mul_bytes(component->bytes, (size_t)shape[i], &component->bytes) ||
            component->bytes > PTRDIFF_MAX)
            return tmsi_fail(TMS_ERR_INVALID,
                             "component \"%s\" of a matrix of n = %lld by k = %lld has more bytes "
                             "than memory can hold",
                             name, (long long)matrix->n, (long long)matrix->k);
    }
    matrix->component_count++;
    return TMS_OK;
}

/* Of any format: even a very sparse matrix must have a dense form that could be addressed. */
static tms_status check_fields(const tms_matrix *matrix) {
    size_t bytes;

    if ((unsigned)matrix->format >= TMS_FORMAT_COUNT)
        return tmsi_fail(TMS_ERR_INVALID, "format is %d, but must be 0 to %d", (int)matrix->format,
                         TMS_FORMAT_COUNT - 1);
    if ((unsigned)matrix->dtype >= TMS_DTYPE_COUNT || !tmsi_dtype_is_matrix(matrix->dtype))
        return tmsi_fail(TMS_ERR_INVALID, "dtype is %s, but must be f32, bf16, f16, i8 or e4m3",
                         tms_dtype_name(matrix->dtype));
    if (matrix->n < 0 || matrix->k < 0)
        return tmsi_fail(TMS_ERR_INVALID, "n is %lld and k is %lld, but neither may be negative",
                         (long long)matrix->n, (long long)matrix->k);
    if (matrix->n == INT64_MAX || matrix->k > INT32_MAX)
        return tmsi_fail(TMS_ERR_INVALID, "n is %lld and k is %lld, but k must be at most %d",
                         (long long)matrix->n, (long long)matrix->k, INT32_MAX);
    for (size_t i = 0; i < sizeof matrix->reserved / sizeof *matrix->reserved; i++)
        if (matrix->reserved[i] != 0)
            return tmsi_fail(TMS_ERR_INVALID, "reserved[%zu] is %d, but must be 0", i,
                             matrix->reserved[i]);
    if (!tmsi_mul_bytes((size_t)matrix->n, (size_t)matrix->k, &bytes) ||
        !tmsi_mul_bytes(bytes, tmsi_dtype_bytes(matrix->dtype), &bytes) || bytes > PTRDIFF_MAX)
        return tmsi_fail(TMS_ERR_INVALID,
                         "n = %lld by k = %lld are more elements than memory can hold",
                         (long long)matrix->n, (long long)matrix->k);
    return TMS_OK;
}

tms_status tmsi_matrix_describe(tms_matrix *matrix) {
    tms_matrix described = *matrix;
    tms_status status;

    TMS_TRY(check_fields(matrix));
    described.struct_size = sizeof described;
    described.component_count = 0;
    memset(described.components, 0, sizeof described.components);
    TMS_TRY(tmsi_formats[matrix->format].describe(&described));
    *matrix = described;
done:
    return status;
}

tms_status tmsi_matrix_check_shapes(const tms_matrix *matrix) {
    tms_matrix described = *matrix;
    tms_status status = tmsi_matrix_describe(&described);

    if (status != TMS_OK)
        return status;
    if (matrix->nnz != described.nnz)
        return tmsi_fail(TMS_ERR_INVALID, "nnz is %lld, but %s of this shape stores %lld values",
                         (long long)matrix->nnz, tms_format_name(matrix->format),
                         (long long)described.nnz);
    if (matrix->component_count != described.component_count)
        return tmsi_fail(TMS_ERR_INVALID, "component_count is %d, but %s has %d components",
                         matrix->component_count, tms_format_name(matrix->format),
                         described.component_count);
    for (int32_t i = 0; i < described.component_count; i++) {
        const tms_component *is = &matrix->components[i], *must = &described.components[i];
        size_t align = must->dtype == matrix->dtype ? 1 : tmsi_dtype_bytes(must->dtype);

        if (is->name == NULL || strcmp(is->name, must->name) != 0)
            return tmsi_fail(TMS_ERR_INVALID, "component %d is \"%.40s\", but must be \"%s\"", i,
                             is->name == NULL ? "NULL" : is->name, must->name);
        if (is->dtype != must->dtype)
            return tmsi_fail(TMS_ERR_INVALID, "component \"%s\" is of %s, but must be of %s",
                             must->name, tms_dtype_name(is->dtype), tms_dtype_name(must->dtype));
        if (is->rank != must->rank ||
            memcmp(is->shape, must->shape, sizeof is->shape[0] * (size_t)must->rank) != 0)
            return tmsi_fail(TMS_ERR_INVALID,
                             "component \"%s\" has rank %d and shape [%lld, %lld, %lld], but must "
                             "have rank %d and shape [%lld, %lld, %lld]",
                             must->name, is->rank, (long long)is->shape[0], (long long)is->shape[1],
                             (long long)is->shape[2], must->rank, (long long)must->shape[0],
                             (long long)must->shape[1], (long long)must->shape[2]);
        if (is->bytes != must->bytes)
            return tmsi_fail(TMS_ERR_INVALID, "component \"%s\" has %zu bytes, but must have %zu",
                             must->name, is->bytes, must->bytes);
        if (is->data == NULL && must->bytes > 0)
            return tmsi_fail(TMS_ERR_INVALID, "component \"%s\" has no data, but %zu bytes",
                             must->name, must->bytes);
        if ((uintptr_t)is->data % align != 0)
            return tmsi_fail(TMS_ERR_INVALID,
                             "component \"%s\" lies at address %p, but must be aligned to %zu",
                             must->name, is->data, align);
    }
    return TMS_OK;
}

/* ---- Scans of a dense matrix ---------------------------------------------------------------- */

static const char *dense_row(const tms_matrix *dense, int64_t row) {
    return (const char *)dense->components[0].data +
           row * dense->k * tmsi_element_of(dense->dtype).bytes;
}

/* Inlined with a known width, so that the loops vectorise. */
static inline bool is_any_non_finite(const char *row, int64_t k, int64_t bytes, uint32_t exponent) {
    uint32_t found = 0;
    for (int64_t i = 0; i < k; i++)
        found |= (tmsi_element_load(row, bytes, i) & exponent) == exponent;
    return found != 0;
}

static bool is_row_non_finite(const void *arg, int64_t row) {
    const tms_matrix *dense = arg;
    tmsi_element element = tmsi_element_of(dense->dtype);
    const char *values = dense_row(dense, row);
    if (element.bytes == 1)
        return is_any_non_finite(values, dense->k, 1, element.exponent);
    return element.bytes == 4 ? is_any_non_finite(values, dense->k, 4, element.exponent)
                              : is_any_non_finite(values, dense->k, 2, element.exponent);
}

static tms_status check_finite(const tms_context *context, const tms_matrix *dense) {
    tmsi_element element = tmsi_element_of(dense->dtype);
    int64_t column = 0, row = tmsi_rows_find(context, dense->n, dense->k, is_row_non_finite, dense);
    uint32_t bits;

    if (row < 0)
        return TMS_OK;
    for (;; column++) {
        bits = tmsi_element_load(dense_row(dense, row), element.bytes, column);
        if ((bits & element.exponent) == element.exponent)
            break;
    }
    return tmsi_fail(TMS_ERR_VALUE, "weight at row %lld, column %lld is %s", (long long)row,
                     (long long)column, tmsi_element_name(element, bits));
}

static inline int64_t count_equal(const char *row, int64_t k, int64_t bytes, uint32_t bits) {
    int64_t count = 0;
    for (int64_t i = 0; i < k; i++)
        count += tmsi_element_load(row, bytes, i) == bits;
    return count;
}

static int64_t count_negative_zeros(const void *arg, int64_t row) {
    const tms_matrix *dense = arg;
    tmsi_element element = tmsi_element_of(dense->dtype);
    const char *values = dense_row(dense, row);
    if (element.bytes == 1)
        return count_equal(values, dense->k, 1, element.minus_zero);
    return element.bytes == 4 ? count_equal(values, dense->k, 4, element.minus_zero)
                              : count_equal(values, dense->k, 2, element.minus_zero);
}

/* ---- The verbs ------------------------------------------------------------------------------ */

tms_status tmsi_matrix_size(tms_context *context, const tms_matrix *dense,
                            const tms_format_desc *desc, tms_matrix *out) {
    tms_status status;
    tms_matrix matrix = {
        .format = desc->format, .dtype = dense->dtype, .n = dense->n, .k = dense->k};

    if (desc->format == TMS_FORMAT_NM) {
        matrix.keep = desc->keep;
        matrix.group = desc->group;
    }
    if (desc->format == TMS_FORMAT_BSR) {
        matrix.block_rows = desc->block_rows;
        matrix.block_columns = desc->block_columns;
    }
    TMS_TRY(tmsi_matrix_describe(&matrix));
    TMS_TRY(check_finite(context, dense));
    TMS_TRY(tmsi_formats[matrix.format].count(context, dense, &matrix));
    TMS_TRY(tmsi_matrix_describe(&matrix));
    *out = matrix;
done:
    return status;
}

tms_status tmsi_matrix_encode(tms_context *context, const tms_matrix *dense,
                              const tms_matrix *matrix, int64_t *out_negative_zeros) {
    tms_status status;
    tms_matrix counted = *matrix;
    int64_t negative_zeros;

    TMS_TRY(tmsi_matrix_check_shapes(matrix));
    if (matrix->n != dense->n || matrix->k != dense->k || matrix->dtype != dense->dtype)
        return tmsi_fail(TMS_ERR_INVALID,
                         "matrix is %lld x %lld of %s, but dense is %lld x %lld of %s",
                         (long long)matrix->n, (long long)matrix->k, tms_dtype_name(matrix->dtype),
                         (long long)dense->n, (long long)dense->k, tms_dtype_name(dense->dtype));
    TMS_TRY(check_finite(context, dense));
    TMS_TRY(tmsi_formats[matrix->format].count(context, dense, &counted));
    if (counted.nnz != matrix->nnz)
        return tmsi_fail(TMS_ERR_INVALID,
                         "matrix was sized for %lld values, but dense needs %lld: give the dense "
                         "matrix that it was sized from",
                         (long long)matrix->nnz, (long long)counted.nnz);
    negative_zeros = tmsi_rows_sum(context, dense->n, dense->k, count_negative_zeros, dense);
    tmsi_formats[matrix->format].write(context, dense, matrix);
    *out_negative_zeros = negative_zeros;
done:
    return status;
}

tms_status tmsi_matrix_validate(tms_context *context, const tms_matrix *matrix) {
    tms_status status = tmsi_matrix_check_shapes(matrix);
    return status == TMS_OK ? tmsi_formats[matrix->format].validate(context, matrix) : status;
}

typedef struct decoding {
    const tms_matrix *matrix;
    char *out;
    int64_t row_bytes;
} decoding;

static void decode_row(const void *arg, int64_t row) {
    const decoding *self = arg;
    tmsi_formats[self->matrix->format].decode_rows(self->matrix, row, 1,
                                                   self->out + row * self->row_bytes);
}

tms_status tmsi_matrix_decode(tms_context *context, const tms_matrix *matrix, void *out_values) {
    const decoding self = {matrix, out_values, matrix->k * tmsi_element_of(matrix->dtype).bytes};
    tms_status status = tmsi_matrix_validate(context, matrix);

    if (status == TMS_OK)
        tmsi_rows_each(context, matrix->n, matrix->k, decode_row, &self);
    return status;
}

/* Narrower values are decoded into the end of `out` and widened from its front: the write at float
 * i ends no later than narrow value i + 1 begins. */
void tmsi_matrix_rows_f32(const tms_matrix *matrix, int64_t row, int64_t count, float *out) {
    int64_t total = count * matrix->k;
    char *narrow = (char *)out + (4 - tmsi_element_of(matrix->dtype).bytes) * total;

    if (matrix->dtype == TMS_F32) {
        tmsi_formats[matrix->format].decode_rows(matrix, row, count, out);
        return;
    }
    tmsi_formats[matrix->format].decode_rows(matrix, row, count, narrow);
    for (int64_t i = 0; i < total; i++)
        out[i] = tmsi_load_f32(narrow, matrix->dtype, i);
}
