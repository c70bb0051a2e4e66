/* What is fused behind a product on a GPU: DESIGN's z = (acc * scale_n) * scale_t + bias, y =
 * act(z)
 * + residual. Two forms: eight sums in registers that become 16-bit pairs, and any element. */
#ifndef TAMIS_SPMM_CUDA_EPILOGUE_CUH
#define TAMIS_SPMM_CUDA_EPILOGUE_CUH

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <stdint.h>

#include "cuda/ptx/warp.cuh"
#include "tamis.h"

struct tmsi_epilogue {
    const float *scale_n, *scale_t, *bias; /* or NULL */
    const void *residual;                  /* or NULL */
    void *y;
    int64_t ldr, ldy;
    float inv_scale_y;
    int32_t n, t; /* of the weight; y has n columns */
    tms_dtype y_type;
    tms_order y_order;
    tms_activation activation;
    /* 16-bit y: the smooth activations are all z/2 (1 + tanh(s0 z + s1 z^3)). */
    int32_t is_smooth, is_squared;
    float s0, s1;
};

/* What a thread needs of its two rows of an m64 block. */
struct tmsi_row_factors {
    float scale[2], bias[2];
};

__device__ static inline tmsi_row_factors tmsi_epilogue_rows(const tmsi_epilogue &e, int n) {
    tmsi_row_factors rows;

#pragma unroll
    for (int i = 0; i < 2; i++) {
        const bool is_inside = n + 8 * i < e.n;

        rows.scale[i] = e.scale_n != NULL && is_inside ? e.scale_n[n + 8 * i] : 1.f;
        rows.bias[i] = e.bias != NULL && is_inside ? e.bias[n + 8 * i] : 0.f;
    }
    return rows;
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

__device__ static inline uint32_t tmsi_pack_16(float low, float high, bool is_bf16) {
    if (is_bf16) {
        const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);

        return *(const uint32_t *)&pair;
    }
    const __half2 pair = __floats2half2_rn(low, high);

    return *(const uint32_t *)&pair;
}

/* What a fused epilogue does; one is compiled for each, so that only its own instructions stand in
 * the loop over the accumulators (with branches in one loop, plain 1280-deep products took 20 %
 * longer). MIXED has them all, by branches. */
enum tmsi_epilogue_kind {
    TMSI_EPILOGUE_ANY,      /* any y, element by element: tmsi_epilogue_plain */
    TMSI_EPILOGUE_LINEAR,   /* scale_n, bias */
    TMSI_EPILOGUE_CLAMP,    /* ... and relu or its square */
    TMSI_EPILOGUE_SMOOTH,   /* ... and gelu or silu */
    TMSI_EPILOGUE_RESIDUAL, /* LINEAR and residual */
    TMSI_EPILOGUE_MIXED     /* anything: scale_t too */
};

/* Sums d[0..7] of a thread: rows n, n+8 by tokens t, t+1, t+8, t+9, in the order (n, t) (n, t+1)
 * (n+8, t) (n+8, t+1), then the same for t+8. packed holds the residual's pairs where there is one,
 * and becomes y's. */
template <int KIND, class Sum>
__device__ static inline void tmsi_epilogue_finish(const tmsi_epilogue &e, const Sum *d,
                                                   const tmsi_row_factors &rows, int t,
                                                   uint32_t (&packed)[4]) {
    constexpr bool IS_MIXED = KIND == TMSI_EPILOGUE_MIXED;
    const bool is_bf16 = e.y_type == TMS_BF16;
    float z[8];

#pragma unroll
    for (int i = 0; i < 8; i++)
        z[i] = (float)d[i];
    if (IS_MIXED && e.scale_t != NULL) {
#pragma unroll
        for (int i = 0; i < 8; i++) {
            const int token = t + (i & 1) + 2 * (i & 4);

            z[i] *= token < e.t ? e.scale_t[token] : 1.f;
        }
    }
#pragma unroll
    for (int i = 0; i < 8; i++)
        z[i] = fmaf(z[i], rows.scale[i >> 1 & 1], rows.bias[i >> 1 & 1]);
    if (KIND == TMSI_EPILOGUE_SMOOTH || (IS_MIXED && e.is_smooth)) {
#pragma unroll
        for (int i = 0; i < 8; i++) {
            const float square = z[i] * z[i], half = 0.5f * z[i];

            z[i] = fmaf(half, tmsi_tanh_approx(z[i] * fmaf(square, e.s1, e.s0)), half);
        }
    } else if (KIND == TMSI_EPILOGUE_CLAMP || (IS_MIXED && e.activation != TMS_ACT_NONE)) {
#pragma unroll
        for (int i = 0; i < 8; i++) {
            z[i] = tmsi_max_nan(z[i], 0.f);
            z[i] *= e.is_squared ? z[i] : 1.f;
        }
    }
    if (KIND == TMSI_EPILOGUE_RESIDUAL || (IS_MIXED && e.residual != NULL)) {
#pragma unroll
        for (int i = 0; i < 8; i++)
            z[i] += tmsi_unpack_16(packed[i / 2], i & 1, is_bf16);
    }
#pragma unroll
    for (int i = 0; i < 4; i++)
        packed[i] = tmsi_pack_16(z[2 * i], z[2 * i + 1], is_bf16);
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
    return type == TMS_F32 ? ((const float *)p)[i] : tmsi_load_16(p, i, type == TMS_BF16);
}

__device__ static inline void tmsi_store_y(void *p, int64_t i, tms_dtype type, float value) {
    if (type == TMS_F32)
        ((float *)p)[i] = value;
    else if (type == TMS_BF16)
        ((__nv_bfloat16 *)p)[i] = __float2bfloat16_rn(value);
    else
        ((__half *)p)[i] = __float2half_rn(value);
}

/* Element (token, n) of y from its sum. */
__device__ static inline void tmsi_epilogue_element(const tmsi_epilogue &e, float sum, int n,
                                                    int token) {
    float z = sum;

    if (e.scale_n != NULL)
        z *= e.scale_n[n];
    if (e.scale_t != NULL)
        z *= e.scale_t[token];
    z += e.bias != NULL ? e.bias[n] : 0.f; /* -0 becomes +0, as where sums are finished in pairs */
    z = tmsi_activate(e.activation, z);
    if (e.residual != NULL)
        z += tmsi_load_y(e.residual,
                         e.y_order == TMS_ORDER_TN ? token * e.ldr + n : n * e.ldr + token,
                         e.y_type);
    tmsi_store_y(e.y, e.y_order == TMS_ORDER_TN ? token * e.ldy + n : n * e.ldy + token, e.y_type,
                 z);
}

/* Sums of 64 rows by `tokens` tokens at spread[token * pitch + row], by one warpgroup. Threads run
 * along y's rows. */
__device__ static inline void tmsi_epilogue_plain(const tmsi_epilogue &e, const float *spread,
                                                  int pitch, int n, int t, int tokens, int thread) {
#pragma unroll 1
    for (int i = thread; i < 64 * tokens; i += 128) {
        const int row = e.y_order == TMS_ORDER_TN ? i % 64 : i / tokens;
        const int token = e.y_order == TMS_ORDER_TN ? i / 64 : i % tokens;

        if (n + row < e.n && t + token < e.t)
            tmsi_epilogue_element(e, spread[token * pitch + row], n + row, t + token);
    }
}

#endif
