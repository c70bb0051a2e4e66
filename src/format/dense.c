/* dense: values [n, k], row-major. The format everything is encoded from and decoded to; as a
 * target it only turns -0.0 to +0.0. */
#include <string.h>

#include "base/rows.h"
#include "format/element.h"
#include "format/format.h"

enum { VALUES };

tms_status tmsi_dense_describe(tms_matrix *matrix) {
    matrix->nnz = matrix->n * matrix->k;
    return tmsi_component_add(matrix, "values", matrix->dtype, 2, matrix->n, matrix->k, 0);
}

tms_status tmsi_dense_count(const tms_context *context, const tms_matrix *dense,
                            tms_matrix *matrix) {
    (void)context;
    matrix->nnz = dense->n * dense->k;
    return TMS_OK;
}

typedef struct writing {
    const tms_matrix *dense, *matrix;
} writing;

static void write_row(const void *arg, int64_t row) {
    const writing *self = arg;
    tmsi_element element = tmsi_element_of(self->dense->dtype);
    const void *from = self->dense->components[VALUES].data;
    void *to = self->matrix->components[VALUES].data;

    for (int64_t i = row * self->dense->k; i < (row + 1) * self->dense->k; i++)
        tmsi_element_store(
            to, element.bytes, i,
            tmsi_element_plain_zero(element, tmsi_element_load(from, element.bytes, i)));
}

void tmsi_dense_write(const tms_context *context, const tms_matrix *dense,
                      const tms_matrix *matrix) {
    const writing self = {dense, matrix};
    tmsi_rows_each(context, dense->n, dense->k, write_row, &self);
}

tms_status tmsi_dense_validate(const tms_context *context, const tms_matrix *matrix) {
    (void)context, (void)matrix;
    return TMS_OK;
}

void tmsi_dense_decode_rows(const tms_matrix *matrix, int64_t row, int64_t count, void *out) {
    int64_t row_bytes = matrix->k * tmsi_element_of(matrix->dtype).bytes;

    if (count * row_bytes > 0)
        memcpy(out, (const char *)matrix->components[VALUES].data + row * row_bytes,
               (size_t)(count * row_bytes));
}
