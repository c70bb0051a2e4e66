/* What CTAs of a cluster send each other, and the shared memory that it comes to. One instruction a
 * function; PTX ISA 8.1, sm_90. Addresses in other CTAs are those of tmsi_mapa. */
#ifndef TAMIS_CUDA_PTX_CLUSTER_CUH
#define TAMIS_CUDA_PTX_CLUSTER_CUH

#include <stdint.h>

#include "cuda/ptx/jitter.cuh"

/* Arrives at the cluster's barrier without ordering memory: for "this CTA has begun". */
__device__ static inline void tmsi_barrier_cluster_arrive_relaxed() {
    tmsi_jitter();
    asm volatile("barrier.cluster.arrive.relaxed.aligned;" ::: "memory");
}

/* 16 bytes to the shared memory of a CTA of the cluster, counted by a barrier of the same CTA,
 * whose waiters then see them. Nobody waits here. */
#define TMSI_STORE_ASYNC_V4(type, text, letter)                                                    \
    __device__ static inline void tmsi_store_async_v4(uint32_t to, type a, type b, type c, type d, \
                                                      uint32_t barrier) {                          \
        tmsi_jitter();                                                                             \
        asm volatile("st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.v4." text         \
                     " [%0], {%1, %2, %3, %4}, [%5];" ::"r"(to),                                   \
                     letter(a), letter(b), letter(c), letter(d), "r"(barrier)                      \
                     : "memory");                                                                  \
    }
TMSI_STORE_ASYNC_V4(float, "f32", "f")
TMSI_STORE_ASYNC_V4(int32_t, "s32", "r")

/* The same to this CTA's own shared memory, at once. */
#define TMSI_STORE_SHARED_V4(type, text, letter)                                                   \
    __device__ static inline void tmsi_store_shared_v4(uint32_t to, type a, type b, type c,        \
                                                       type d) {                                   \
        asm volatile("st.shared.v4." text " [%0], {%1, %2, %3, %4};" ::"r"(to), letter(a),         \
                     letter(b), letter(c), letter(d)                                               \
                     : "memory");                                                                  \
    }
TMSI_STORE_SHARED_V4(float, "f32", "f")
TMSI_STORE_SHARED_V4(int32_t, "s32", "r")

/* Volatile: it must stay behind the wait that makes the words readable. */
#define TMSI_LOAD_SHARED_V4(type, text, letter)                                                    \
    __device__ static inline void tmsi_load_shared_v4(uint32_t from, type(&r)[4]) {                \
        asm volatile("ld.shared.v4." text " {%0, %1, %2, %3}, [%4];"                               \
                     : letter(r[0]), letter(r[1]), letter(r[2]), letter(r[3])                      \
                     : "r"(from)                                                                   \
                     : "memory");                                                                  \
    }
TMSI_LOAD_SHARED_V4(float, "f32", "=f")
TMSI_LOAD_SHARED_V4(int32_t, "s32", "=r")

__device__ static inline void tmsi_store_shared(uint32_t to, float value) {
    asm volatile("st.shared.f32 [%0], %1;" ::"r"(to), "f"(value) : "memory");
}

#endif
