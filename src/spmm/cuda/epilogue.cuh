/* What is fused behind a product on a GPU: DESIGN's z = (acc * scale_n) * scale_t + bias, value =
 * act(z), or act(z_gate) z_up of interleaved rows, + residual, and the largest |value| of a token.
 * Two forms that serve everything: element by element, and pieces of four neighbouring rows of w,
 * where rows of y are aligned. nm24_finish.cuh has the most frequent ones in registers. */
#ifndef TAMIS_SPMM_CUDA_EPILOGUE_CUH
#define TAMIS_SPMM_CUDA_EPILOGUE_CUH

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_fp8.h>
#include <stdint.h>

#include "cuda/ptx/convert.cuh"
#include "cuda/ptx/warp.cuh"
#include "tamis.h"

struct tmsi_epilogue {
    const float *scale_n, *scale_t, *bias; /* or NULL */
    const void *residual;                  /* or NULL; f32 where y is i8 or e4m3 */
    void *y;
    uint32_t *absmax; /* or NULL: [t], zeroed; bits of floats >= 0, which are ordered as integers */
    int64_t ldr, ldy;
    float scale_y, inverse_y; /* of i8 and e4m3; 1 / scale_y */
    int32_t n, t;             /* of the weight; y has n columns, n / 2 with a gate */
    int32_t is_gated;
    tms_dtype y_type;
    tms_order y_order;
    tms_activation activation;
    /* Where the result is rounded to 16 or 8 bits the smooth activations, gelu and silu, are all h
     * (1
     * + tanh(s0 h + s1 h^3)), h = z/2. */
    float s0, s1;
};

/* Columns of y. */
__host__ __device__ static inline int tmsi_epilogue_columns(const tmsi_epilogue &e) {
    return e.is_gated ? e.n / 2 : e.n;
}

/* One half of a pair of bf16 or f16. */
__device__ static inline float tmsi_unpack_16(uint32_t pair, int is_high, bool is_bf16) {
    if (is_bf16)
        return __uint_as_float(is_high ? pair & 0xffff0000u : pair << 16);
    return __half2float(__ushort_as_half((uint16_t)(is_high ? pair >> 16 : pair)));
}

__device__ static inline float tmsi_load_16(const void *p, int64_t i, bool is_bf16) {
    return tmsi_unpack_16(((const uint16_t *)p)[i], 0, is_bf16);
}

/* A pair rounded to nearest even. Where the type is known only at run time both are made and one is
 * chosen: branches among accumulators cost registers. */
__device__ static inline uint32_t tmsi_pack_16(float low, float high, bool is_bf16) {
    const __nv_bfloat162 b = __floats2bfloat162_rn(low, high);
    const __half2 h = __floats2half2_rn(low, high);

    return is_bf16 ? *(const uint32_t *)&b : *(const uint32_t *)&h;
}

__device__ static inline float tmsi_activate(tms_activation activation, float z) {
    switch (activation) {
    case TMS_ACT_RELU:
        return tmsi_max_nan(z, 0.f);
    case TMS_ACT_RELU2:
        return tmsi_max_nan(z, 0.f) * tmsi_max_nan(z, 0.f);
    case TMS_ACT_GELU:
        return 0.5f * z * (1.f + erff(z * 0.70710678f));
    case TMS_ACT_GELU_TANH:
        return 0.5f * z * (1.f + tanhf(z * (0.79788456f + 0.035677408f * z * z)));
    case TMS_ACT_SILU:
        return z / (1.f + expf(-z));
    default:
        return z;
    }
}

__device__ static inline float tmsi_load_y(const void *p, int64_t i, tms_dtype type) {
    return type == TMS_BF16 || type == TMS_F16 ? tmsi_load_16(p, i, type == TMS_BF16)
                                               : ((const float *)p)[i];
}

