/* What follows a dense product whose epilogue cuBLASLt lacks: sums become elements of y. Sums come
 * from work, where the library put them, or, where it cannot read x as it lies, from a plain loop
 * over k: far slower, never refused. */
#ifndef TAMIS_SPMM_CUDA_DENSE_FINISH_CUH
#define TAMIS_SPMM_CUDA_DENSE_FINISH_CUH

#include <cuda_fp8.h>

#include "spmm/cuda/launch.cuh"

namespace dense {

/* What an element of y needs, all in the GPU's memory. */
struct Finish {
    const float *scale_n, *scale_t, *bias;
    const void *residual;
    void *y;
    float *absmax_t;
    int64_t t, columns;         /* of y */
    int64_t y_t, y_n, r_t, r_n; /* steps of y and the residual for a token and a column */
    float scale_y;
    tms_dtype y_type, r_type;
    tms_activation activation;
    bool has_gate;
};

/* Sums in memory: of token t and row n at t * step_t + n * step_n. */
template <class Sum> struct Stored {
    const Sum *sums;
    int64_t step_t, step_n;

    __device__ float get(int64_t t, int64_t n) const {
        return (float)sums[t * step_t + n * step_n];
    }
};

/* Sums by a loop over k. */
struct Looped {
    const void *x, *w;
    int64_t ldx, k;
    tms_dtype type;

    __device__ float get(int64_t t, int64_t n) const {
        const int64_t x0 = t * ldx, w0 = n * k;

        if (type == TMS_I8) {
            const int8_t *a = (const int8_t *)x + x0, *b = (const int8_t *)w + w0;
            int sum = 0;

            for (int64_t i = 0; i < k; i++)
                sum += a[i] * b[i];
            return (float)sum;
        }
        float sum = 0.f;

        for (int64_t i = 0; i < k; i++)
            sum = fmaf(load(x, x0 + i), load(w, w0 + i), sum);
        return sum;
    }

