/* A matrix as a grid of blocks that stay or go whole: blocks, and rows and columns, which are
 * blocks as wide or as high as the matrix. Blocks at the lower and right edge are smaller, and
 * judged by their own mean. */
#ifndef TAMIS_PATTERN_GRID_H
#define TAMIS_PATTERN_GRID_H

#include "pattern/pattern.h"

typedef struct tmsi_grid {
    int64_t block_rows, block_columns; /* elements of a whole block */
    int64_t rows, columns;             /* blocks */
} tmsi_grid;

tmsi_grid tmsi_grid_make(int64_t n, int64_t k, int64_t block_rows, int64_t block_columns);

/* *out = what to drop, a byte a block, row-major: 1 = kept. The caller frees it. */
tms_status tmsi_grid_select(tms_context *context, const tmsi_grid *grid,
                            const tms_select_desc *desc, uint8_t **out_keep);

/* Clears the bits of dropped blocks in a mask; scratch: tmsi_mask_row_bytes(k). */
void tmsi_grid_clear(const tmsi_grid *grid, const uint8_t *keep, int64_t n, int64_t k,
                     uint8_t *scratch, uint8_t *mask);

/* Selects blocks and writes the mask that keeps them whole. */
tms_status tmsi_grid_select_mask(tms_context *context, const tmsi_grid *grid,
                                 const tms_select_desc *desc, uint8_t *out_mask);

/* Judges the share of zero blocks, which the sentence calls `things`. */
tms_status tmsi_grid_check(tms_context *context, const tmsi_grid *grid, const tms_pattern *pattern,
                           const tms_matrix *dense, const char *things, tms_check_report *out);

#endif
