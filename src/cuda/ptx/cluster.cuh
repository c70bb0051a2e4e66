/* What CTAs of a cluster send each other, and the shared memory that it comes to. One instruction a
 * function; PTX ISA 8.1, sm_90. Addresses in other CTAs are those of tmsi_mapa. */
#ifndef TAMIS_CUDA_PTX_CLUSTER_CUH
#define TAMIS_CUDA_PTX_CLUSTER_CUH

#include <stdint.h>

/* Arrives at the cluster's barrier without ordering memory: for "this CTA has begun". */
__device__ static inline void tmsi_barrier_cluster_arrive_relaxed() {
    asm volatile("barrier.cluster.arrive.relaxed.aligned;" ::: "memory");
}

/* 16 bytes to the shared memory of a CTA of the cluster, counted by a barrier of the same CTA,
 * whose waiters then see them. Nobody waits here. */
__device__ static inline void tmsi_store_async_v4(uint32_t to, float a, float b, float c, float d,
                                                  uint32_t barrier) {
    asm volatile("st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.v4.f32"
                 " [%0], {%1, %2, %3, %4}, [%5];" ::"r"(to),
                 "f"(a), "f"(b), "f"(c), "f"(d), "r"(barrier)
                 : "memory");
}

/* The same to this CTA's own shared memory, at once. */
__device__ static inline void tmsi_store_shared_v4(uint32_t to, float a, float b, float c,
                                                   float d) {
    asm volatile("st.shared.v4.f32 [%0], {%1, %2, %3, %4};" ::"r"(to), "f"(a), "f"(b), "f"(c),
                 "f"(d)
                 : "memory");
}

__device__ static inline void tmsi_store_shared(uint32_t to, float value) {
    asm volatile("st.shared.f32 [%0], %1;" ::"r"(to), "f"(value) : "memory");
}

/* Volatile: it must stay behind the wait that makes the words readable. */
__device__ static inline void tmsi_load_shared_v4(uint32_t from, float (&r)[4]) {
    asm volatile("ld.shared.v4.f32 {%0, %1, %2, %3}, [%4];"
                 : "=f"(r[0]), "=f"(r[1]), "=f"(r[2]), "=f"(r[3])
                 : "r"(from)
                 : "memory");
}

#endif