  private:
    __device__ float load(const void *p, int64_t i) const {
        if (type == TMS_E4M3)
            return (float)((const __nv_fp8_e4m3 *)p)[i];
        return tmsi_load_16(p, i, type == TMS_BF16);
    }
};

__device__ inline float scaled(const Finish &f, float sum, int64_t t, int64_t n) {
    if (f.scale_n != NULL)
        sum *= f.scale_n[n];
    if (f.scale_t != NULL)
        sum *= f.scale_t[t];
    return f.bias != NULL ? sum + f.bias[n] : sum;
}

__device__ inline float load(const void *p, int64_t i, tms_dtype type) {
    return type == TMS_F32 ? ((const float *)p)[i] : tmsi_load_16(p, i, type == TMS_BF16);
}

__device__ inline void store(const Finish &f, int64_t i, float value) {
    switch (f.y_type) {
    case TMS_F32:
        ((float *)f.y)[i] = value;
        break;
    case TMS_BF16:
        ((__nv_bfloat16 *)f.y)[i] = __float2bfloat16_rn(value);
        break;
    case TMS_F16:
        ((__half *)f.y)[i] = __float2half_rn(value);
        break;
    case TMS_I8:
        value /= f.scale_y;
        ((int8_t *)f.y)[i] = value != value ? 0 : (int8_t)rintf(fminf(fmaxf(value, -128.f), 127.f));
        break;
    default:
        ((uint8_t *)f.y)[i] = __nv_cvt_float_to_fp8(value / f.scale_y, __NV_SATFINITE, __NV_E4M3);
        break;
    }
}

/* Element (t, column) of y; its magnitude before rounding. */
template <class Source>
__device__ inline float element(const Source &source, const Finish &f, int64_t t, int64_t column) {
    const int64_t n = f.has_gate ? 2 * column : column;
    float value = tmsi_activate(f.activation, scaled(f, source.get(t, n), t, n));

    if (f.has_gate)
        value *= scaled(f, source.get(t, n + 1), t, n + 1);
    if (f.residual != NULL)
        value += load(f.residual, t * f.r_t + column * f.r_n, f.r_type);
    store(f, t * f.y_t + column * f.y_n, value);
    return fabsf(value);
}

constexpr int THREADS = 256, ROW_THREADS = 1024;

/* Lines of y (tokens, or columns where y is transposed) by blockIdx.y, elements of a line by
 * threads, so that neighbours write side by side. */
template <class Source, bool ALONG_T>
__global__ void __launch_bounds__(THREADS) finish(const Source source, const Finish f) {
    const int64_t lines = ALONG_T ? f.columns : f.t, width = ALONG_T ? f.t : f.columns;
    const int64_t step = (int64_t)gridDim.x * THREADS;

    for (int64_t line = blockIdx.y; line < lines; line += gridDim.y)
        for (int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x; i < width; i += step)
            element(source, f, ALONG_T ? i : line, ALONG_T ? line : i);
}

/* Eight neighbours of a row-major 16-bit y at once, without gate or residual: what is left is
 * moving bytes, at 2.9 TB/s on an H100 (by single elements 1.2). All arrays lie on 16 bytes, rows
 * too. */
constexpr int WIDTH = 8;

__device__ inline void load_sums(const float *sums, float out[WIDTH]) {
    const float4 low = __ldcs((const float4 *)sums), high = __ldcs((const float4 *)sums + 1);

    out[0] = low.x, out[1] = low.y, out[2] = low.z, out[3] = low.w;
    out[4] = high.x, out[5] = high.y, out[6] = high.z, out[7] = high.w;
}

__device__ inline void load_sums(const int32_t *sums, float out[WIDTH]) {
    const int4 low = __ldcs((const int4 *)sums), high = __ldcs((const int4 *)sums + 1);

    out[0] = (float)low.x, out[1] = (float)low.y, out[2] = (float)low.z, out[3] = (float)low.w;
    out[4] = (float)high.x, out[5] = (float)high.y, out[6] = (float)high.z, out[7] = (float)high.w;
}

template <class Sum>
__global__ void __launch_bounds__(THREADS) finish_wide(const Stored<Sum> source, const Finish f) {
    const int64_t groups = f.columns / WIDTH, step = (int64_t)gridDim.x * THREADS;

    for (int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x; i < groups * f.t; i += step) {
        const int64_t t = i / groups, n = i % groups * WIDTH;
        float sum[WIDTH];
        uint32_t packed[WIDTH / 2];

        load_sums(source.sums + t * source.step_t + n, sum);
#pragma unroll
        for (int j = 0; j < WIDTH; j += 2)
            packed[j / 2] =
                tmsi_pack_16(tmsi_activate(f.activation, scaled(f, sum[j], t, n + j)),
                             tmsi_activate(f.activation, scaled(f, sum[j + 1], t, n + j + 1)),
                             f.y_type == TMS_BF16);
        *(uint4 *)((uint16_t *)f.y + t * f.y_t + n) =
            make_uint4(packed[0], packed[1], packed[2], packed[3]);
    }
}

/* Whether it serves. */
template <class Sum> inline bool is_wide(const Finish &f, const Stored<Sum> &source) {
    return f.y_n == 1 && (f.y_type == TMS_BF16 || f.y_type == TMS_F16) && !f.has_gate &&
           f.residual == NULL && f.absmax_t == NULL && f.columns % WIDTH == 0 &&
           f.y_t % WIDTH == 0 && source.step_n == 1 && source.step_t % WIDTH == 0 &&
           ((uintptr_t)f.y | (uintptr_t)source.sums) % 16 == 0;
}

/* NaN wins, as in the references. */
__device__ inline float larger(float a, float b) {
    return b > a || b != b ? b : a;
}

/* A token a block, which also puts out the token's largest magnitude. */
template <class Source>
__global__ void __launch_bounds__(ROW_THREADS) finish_rows(const Source source, const Finish f) {
    __shared__ float largest[32];

    for (int64_t t = blockIdx.x; t < f.t; t += gridDim.x) {
        float mine = 0.f;

        for (int64_t i = threadIdx.x; i < f.columns; i += ROW_THREADS)
            mine = larger(mine, element(source, f, t, i));
        for (int lane = 16; lane > 0; lane /= 2)
            mine = larger(mine, __shfl_xor_sync(0xffffffffu, mine, lane));
        if (threadIdx.x % 32 == 0)
            largest[threadIdx.x / 32] = mine;
        __syncthreads();
        mine = largest[threadIdx.x % 32];
        for (int lane = 16; lane > 0; lane /= 2)
            mine = larger(mine, __shfl_xor_sync(0xffffffffu, mine, lane));
        if (threadIdx.x == 0)
            f.absmax_t[t] = mine;
        __syncthreads();
    }
}

} // namespace dense

#endif
