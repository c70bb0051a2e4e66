#include "measure/cuda/gpu.h"

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_fp8.h>

#include "cuda/device.cuh"

extern "C" {
#include "base/context.h"
#include "base/memory.h"
}

struct tmsi_gpu_clock {
    cudaStream_t stream;
    cudaEvent_t first, last;
};

namespace {

tms_status check(const char *what, cudaError_t error) {
    return error == cudaSuccess ? TMS_OK : tmsi_cuda_fail(what, error);
}

/* splitmix64's finish of a counter, so that order does not matter. */
__device__ inline uint64_t mix(uint64_t z) {
    z += 0x9e3779b97f4a7c15ull;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

/* Box and Muller's normal number of a counter. */
__device__ inline float normal(uint64_t i, uint64_t seed) {
    const float u = (float)((mix(2 * i + seed) >> 40) + 1) * (1.f / 16777217.f);
    const float v = (float)(mix(2 * i + 1 + seed) >> 40) * (1.f / 16777216.f);

    return sqrtf(-2.f * logf(u)) * cospif(2.f * v);
}

__global__ void fill(void *out, tms_dtype type, int64_t count, uint64_t seed) {
    const int64_t step = (int64_t)gridDim.x * blockDim.x;

    for (int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; i < count; i += step) {
        const float value = normal((uint64_t)i, seed);

        if (type == TMS_BF16)
            ((__nv_bfloat16 *)out)[i] = __float2bfloat16_rn(value);
        else if (type == TMS_F16)
            ((__half *)out)[i] = __float2half_rn(value);
        else if (type == TMS_E4M3)
            ((uint8_t *)out)[i] = __nv_cvt_float_to_fp8(value, __NV_SATFINITE, __NV_E4M3);
        else if (type == TMS_I8)
            ((int8_t *)out)[i] = (int8_t)rintf(fminf(fmaxf(24.f * value, -127.f), 127.f));
        else
            ((float *)out)[i] = value;
    }
}

/* Calls, recorded to be replayed at no host cost between them. */
tms_status record(tmsi_gpu_clock *clock, const tmsi_gpu_work *work, int calls,
                  cudaGraphExec_t *out) {
    cudaGraph_t graph = NULL;
    cudaError_t error;
    tms_status status = TMS_OK;

    TMS_TRY(check("capturing a graph",
                  cudaStreamBeginCapture(clock->stream, cudaStreamCaptureModeThreadLocal)));
    for (int i = 0; i < calls && status == TMS_OK; i++)
        status = work->enqueue(work->self, (tms_stream)clock->stream);
    error = cudaStreamEndCapture(clock->stream, &graph);
    if (status == TMS_OK)
        status = check("capturing a graph", error);
    if (status == TMS_OK)
        status = check("making a graph", cudaGraphInstantiate(out, graph, 0));
    if (graph != NULL)
        cudaGraphDestroy(graph);
done:
    return status;
}

/* Replays for at least min_us; microseconds of one replay. */
tms_status replay(tmsi_gpu_clock *clock, cudaGraphExec_t exec, double min_us, double *out_us) {
    float ms = 0.f;
    int64_t replays = 0;
    tms_status status = TMS_OK;

    TMS_TRY(check("recording an event", cudaEventRecord(clock->first, clock->stream)));
    do {
        /* A few ahead, so that the GPU never waits for the host. */
        const int64_t batch = replays == 0 ? 1 : tmsi_min(replays, 64);

        for (int64_t i = 0; i < batch; i++, replays++)
            TMS_TRY(check("launching a graph", cudaGraphLaunch(exec, clock->stream)));
        TMS_TRY(check("recording an event", cudaEventRecord(clock->last, clock->stream)));
        TMS_TRY(check("running kernels", cudaEventSynchronize(clock->last)));
        TMS_TRY(check("reading an event", cudaEventElapsedTime(&ms, clock->first, clock->last)));
    } while (1e3 * (double)ms < min_us);
    *out_us = 1e3 * (double)ms / (double)replays;
done:
    return status;
}

} // namespace

tms_status tmsi_gpu_alloc(tms_context *context, size_t bytes, void **out) {
    const tmsi_cuda_scope scope(context->cuda->index);

    if (cudaMalloc(out, bytes > 0 ? bytes : 1) == cudaSuccess)
        return TMS_OK;
    cudaGetLastError(); /* it is told here */
    return tmsi_fail(TMS_ERR_MEMORY, "out of memory: %zu bytes of the GPU were not to be had",
                     bytes);
}

void tmsi_gpu_free(tms_context *context, void *memory) {
    const tmsi_cuda_scope scope(context->cuda->index);

    cudaFree(memory);
}

tms_status tmsi_gpu_upload(tms_context *context, void *to, const void *from, size_t bytes) {
    const tmsi_cuda_scope scope(context->cuda->index);

    return check("copying to the GPU", cudaMemcpy(to, from, bytes, cudaMemcpyHostToDevice));
}

size_t tmsi_gpu_free_bytes(tms_context *context) {
    const tmsi_cuda_scope scope(context->cuda->index);
    size_t available = 0, total = 0;

    return cudaMemGetInfo(&available, &total) == cudaSuccess ? available : 0;
}

tms_status tmsi_gpu_noise(tms_context *context, void *out, tms_dtype type, int64_t count,
                          uint64_t seed) {
    const tmsi_cuda_scope scope(context->cuda->index);
    tms_status status = TMS_OK;

    fill<<<1024, 256>>>(out, type, count, seed);
    TMS_TRY(check("filling memory", cudaGetLastError()));
    TMS_TRY(check("filling memory", cudaStreamSynchronize(NULL)));
done:
    return status;
}

tms_status tmsi_gpu_clock_open(tms_context *context, tmsi_gpu_clock **out) {
    const tmsi_cuda_scope scope(context->cuda->index);
    tmsi_gpu_clock *clock = NULL;
    tms_status status = TMS_OK;

    TMS_TRY(tmsi_alloc(context, 1, sizeof *clock, &clock));
    TMS_TRY(
        check("making a stream", cudaStreamCreateWithFlags(&clock->stream, cudaStreamNonBlocking)));
    TMS_TRY(check("making an event", cudaEventCreate(&clock->first)));
    TMS_TRY(check("making an event", cudaEventCreate(&clock->last)));
    *out = clock;
    clock = NULL;
done:
    tmsi_gpu_clock_close(context, clock);
    return status;
}

void tmsi_gpu_clock_close(tms_context *context, tmsi_gpu_clock *clock) {
    if (clock == NULL)
        return;
    const tmsi_cuda_scope scope(context->cuda->index);

    if (clock->first != NULL)
        cudaEventDestroy(clock->first);
    if (clock->last != NULL)
        cudaEventDestroy(clock->last);
    if (clock->stream != NULL)
        cudaStreamDestroy(clock->stream);
    tmsi_free(context, clock);
}

tms_status tmsi_gpu_time(tms_context *context, tmsi_gpu_clock *clock, const tmsi_gpu_work *work,
                         double warm_us, double timed_us, double *out_us) {
    const tmsi_cuda_scope scope(context->cuda->index);
    cudaGraphExec_t once = NULL, many = NULL;
    double us = 0.0;
    int calls;
    tms_status status = TMS_OK;

    TMS_TRY(record(clock, work, 1, &once));
    TMS_TRY(replay(clock, once, 0.0, &us)); /* the very first is slow */
    TMS_TRY(replay(clock, once, 0.0, &us));
    calls = (int)tmsi_max(tmsi_min((int64_t)(200.0 / (us > 0.1 ? us : 0.1)), 50), 1);
    TMS_TRY(record(clock, work, calls, &many));
    TMS_TRY(replay(clock, many, warm_us, &us));
    TMS_TRY(replay(clock, many, timed_us, &us));
    *out_us = us / calls;
done:
    if (once != NULL)
        cudaGraphExecDestroy(once);
    if (many != NULL)
        cudaGraphExecDestroy(many);
    return status;
}
