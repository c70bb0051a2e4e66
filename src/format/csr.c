/* csr: the non-zeros of each row, with their columns.
 *
 * values [nnz], columns i32 [nnz], offsets i64 [n + 1]: row r has entries offsets[r] ..
 * offsets[r + 1] - 1, columns strictly ascending. Encoding stores non-zeros alone; a reader also
 * takes zeros. It pays from the share of zeros at which a value and its 4-byte column cost less
 * than the zeros left out: half for f32, two thirds for 16-bit floats. */
#include <string.h>

#include "base/rows.h"
#include "format/compressed.h"
#include "format/element.h"
#include "format/format.h"

enum { VALUES, COLUMNS, OFFSETS };

tms_status tmsi_csr_describe(tms_matrix *matrix) {
    tms_status status;

    if (matrix->nnz < 0 || matrix->nnz > matrix->n * matrix->k)
        return tmsi_fail(TMS_ERR_INVALID, "nnz is %lld, but must be 0 to n * k = %lld",
                         (long long)matrix->nnz, (long long)(matrix->n * matrix->k));
    TMS_TRY(tmsi_component_add(matrix, "values", matrix->dtype, 1, matrix->nnz, 0, 0));
    TMS_TRY(tmsi_component_add(matrix, "columns", TMS_I32, 1, matrix->nnz, 0, 0));
    TMS_TRY(tmsi_component_add(matrix, "offsets", TMS_I64, 1, matrix->n + 1, 0, 0));
done:
    return status;
}

static inline int64_t count_non_zeros(const tms_matrix *dense, int64_t row, int64_t bytes,
                                      uint32_t magnitude) {
    const char *values = (const char *)dense->components[VALUES].data + row * dense->k * bytes;
    int64_t count = 0;

    for (int64_t k = 0; k < dense->k; k++)
        count += (tmsi_element_load(values, bytes, k) & magnitude) != 0;
    return count;
}

static int64_t count_row(const void *arg, int64_t row) {
    const tms_matrix *dense = arg;
    tmsi_element element = tmsi_element_of(dense->dtype);
    if (element.bytes == 1)
        return count_non_zeros(dense, row, 1, element.magnitude);
    return element.bytes == 4 ? count_non_zeros(dense, row, 4, element.magnitude)
                              : count_non_zeros(dense, row, 2, element.magnitude);
}

tms_status tmsi_csr_count(const tms_context *context, const tms_matrix *dense, tms_matrix *matrix) {
    matrix->nnz = tmsi_rows_sum(context, dense->n, dense->k, count_row, dense);
    return TMS_OK;
}

typedef struct writing {
    const tms_matrix *dense, *matrix;
    int64_t *offsets;
} writing;

static void write_count(const void *arg, int64_t row) {
    const writing *self = arg;
    self->offsets[row + 1] = count_row(self->dense, row);
}

static void write_row(const void *arg, int64_t row) {
    const writing *self = arg;
    const tms_matrix *dense = self->dense;
    tmsi_element element = tmsi_element_of(dense->dtype);
    int32_t *columns = self->matrix->components[COLUMNS].data;
    int64_t i = self->offsets[row];

    for (int64_t k = 0; k < dense->k; k++) {
        uint32_t bits =
            tmsi_element_load(dense->components[VALUES].data, element.bytes, row * dense->k + k);
        if ((bits & element.magnitude) == 0)
            continue;
        tmsi_element_store(self->matrix->components[VALUES].data, element.bytes, i, bits);
        columns[i++] = (int32_t)k;
    }
}

void tmsi_csr_write(const tms_context *context, const tms_matrix *dense, const tms_matrix *matrix) {
    const writing self = {dense, matrix, matrix->components[OFFSETS].data};

    /* One element a row at least: offsets are written even where there are no columns. */
    tmsi_rows_each(context, dense->n, dense->k + 1, write_count, &self);
    tmsi_offsets_from_counts(self.offsets, dense->n);
    tmsi_rows_each(context, dense->n, dense->k, write_row, &self);
}

tms_status tmsi_csr_validate(const tms_context *context, const tms_matrix *matrix) {
    return tmsi_compressed_validate(context, matrix->components[OFFSETS].data,
                                    matrix->components[COLUMNS].data, matrix->n, matrix->nnz,
                                    matrix->k, "row");
}

void tmsi_csr_decode_rows(const tms_matrix *matrix, int64_t row, int64_t count, void *out) {
    const int64_t *offsets = matrix->components[OFFSETS].data;
    const int32_t *columns = matrix->components[COLUMNS].data;
    int64_t bytes = tmsi_element_of(matrix->dtype).bytes;

    if (count * matrix->k == 0)
        return;
    memset(out, 0, (size_t)(count * matrix->k * bytes));
    for (int64_t r = 0; r < count; r++)
        for (int64_t i = offsets[row + r]; i < offsets[row + r + 1]; i++)
            tmsi_element_store(out, bytes, r * matrix->k + columns[i],
                               tmsi_element_load(matrix->components[VALUES].data, bytes, i));
}
