#include "fill.h"

#include <cuda_bf16.h>

/* splitmix64's finish (Vigna, public domain): bits of a counter, so that order does not matter. */
__device__ static uint64_t mix(uint64_t z) {
    z += 0x9e3779b97f4a7c15ull;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

/* Box and Muller's normal number of a counter. */
__device__ static float normal(uint64_t i, uint64_t seed) {
    const float u = (float)((mix(2 * i + seed) >> 40) + 1) * (1.f / 16777217.f);
    const float v = (float)(mix(2 * i + 1 + seed) >> 40) * (1.f / 16777216.f);

    return sqrtf(-2.f * logf(u)) * cospif(2.f * v);
}

__global__ static void fill_bf16(__nv_bfloat16 *values, int64_t groups, int is_24, uint64_t seed) {
    for (int64_t g = blockIdx.x * (int64_t)blockDim.x + threadIdx.x; g < groups;
         g += (int64_t)gridDim.x * blockDim.x) {
        float v[4];
        int rank[4] = {0, 0, 0, 0};

        for (int i = 0; i < 4; i++)
            v[i] = normal((uint64_t)(4 * g + i), seed);
        for (int i = 0; i < 4; i++)
            for (int j = 0; j < 4; j++)
                rank[i] += fabsf(v[j]) > fabsf(v[i]) || (fabsf(v[j]) == fabsf(v[i]) && j < i);
        for (int i = 0; i < 4; i++)
            values[4 * g + i] = __float2bfloat16(is_24 && rank[i] > 1 ? 0.f : v[i]);
    }
}

__global__ static void fill_f32(float *values, int64_t count, uint64_t seed) {
    for (int64_t i = blockIdx.x * (int64_t)blockDim.x + threadIdx.x; i < count;
         i += (int64_t)gridDim.x * blockDim.x)
        values[i] = normal((uint64_t)i, seed);
}

void bench_fill_bf16(void *values, int64_t count, int is_24, uint64_t seed, void *stream) {
    fill_bf16<<<2048, 256, 0, (cudaStream_t)stream>>>((__nv_bfloat16 *)values, count / 4, is_24,
                                                      seed);
}

void bench_fill_f32(float *values, int64_t count, uint64_t seed, void *stream) {
    fill_f32<<<256, 256, 0, (cudaStream_t)stream>>>(values, count, seed);
}
