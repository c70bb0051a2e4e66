#include "fill.h"

#include <cuda.h>
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_fp8.h>

#include "cuda/ptx/place.cuh"

namespace {

/* splitmix64's finish (Vigna, public domain): bits of a counter, so that order does not matter. */
__device__ uint64_t mix(uint64_t z) {
    z += 0x9e3779b97f4a7c15ull;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

/* Box and Muller's normal number of a counter. */
__device__ float normal(uint64_t i, uint64_t seed) {
    const float u = (float)((mix(2 * i + seed) >> 40) + 1) * (1.f / 16777217.f);
    const float v = (float)(mix(2 * i + 1 + seed) >> 40) * (1.f / 16777216.f);

    return sqrtf(-2.f * logf(u)) * cospif(2.f * v);
}

__device__ void store(void *values, tms_dtype type, int64_t i, float value) {
    if (type == TMS_BF16)
        ((__nv_bfloat16 *)values)[i] = __float2bfloat16(value);
    else if (type == TMS_F16)
        ((__half *)values)[i] = __float2half(value);
    else if (type == TMS_I8)
        ((int8_t *)values)[i] = (int8_t)fminf(127.f, fmaxf(-127.f, rintf(32.f * value)));
    else
        ((uint8_t *)values)[i] = __nv_cvt_float_to_fp8(value, __NV_SATFINITE, __NV_E4M3);
}

__global__ void fill(void *values, tms_dtype type, int64_t groups, int is_24, uint64_t seed) {
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
            store(values, type, 4 * g + i, is_24 && rank[i] > 1 ? 0.f : v[i]);
    }
}

__global__ void fill_f32(float *values, int64_t count, uint64_t seed) {
    for (int64_t i = blockIdx.x * (int64_t)blockDim.x + threadIdx.x; i < count;
         i += (int64_t)gridDim.x * blockDim.x)
        values[i] = normal((uint64_t)i, seed);
}

/* Eight bf16 as they are loaded and stored. */
struct eight {
    __nv_bfloat162 pairs[4];
};

__device__ float tanh_fast(float x) {
    return 1.f - 2.f / (1.f + __expf(2.f * x));
}

__device__ float gelu_of(float z) {
    return 0.5f * z * (1.f + tanh_fast(0.79788456f * (z + 0.044715f * z * z * z)));
}

__global__ void gelu(uint4 *y, int64_t groups) {
    for (int64_t g = blockIdx.x * (int64_t)blockDim.x + threadIdx.x; g < groups;
         g += (int64_t)gridDim.x * blockDim.x) {
        uint4 raw = y[g];
        eight *values = (eight *)&raw;

        for (int i = 0; i < 4; i++) {
            const float2 z = __bfloat1622float2(values->pairs[i]);

            values->pairs[i] = __floats2bfloat162_rn(gelu_of(z.x), gelu_of(z.y));
        }
        y[g] = raw;
    }
}

__device__ float silu_of(float z) {
    return z / (1.f + __expf(-z));
}

__global__ void silu_gate(const uint4 *in, uint4 *out, int64_t rows, int64_t half) {
    for (int64_t g = blockIdx.x * (int64_t)blockDim.x + threadIdx.x; g < rows * half;
         g += (int64_t)gridDim.x * blockDim.x) {
        const int64_t row = g / half, at = row * 2 * half + g % half;
        const uint4 gate_raw = in[at], up_raw = in[at + half];
        const eight *gate = (const eight *)&gate_raw, *up = (const eight *)&up_raw;
        uint4 raw;
        eight *values = (eight *)&raw;

        for (int i = 0; i < 4; i++) {
            const float2 z = __bfloat1622float2(gate->pairs[i]);
            const float2 u = __bfloat1622float2(up->pairs[i]);

            values->pairs[i] = __floats2bfloat162_rn(silu_of(z.x) * u.x, silu_of(z.y) * u.y);
        }
        out[g] = raw;
    }
}

/* With so much shared memory a CTA has a multiprocessor to itself, so that each gets one. */
constexpr int STAMP_SHARED_BYTES = 200 * 1024;
int processors;

__global__ void stamp(unsigned long long *cycles) {
    if (threadIdx.x == 0)
        cycles[tmsi_smid()] = (unsigned long long)clock64();
}

struct many_bytes {
    char bytes[640];
};

__global__ void nothing(many_bytes) {}

} // namespace

void bench_fill(void *values, tms_dtype type, int64_t count, int is_24, uint64_t seed,
                void *stream) {
    fill<<<2048, 256, 0, (cudaStream_t)stream>>>(values, type, count / 4, is_24, seed);
}

void bench_fill_f32(float *values, int64_t count, uint64_t seed, void *stream) {
    fill_f32<<<256, 256, 0, (cudaStream_t)stream>>>(values, count, seed);
}

void bench_gelu(void *y, int64_t count, void *stream) {
    gelu<<<1056, 256, 0, (cudaStream_t)stream>>>((uint4 *)y, count / 8);
}

void bench_silu_gate(const void *in, void *out, int64_t rows, int64_t half, void *stream) {
    silu_gate<<<1056, 256, 0, (cudaStream_t)stream>>>((const uint4 *)in, (uint4 *)out, rows,
                                                      half / 8);
}

int bench_stamp_prepare(void) {
    cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, 0);
    cudaFuncSetAttribute(stamp, cudaFuncAttributeMaxDynamicSharedMemorySize, STAMP_SHARED_BYTES);
    return processors;
}

void bench_stamp(unsigned long long *cycles, void *stream) {
    stamp<<<processors, 32, STAMP_SHARED_BYTES, (cudaStream_t)stream>>>(cycles);
}

void bench_launch_nothing(void *stream) {
    const many_bytes parameters = {};
    cudaLaunchConfig_t config = {};
    cudaLaunchAttribute cluster = {};

    cluster.id = cudaLaunchAttributeClusterDimension;
    cluster.val.clusterDim.x = 2;
    cluster.val.clusterDim.y = cluster.val.clusterDim.z = 1;
    config.gridDim = dim3(2);
    config.blockDim = dim3(32);
    config.stream = (cudaStream_t)stream;
    config.attrs = &cluster;
    config.numAttrs = 1;
    cudaLaunchKernelEx(&config, nothing, parameters);
}

typedef CUresult (*encode_tiled)(CUtensorMap *, CUtensorMapDataType, cuuint32_t, void *,
                                 const cuuint64_t *, const cuuint64_t *, const cuuint32_t *,
                                 const cuuint32_t *, CUtensorMapInterleave, CUtensorMapSwizzle,
                                 CUtensorMapL2promotion, CUtensorMapFloatOOBfill);

void bench_make_map(void *data) {
    static encode_tiled encode;
    cudaDriverEntryPointQueryResult found;
    const cuuint64_t shape[2] = {1280, 64}, pitch[1] = {2560};
    const cuuint32_t box[2] = {64, 64}, steps[2] = {1, 1};
    CUtensorMap map;

    if (encode == NULL)
        cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", (void **)&encode, 12000,
                                         cudaEnableDefault, &found);
    if (encode != NULL)
        encode(&map, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 2, data, shape, pitch, box, steps,
               CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
               CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
}
