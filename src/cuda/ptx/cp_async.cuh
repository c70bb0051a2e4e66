/* Asynchronous copies by the threads themselves, from global to shared memory. One instruction a
 * function; PTX ISA 7.0, sm_80. `to` is a 32-bit shared-memory address; of the bytes copied, the
 * first `valid` are read from `from`, the others arrive as zeros. */
#ifndef TAMIS_CUDA_PTX_CP_ASYNC_CUH
#define TAMIS_CUDA_PTX_CP_ASYNC_CUH

#include <stdint.h>

/* 16 bytes, both ends aligned to that; past the first-level cache. */
__device__ static inline void tmsi_cp_async_16(uint32_t to, const void *from, uint32_t valid) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(valid)
                 : "memory");
}

/* The same through the first-level cache, for what other CTAs of the multiprocessor read too. */
__device__ static inline void tmsi_cp_async_16_cached(uint32_t to, const void *from,
                                                      uint32_t valid) {
    asm volatile("cp.async.ca.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(valid)
                 : "memory");
}

/* 4 bytes, both ends aligned to that. */
__device__ static inline void tmsi_cp_async_4(uint32_t to, const void *from, uint32_t valid) {
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(to), "l"(from), "r"(valid)
                 : "memory");
}

/* Closes this thread's group of copies; an empty one counts too. */
__device__ static inline void tmsi_cp_async_commit() {
    asm volatile("cp.async.commit_group;" ::: "memory");
}

/* Until at most the PENDING latest groups of this thread are under way. */
template <int PENDING> __device__ static inline void tmsi_cp_async_wait() {
    asm volatile("cp.async.wait_group %0;" ::"n"(PENDING) : "memory");
}

#endif
