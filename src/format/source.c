#include "format/source.h"

#include <string.h>

#include "base/dtype.h"
#include "base/memory.h"
#include "format/element.h"
#include "format/nm.h"
#include "pattern/nm.h"
#include "pattern/score.h"

const tms_matrix *tmsi_source_matrix(const tmsi_source *source, int64_t *row) {
    const tms_matrix *matrix = source->matrices;

    if (source->join == TMS_JOIN_INTERLEAVE) {
        matrix += *row % source->count;
        *row /= source->count;
    } else {
        for (; *row >= matrix->n; matrix++)
            *row -= matrix->n;
    }
    return matrix;
}

/* Drops all but the best of each group of a row. The scores are the weights themselves: the order
 * looks at their bits without the sign, so that NaN has a place in it. -0.0 leaves as +0.0. */
static void select_row(const tmsi_source *source, tms_dtype dtype, void *row) {
    const tmsi_element element = tmsi_element_of(dtype);
    const int64_t segment = TMSI_SEGMENT / source->group * source->group;
    float scores[TMSI_SEGMENT];
    uint8_t keep[TMSI_SEGMENT];

    for (int64_t k = 0; k < source->k; k += segment) {
        const int64_t count = tmsi_min(segment, source->k - k);

        tmsi_widen_f32((const char *)row + k * element.bytes, dtype, count, scores);
        tmsi_nm_keep(scores, count, source->keep, source->group, keep);
        for (int64_t i = 0; i < count; i++) {
            const uint32_t bits = tmsi_element_load(row, element.bytes, k + i);
            tmsi_element_store(row, element.bytes, k + i,
                               keep[i] ? tmsi_element_plain_zero(element, bits) : 0);
        }
    }
}

void tmsi_source_row_bits(const tmsi_source *source, int64_t row, void *out) {
    const tms_matrix *matrix = tmsi_source_matrix(source, &row);

    tmsi_formats[matrix->format].decode_rows(matrix, row, 1, out);
    if (source->group > 0)
        select_row(source, matrix->dtype, out);
}

void tmsi_source_row(const tmsi_source *source, int64_t row, float *out) {
    const tms_matrix *matrix = tmsi_source_matrix(source, &row);

    tmsi_matrix_rows_f32(matrix, row, 1, out);
    if (source->group > 0)
        select_row(source, TMS_F32, out);
}

void tmsi_source_write_row(tms_context *context, const tmsi_source *source, int64_t row,
                           const void *bits) {
    const tms_matrix *matrix = tmsi_source_matrix(source, &row);
    tms_matrix from = tms_matrix_dense(matrix->dtype, 1, matrix->k, bits), to = *matrix;

    /* The matrix's row as a matrix of one: dense and nm have rows of equal bytes. */
    to.n = 1;
    to.nnz = matrix->nnz / matrix->n;
    for (int32_t i = 0; i < to.component_count; i++) {
        tms_component *component = &to.components[i];

        component->bytes /= (size_t)matrix->n;
        component->shape[0] = 1;
        component->data = (char *)component->data + (size_t)row * component->bytes;
    }
    if (to.format == TMS_FORMAT_DENSE)
        memcpy(to.components[0].data, bits, to.components[0].bytes); /* -0.0 too */
    else
        tmsi_formats[to.format].write(context, &from, &to);
}

tms_status tmsi_source_fail_finite(const tmsi_source *source, int64_t row, int64_t column) {
    const tms_matrix *matrix = tmsi_source_matrix(source, &row);

    return tmsi_fail(TMS_ERR_VALUE,
                     "desc->matrices[%d]: the weight at row %lld, column %lld is not finite, which "
                     "only TMS_NAN_KEEP selects from",
                     (int)(matrix - source->matrices), (long long)row, (long long)column);
}

tms_status tmsi_source_fail_third(const tmsi_source *source, int64_t row, int64_t column) {
    const tms_matrix *matrix = tmsi_source_matrix(source, &row);
    const long long group = (long long)(column / 4 * 4);

    return tmsi_fail(TMS_ERR_PATTERN,
                     "desc->matrices[%d]: row %lld, column %lld is the third non-zero in columns "
                     "%lld to %lld, but 2:4 allows 2 in each 4",
                     (int)(matrix - source->matrices), (long long)row, (long long)column, group,
                     group + 3);
}

tms_status tmsi_source_check_finite(tms_context *context, const tmsi_source *source) {
    char *bits = NULL;
    tms_status status = TMS_OK;

    TMS_TRY(tmsi_alloc(context, (size_t)source->k, sizeof(float), &bits));
    for (int64_t n = 0; n < source->n; n++) {
        int64_t row = n;
        const tms_matrix *matrix = tmsi_source_matrix(source, &row);
        const tmsi_element element = tmsi_element_of(matrix->dtype);

        tmsi_formats[matrix->format].decode_rows(matrix, row, 1, bits);
        for (int64_t k = 0; k < source->k; k++)
            if ((tmsi_element_load(bits, element.bytes, k) & element.exponent) == element.exponent)
                TMS_TRY(tmsi_source_fail_finite(source, n, k));
    }
done:
    tmsi_free(context, bits);
    return status;
}
