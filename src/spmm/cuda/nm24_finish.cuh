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
 * products took 20 % longer). Kernels of 8-bit types apply scale_t in all but LINEAR, since they
 * seldom go without; in those of 16 bits it would cost gelu 7 %. What none of them does is computed
 * in pieces of rows that lie in shared memory, 2 to 3 times as long where k is 1280. */
enum Kind {
    ANY,         /* any y, element by element */
    PIECES,      /* four neighbours of a row of y at a time: everything, where rows are aligned */
    LINEAR,      /* scale_n, bias; y in the kernel's own 16-bit type */
    SCALED,      /* ... and scale_t */
    RELU,        /* LINEAR and relu */
    SMOOTH,      /* LINEAR and gelu or silu */
    RESIDUAL,    /* LINEAR and residual */
    TURNED,      /* LINEAR, y transposed */
    LINEAR_I8,   /* LINEAR, y in i8 */
    LINEAR_E4M3, /* LINEAR, y in e4m3 */
    MIXED,       /* SCALED, any activation, absmax_t; y in bf16 or f16 */
    GATED,       /* the same with a gate */
    MIXED_8,     /* SCALED, any activation, absmax_t; y in i8 or e4m3 */
    GATED_8      /* the same with a gate */
};

__host__ __device__ constexpr bool has_branches(int kind) {
    return kind == MIXED || kind == GATED || kind == MIXED_8 || kind == GATED_8;
}
__host__ __device__ constexpr bool is_gated(int kind) {
    return kind == GATED || kind == GATED_8;
}
__host__ __device__ constexpr bool is_8_bit(int kind) {
    return kind >= LINEAR_I8 && kind != MIXED && kind != GATED;
}
/* Bytes of a token in the buffer in which 64 rows of w wait for the copy engine, and the width of
 * its swizzle. (TURNED has rows of w there.) */
__host__ __device__ constexpr int y_row_bytes(int kind) {
    return 128 / (is_8_bit(kind) ? 2 : 1) / (is_gated(kind) ? 2 : 1);
}

/* What branches of the MIXED and GATED epilogues ask. */
enum Flag {
    HAS_ABSMAX = 1,
    HAS_RELU = 2,
    IS_SQUARED = 4,
    IS_SMOOTH = 8,
    Y_IS_BF16 = 16, /* of f16, and bf16 */
    Y_IS_I8 = 32    /* of e4m3, and i8 */
};

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

/* An activation by branches. */
template <int COUNT>
__device__ inline void activate(const tmsi_epilogue &e, uint32_t flags, float (&z)[COUNT]) {
    if (flags & IS_SMOOTH) {
#pragma unroll
        for (int i = 0; i < COUNT; i++)
            z[i] = tmsi_smooth(e, 0.5f * z[i]);
    } else if (flags & HAS_RELU) {
#pragma unroll
        for (int i = 0; i < COUNT; i++) {
            z[i] = tmsi_max_nan(z[i], 0.f);
            z[i] *= flags & IS_SQUARED ? z[i] : 1.f;
        }
    }
}

/* What a thread needs besides its sums. */
struct Finish {
    const tmsi_epilogue &e;
    /* Flag bits, or'ed with a zero (the grid has one dimension) that the compiler does not know,
     * but knows to be the same for all threads: so they are tested in place. Hoisted out of the
     * loop over tiles, their tests cost a register each. */
    uint32_t flags;
    Rows rows;
    uint32_t rows_at;  /* shared memory of rows: where branches need registers they are read anew */
    uint32_t scales;   /* shared memory: scale_t of the tile's token 2c */
    uint32_t token_at; /* shared memory of the tile's first token */
    int lane;
};

/* z of eight sums, as KIND has them: h = z/2 for SMOOTH. token: in the tile; IS_SCALED: in a kernel
 * of an 8-bit type. */
