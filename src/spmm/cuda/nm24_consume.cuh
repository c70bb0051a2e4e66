/* A consumer warpgroup of an nm24 kernel: multiplies the stages of a tile. */
#ifndef TAMIS_SPMM_CUDA_NM24_CONSUME_CUH
#define TAMIS_SPMM_CUDA_NM24_CONSUME_CUH

#include "spmm/cuda/nm24_store.cuh"

namespace nm24 {

/* Shared-memory descriptors (PTX ISA 9.7.15.5.1): address, leading offset (unused here), stride of
 * 8 rows, swizzle. */
__device__ inline uint64_t describe(uint32_t address, uint32_t stride, uint32_t swizzle) {
    const uint32_t low = ((address & 0x3ffff) >> 4) | (1u << 16);

    return (uint64_t)(stride >> 4 | swizzle << 30) << 32 | low;
}

template <class T> struct Consumer {
    typedef typename T::Element Element;
    typedef typename Store<T>::Sums Sums;
    typedef uint32_t Meta[T::BLOCKS][Element::WORDS]; /* a stage's metadata of this thread */

    /* k block after which a tile's first residuals are fetched. */
    static constexpr int FETCH_AT = 4;

    const Params &p;
    const uint32_t shared;
    Ring<T::STAGES> ring;

    __device__ inline Consumer(const Params &params, uint32_t address)
        : p(params), shared(address) {}

    __device__ inline uint32_t full(int stage) const {
        return shared + T::BARRIERS_AT + stage * 8;
    }

    /* Tells the producers of both CTAs that this warp has read a stage. One arrival a warpgroup
     * would do in time, and does in other libraries; a warp's own makes the order provable, at no
     * cost. */
    __device__ inline void release(int stage, int thread) {
        __syncwarp();
        if (!EACH_ARRIVES && thread % 32 < CLUSTER)
            tmsi_mbarrier_arrive_cluster(tmsi_mapa(full(T::STAGES + stage), thread % 32));
        for (int cta = 0; EACH_ARRIVES && cta < CLUSTER; cta++)
            tmsi_mbarrier_arrive_cluster(tmsi_mapa(full(T::STAGES + stage), cta));
    }

    /* Multiplies one stage; w is where this warpgroup's blocks lie in stage 0. The metadata
     * registers are read by the tensor core until the group is retired, which is one step later:
     * calls must alternate between two sets. */
    __device__ inline void step(Sums &d, Meta &meta, uint32_t first_w, int thread, int kb) {
        const uint32_t offset = ring.stage() * T::STAGE_BYTES;
        const uint32_t w = first_w + offset;
        const uint64_t a = describe(w, 512, 2), b = describe(shared + offset, 1024, 1);
        const int previous = ring.previous();

        wait_for(full(ring.stage()), ring.phase());
#pragma unroll
        for (int i = 0; i < T::BLOCKS * Element::WORDS; i++)
            meta[i / Element::WORDS][i % Element::WORDS] = tmsi_load_shared_u32(
                w + i / Element::WORDS * T::BLOCK_BYTES + TMSI_NM24_MMA_VALUE_BYTES +
                (i % Element::WORDS * WARPGROUP + thread) * 4);
        tmsi_wgmma_fence();
#pragma unroll
        for (int i = 0; i < T::BLOCKS; i++)
            multiply<0>(Element(), d[i], a + i * (T::BLOCK_BYTES >> 4), b, meta[i], kb > 0);
#pragma unroll
        for (int i = 0; i < T::BLOCKS; i++)
            multiply<1>(Element(), d[i], a + i * (T::BLOCK_BYTES >> 4) + (32 >> 4), b + (64 >> 4),
                        meta[i], true);
        tmsi_wgmma_commit();
        tmsi_wgmma_wait<1>();
        if (kb > 0)
            release(previous, thread);
        ring.next();
    }

    __device__ inline void product(Sums &d, const Place &at) {
        const int tid = tmsi_tid_x(), thread = tid % WARPGROUP;
        const uint32_t first_w =
            shared + T::X_BYTES + (tid / WARPGROUP - 1) * T::BLOCKS * T::BLOCK_BYTES;
        Meta even, odd;
        int kb = 0;

        for (; kb + 1 < p.k_blocks; kb += 2) {
            step(d, even, first_w, thread, kb);
            step(d, odd, first_w, thread, kb + 1);
            if (kb == FETCH_AT)
                Store<T>(p, shared, at, 0).fetch_first();
        }
        if (kb <= FETCH_AT)
            Store<T>(p, shared, at, 0).fetch_first();
        if (kb < p.k_blocks)
            step(d, even, first_w, thread, kb);
        tmsi_wgmma_wait<0>();
        release(ring.previous(), thread);
    }
};

template <class T> __device__ inline void consume(const Params &p, uint32_t shared) {
    const int clusters = p.clusters_n * p.clusters_t;
    Consumer<T> consumer(p, shared);

    /* The ring's steps tell which tile it is: its number in a register of its own would be one too
     * many. */
    for (;;) {
        const int tile = (int)(consumer.ring.steps / p.k_blocks);
        const int cluster = (int)(blockIdx.x + tile * gridDim.x) / CLUSTER;
        typename Consumer<T>::Sums d;

        if (cluster >= clusters)
            break;
        const Place at = place<T>(p, cluster, (int)tmsi_cluster_ctarank());
        consumer.product(d, at);
        Store<T>(p, shared, at, (int)(consumer.ring.steps / p.k_blocks) - 1).any(d);
    }
    if (threadIdx.x % WARPGROUP == 0)
        tmsi_store_wait_read<0>(); /* the grid's end completes the stores */
}

} // namespace nm24

#endif
