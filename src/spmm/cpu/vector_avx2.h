/* Vectors of eight floats: partial loads, squares, and one lane spread to all. */
#ifndef TAMIS_SPMM_CPU_VECTOR_AVX2_H
#define TAMIS_SPMM_CPU_VECTOR_AVX2_H

#include <immintrin.h>
#include <stdint.h>

/* Before a loop with constant bounds over an array of vectors: unrolled early, so that the array
 * lives in registers. gcc unrolls such loops by itself too late for that. */
#define TMSI_UNROLL _Pragma("GCC unroll 16")

/* The first `lanes` (1 ..) of eight floats; reads no others, which are zero. */
static inline __m256 tmsi_load_lanes(const float *array, int64_t lanes) {
    static const int32_t masks[16] = {-1, -1, -1, -1, -1, -1, -1, -1};

    if (lanes >= 8)
        return _mm256_loadu_ps(array);
    return _mm256_maskload_ps(array, _mm256_loadu_si256((const __m256i *)(masks + 8 - lanes)));
}

static inline void tmsi_store_lanes(float *array, int64_t lanes, __m256 value) {
    float all[8];

    if (lanes >= 8) {
        _mm256_storeu_ps(array, value);
        return;
    }
    _mm256_storeu_ps(all, value); /* masked stores are slow on AMD */
    for (int64_t i = 0; i < lanes; i++)
        array[i] = all[i];
}

/* rows[i][j] becomes rows[j][i]: 8 unpacks, 8 shuffles, 8 swaps of halves. */
static inline void tmsi_transpose_8x8(__m256 rows[8]) {
    __m256 pair[8], quad[8];

    for (int i = 0; i < 8; i += 2) {
        pair[i] = _mm256_unpacklo_ps(rows[i], rows[i + 1]);
        pair[i + 1] = _mm256_unpackhi_ps(rows[i], rows[i + 1]);
    }
    for (int i = 0; i < 8; i += 4) {
        quad[i] = _mm256_shuffle_ps(pair[i], pair[i + 2], 0x44);
        quad[i + 1] = _mm256_shuffle_ps(pair[i], pair[i + 2], 0xee);
        quad[i + 2] = _mm256_shuffle_ps(pair[i + 1], pair[i + 3], 0x44);
        quad[i + 3] = _mm256_shuffle_ps(pair[i + 1], pair[i + 3], 0xee);
    }
    for (int i = 0; i < 4; i++) {
        rows[i] = _mm256_permute2f128_ps(quad[i], quad[i + 4], 0x20);
        rows[i + 4] = _mm256_permute2f128_ps(quad[i], quad[i + 4], 0x31);
    }
}

/* out[j][i] = x[i * ldx + j]: eight columns of eight tokens, of which `tokens` and `columns` (1 ..)
 * are there; reads no others, which are zero. */
static inline void tmsi_load_columns(const float *x, int64_t ldx, int64_t tokens, int64_t columns,
                                     __m256 out[8]) {
    for (int64_t i = 0; i < 8; i++)
        out[i] = i < tokens ? tmsi_load_lanes(x + i * ldx, columns) : _mm256_setzero_ps();
    tmsi_transpose_8x8(out);
}

/* Lane j (0 .. 3, a constant once the caller's loop is unrolled) of each half, spread over it: of
 * four weights loaded to both halves, weight j eight times. */
static inline __m256 tmsi_spread(__m256 four, int j) {
    switch (j) {
    case 0:
        return _mm256_permute_ps(four, 0x00);
    case 1:
        return _mm256_permute_ps(four, 0x55);
    case 2:
        return _mm256_permute_ps(four, 0xaa);
    default:
        return _mm256_permute_ps(four, 0xff);
    }
}

#endif
