/* "block 32x32 90%": blocks of 32 rows by 32 columns stay or go whole. */
#include "pattern/grid.h"
#include "pattern/kind.h"

static tms_status select_block(tms_context *context, const tms_select_desc *desc,
                               uint8_t *out_mask) {
    tmsi_grid grid = tmsi_grid_make(desc->weights.n, desc->weights.k, desc->pattern.block_rows,
                                    desc->pattern.block_columns);
    return tmsi_grid_select_mask(context, &grid, desc, out_mask);
}

static tms_status check_block(tms_context *context, const tms_pattern *pattern,
                              const tms_matrix *dense, tms_check_report *out) {
    tmsi_grid grid =
        tmsi_grid_make(dense->n, dense->k, pattern->block_rows, pattern->block_columns);
    return tmsi_grid_check(context, &grid, pattern, dense, "blocks", out);
}

const tmsi_pattern_ops tmsi_pattern_block = {
    .has_scope = true,
    .select = select_block,
    .check = check_block,
};
