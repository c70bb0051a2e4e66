/* How values are stored: one file a format, one row in format.def. */
#ifndef TAMIS_FORMAT_FORMAT_H
#define TAMIS_FORMAT_FORMAT_H

#include "base/status.h"

/* The four verbs of a format; the contracts are those of tms_matrix_size, _encode, _validate in
 * tamis.h. decode_rows writes rows [row, row + count) of a validated matrix, dense, in its own
 * dtype, k elements apart, and cannot fail. */
typedef struct tmsi_format_ops {
    const char *name;
    tms_status (*size)(tms_context *context, const tms_matrix *dense, const tms_format_desc *desc,
                       tms_matrix *out);
    tms_status (*encode)(tms_context *context, const tms_matrix *dense, const tms_matrix *matrix,
                         int64_t *out_negative_zeros);
    tms_status (*validate)(tms_context *context, const tms_matrix *matrix);
    void (*decode_rows)(const tms_matrix *matrix, int64_t row, int64_t count, void *out);
} tmsi_format_ops;

/* Indexed by tms_format. */
extern const tmsi_format_ops tmsi_formats[TMS_FORMAT_COUNT];

tms_status tmsi_matrix_size(tms_context *context, const tms_matrix *dense,
                            const tms_format_desc *desc, tms_matrix *out);
tms_status tmsi_matrix_encode(tms_context *context, const tms_matrix *dense,
                              const tms_matrix *matrix, int64_t *out_negative_zeros);
tms_status tmsi_matrix_decode(tms_context *context, const tms_matrix *matrix, void *out_values);
tms_status tmsi_matrix_validate(tms_context *context, const tms_matrix *matrix);

/* Rows [row, row + count) of a validated matrix of any format and float type, widened to f32. */
void tmsi_matrix_rows_f32(const tms_matrix *matrix, int64_t row, int64_t count, float *out);

/* The shapes a file's or caller's components must have: fills component_count, names, dtypes,
 * shapes and bytes from format, dtype, n, k, nnz, keep, group and block of `matrix`; data stays
 * NULL. Refuses what overflows. How a reader of packed files gets its views. */
tms_status tmsi_matrix_describe(tms_matrix *matrix);

#endif
