/* The product of nm24.cuh for few tokens, where the weight's bytes are the time: w is read once, by
 * as many multiprocessors as there are. Tiles are narrow, and where they are too few, the CTAs of a
 * cluster share the k's of one. Each sums its own; then each adds up a part of the tile over all of
 * them, from their shared memories, always in the same order, and stores it: no work memory, no
 * second kernel, and the same bits each time.
 *
 * Nothing is persistent: a CTA computes one share and leaves, so that its loads begin at once. */
#ifndef TAMIS_SPMM_CUDA_NM24_FEW_CUH
#define TAMIS_SPMM_CUDA_NM24_FEW_CUH

#include "spmm/cuda/nm24_few_consume.cuh"

namespace nm24_few {

template <class T>
__device__ inline void produce_x(const Params &p, const Place &at, uint32_t shared) {
    const int block_bytes = p.tokens * X_ROW_BYTES;
    Ring ring(p.stages);

    for (int kb = 0; kb < at.count; kb += T::GROUP) {
        const uint32_t barrier = full_barrier(shared, ring.stage);
        const uint32_t to = shared + T::RING_AT + ring.stage * T::STAGE_BYTES;
        const int blocks = min(at.count - kb, T::GROUP);

        nm24::wait_for(empty_barrier(shared, ring.stage), ring.phase ^ 1);
        if (p.x_blocks == T::GROUP) {
            /* Blocks past this CTA's share come too: they lie in x, or are zeros. */
            tmsi_mbarrier_arrive_expect_tx(barrier, T::GROUP * block_bytes);
            tmsi_copy_tensor_3d(to, &p.x_map, 0, at.token, at.first + kb, barrier);
        } else {
            tmsi_mbarrier_arrive_expect_tx(barrier, blocks * block_bytes);
            for (int i = 0; i < blocks; i++)
                tmsi_copy_tensor_3d(to + i * block_bytes, &p.x_map, (at.first + kb + i) * DEPTH,
                                    at.token, 0, barrier);
        }
        ring.next();
    }
}

template <class T>
__device__ inline void produce_w(const Params &p, const Place &at, uint32_t shared) {
    const int64_t row_bytes = (int64_t)p.k_blocks * BLOCK_BYTES;
    const uint8_t *from = p.w + at.row_block * row_bytes + (int64_t)at.first * BLOCK_BYTES;
    Ring ring(p.stages);

    for (int kb = 0; kb < at.count; kb += T::GROUP, from += T::W_BYTES) {
        const uint32_t barrier = full_barrier(shared, ring.stage);
        const uint32_t to = shared + T::RING_AT + ring.stage * T::STAGE_BYTES + T::X_BYTES;
        const int bytes = min(at.count - kb, T::GROUP) * BLOCK_BYTES;

        nm24::wait_for(empty_barrier(shared, ring.stage), ring.phase ^ 1);
        tmsi_mbarrier_arrive_expect_tx(barrier, at.blocks * bytes);
        for (int b = 0; b < at.blocks; b++)
            tmsi_copy_bulk(to + b * T::W_BYTES, from + b * row_bytes, bytes, barrier);
        ring.next();
    }
}

template <class T>
__global__ void __launch_bounds__(T::THREADS, T::CTAS) kernel(const __grid_constant__ Params p) {
    extern __shared__ __align__(1024) uint8_t memory[];
    const uint32_t shared = tmsi_shared_address(memory);
    const Place at = place<T>(p);

    if (threadIdx.x == T::CONSUMERS) {
        tmsi_prefetch_tensormap(&p.x_map);
        for (int i = 0; i < p.stages; i++) {
            tmsi_mbarrier_init(full_barrier(shared, i), 2); /* who loads x, who loads w */
            tmsi_mbarrier_init(empty_barrier(shared, i), at.blocks * (WARPGROUP / 32));
        }
        tmsi_fence_mbarrier_init();
    }
    __syncthreads();
    if (threadIdx.x < T::CONSUMERS)
        consume<T>(p, at, shared);
    else if (threadIdx.x == T::CONSUMERS)
        produce_x<T>(p, at, shared);
    else if (threadIdx.x == T::CONSUMERS + 32)
        produce_w<T>(p, at, shared);
}

} // namespace nm24_few

#endif
