/* How values are stored: one file a format, one row in format.def. docs/formats.md has every bit.
 * Nothing here allocates; work is split over rows, and results do not depend on how. */
#ifndef TAMIS_FORMAT_FORMAT_H
#define TAMIS_FORMAT_FORMAT_H

#include "base/status.h"

/* What a format has to say. Where `dense` is given with `matrix`, dtype, n and k agree. */
typedef struct tmsi_format_ops {
    const char *name;
    /* Checks keep, group, block and nnz against n and k, and adds the components (without data).
     * With nnz = 0 it serves to check the parameters alone. */
    tms_status (*describe)(tms_matrix *matrix);
    /* Sets nnz to what `dense`, all finite, needs. TMS_ERR_PATTERN where it does not fit. */
    tms_status (*count)(const tms_context *context, const tms_matrix *dense, tms_matrix *matrix);
    /* Writes the components; count has just said the nnz that matrix has. */
    void (*write)(const tms_context *context, const tms_matrix *dense, const tms_matrix *matrix);
    /* Checks the entries of components whose shapes and data are in order. */
    tms_status (*validate)(const tms_context *context, const tms_matrix *matrix);
    /* Writes rows [row, row + count) of a validated matrix, dense, in its own dtype, k elements
     * apart, at any alignment. */
    void (*decode_rows)(const tms_matrix *matrix, int64_t row, int64_t count, void *out);
} tmsi_format_ops;

#define TMS_FORMAT(id, word)                                                                       \
    tms_status tmsi_##word##_describe(tms_matrix *matrix);                                         \
    tms_status tmsi_##word##_count(const tms_context *context, const tms_matrix *dense,            \
                                   tms_matrix *matrix);                                            \
    void tmsi_##word##_write(const tms_context *context, const tms_matrix *dense,                  \
                             const tms_matrix *matrix);                                            \
    tms_status tmsi_##word##_validate(const tms_context *context, const tms_matrix *matrix);       \
    void tmsi_##word##_decode_rows(const tms_matrix *matrix, int64_t row, int64_t count, void *out);
#include "format/format.def"
#undef TMS_FORMAT

/* Indexed by tms_format. */
extern const tmsi_format_ops tmsi_formats[TMS_FORMAT_COUNT];

tms_status tmsi_format_parse(const char *text, tms_format *out);

/* The twins of tms_matrix_size, _encode, _decode and _validate. `dense` has been checked; validate
 * believes nothing, and so also judges what comes out of files. */
tms_status tmsi_matrix_size(tms_context *context, const tms_matrix *dense,
                            const tms_format_desc *desc, tms_matrix *out);
tms_status tmsi_matrix_encode(tms_context *context, const tms_matrix *dense,
                              const tms_matrix *matrix, int64_t *out_negative_zeros);
tms_status tmsi_matrix_decode(tms_context *context, const tms_matrix *matrix, void *out_values);
tms_status tmsi_matrix_validate(tms_context *context, const tms_matrix *matrix);

/* The first half of validating: fields, and components of the right shapes with data, which is not
 * read and may lie on a GPU. */
tms_status tmsi_matrix_check_shapes(const tms_matrix *matrix);

/* Rows [row, row + count) of a validated matrix of any format and float type, widened to f32. */
void tmsi_matrix_rows_f32(const tms_matrix *matrix, int64_t row, int64_t count, float *out);

/* The shapes a file's or caller's components must have: fills component_count, names, dtypes,
 * shapes and bytes from format, dtype, n, k, nnz, keep, group and block of `matrix`; data stays
 * NULL. For dense and nm it also sets nnz, which follows from the rest. Refuses what overflows. How
 * a reader of packed files gets its views. */
tms_status tmsi_matrix_describe(tms_matrix *matrix);

/* For the formats' files: appends a component; shape entries beyond rank are ignored. */
tms_status tmsi_component_add(tms_matrix *matrix, const char *name, tms_dtype dtype, int32_t rank,
                              int64_t shape0, int64_t shape1, int64_t shape2);

#endif
