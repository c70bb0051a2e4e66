/* Counts what a run must not do. The linker sends calls that libtamis and the CUDA runtime make to
 * these wrappers (tests/CMakeLists.txt names them); a thread counts only between begin and end. */
#include <cuda_runtime_api.h>
#include <stdlib.h>

#include "gpu/tests.h"

static _Thread_local bool is_counting;
static _Thread_local gpu_calls calls;

void gpu_hook_begin(void) {
    const gpu_calls none = {0, 0, 0};

    calls = none;
    is_counting = true;
}

gpu_calls gpu_hook_end(void) {
    is_counting = false;
    return calls;
}

/* The names are the linker's (--wrap): reserved, but not ours to choose. */
#define WRAP(count, type, name, parameters, ...)                                                   \
    type __real_##name parameters;                                                                 \
    type __wrap_##name parameters;                                                                 \
    type __wrap_##name parameters {                                                                \
        calls.count += is_counting;                                                                \
        return __real_##name(__VA_ARGS__);                                                         \
    }

WRAP(host_allocations, void *, malloc, (size_t bytes), bytes)
WRAP(host_allocations, void *, calloc, (size_t count, size_t bytes), count, bytes)
WRAP(host_allocations, void *, realloc, (void *memory, size_t bytes), memory, bytes)
WRAP(host_allocations, void *, aligned_alloc, (size_t alignment, size_t bytes), alignment, bytes)
WRAP(host_allocations, int, posix_memalign, (void **out, size_t alignment, size_t bytes), out,
     alignment, bytes)

WRAP(device_allocations, cudaError_t, cudaMalloc, (void **out, size_t bytes), out, bytes)
WRAP(device_allocations, cudaError_t, cudaMallocAsync, (void **out, size_t bytes, cudaStream_t s),
     out, bytes, s)
WRAP(device_allocations, cudaError_t, cudaMallocHost, (void **out, size_t bytes), out, bytes)
WRAP(device_allocations, cudaError_t, cudaHostAlloc, (void **out, size_t bytes, unsigned flags),
     out, bytes, flags)
WRAP(device_allocations, cudaError_t, cudaMallocManaged, (void **out, size_t bytes, unsigned flags),
     out, bytes, flags)
WRAP(device_allocations, cudaError_t, cudaFree, (void *memory), memory)
WRAP(device_allocations, cudaError_t, cudaFreeAsync, (void *memory, cudaStream_t s), memory, s)

WRAP(waits, cudaError_t, cudaDeviceSynchronize, (void), )
WRAP(waits, cudaError_t, cudaStreamSynchronize, (cudaStream_t s), s)
WRAP(waits, cudaError_t, cudaEventSynchronize, (cudaEvent_t event), event)
WRAP(waits, cudaError_t, cudaMemcpy,
     (void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind), to, from, bytes, kind)
WRAP(waits, cudaError_t, cudaMemset, (void *memory, int value, size_t bytes), memory, value, bytes)
