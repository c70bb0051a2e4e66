/* nm24-n: 2:4 weights for kernels whose vectors run along weight rows, which suits few tokens.
 * Panels of 8 rows; rows past N are zero. K is padded to K' = a multiple of 32.
 *
 * First all values, then all index words; panel p before panel p + 1:
 *     value 2g + s of row 8p + r, group g:      float p*4*K' + (2g + s)*8 + r
 *     word i (groups 8i .. 8i+7) of row 8p + r: u32   p*K'/4 + 8i + r, after P*4*K' floats
 * with P panels. Bits 4(g%8) + 2s of the word hold the value's position in its group of four, so
 * that a vector of words, shifted by twice the number of the value, is the control of a vpermilps.
 * Groups with fewer than two non-zeros are filled with value 0 at position 0. */
#ifndef TAMIS_FORMAT_LAYOUT_NM24_N_H
#define TAMIS_FORMAT_LAYOUT_NM24_N_H

enum { TMSI_NM24_N_ROWS = 8 }; /* parameters[0] of the part */

#endif
