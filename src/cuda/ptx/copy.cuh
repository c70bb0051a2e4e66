/* The bulk copy engine (TMA). One instruction a function; PTX ISA 8.0, sm_90. Shared-memory
 * addresses are 32-bit; a tensor map is passed by its generic address. */
#ifndef TAMIS_CUDA_PTX_COPY_CUH
#define TAMIS_CUDA_PTX_COPY_CUH

#include <stdint.h>

#include "cuda/ptx/jitter.cuh"

__device__ static inline void tmsi_prefetch_tensormap(const void *map) {
    asm volatile("prefetch.tensormap [%0];" ::"l"(map) : "memory");
}

/* Contiguous bytes (a multiple of 16, both ends 16-byte aligned) to this CTA; completes on its
 * barrier. */
__device__ static inline void tmsi_copy_bulk(uint32_t to, const void *from, uint32_t bytes,
                                             uint32_t barrier) {
    tmsi_jitter();
    asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes"
                 " [%0], [%1], %2, [%3];" ::"r"(to),
                 "l"(from), "r"(bytes), "r"(barrier)
                 : "memory");
}

/* The same to every CTA of the cluster whose bit is set in `mask`: same offset, own barrier. */
__device__ static inline void tmsi_copy_bulk_multicast(uint32_t to, const void *from,
                                                       uint32_t bytes, uint32_t barrier,
                                                       uint16_t mask) {
    tmsi_jitter();
    asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes"
                 ".multicast::cluster [%0], [%1], %2, [%3], %4;" ::"r"(to),
                 "l"(from), "r"(bytes), "r"(barrier), "h"(mask)
                 : "memory");
}

/* The map's box at (inner, outer) to this CTA; elements outside the tensor arrive as zeros. */
__device__ static inline void tmsi_copy_tensor_2d(uint32_t to, const void *map, int32_t inner,
                                                  int32_t outer, uint32_t barrier) {
    tmsi_jitter();
    asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes"
                 " [%0], [%1, {%2, %3}], [%4];" ::"r"(to),
                 "l"(map), "r"(inner), "r"(outer), "r"(barrier)
                 : "memory");
}

/* The same with a map of three dimensions, the innermost first. */
__device__ static inline void tmsi_copy_tensor_3d(uint32_t to, const void *map, int32_t inner,
                                                  int32_t middle, int32_t outer, uint32_t barrier) {
    tmsi_jitter();
    asm volatile("cp.async.bulk.tensor.3d.shared::cluster.global.tile.mbarrier::complete_tx::bytes"
                 " [%0], [%1, {%2, %3, %4}], [%5];" ::"r"(to),
                 "l"(map), "r"(inner), "r"(middle), "r"(outer), "r"(barrier)
                 : "memory");
}

/* The box of two dimensions to every CTA of the cluster whose bit is set in `mask`. */
__device__ static inline void tmsi_copy_tensor_2d_multicast(uint32_t to, const void *map,
                                                            int32_t inner, int32_t outer,
                                                            uint32_t barrier, uint16_t mask) {
    tmsi_jitter();
    asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes"
                 ".multicast::cluster [%0], [%1, {%2, %3}], [%4], %5;" ::"r"(to),
                 "l"(map), "r"(inner), "r"(outer), "r"(barrier), "h"(mask)
                 : "memory");
}

/* The map's box from shared memory; elements outside the tensor are not written. */
__device__ static inline void tmsi_store_tensor_2d(const void *map, uint32_t from, int32_t inner,
                                                   int32_t outer) {
    tmsi_jitter();
    asm volatile("cp.async.bulk.tensor.2d.global.shared::cta.tile.bulk_group"
                 " [%0, {%2, %3}], [%1];" ::"l"(map),
                 "r"(from), "r"(inner), "r"(outer)
                 : "memory");
}

__device__ static inline void tmsi_store_commit() {
    asm volatile("cp.async.bulk.commit_group;" ::: "memory");
}

/* Until at most `PENDING` of this thread's store groups still read shared memory. */
template <int PENDING> __device__ static inline void tmsi_store_wait_read() {
    asm volatile("cp.async.bulk.wait_group.read %0;" ::"n"(PENDING) : "memory");
}

/* Orders this thread's ordinary shared-memory writes before the copy engine's and the tensor
 * cores' accesses. */
__device__ static inline void tmsi_fence_proxy_async() {
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}

#endif
