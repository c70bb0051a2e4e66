/* nm24-t: 2:4 weights for kernels whose vectors run along tokens. K is padded to K' = a multiple of
 * 32 and cut into blocks of 96 (the last may be 64 or 32), so that a block of packed x (96 x 64
 * tokens, 24 KiB) stays in the first-level cache while all rows pass over it.
 *
 * First all values, then all index words; block b before block b + 1, row n before row n + 1, so
 * that a block is read as one stream. With D the block's depth (96, or what is left):
 *     value 2g + s of row n, group g of block b:   float 48*N*b + n*D/2 + 2g + s
 *     word i (groups 8i .. 8i+7) of row n, block b: u32   3*N*b + n*D/32 + i, after N*K'/2 floats
 * Bits 4(g%8) + 2s of the word hold the value's position in its group of four. Groups with fewer
 * than two non-zeros are filled with value 0 at position 0. */
#ifndef TAMIS_FORMAT_LAYOUT_NM24_T_H
#define TAMIS_FORMAT_LAYOUT_NM24_T_H

#include "format/layout/nm24.h"

enum { TMSI_NM24_T_BLOCK = 96 }; /* k's of a block; parameters[0] of the part */

#endif