__device__ static inline void tmsi_store_y(const tmsi_epilogue &e, int64_t i, float value) {
    switch (e.y_type) {
    case TMS_F32:
        ((float *)e.y)[i] = value;
        break;
    case TMS_BF16:
        ((__nv_bfloat16 *)e.y)[i] = __float2bfloat16_rn(value);
        break;
    case TMS_F16:
        ((__half *)e.y)[i] = __float2half_rn(value);
        break;
    case TMS_I8:
        ((uint8_t *)e.y)[i] =
            (uint8_t)tmsi_cvt_pack_sat_s8(tmsi_cvt_rni_s32(value / e.scale_y), 0, 0);
        break;
    default:
        ((uint8_t *)e.y)[i] = __nv_cvt_float_to_fp8(value / e.scale_y, __NV_SATFINITE, __NV_E4M3);
        break;
    }
}

/* Four values as bytes. Both types, and a choice: with a branch here ptxas runs out of registers
 * among accumulators. */
__device__ static inline uint32_t tmsi_pack_8(float a, float b, float c, float d, bool is_integer) {
    const uint32_t integers =
        tmsi_cvt_pack_sat_s8(tmsi_cvt_rni_s32(a), tmsi_cvt_rni_s32(b),
                             tmsi_cvt_pack_sat_s8(tmsi_cvt_rni_s32(c), tmsi_cvt_rni_s32(d), 0));
    const uint32_t floats =
        tmsi_cvt_rn_satfinite_e4m3x2(a, b) | (uint32_t)tmsi_cvt_rn_satfinite_e4m3x2(c, d) << 16;

    return is_integer ? integers : floats;
}

/* h = z/2 to h (1 + tanh(s0 h + s1 h^3)). */
__device__ static inline float tmsi_smooth(const tmsi_epilogue &e, float h) {
    return fmaf(h, tmsi_tanh_approx(h * fmaf(h * h, e.s1, e.s0)), h);
}

/* The bits of |value|: NaN's are above every number's. */
__device__ static inline uint32_t tmsi_magnitude(float value) {
    return __float_as_uint(value) & 0x7fffffffu;
}

/* z of a weight row and token from their sum. */
__device__ static inline float tmsi_epilogue_scaled(const tmsi_epilogue &e, float sum, int row,
                                                    int token) {
    float z = sum;

    if (e.scale_n != NULL)
        z *= e.scale_n[row];
    if (e.scale_t != NULL)
        z *= e.scale_t[token];
    /* -0 becomes +0, as where sums are finished in pairs. */
    return z + (e.bias != NULL ? e.bias[row] : 0.f);
}

/* The element of y in that column: from the sum of its weight row or, with a gate, the sums of rows
 * 2 column and 2 column + 1. */
__device__ static inline void tmsi_epilogue_element(const tmsi_epilogue &e, float sum, float up_sum,
                                                    int column, int token) {
    const int row = e.is_gated ? 2 * column : column;
    float value = tmsi_activate(e.activation, tmsi_epilogue_scaled(e, sum, row, token));

    if (e.is_gated)
        value *= tmsi_epilogue_scaled(e, up_sum, row + 1, token);
    if (e.residual != NULL)
        value += tmsi_load_y(
            e.residual, e.y_order == TMS_ORDER_TN ? token * e.ldr + column : column * e.ldr + token,
            e.y_type);
    tmsi_store_y(e, e.y_order == TMS_ORDER_TN ? token * e.ldy + column : column * e.ldy + token,
                 value);
    /* Most elements are below the largest so far: looking first spares most of the atomics. */
    if (e.absmax != NULL && tmsi_magnitude(value) > *(const volatile uint32_t *)&e.absmax[token])
        atomicMax(&e.absmax[token], tmsi_magnitude(value));
}

/* Sums of 64 rows, n .. n + 63 (n even), by `tokens` tokens at spread[token * pitch + row], by 128
 * threads, which run along y's rows. */
__device__ static inline void tmsi_epilogue_plain(const tmsi_epilogue &e, const float *spread,
                                                  int pitch, int n, int t, int tokens, int thread) {
    const int step = e.is_gated ? 2 : 1, columns = 64 / step;

#pragma unroll 1
    for (int i = thread; i < columns * tokens; i += 128) {
        const int column = e.y_order == TMS_ORDER_TN ? i % columns : i / tokens;
        const int token = e.y_order == TMS_ORDER_TN ? i / columns : i % tokens;
        const float *sums = spread + token * pitch + column * step;

        if (n / step + column < tmsi_epilogue_columns(e) && t + token < e.t)
            tmsi_epilogue_element(e, sums[0], sums[step - 1], n / step + column, t + token);
    }
}

