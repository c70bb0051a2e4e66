/* What is fused behind the product, element by element, in plain C and fp32. References use it
 * throughout; a fast kernel for what it has no vector code for. The order of operations is the
 * contract, so that all kernels agree on the exact test:
 *     z = (sum * scale_n[row]) * scale_t[t] + bias[row]
 *     value = act(z), or with gate act(z of row 2c) * z of row 2c+1
 *     value = value + residual
 *     y = value rounded to nearest even (i8, e4m3: value / scale_y, saturating; a NaN is 0 in i8)
 * No product is fused with a sum. */
#ifndef TAMIS_SPMM_EPILOGUE_H
#define TAMIS_SPMM_EPILOGUE_H

#include "spmm/kernel.h"

/* act(z); the absolute error is at most 2^-20 |z|. NaN stays NaN; -Inf gives 0 where that is the
 * limit. */
float tmsi_activate(tms_activation activation, float z);

/* Finishes sums of token t and weight rows [row, row + count): writes their elements of y. With
 * gate, row and count are even. Returns the largest |value| before rounding, NaN if one is NaN: the
 * kernel combines these by tmsi_larger and writes absmax_t. */
float tmsi_epilogue_rows(const tmsi_spmm_run *run, int64_t t, int64_t row, int64_t count,
                         const float *sums);

/* The larger of two magnitudes; NaN wins. */
static inline float tmsi_larger(float a, float b) {
    return b > a || b != b ? b : a;
}

#endif
