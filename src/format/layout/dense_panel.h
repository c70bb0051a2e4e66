/* dense-panel: panels of 16 weight rows, k-major: value w[16p + r, k] is float
 * (p*K + k)*16 + r. Rows past N are zero. A vector of rows meets one broadcast x. */
#ifndef TAMIS_FORMAT_LAYOUT_DENSE_PANEL_H
#define TAMIS_FORMAT_LAYOUT_DENSE_PANEL_H

enum { TMSI_DENSE_PANEL_ROWS = 16 }; /* two AVX2 vectors; parameters[0] of the part */

#endif
