/* The fused epilogue in registers: eight sums of a thread at a time become pairs of bf16 or f16, or
 * bytes of i8 or e4m3, in the order in which stmatrix writes them to shared memory, transposed.
 *
 * A warp's sums are 16 rows of w by 16 tokens. Lane 4g + c has rows g and g+8, tokens 2c, 2c+1,
 * 2c+8 and 2c+9: d[0], d[1] = (g, 2c), (g, 2c+1); d[2], d[3] = row g+8; d[4..7] = the same 8 tokens
 * on. That is what stmatrix wants of pairs of 16 bits. Bytes and gated values are half as many, of
 * two neighbouring rows each, so lanes trade until lane g has pair g. */
#ifndef TAMIS_SPMM_CUDA_NM24_FINISH_CUH
#define TAMIS_SPMM_CUDA_NM24_FINISH_CUH

#include "cuda/ptx/convert.cuh"
#include "spmm/cuda/epilogue.cuh"

namespace nm24 {

/* What a fused epilogue does; one is compiled for each that is worth it, so that only its own
 * instructions stand in the loop over the accumulators (with branches in one loop, plain 1280-deep
 * products took 20 % longer, and registers run out). The others are computed in pieces of rows that
 * lie in shared memory. */
enum Kind {
    ANY,      /* any y, element by element */
    PIECES,   /* four neighbours of a row of y at a time: everything, where rows are aligned */
    LINEAR,   /* scale_n, bias; y in the kernel's own 16-bit type */
    RELU,     /* ... and relu */
    SMOOTH,   /* ... and gelu or silu */
    SCALED,   /* LINEAR and scale_t */
    RESIDUAL, /* LINEAR and residual */
    LINEAR_8  /* scale_n, scale_t, bias; y in i8 or e4m3 */
};

/* Bytes that 64 rows of w are in a row of y: also the width of the buffer and of its swizzle. */
__host__ __device__ constexpr int y_row_bytes(int kind) {
    return kind == LINEAR_8 ? 64 : 128;
}

/* What a thread needs of its two rows of an m64 block. */
struct Rows {
    float scale[2], bias[2];

    /* From shared memory, where pairs of them lie in the order of rows. */
    __device__ inline void load(uint32_t address) {
#pragma unroll
        for (int i = 0; i < 2; i++) {
            float pair[2];

            tmsi_load_shared_f32x2(address + 8 * i * 8, pair);
            scale[i] = pair[0];
            bias[i] = pair[1];
        }
    }
};

/* A sum. The compiler makes floats of all integers before it branches to an epilogue, and has no
 * registers left for the rest, if it may. */
__device__ inline float to_float(float sum) {
    return sum;
}
__device__ inline float to_float(int32_t sum) {
    return tmsi_cvt_rn_f32_s32(sum);
}

/* What a thread needs besides its sums. */
struct Finish {
    const tmsi_epilogue &e;
    Rows rows;
    uint32_t scales; /* shared memory: scale_t of the tile's token 2c */
    int lane;
};

/* z of eight sums, as KIND has them: h = z/2 for SMOOTH. token: in the tile. */
template <int KIND, class Sum>
__device__ inline void scale(const Finish &f, const Sum *d, int token, float (&z)[8]) {
#pragma unroll
    for (int i = 0; i < 8; i++)
        z[i] = to_float(d[i]);
    if (KIND == SCALED || KIND == LINEAR_8) {
        float near[2], far[2];

        tmsi_load_shared_f32x2(f.scales + token * 4, near);
        tmsi_load_shared_f32x2(f.scales + (token + 8) * 4, far);
#pragma unroll
        for (int i = 0; i < 4; i++) {
            z[i] *= near[i & 1];
            z[i + 4] *= far[i & 1];
        }
    }
#pragma unroll
    for (int i = 0; i < 8; i++)
        z[i] = fmaf(z[i], f.rows.scale[i >> 1 & 1], f.rows.bias[i >> 1 & 1]);
}

/* The lane whose row 2g (g < 4) or 2g+1 this lane (4g + c) takes first; second is its neighbour. */
__device__ inline int trade_lane(int lane) {
    const int g = lane / 4;

    return 4 * (g < 4 ? 2 * g : 2 * g - 7) + lane % 4;
}

/* Bytes of rows g (low) and g+8 (high), by tokens 2c, 2c+1, 2c+8, 2c+9, to those of rows 2g and
 * 2g+1: packed[0] has tokens 2c, 2c+1, packed[1] the two 8 on, rows side by side. Of each pair of
 * lanes the even one gives its low half first, the odd one its high half. */
__device__ inline void trade_bytes(uint32_t low, uint32_t high, int lane, uint32_t (&packed)[4]) {
    const bool is_odd = lane & 4;
    const int from = trade_lane(lane);
    const uint32_t first = __shfl_sync(0xffffffffu, is_odd ? high : low, from);
    const uint32_t second = __shfl_sync(0xffffffffu, is_odd ? low : high, from ^ 4);
    const uint32_t even = lane < 16 ? first : second, odd = lane < 16 ? second : first;

    packed[0] = __byte_perm(even, odd, 0x5140);
    packed[1] = __byte_perm(even, odd, 0x7362);
}

/* 16-bit y. token: in the tile; at: where stmatrix will write, and a residual lies. */
template <int KIND, bool IS_BF16, class Sum>
__device__ inline void finish_16(const Finish &f, const Sum *d, int token, uint32_t at,
                                 uint32_t (&packed)[4]) {
    float z[8];

    scale<KIND>(f, d, token, z);
    if (KIND == SMOOTH) {
#pragma unroll
        for (int i = 0; i < 8; i++)
            z[i] = tmsi_smooth(f.e, z[i]);
    }
    if (KIND == RESIDUAL) {
        tmsi_ldmatrix_x4_trans(at, packed);
#pragma unroll
        for (int i = 0; i < 8; i++)
            z[i] += tmsi_unpack_16(packed[i / 2], i & 1, IS_BF16);
    }
#pragma unroll
    for (int i = 0; i < 4; i++)
        packed[i] = KIND != RELU ? tmsi_pack_16(z[2 * i], z[2 * i + 1], IS_BF16)
                    : IS_BF16    ? tmsi_cvt_rn_relu_bf16x2(z[2 * i], z[2 * i + 1])
                                 : tmsi_cvt_rn_relu_f16x2(z[2 * i], z[2 * i + 1]);
}

/* Bytes: packed[0] and [1] are what trade_bytes gives. */
template <int KIND, class Sum>
__device__ inline void finish_8(const Finish &f, const Sum *d, int token, uint32_t (&packed)[4]) {
    const bool is_integer = f.e.y_type == TMS_I8;
    float z[8];

    scale<KIND>(f, d, token, z);
#pragma unroll
    for (int i = 0; i < 8; i++)
        z[i] *= f.e.inverse_y;
    trade_bytes(tmsi_pack_8(z[0], z[1], z[4], z[5], is_integer),
                tmsi_pack_8(z[2], z[3], z[6], z[7], is_integer), f.lane, packed);
}

} // namespace nm24

#endif