template <int KIND, bool IS_SCALED, class Sum>
__device__ inline void scale(const Finish &f, const Sum *d, int token, float (&z)[8]) {
    constexpr bool HAS_SCALE =
        has_branches(KIND) || KIND == SCALED || (IS_SCALED && KIND != LINEAR);
    Rows rows = f.rows;

    if (has_branches(KIND))
        rows.load(f.rows_at);
#pragma unroll
    for (int i = 0; i < 8; i++)
        z[i] = to_float(d[i]);
    if (HAS_SCALE) {
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
        z[i] = fmaf(z[i], rows.scale[i >> 1 & 1], rows.bias[i >> 1 & 1]);
}

/* Raises absmax_t of 16 tokens by a warp's rows. m: this lane's magnitudes of tokens 2c, 2c+1,
 * 2c+8, 2c+9. In each of three steps lanes trade half of what they have left. */
__device__ inline void keep_largest(const Finish &f, const uint32_t (&m)[4], int token) {
    const bool is_odd = f.lane & 4, is_second = f.lane & 8;
    const int at = (int)tmsi_load_shared_u32(f.token_at) + token + 2 * (f.lane & 3) +
                   (is_second ? 1 : 0) + (is_odd ? 8 : 0);
    uint32_t kept[2], one;

#pragma unroll
    for (int i = 0; i < 2; i++) {
        const uint32_t sent = is_odd ? m[i] : m[i + 2];

        kept[i] = max(is_odd ? m[i + 2] : m[i], __shfl_xor_sync(0xffffffffu, sent, 4));
    }
    one = __shfl_xor_sync(0xffffffffu, is_second ? kept[0] : kept[1], 8);
    one = max(one, is_second ? kept[1] : kept[0]);
    one = max(one, __shfl_xor_sync(0xffffffffu, one, 16));
    if (f.lane < 16 && at < f.e.t)
        atomicMax(&f.e.absmax[at], one);
}

/* Of a lane's z's the larger of its two rows, by token. */
__device__ inline void magnitudes_of(const float (&z)[8], uint32_t (&m)[4]) {
#pragma unroll
    for (int i = 0; i < 4; i++)
        m[i] = max(tmsi_magnitude(z[i + (i & 2)]), tmsi_magnitude(z[i + (i & 2) + 2]));
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

/* act(gate) up of this lane's four values: the even lane of a pair takes row g's (gate) and its
 * neighbour's, the odd one those 8 rows on. */
__device__ inline void gate(const Finish &f, const float (&z)[8], float (&value)[4]) {
    const bool is_odd = f.lane & 4;
    float up[4];

#pragma unroll
    for (int i = 0; i < 4; i++) {
        const float low = z[i + (i & 2)], high = z[i + (i & 2) + 2];
        const float traded = __shfl_xor_sync(0xffffffffu, is_odd ? low : high, 4);

        value[i] = is_odd ? traded : low;
        up[i] = is_odd ? high : traded;
    }
    activate(f.e, f.flags, value);
#pragma unroll
    for (int i = 0; i < 4; i++)
        value[i] *= up[i];
}

/* 16-bit y. token: in the tile; at: where stmatrix will write, and a residual lies. */
template <int KIND, class Element, class Sum>
__device__ inline void finish_16(const Finish &f, const Sum *d, int token, uint32_t at,
                                 uint32_t (&packed)[4]) {
    constexpr bool IS_BF16 = Element::Y_IS_BF16;
    const bool is_bf16 = KIND == MIXED ? (f.flags & Y_IS_BF16) != 0 : IS_BF16;
    float z[8];
    uint32_t m[4];

    scale<KIND, Element::BYTES == 1>(f, d, token, z);
    if (KIND == SMOOTH) {
#pragma unroll
        for (int i = 0; i < 8; i++)
            z[i] = tmsi_smooth(f.e, z[i]);
    }
    if (KIND == MIXED) {
        activate(f.e, f.flags, z);
        magnitudes_of(z, m);
    }
    if (KIND == RESIDUAL) {
        tmsi_ldmatrix_x4_trans(at, packed);
#pragma unroll
        for (int i = 0; i < 8; i++)
            z[i] += tmsi_unpack_16(packed[i / 2], i & 1, IS_BF16);
    }
#pragma unroll
    for (int i = 0; i < 4; i++)
        packed[i] = KIND != RELU ? tmsi_pack_16(z[2 * i], z[2 * i + 1], is_bf16)
                    : IS_BF16    ? tmsi_cvt_rn_relu_bf16x2(z[2 * i], z[2 * i + 1])
                                 : tmsi_cvt_rn_relu_f16x2(z[2 * i], z[2 * i + 1]);
    if (KIND == MIXED && (f.flags & HAS_ABSMAX)) /* last: fewer registers are taken by now */
        keep_largest(f, m, token);
}

/* Bytes: packed[0] and [1] are what trade_bytes gives. */
template <int KIND, class Element, class Sum>
__device__ inline void finish_8(const Finish &f, const Sum *d, int token, uint32_t (&packed)[4]) {
    const bool is_integer = KIND == MIXED_8 ? f.e.y_type == TMS_I8 : KIND == LINEAR_I8;
    float z[8];
    uint32_t m[4];

    scale<KIND, Element::BYTES == 1>(f, d, token, z);
    if (KIND == MIXED_8) {
        activate(f.e, f.flags, z);
        magnitudes_of(z, m);
    }
#pragma unroll
    for (int i = 0; i < 8; i++)
        z[i] *= f.e.inverse_y;
    trade_bytes(tmsi_pack_8(z[0], z[1], z[4], z[5], is_integer),
                tmsi_pack_8(z[2], z[3], z[6], z[7], is_integer), f.lane, packed);
    if (KIND == MIXED_8 && (f.flags & HAS_ABSMAX))
        keep_largest(f, m, token);
}

/* Gated values: 16 bit, packed[0] and [1] are column g's pairs; or 8 bit, packed[0] the four bytes
 * of this lane's own column, g/2 or, of odd g, 4 + g/2. */
template <int KIND, class Element, class Sum>
__device__ inline void finish_gated(const Finish &f, const Sum *d, int token,
                                    uint32_t (&packed)[4]) {
    float z[8], value[4];

    scale<KIND, Element::BYTES == 1>(f, d, token, z);
    gate(f, z, value);
    if (f.flags & HAS_ABSMAX) {
        uint32_t m[4];

#pragma unroll
        for (int i = 0; i < 4; i++)
            m[i] = tmsi_magnitude(value[i]);
        keep_largest(f, m, token);
    }
    if (KIND == GATED_8) {
#pragma unroll
        for (int i = 0; i < 4; i++)
            value[i] *= f.e.inverse_y;
        packed[0] = tmsi_pack_8(value[0], value[1], value[2], value[3], f.flags & Y_IS_I8);
    } else {
        const bool is_bf16 = f.flags & Y_IS_BF16;
        const int from = trade_lane(f.lane);

        packed[0] = __shfl_sync(0xffffffffu, tmsi_pack_16(value[0], value[1], is_bf16), from);
        packed[1] = __shfl_sync(0xffffffffu, tmsi_pack_16(value[2], value[3], is_bf16), from);
    }
}

} // namespace nm24

#endif
