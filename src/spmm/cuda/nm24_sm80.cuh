/* y = x w^T with a 2:4 weight on the sparse tensor cores of any GPU from Ampere on, from the same
 * image as the kernels for Hopper: y^T = w x^T by mma.sp, whose sparse operand is the first.
 *
 * Two kernels. nm24_sm80_many.cuh: a CTA computes a large tile, and all its warps share a ring of
 * stages in shared memory. nm24_sm80_few.cuh: a CTA computes a small tile, and each of its warps
 * goes through its own share of the k's. This file has what they share: types, parameters, copies,
 * the product of a stage, and the end of a tile.
 *
 * A stage is a block of the image, or rows of one: 64 bytes of packed values a row of w, for which
 * a row of x has 128 bytes: 64 k's of a 16-bit type, 128 of an 8-bit one, and in either case two
 * steps of an instruction. Fragments of both operands are read by ldmatrix without bank conflicts:
 * w in the swizzle in which the image has it, x in the 128-byte swizzle. */
#ifndef TAMIS_SPMM_CUDA_NM24_SM80_CUH
#define TAMIS_SPMM_CUDA_NM24_SM80_CUH

#include <stdint.h>

#include "cuda/ptx/cp_async.cuh"
#include "cuda/ptx/mbarrier.cuh"
#include "cuda/ptx/mma_sp.cuh"
#include "cuda/ptx/warp.cuh"
#include "format/layout/nm24_mma.h"
#include "spmm/cuda/epilogue.cuh"
#include "spmm/cuda/nm24_sm80.h"

namespace nm24_sm80 {

constexpr int WARP = 32;
constexpr int W_ROW_BYTES = 64, X_ROW_BYTES = 128; /* of a stage */
constexpr int CHUNK = 16;                          /* bytes that one copy moves */
constexpr int X_CHUNKS = X_ROW_BYTES / CHUNK;

/* Types of weights and activations. WORDS: of metadata a thread, for 16 rows of a stage; 16-bit
 * types take both steps' positions from one, by the selector. */
struct bf16 {
    typedef float Sum;
    static constexpr int ELEMENT = 2, WORDS = 1, BLOCK_BYTES = 4608;

    template <int STEP>
    __device__ static inline void multiply(Sum (&d)[4], const uint32_t (&a)[4],
                                           const uint32_t (&b)[4], const uint32_t (&meta)[WORDS]) {
        tmsi_mma_sp_m16n8k32_bf16<STEP>(d, a, b, meta[0]);
    }
};

struct f16 {
    typedef float Sum;
    static constexpr int ELEMENT = 2, WORDS = 1, BLOCK_BYTES = 4608;

    template <int STEP>
    __device__ static inline void multiply(Sum (&d)[4], const uint32_t (&a)[4],
                                           const uint32_t (&b)[4], const uint32_t (&meta)[WORDS]) {
        tmsi_mma_sp_m16n8k32_f16<STEP>(d, a, b, meta[0]);
    }
};

struct i8 {
    typedef int32_t Sum;
    static constexpr int ELEMENT = 1, WORDS = 2, BLOCK_BYTES = 5120;

