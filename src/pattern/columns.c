/* "columns 50%": whole columns, the input features of a layer, stay or go. */
#include "pattern/grid.h"
#include "pattern/kind.h"

static tms_status select_columns(tms_context *context, const tms_select_desc *desc,
                                 uint8_t *out_mask) {
    tmsi_grid grid = tmsi_grid_make(desc->weights.n, desc->weights.k, desc->weights.n, 1);
    return tmsi_grid_select_mask(context, &grid, desc, out_mask);
}

static tms_status check_columns(tms_context *context, const tms_pattern *pattern,
                                const tms_matrix *dense, tms_check_report *out) {
    tmsi_grid grid = tmsi_grid_make(dense->n, dense->k, dense->n, 1);
    return tmsi_grid_check(context, &grid, pattern, dense, "columns", out);
}

const tmsi_pattern_ops tmsi_pattern_columns = {
    .says_tensor = true,
    .no_scope = "a column is dropped in every row, so no row has a share of its own",
    .select = select_columns,
    .check = check_columns,
};
