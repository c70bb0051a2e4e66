/* What choosing and launching of the nm24 kernels from Ampere on share. */
#ifndef TAMIS_SPMM_CUDA_NM24_SM80_H
#define TAMIS_SPMM_CUDA_NM24_SM80_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* CTAs of a few-token kernel that share the k's of a tile: one where the tiles alone occupy a GPU,
 * more where a weight has few rows and many columns. The same on every GPU, so that work memory is.
 * k_blocks are those of the image. */
int32_t tmsi_nm24_sm80_splits(int64_t n, int64_t t, int64_t k_blocks, int64_t rows, int64_t tokens);

/* k's of a block of the image, by the bytes of an element: 64 bytes of values a row. */
static inline int64_t tmsi_nm24_sm80_depth(int64_t element_bytes) {
    return 128 / element_bytes;
}

/* Index formulas of the kernels, which a test on the host checks against what the instructions say
 * of their operands. */
#ifdef __CUDACC__
#define TMSI_ANYWHERE __host__ __device__ static inline
#else
#define TMSI_ANYWHERE static inline
#endif

/* Byte of 16 rows of a block's values from which a lane reads its row of a fragment (ldmatrix), in
 * step 0 or 1: the image's swizzle, of 16-byte chunks by the row. */
TMSI_ANYWHERE int32_t tmsi_nm24_sm80_w_place(int32_t lane, int32_t step) {
    return 64 * (lane % 16) + 16 * ((2 * step + lane / 16) ^ (lane % 8 / 2));
}

/* Byte of a stage's rows of x, 128 bytes each, where a row's 16-byte chunk lies. */
TMSI_ANYWHERE int32_t tmsi_nm24_sm80_x_place(int32_t row, int32_t chunk) {
    return 128 * row + 16 * (chunk ^ (row % 8));
}

/* The chunk of 8 rows of x that a lane reads as its row of a fragment. */
TMSI_ANYWHERE int32_t tmsi_nm24_sm80_x_fragment(int32_t lane, int32_t step) {
    return tmsi_nm24_sm80_x_place(lane % 8, 4 * step + lane / 8);
}

/* Row of w and row of x that sum r (0 .. 3) of a lane belongs to, in 16 x 8. */
TMSI_ANYWHERE int32_t tmsi_nm24_sm80_sum_row(int32_t lane, int32_t r) {
    return lane / 4 + r / 2 * 8;
}

TMSI_ANYWHERE int32_t tmsi_nm24_sm80_sum_token(int32_t lane, int32_t r) {
    return lane % 4 * 2 + r % 2;
}

#ifdef __cplusplus
}
#endif

#endif