/* ---- Pieces ---------------------------------------------------------------------------------- */

/* Four rows of w, the first a multiple of 4, of one token: what they make of y lies side by side,
 * four elements or with a gate two, aligned to their size. */

/* COUNT (2 or 4) elements of y. */
template <int COUNT>
__device__ static inline void tmsi_store_piece(const tmsi_epilogue &e, int64_t at,
                                               const float (&value)[4]) {
    if (e.y_type == TMS_F32) {
        if (COUNT == 4)
            *(float4 *)((float *)e.y + at) = make_float4(value[0], value[1], value[2], value[3]);
        else
            *(float2 *)((float *)e.y + at) = make_float2(value[0], value[1]);
    } else if (e.y_type == TMS_BF16 || e.y_type == TMS_F16) {
        const bool is_bf16 = e.y_type == TMS_BF16;
        const uint32_t low = tmsi_pack_16(value[0], value[1], is_bf16);

        if (COUNT == 4)
            *(uint2 *)((uint16_t *)e.y + at) =
                make_uint2(low, tmsi_pack_16(value[2], value[3], is_bf16));
        else
            *(uint32_t *)((uint16_t *)e.y + at) = low;
    } else {
        const float i = e.inverse_y;
        const uint32_t bytes =
            tmsi_pack_8(value[0] * i, value[1] * i, value[2] * i, value[3] * i, e.y_type == TMS_I8);

        if (COUNT == 4)
            *(uint32_t *)((uint8_t *)e.y + at) = bytes;
        else
            *(uint16_t *)((uint8_t *)e.y + at) = (uint16_t)bytes;
    }
}

template <int COUNT>
__device__ static inline void tmsi_add_piece(const tmsi_epilogue &e, int64_t at,
                                             float (&value)[4]) {
    if (e.y_type == TMS_BF16 || e.y_type == TMS_F16) {
        uint32_t pairs[2] = {};

        if (COUNT == 4) {
            const uint2 r = *(const uint2 *)((const uint16_t *)e.residual + at);

            pairs[0] = r.x, pairs[1] = r.y;
        } else {
            pairs[0] = *(const uint32_t *)((const uint16_t *)e.residual + at);
        }
#pragma unroll
        for (int i = 0; i < COUNT; i++)
            value[i] += tmsi_unpack_16(pairs[i / 2], i & 1, e.y_type == TMS_BF16);
    } else {
        const float2 *r = (const float2 *)((const float *)e.residual + at);

#pragma unroll
        for (int i = 0; i < COUNT / 2; i++) {
            value[2 * i] += r[i].x;
            value[2 * i + 1] += r[i].y;
        }
    }
}

__device__ static inline float tmsi_activate_rounded(const tmsi_epilogue &e, float z) {
    if (e.y_type != TMS_F32 && e.activation >= TMS_ACT_GELU)
        return tmsi_smooth(e, 0.5f * z);
    return tmsi_activate(e.activation, z);
}

/* A piece from its z's, rows n .. n + 3, into y. Returns the bits of its largest |value|. */
__device__ static inline uint32_t tmsi_epilogue_piece(const tmsi_epilogue &e, float (&z)[4], int n,
                                                      int token) {
    uint32_t largest = 0;

    if (e.activation != TMS_ACT_NONE)
#pragma unroll
        for (int i = 0; i < 4; i++)
            if (!e.is_gated || i % 2 == 0)
                z[i] = tmsi_activate_rounded(e, z[i]);
    if (e.is_gated) {
        z[0] *= z[1];
        z[1] = z[2] * z[3];
        z[2] = z[3] = 0.f;
        if (e.residual != NULL)
            tmsi_add_piece<2>(e, token * e.ldr + n / 2, z);
        tmsi_store_piece<2>(e, token * e.ldy + n / 2, z);
    } else {
        if (e.residual != NULL)
            tmsi_add_piece<4>(e, token * e.ldr + n, z);
        tmsi_store_piece<4>(e, token * e.ldy + n, z);
    }
#pragma unroll
    for (int i = 0; i < 4; i++)
        largest = max(largest, tmsi_magnitude(z[i]));
    return largest;
}

#endif
