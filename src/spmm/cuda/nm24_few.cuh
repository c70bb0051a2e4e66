/* The product of nm24.cuh for few tokens, where the weight's bytes are the time: w is read once, by
 * as many multiprocessors as there are. Tiles are narrow, and where they are too few, the CTAs of a
 * cluster share the k's of one. Each sums its own, and sends every other its part of the tile,
 * which adds up what it gets in fixed order and stores it: no work memory, no second kernel, and
 * the same bits each time.
 *
 * Nothing is persistent: a CTA computes one share and leaves, so that its loads begin at once. */
#ifndef TAMIS_SPMM_CUDA_NM24_FEW_CUH
#define TAMIS_SPMM_CUDA_NM24_FEW_CUH

#include "cuda/ptx/grid.cuh"
#include "spmm/cuda/nm24_few_consume.cuh"

namespace nm24_few {

/* Loads stages `producer`, `producer` + p.producers ... There are no more of them than stages: by a
 * barrier's parity a stage that is free looks like one that another producer has yet to fill. */
template <class T>
__device__ inline void produce(const Params &p, const Place &at, uint32_t shared, int producer) {
    const int x_bytes = p.tokens * X_ROW_BYTES;
    const int64_t row_bytes = (int64_t)p.k_blocks * T::BLOCK_BYTES;
    const uint8_t *w = p.w + at.row_block * row_bytes + (int64_t)at.first * T::BLOCK_BYTES;
    Ring ring(p.stages);

    tmsi_griddepcontrol_wait(); /* x, and an image that was just built, are another kernel's */
    ring.next(producer);
    for (int kb = producer * T::GROUP; kb < at.count; kb += p.producers * T::GROUP) {
        const uint32_t barrier = full_barrier(shared, ring.stage);
        const uint32_t to = shared + p.ring_at + ring.stage * T::STAGE_BYTES;
        const int blocks = min(at.count - kb, T::GROUP);
        /* Blocks of x past this CTA's share come too: they lie in x, or are zeros. */
        const int x_blocks = p.has_rest ? blocks : T::GROUP;

        nm24::wait_for(empty_barrier(shared, ring.stage), ring.phase ^ 1);
        tmsi_mbarrier_arrive_expect_tx(barrier,
                                       x_blocks * x_bytes + at.blocks * blocks * T::BLOCK_BYTES);
        for (int b = 0; b < at.blocks; b++)
            tmsi_copy_bulk(to + T::X_BYTES + b * T::W_BYTES,
                           w + b * row_bytes + (int64_t)kb * T::BLOCK_BYTES,
                           blocks * T::BLOCK_BYTES, barrier);
        if (!p.has_rest)
            tmsi_copy_tensor_3d(to, &p.x_map, 0, at.token, at.first + kb, barrier);
        else
            for (int i = 0; i < blocks; i++)
                tmsi_copy_tensor_3d(to + i * x_bytes, &p.x_map, (at.first + kb + i) * T::DEPTH,
                                    at.token, 0, barrier);
        ring.next(p.producers);
    }
}

template <class T>
__device__ inline void init_barriers(const Params &p, const Place &at, uint32_t shared) {
    const uint32_t sums = shared + T::SUMS_BARRIER_AT;

    for (int i = 0; i < p.stages; i++) {
        tmsi_mbarrier_init(full_barrier(shared, i), 1);
        tmsi_mbarrier_init(empty_barrier(shared, i),
                           at.blocks * (WARPGROUP / 32) * nm24::WARP_ARRIVALS);
    }
    tmsi_mbarrier_init(sums, 1);
    tmsi_fence_mbarrier_init();
    tmsi_mbarrier_arrive_expect_tx(sums,
                                   (p.split - 1) * own_units(p, at) * at.blocks * T::UNIT_BYTES);
}

template <class T>
__global__ void __launch_bounds__(T::THREADS, T::CTAS) kernel(const __grid_constant__ Params p) {
    extern __shared__ __align__(1024) uint8_t memory[];
    const uint32_t shared = tmsi_shared_address(memory);
    const Place at = place<T>(p);

    tmsi_griddepcontrol_launch_dependents(); /* they wait for this grid's end before they read */
    if (threadIdx.x == T::CONSUMERS)
        tmsi_prefetch_tensormap(&p.x_map);
    if (threadIdx.x == 0)
        init_barriers<T>(p, at, shared);
    __syncthreads();
    if (p.split > 1)
        tmsi_barrier_cluster_arrive_relaxed();
    if (threadIdx.x < T::CONSUMERS)
        consume<T>(p, at, shared);
    else if (threadIdx.x % 32 == 0 && (threadIdx.x - T::CONSUMERS) / 32 < p.producers)
        produce<T>(p, at, shared, (threadIdx.x - T::CONSUMERS) / 32);
}

} // namespace nm24_few

#endif
