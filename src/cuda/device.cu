#include "cuda/device.cuh"

#include <stdio.h>

#include "cuda/cublaslt.h"

extern "C" {
#include "base/context.h"
#include "base/memory.h"
}

namespace {

/* The driver's functions are asked for by name: no link against libcuda, which exists only where a
 * driver is installed. */
tms_status find_encode(tmsi_cuda_encode *out) {
    cudaDriverEntryPointQueryResult found = cudaDriverEntryPointSymbolNotFound;
    void *function = NULL;
    const cudaError_t error = cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function,
                                                               12000, cudaEnableDefault, &found);

    if (error != cudaSuccess || found != cudaDriverEntryPointSuccess)
        return tmsi_fail(TMS_ERR_DEVICE, "the CUDA driver has no cuTensorMapEncodeTiled: a driver "
                                         "of CUDA 12.0 or later is needed");
    *out = (tmsi_cuda_encode)function;
    return TMS_OK;
}

tmsi_cuda_stream_device find_stream_device() {
    cudaDriverEntryPointQueryResult found = cudaDriverEntryPointSymbolNotFound;
    void *function = NULL;
    int count = 0;

    if (cudaGetDeviceCount(&count) != cudaSuccess || count < 2 ||
        cudaGetDriverEntryPointByVersion("cuStreamGetDevice", &function, 12080, cudaEnableDefault,
                                         &found) != cudaSuccess ||
        found != cudaDriverEntryPointSuccess)
        return NULL;
    return (tmsi_cuda_stream_device)function;
}

tms_status check_index(int32_t index) {
    int count = 0;
    const cudaError_t error = cudaGetDeviceCount(&count);

    if (error != cudaSuccess)
        return tmsi_fail(TMS_ERR_DEVICE, "no GPU can be used: %s", cudaGetErrorString(error));
    if (index < 0 || index >= count)
        return tmsi_fail(TMS_ERR_DEVICE, "desc->device_index is %d, but this machine has %d GPUs",
                         index, count);
    return TMS_OK;
}

/* The highest clock, and what memory could move at most; what the driver does not tell stays 0. */
void fill_speeds(int32_t index, tmsi_hardware *out) {
    int khz = 0, memory_khz = 0, bits = 0;

    cudaDeviceGetAttribute(&khz, cudaDevAttrClockRate, index);
    cudaDeviceGetAttribute(&memory_khz, cudaDevAttrMemoryClockRate, index);
    cudaDeviceGetAttribute(&bits, cudaDevAttrGlobalMemoryBusWidth, index);
    out->mhz = khz / 1e3;
    out->gb_per_s = 2.0 * memory_khz * 1e3 * bits / 8.0 / 1e9; /* two transfers a clock */
}

void print_driver(char *text, size_t text_bytes) {
    int version = 0;

    if (cudaDriverGetVersion(&version) == cudaSuccess)
        snprintf(text, text_bytes, "CUDA %d.%d", version / 1000, version / 10 % 100);
}

} // namespace

tms_status tmsi_cuda_attach(tms_context *context, int32_t index) {
    tmsi_cuda_encode encode = NULL;
    bool is_hopper;
    cudaDeviceProp properties;
    cudaError_t error;
    tms_status status = TMS_OK;

    TMS_TRY(check_index(index));
    error = cudaGetDeviceProperties(&properties, index);
    if (error != cudaSuccess)
        return tmsi_cuda_fail("reading the GPU's properties", error);
    if (properties.major < 8)
        return tmsi_fail(TMS_ERR_DEVICE,
                         "desc->device_index is %d, a %s of compute capability %d.%d, but kernels "
                         "are for 8.0 (Ampere) and later",
                         index, properties.name, properties.major, properties.minor);
    /* Code for wgmma runs on 9.0 and on no later chip; code for 8.0 on all later ones. */
    is_hopper = properties.major == 9 && properties.minor == 0;
    if (is_hopper)
        TMS_TRY(find_encode(&encode));
    TMS_TRY(tmsi_alloc(context, 1, sizeof *context->cuda, &context->cuda));
    context->cuda->index = index;
    context->cuda->processors = properties.multiProcessorCount;
    context->cuda->encode = encode;
    context->cuda->stream_device = find_stream_device();
    context->gpu.isa = is_hopper ? TMS_ISA_SM80 | TMS_ISA_SM90 : TMS_ISA_SM80;
    context->gpu.l2_bytes = properties.l2CacheSize;
    context->gpu.processors = properties.multiProcessorCount;
    fill_speeds(index, &context->gpu);
    print_driver(context->driver_text, sizeof context->driver_text);
    snprintf(context->gpu.name, sizeof context->gpu.name, "%.63s", properties.name);
    snprintf(context->device_text, sizeof context->device_text,
             "%.64s (sm_%d%d, %d multiprocessors)", properties.name, properties.major,
             properties.minor, properties.multiProcessorCount);
done:
    return status;
}

tms_status tmsi_cuda_check_stream(const tms_context *context, tms_stream stream) {
    const tmsi_cuda_device &device = *context->cuda;
    const cudaStream_t own = (cudaStream_t)stream;
    cudaStreamCaptureStatus capture = cudaStreamCaptureStatusNone;
    CUdevice other = device.index; /* numbered as the runtime numbers them */
    CUresult result = CUDA_ERROR_INVALID_CONTEXT;
    int current = device.index;

    /* Handles up to that one are default streams, of whichever GPU is current. */
    if (device.stream_device == NULL || (uintptr_t)stream <= (uintptr_t)cudaStreamPerThread)
        return TMS_OK;
    if (cudaStreamIsCapturing(own, &capture) != cudaSuccess ||
        capture != cudaStreamCaptureStatusNone)
        return TMS_OK; /* the question would end the capture */
    for (int i = 0; i < 2 && result == CUDA_ERROR_INVALID_CONTEXT; i++) {
        if (i > 0 && cudaGetDevice(&current) == cudaSuccess) /* a thread without a GPU yet */
            cudaSetDevice(current);
        result = device.stream_device((CUstream)own, &other);
    }
    if (result == CUDA_SUCCESS && other != device.index)
        return tmsi_fail(TMS_ERR_DEVICE, "the stream is of GPU %d, but the context is of GPU %d",
                         (int)other, device.index);
    return TMS_OK;
}

tms_status tmsi_cuda_attach_cublaslt(tms_context *context, const char *path) {
    const tmsi_cuda_scope scope(context->cuda->index);
    tms_status status = TMS_OK;

    TMS_TRY(tmsi_cublaslt_open(context, path));
    if (context->cublaslt != NULL)
        context->gpu.isa |= TMS_ISA_CUBLASLT;
    context->release_device = tmsi_cublaslt_close;
done:
    return status;
}
