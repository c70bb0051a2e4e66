/* bsr-panel: blocks of r x c for kernels whose vectors run along weight rows. Blocks with a
 * non-zero are kept. A block row is cut into P = ceil(r/L) panels of L rows, L = 16, or 8 for r <=
 * 8; rows past the block row or past N, and columns past K, are zero.
 *
 * A header, then three arrays, each from a multiple of 64 bytes on, with B block rows:
 *     offsets  i64 [B + 1]: blocks before block row b
 *     columns  i32 [blocks]: first column of a block (not its number), ascending within a block row
 *     values   f32: block row b begins at offsets[b]*c*P*L; in it [P][blocks of b][c][L]
 * so that a panel reads all its blocks as one stream. With one block of N x K it is dense-panel. */
#ifndef TAMIS_FORMAT_LAYOUT_BSR_PANEL_H
#define TAMIS_FORMAT_LAYOUT_BSR_PANEL_H

#include <stdint.h>

/* Bytes from the header on. */
typedef struct tmsi_bsr_panel_header {
    int64_t offsets, columns, values;
    int64_t reserved[5];
} tmsi_bsr_panel_header;

_Static_assert(sizeof(tmsi_bsr_panel_header) == 64, "arrays begin on a cache line");

/* L: parameters[0] of the part. */
static inline int32_t tmsi_bsr_panel_rows(int32_t block_rows) {
    return block_rows <= 8 ? 8 : 16;
}

#endif
