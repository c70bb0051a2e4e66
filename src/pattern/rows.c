/* "rows 50%": whole rows, the output features of a layer, stay or go. */
#include "pattern/grid.h"
#include "pattern/kind.h"

static tms_status select_rows(tms_context *context, const tms_select_desc *desc,
                              uint8_t *out_mask) {
    tmsi_grid grid = tmsi_grid_make(desc->weights.n, desc->weights.k, 1, desc->weights.k);
    return tmsi_grid_select_mask(context, &grid, desc, out_mask);
}

static tms_status check_rows(tms_context *context, const tms_pattern *pattern,
                             const tms_matrix *dense, tms_check_report *out) {
    tmsi_grid grid = tmsi_grid_make(dense->n, dense->k, 1, dense->k);
    return tmsi_grid_check(context, &grid, pattern, dense, "rows", out);
}

const tmsi_pattern_ops tmsi_pattern_rows = {
    .says_tensor = true,
    .no_scope = "a row stays or goes whole, so no row has a share of its own",
    .select = select_rows,
    .check = check_rows,
};
