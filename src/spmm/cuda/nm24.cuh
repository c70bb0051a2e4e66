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

template <class T>
__global__ void __launch_bounds__(T::THREADS, 1) kernel(const __grid_constant__ Params p) {
    const uint32_t shared = tmsi_shared_address(memory);
    const int warpgroup = threadIdx.x / WARPGROUP;
    const int rank = (int)tmsi_cluster_ctarank();

    /* Blocks past the image's end are never loaded; whatever the tensor core reads there must be
     * legal metadata: 0x4 says positions 0 and 1. */
    for (int i = threadIdx.x; i < T::STAGES * T::ROW_BLOCKS * T::META_BYTES / 4; i += T::THREADS) {
        const int word = i % (T::META_BYTES / 4), block = i / (T::META_BYTES / 4) % T::ROW_BLOCKS;
        const int stage = i / (T::META_BYTES / 4) / T::ROW_BLOCKS;

        ((uint32_t *)(memory + stage * T::STAGE_BYTES + T::X_BYTES + block * T::BLOCK_BYTES +
                      TMSI_NM24_MMA_VALUE_BYTES))[word] = 0x44444444u;
    }
    tmsi_fence_proxy_async();
    if (threadIdx.x == 0) {
        for (int i = 0; i < T::STAGES; i++) {
            tmsi_mbarrier_init(shared + T::BARRIERS_AT + i * 8, PRODUCERS);
            tmsi_mbarrier_init(shared + T::BARRIERS_AT + (T::STAGES + i) * 8,
                               T::CONSUMERS * (WARPGROUP / 32) * CLUSTER * WARP_ARRIVALS);
        }
        for (int i = 0; i < T::CONSUMERS * T::BUFFERS; i++)
            tmsi_mbarrier_init(shared + T::RESIDUAL_AT + i * 8, 1);
        tmsi_mbarrier_init(shared + T::BUFFERS_FREE_AT, T::CONSUMERS);
        tmsi_mbarrier_init(shared + T::FACTORS_FULL_AT, WARP_ARRIVALS);
        tmsi_mbarrier_init(shared + T::FACTORS_EMPTY_AT,
                           T::CONSUMERS * (WARPGROUP / 32) * WARP_ARRIVALS);
        tmsi_fence_mbarrier_init();
    }
    __syncthreads();
    tmsi_barrier_cluster_arrive();
    tmsi_barrier_cluster_wait();
    /* The grid before this one may still have run until here; from here on the next one may begin,
     * which waits in turn. */
    tmsi_griddepcontrol_wait();
    tmsi_griddepcontrol_launch_dependents();
    if (warpgroup == 0) {
        if (T::CONSUMERS == 2)
            tmsi_setmaxnreg_dec<40>();
        produce<T>(p, shared, rank);
    } else {
        if (T::CONSUMERS == 2)
            tmsi_setmaxnreg_inc<232>();
        consume<T>(p, shared);
    }
    /* The other CTA may still send copies and arrivals here. */
    __syncwarp();
    tmsi_barrier_cluster_arrive();
    tmsi_barrier_cluster_wait();
}

} // namespace nm24

#endif
