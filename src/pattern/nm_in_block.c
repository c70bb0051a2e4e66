/* "2:4 in block 64x64 50%": half of the blocks go whole; inside the others 2 of every 4 stay, so
 * that 75 % of the elements are zero. Blocks are judged by the mean of all their elements. */
#include "base/memory.h"
#include "pattern/grid.h"
#include "pattern/kind.h"
#include "pattern/nm.h"

static tms_status valid_nm_in_block(const tms_pattern *pattern) {
    if (pattern->block_columns % pattern->group == 0)
        return TMS_OK;
    return tmsi_fail(TMS_ERR_INVALID,
                     "the block is %dx%d, but %d:%d in it needs whole groups: its columns must be "
                     "a multiple of %d",
                     pattern->block_rows, pattern->block_columns, pattern->keep, pattern->group,
                     pattern->group);
}

static tmsi_grid make_grid(const tms_pattern *pattern, const tms_matrix *dense) {
    return tmsi_grid_make(dense->n, dense->k, pattern->block_rows, pattern->block_columns);
}

static tms_status select_nm_in_block(tms_context *context, const tms_select_desc *desc,
                                     uint8_t *out_mask) {
    tmsi_grid grid = make_grid(&desc->pattern, &desc->weights);
    int64_t n = desc->weights.n, k = desc->weights.k;
    tms_status status = TMS_OK;
    uint8_t *keep = NULL, *scratch = NULL;

    TMS_TRY(tmsi_alloc(context, (size_t)tmsi_mask_row_bytes(k), 1, &scratch));
    TMS_TRY(tmsi_grid_select(context, &grid, desc, &keep));
    tmsi_nm_select(context, desc, out_mask);
    tmsi_grid_clear(&grid, keep, n, k, scratch, out_mask);
done:
    tmsi_free(context, keep);
    tmsi_free(context, scratch);
    return status;
}

static tms_status check_nm_in_block(tms_context *context, const tms_pattern *pattern,
                                    const tms_matrix *dense, tms_check_report *out) {
    tmsi_grid grid = make_grid(pattern, dense);
    tms_check_report groups = *out;
    tms_status status = TMS_OK;

    TMS_TRY(tmsi_grid_check(context, &grid, pattern, dense, "blocks", out));
    TMS_TRY(tmsi_nm_check(context, pattern, dense, &groups));
    if (!groups.holds) { /* a group has a place; its sentence says more than a missed share */
        groups.zeros_found = out->zeros_found;
        groups.zeros_needed = out->zeros_needed;
        *out = groups;
    }
done:
    return status;
}

const tmsi_pattern_ops tmsi_pattern_nm_in_block = {
    .has_scope = true,
    .valid = valid_nm_in_block,
    .fits = tmsi_group_fits,
    .select = select_nm_in_block,
    .check = check_nm_in_block,
};
