/* y = x w^T with a 2:4 weight on Hopper's sparse tensor cores: y^T = w x^T, since the hardware's
 * sparse operand is the first. x row-major is the K-major second operand as it stands, and the
 * accumulators are stored transposed from registers, so nothing is transposed in memory.
 *
 * A CTA's producer threads keep a ring of stages filled by the copy engine; one or two consumer
 * warpgroups multiply. CTAs are persistent and come in clusters of two that share one operand's
 * tile by multicast: two tiles along n share x, and the last of an odd number, two along t, share
 * w.
 *
 * What limits it: a sparse m64nN product reads N * 64 bytes of x and 2 KiB of w from shared memory
 * at 128 bytes a cycle, so it takes N/2 + 16 cycles where the tensor core alone needs N/2; and the
 * card's power. Hence wide tiles, and as few bytes from L2 a product as possible. */
#ifndef TAMIS_SPMM_CUDA_NM24_CUH
#define TAMIS_SPMM_CUDA_NM24_CUH

#include "cuda/ptx/grid.cuh"
#include "spmm/cuda/nm24_consume.cuh"
#include "spmm/cuda/nm24_produce.cuh"

namespace nm24 {

/* Blocks past the image's end are never loaded; whatever the tensor core reads there must be legal
 * metadata: 0x4 says positions 0 and 1. thread: of the consumers. */
template <class T> __device__ inline void fill_metadata(int thread) {
    constexpr int WORDS = T::STAGES * T::ROW_BLOCKS * T::META_BYTES / 4;

    for (int i = thread; i < WORDS; i += T::CONSUMERS * WARPGROUP) {
        const int word = i % (T::META_BYTES / 4), block = i / (T::META_BYTES / 4) % T::ROW_BLOCKS;
        const int stage = i / (T::META_BYTES / 4) / T::ROW_BLOCKS;

        ((uint32_t *)(memory + stage * T::STAGE_BYTES + T::X_BYTES + block * T::BLOCK_BYTES +
                      TMSI_NM24_MMA_VALUE_BYTES))[word] = 0x44444444u;
    }
    tmsi_fence_proxy_async();
}

/* A barrier a lane: one thread for all of them held the start up. */
template <class T> __device__ inline void init_barriers(uint32_t shared) {
    const int at = T::BARRIERS_AT + threadIdx.x % 32 * 8;
    const uint32_t warps = T::CONSUMERS * (WARPGROUP / 32) * WARP_ARRIVALS;

    static_assert(T::SHARED_BYTES - T::BARRIERS_AT <= 32 * 8, "a lane each");
    if (at >= T::SHARED_BYTES)
        return;
    tmsi_mbarrier_init(shared + at, at < T::BARRIERS_AT + T::STAGES * 8 ? PRODUCERS
                                    : at < T::RESIDUAL_AT               ? warps * CLUSTER
                                    : at < T::BUFFERS_FREE_AT           ? 1
                                    : at < T::FACTORS_FULL_AT           ? T::CONSUMERS
                                    : at < T::FACTORS_EMPTY_AT          ? WARP_ARRIVALS
                                                                        : warps);
    tmsi_fence_mbarrier_init();
}

template <class T>
__global__ void __launch_bounds__(T::THREADS, 1) kernel(const __grid_constant__ Params p) {
    const uint32_t shared = tmsi_shared_address(memory);
    const int warpgroup = threadIdx.x / WARPGROUP;
    const int rank = (int)tmsi_cluster_ctarank();
    Place first = {};

    /* Producers have nothing to order here, and work out where their first tile lies meanwhile. */
    if (warpgroup == 0) {
        tmsi_barrier_cluster_arrive_relaxed();
        if (threadIdx.x == 0)
            tmsi_prefetch_tensormap(&p.x_map);
        first = place<T>(p, blockIdx.x / CLUSTER, rank);
    } else {
        if (threadIdx.x / 32 == WARPGROUP / 32)
            init_barriers<T>(shared);
        if (p.row_blocks % T::ROW_BLOCKS != 0)
            fill_metadata<T>(threadIdx.x - WARPGROUP);
        __syncwarp();
        tmsi_barrier_cluster_arrive();
    }
    tmsi_barrier_cluster_wait();
    /* The grid before this one may still have run until here; from here on the next one may begin,
     * which waits in turn. */
    tmsi_griddepcontrol_wait();
    tmsi_griddepcontrol_launch_dependents();
    if (warpgroup == 0) {
        if (T::CONSUMERS == 2)
            tmsi_setmaxnreg_dec<40>();
        produce<T>(p, shared, rank, first);
        __syncwarp();
        tmsi_barrier_cluster_arrive();
    } else {
        if (T::CONSUMERS == 2)
            tmsi_setmaxnreg_inc<232>();
        consume<T>(p, shared);
        __syncwarp();
    }
    /* Until then the other CTA may still send copies and arrivals here. */
    tmsi_barrier_cluster_wait();
}

} // namespace nm24

#endif
