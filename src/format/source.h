/* The weight that an image is built from, or decoded to: several matrices seen as one n x k. */
#ifndef TAMIS_FORMAT_SOURCE_H
#define TAMIS_FORMAT_SOURCE_H

#include "format/format.h"

typedef struct tmsi_source {
    const tms_matrix *matrices;
    int32_t count;
    tms_join join;
    int64_t n, k;
    int32_t keep, group; /* rows are read with so many of each group selected; 0: as they are */
} tmsi_source;

/* The matrix that a row of the joined weight is of; *row becomes its number there. */
const tms_matrix *tmsi_source_matrix(const tmsi_source *source, int64_t *row);

/* Row `row` of the joined weight in its own type, where the matrices have but one. */
void tmsi_source_row_bits(const tmsi_source *source, int64_t row, void *out);
/* The same, widened to f32. */
void tmsi_source_row(const tmsi_source *source, int64_t row, float *out);
/* The way back: writes a row of k elements to its matrix, which is dense or nm. */
void tmsi_source_write_row(tms_context *context, const tmsi_source *source, int64_t row,
                           const void *bits);

/* Every weight is finite, or TMS_ERR_VALUE naming the first in the joined order. */
tms_status tmsi_source_check_finite(tms_context *context, const tmsi_source *source);

/* What is wrong at a row and column of the joined weight, in the terms of its matrix: NaN or Inf;
 * the third non-zero of a group of four. */
tms_status tmsi_source_fail_finite(const tmsi_source *source, int64_t row, int64_t column);
tms_status tmsi_source_fail_third(const tmsi_source *source, int64_t row, int64_t column);

#endif
