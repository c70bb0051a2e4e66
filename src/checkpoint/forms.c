#include "checkpoint/forms.h"

#include <string.h>

#include "base/memory.h"
#include "format/format.h"

enum { BLOCK_SIDE_MAX = 65536 };

/* Sizes one candidate and keeps it if it is the smallest of its format so far. What the weight does
 * not hold, or has no room for, is no failure here. */
static tms_status try_form(tms_context *context, const tms_matrix *dense,
                           const tms_format_desc *desc, tmsi_forms *out) {
    tms_matrix matrix;
    tms_status status = tmsi_matrix_size(context, dense, desc, &matrix);

    if (status == TMS_ERR_PATTERN || status == TMS_ERR_INVALID)
        return TMS_OK;
    if (status != TMS_OK)
        return status;
    if (!out->holds[desc->format] ||
        tms_matrix_bytes(&matrix) < tms_matrix_bytes(&out->matrices[desc->format]))
        out->matrices[desc->format] = matrix;
    out->holds[desc->format] = true;
    return TMS_OK;
}

static tms_status try_nm(tms_context *context, const tms_matrix *dense, int32_t keep, int32_t group,
                         tmsi_forms *out) {
    tms_format_desc desc = tms_format_desc_default(TMS_FORMAT_NM);
    desc.keep = keep;
    desc.group = group;
    return try_form(context, dense, &desc, out);
}

static tms_status try_bsr(tms_context *context, const tms_matrix *dense, int32_t rows,
                          int32_t columns, tmsi_forms *out) {
    tms_format_desc desc = tms_format_desc_default(TMS_FORMAT_BSR);
    desc.block_rows = rows;
    desc.block_columns = columns;
    return try_form(context, dense, &desc, out);
}

tms_status tmsi_forms_size(tms_context *context, const tms_matrix *dense,
                           const tms_zero_report *zeros, const tms_pattern *pattern,
                           tmsi_forms *out) {
    static const int32_t block_sides[] = {8, 16, 32, 64};
    tms_format_desc csr = tms_format_desc_default(TMS_FORMAT_CSR);
    bool is_nm = pattern->kind == TMS_PATTERN_NM || pattern->kind == TMS_PATTERN_NM_IN_BLOCK;
    bool is_block = pattern->kind == TMS_PATTERN_BLOCK || pattern->kind == TMS_PATTERN_NM_IN_BLOCK;
    tms_status status = TMS_OK;

    memset(out, 0, sizeof *out);
    out->holds[TMS_FORMAT_DENSE] = true;
    out->matrices[TMS_FORMAT_DENSE] = tms_matrix_dense(dense->dtype, dense->n, dense->k, NULL);
    if (zeros->non_finite > 0)
        return TMS_OK;
    TMS_TRY(try_form(context, dense, &csr, out));
    if (is_nm)
        TMS_TRY(try_nm(context, dense, pattern->keep, pattern->group, out));
    if (zeros->holds_2_4)
        TMS_TRY(try_nm(context, dense, 2, 4, out));
    if (zeros->holds_1_4)
        TMS_TRY(try_nm(context, dense, 1, 4, out));
    if (is_block)
        TMS_TRY(try_bsr(context, dense, pattern->block_rows, pattern->block_columns, out));
    if (zeros->zero_rows > 0) /* whole rows or columns as blocks */
        TMS_TRY(try_bsr(context, dense, 1, (int32_t)tmsi_min(dense->k, BLOCK_SIDE_MAX), out));
    if (zeros->zero_columns > 0)
        TMS_TRY(try_bsr(context, dense, (int32_t)tmsi_min(dense->n, BLOCK_SIDE_MAX), 1, out));
    for (size_t i = 0; i < sizeof block_sides / sizeof *block_sides; i++)
        TMS_TRY(try_bsr(context, dense, block_sides[i], block_sides[i], out));
done:
    return status;
}

void tmsi_forms_bytes(const tmsi_forms *forms, int64_t bytes[TMS_FORMAT_COUNT]) {
    for (int f = 0; f < TMS_FORMAT_COUNT; f++)
        bytes[f] = forms->holds[f] ? (int64_t)tms_matrix_bytes(&forms->matrices[f]) : -1;
}

tms_format tmsi_forms_smallest(const tmsi_forms *forms) {
    tms_format smallest = TMS_FORMAT_DENSE;

    for (int f = 0; f < TMS_FORMAT_COUNT; f++)
        if (forms->holds[f] &&
            tms_matrix_bytes(&forms->matrices[f]) < tms_matrix_bytes(&forms->matrices[smallest]))
            smallest = (tms_format)f;
    return smallest;
}