    template <int STEP>
    __device__ static inline void multiply(Sum (&d)[4], const uint32_t (&a)[4],
                                           const uint32_t (&b)[4], const uint32_t (&meta)[WORDS]) {
        tmsi_mma_sp_m16n8k64_s8<0>(d, a, b, meta[STEP]);
    }
};

struct Params {
    const uint8_t *w; /* image blocks [row_blocks][k_blocks] */
    const uint8_t *x;
    int64_t x_pitch, x_row_bytes; /* bytes from row to row, and of k elements */
    int32_t row_blocks, k_blocks;
    int32_t tiles_n, tiles_t;
    int32_t width;      /* of copies of x: 16 or 4 bytes; 0: element by element */
    int32_t splits;     /* few: CTAs a tile; more than one write sums to partial */
    int32_t is_early;   /* few: launched before the grid before it is complete */
    int32_t has_pieces; /* whether y is written in pieces of four rows of w: see epilogue.cuh */
    void *partial;      /* few: sums [splits][t][n] */
    tmsi_epilogue epilogue;
};

/* 16 bytes of x, of which `valid` exist, in copies of `width` bytes; IS_WIDE: of 16. */
template <class Type, bool IS_WIDE>
__device__ inline void copy_chunk(int width, uint32_t to, const uint8_t *from, int valid) {
    if (IS_WIDE) {
        tmsi_cp_async_16_cached(to, from, (uint32_t)valid);
    } else if (width >= 4) {
#pragma unroll 1
        for (int i = 0; i < CHUNK; i += 4)
            tmsi_cp_async_4(to + (uint32_t)i, from + (i < valid ? i : 0), i < valid ? 4 : 0);
    } else {
        uint32_t words[4] = {0, 0, 0, 0};

#pragma unroll
        for (int i = 0; i < CHUNK; i += Type::ELEMENT)
            if (i < valid)
                words[i / 4] |= (Type::ELEMENT == 2 ? (uint32_t) * (const uint16_t *)(from + i)
                                                    : (uint32_t)from[i])
                                << i % 4 * 8;
        tmsi_store_shared_v4(to, words);
    }
}

/* How many of a chunk's bytes exist, of a row of x that has `row_bytes`, from byte `at` on. */
__device__ inline int valid_bytes(int64_t row_bytes, int64_t at) {
    const int64_t left = row_bytes - at;

    return left >= CHUNK ? CHUNK : left > 0 ? (int)left : 0;
}

/* Sums of M x 16 rows by N x 8 tokens that one warp holds. */
template <class Type, int M, int N> struct Product {
    typename Type::Sum d[M][N][4];

    __device__ inline Product() {
#pragma unroll
        for (int i = 0; i < M; i++)
#pragma unroll
            for (int j = 0; j < N; j++)
#pragma unroll
                for (int r = 0; r < 4; r++)
                    d[i][j][r] = 0;
    }

    /* One step: 32 bytes of each row of w, 64 of each of x. w and x are the addresses of this
     * warp's first rows; a row's number is a multiple of 16, or of 8 for x, plus lane % 8, so that
     * its swizzle depends on the lane alone. */
    template <int STEP>
    __device__ inline void step(uint32_t w, uint32_t x, const uint32_t (&meta)[M][Type::WORDS]) {
        const int lane = threadIdx.x % WARP;
        const uint32_t w_at = w + (uint32_t)tmsi_nm24_sm80_w_place(lane, STEP);
        const uint32_t x_at = x + (uint32_t)tmsi_nm24_sm80_x_fragment(lane, STEP);
        uint32_t a[M][4];

#pragma unroll
        for (int i = 0; i < M; i++)
            tmsi_ldmatrix_x4(w_at + i * 16 * W_ROW_BYTES, a[i]);
#pragma unroll
        for (int j = 0; j < N; j++) {
            uint32_t b[4];

            tmsi_ldmatrix_x4(x_at + j * 8 * X_ROW_BYTES, b);
#pragma unroll
            for (int i = 0; i < M; i++)
                Type::template multiply<STEP>(d[i][j], a[i], b, meta[i]);
        }
    }

    /* A stage. meta is the address of the first 16 rows' words; the second words of a type that has
     * two are meta_pitch bytes on. */
    __device__ inline void stage(uint32_t w, uint32_t x, uint32_t meta, uint32_t meta_pitch) {
        uint32_t words[M][Type::WORDS];

#pragma unroll
        for (int i = 0; i < M; i++)
#pragma unroll
            for (int j = 0; j < Type::WORDS; j++)
                words[i][j] = tmsi_load_shared_u32(meta + j * meta_pitch +
                                                   (uint32_t)(i * WARP + threadIdx.x % WARP) * 4);
        step<0>(w, x, words);
        step<1>(w, x, words);
    }

    /* Spreads the sums out at to[token * pitch + row]; with a pitch that is 4 more than a multiple
     * of 32 no two lanes meet in a bank. */
    template <class Float> __device__ inline void spread(Float *to, int pitch) const {
        const int lane = threadIdx.x % WARP;

#pragma unroll
        for (int i = 0; i < M; i++)
#pragma unroll
            for (int j = 0; j < N; j++)
#pragma unroll
                for (int r = 0; r < 4; r++)
                    to[(8 * j + tmsi_nm24_sm80_sum_token(lane, r)) * pitch + 16 * i +
                       tmsi_nm24_sm80_sum_row(lane, r)] = (Float)d[i][j][r];
    }
};

/* Four rows of w by one token. */
__device__ inline void finish_piece(const tmsi_epilogue &e, const float *sums, int n, int token) {
    const float4 four = *(const float4 *)sums;
    const float scale_t = e.scale_t != NULL ? e.scale_t[token] : 1.f;
    float z[4] = {four.x, four.y, four.z, four.w};
    uint32_t largest;

#pragma unroll
    for (int i = 0; i < 4; i++) {
        const float scale = e.scale_n != NULL ? e.scale_n[n + i] : 1.f;

        z[i] = fmaf(z[i] * scale_t, scale, e.bias != NULL ? e.bias[n + i] : 0.f);
    }
    largest = tmsi_epilogue_piece(e, z, n, token);
    if (e.absmax != NULL && largest > *(const volatile uint32_t *)&e.absmax[token])
        atomicMax(&e.absmax[token], largest);
}

/* The end of a tile: sums of 2^row_bits rows of w by `tokens` tokens at sums[token * (rows + 4) +
 * row], by all threads of the CTA, which run along y's rows. One function for all kernels of a
 * file: it is long, and runs once a tile. */
__device__ inline void finish(const tmsi_epilogue &e, bool has_pieces, const float *sums,
                              int row_bits, int tokens, int n, int t) {
    const int step_bits = e.is_gated ? 1 : 0, column_bits = row_bits - step_bits;
    const int pitch = (1 << row_bits) + 4;

    if (has_pieces) {
        const int four_bits = row_bits - 2;

#pragma unroll 1
        for (int i = threadIdx.x; i < tokens << four_bits; i += (int)blockDim.x) {
            const int row = (i & ((1 << four_bits) - 1)) * 4, token = i >> four_bits;

            if (n + row < e.n && t + token < e.t)
                finish_piece(e, sums + token * pitch + row, n + row, t + token);
        }
        return;
    }
#pragma unroll 1
    for (int i = threadIdx.x; i < tokens << column_bits; i += (int)blockDim.x) {
        const bool is_tn = e.y_order == TMS_ORDER_TN;
        const int column = is_tn ? i & ((1 << column_bits) - 1) : i / tokens;
        const int token = is_tn ? i >> column_bits : i % tokens;
        const float *sum = sums + token * pitch + (column << step_bits);

        if ((n >> step_bits) + column < tmsi_epilogue_columns(e) && t + token < e.t)
            tmsi_epilogue_element(e, sum[0], sum[step_bits], (n >> step_bits) + column, t + token);
    }
}

/* log2 of a tile's rows. */
__host__ __device__ constexpr int bits_of(int rows) {
    return rows == 1 ? 0 : 1 + bits_of(rows / 2);
}

} // namespace nm24_sm80

#endif
