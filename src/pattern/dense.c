/* "dense": no zeros are asked for. */
#include "pattern/kind.h"
#include "pattern/mask.h"

#include <string.h>

static tms_status select_dense(tms_context *context, const tms_select_desc *desc,
                               uint8_t *out_mask) {
    int64_t row_bytes = tmsi_mask_row_bytes(desc->weights.k);

    (void)context;
    memset(out_mask, 0, (size_t)(desc->weights.n * row_bytes));
    for (int64_t row = 0; row < desc->weights.n; row++)
        tmsi_mask_set(out_mask + row * row_bytes, 0, desc->weights.k);
    return TMS_OK;
}

static tms_status check_dense(tms_context *context, const tms_pattern *pattern,
                              const tms_matrix *dense, tms_check_report *out) {
    tms_zero_report zeros;
    tms_status status = tmsi_matrix_count(context, dense, &zeros);

    if (status != TMS_OK)
        return status;
    out->zeros_found = zeros.zeros;
    tmsi_report_holds(out, pattern, "elements", zeros.elements);
    return TMS_OK;
}

const tmsi_pattern_ops tmsi_pattern_dense = {
    .no_scope = "nothing is dropped",
    .select = select_dense,
    .check = check_dense,
};
