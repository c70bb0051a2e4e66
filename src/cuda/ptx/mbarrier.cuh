/* Barriers in shared memory that count arrivals of threads and bytes of asynchronous copies. One
 * instruction a function; PTX ISA 8.0, sm_90. Addresses are 32-bit shared-memory addresses. */
#ifndef TAMIS_CUDA_PTX_MBARRIER_CUH
#define TAMIS_CUDA_PTX_MBARRIER_CUH

#include <stdint.h>

#include "cuda/ptx/jitter.cuh"

/* A pointer into shared memory as the 32-bit address that instructions take. */
__device__ static inline uint32_t tmsi_shared_address(const void *pointer) {
    return (uint32_t)__cvta_generic_to_shared(pointer);
}

/* Each phase of the barrier needs `count` arrivals. */
__device__ static inline void tmsi_mbarrier_init(uint32_t barrier, uint32_t count) {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(count) : "memory");
}

/* Makes initialised barriers visible to the other CTAs of the cluster and to the copy engine. */
__device__ static inline void tmsi_fence_mbarrier_init() {
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}

/* One arrival that also announces `bytes` of copies for this phase. */
__device__ static inline void tmsi_mbarrier_arrive_expect_tx(uint32_t barrier, uint32_t bytes) {
    tmsi_jitter();
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes)
                 : "memory");
}

/* One arrival at a barrier of this CTA. */
__device__ static inline void tmsi_mbarrier_arrive(uint32_t barrier) {
    tmsi_jitter();
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(barrier) : "memory");
}

/* The address of the same shared-memory offset in CTA `rank` of the cluster. */
__device__ static inline uint32_t tmsi_mapa(uint32_t address, uint32_t rank) {
    uint32_t mapped;
    asm volatile("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(mapped) : "r"(address), "r"(rank));
    return mapped;
}

/* One arrival at a barrier of any CTA of the cluster (an address from tmsi_mapa). */
__device__ static inline void tmsi_mbarrier_arrive_cluster(uint32_t barrier) {
    tmsi_jitter();
    asm volatile("mbarrier.arrive.shared::cluster.b64 _, [%0];" ::"r"(barrier) : "memory");
}

/* Whether the phase of that parity is complete; sleeps a while at most. */
__device__ static inline bool tmsi_mbarrier_try_wait(uint32_t barrier, uint32_t parity) {
    uint32_t done;
    asm volatile("{\n.reg .pred p;\n"
                 "mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;\n"
                 "selp.u32 %0, 1, 0, p;\n}"
                 : "=r"(done)
                 : "r"(barrier), "r"(parity)
                 : "memory");
    if (done != 0)
        tmsi_jitter();
    return done != 0;
}

#endif
