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

    /* k block after which a tile's first residuals may come. */
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

    /* Where block i finds its rows of w and of x in stage 0. first_w: this warpgroup's first block,
     * kept by the caller, or a register more is taken by each block. */
    __device__ inline uint32_t place_w(uint32_t first_w, int i) const {
        return T::IS_HALVED && i == T::BLOCKS - 1
                   ? shared + T::X_BYTES + T::row_block(0, i) * T::BLOCK_BYTES
                   : first_w + i * T::BLOCK_BYTES;
    }
    __device__ inline uint32_t place_x(int group, int i) const {
        return shared + T::block_token(group, i) * X_ROW_BYTES;
    }

    /* Step S of a stage for block i; offset: of the stage. */
    template <int S>
    __device__ inline void multiply_block(Sums &d, int i, uint32_t first_w, int group,
                                          uint32_t offset, const Meta &meta, bool accumulate) {
        const uint64_t a = describe(place_w(first_w, i) + offset, 512, 2) + (S * 32 >> 4);
        const uint64_t b = describe(place_x(group, i) + offset, 1024, 1) + (S * 64 >> 4);

        if constexpr (T::IS_HALVED) {
            typedef typename Element::Sum Half[T::TOKENS / 4];

            if (i == T::BLOCKS - 1)
                return multiply<S>(Element(), (Half &)d[i], a, b, meta[i], accumulate);
        }
        multiply<S>(Element(), d[i], a, b, meta[i], accumulate);
    }

    /* Multiplies one stage. The metadata registers are read by the tensor core until the group is
     * retired, which is one step later: calls must alternate between two sets. */
    __device__ inline void step(Sums &d, Meta &meta, uint32_t first_w, int group, int thread,
                                int kb) {
        const uint32_t offset = ring.stage() * T::STAGE_BYTES;
        const int previous = ring.previous();

        wait_for(full(ring.stage()), ring.phase());
#pragma unroll
        for (int i = 0; i < T::BLOCKS * Element::WORDS; i++)
            meta[i / Element::WORDS][i % Element::WORDS] = tmsi_load_shared_u32(
                place_w(first_w, i / Element::WORDS) + offset + TMSI_NM24_MMA_VALUE_BYTES +
                (i % Element::WORDS * WARPGROUP + thread) * 4);
        tmsi_wgmma_fence();
#pragma unroll
        for (int i = 0; i < T::BLOCKS; i++)
            multiply_block<0>(d, i, first_w, group, offset, meta, kb > 0);
#pragma unroll
        for (int i = 0; i < T::BLOCKS; i++)
            multiply_block<1>(d, i, first_w, group, offset, meta, true);
        tmsi_wgmma_commit();
        tmsi_wgmma_wait<1>();
        if (kb > 0)
            release(previous, thread);
        ring.next();
    }

    __device__ inline void product(Sums &d) {
        const int tid = tmsi_tid_x(), thread = tid % WARPGROUP, group = tid / WARPGROUP - 1;
        const uint32_t first_w = shared + T::X_BYTES + T::row_block(group, 0) * T::BLOCK_BYTES;
        Meta even, odd;
        int kb = 0;

        for (; kb + 1 < p.k_blocks; kb += 2) {
            step(d, even, first_w, group, thread, kb);
            step(d, odd, first_w, group, thread, kb + 1);
            if (kb == FETCH_AT)
                Store<T>(p, shared, 0).free_buffers();
        }
        if (kb <= FETCH_AT)
            Store<T>(p, shared, 0).free_buffers();
        if (kb < p.k_blocks)
            step(d, even, first_w, group, thread, kb);
        tmsi_wgmma_wait<0>();
        release(ring.previous(), thread);
    }
};

template <class T> __device__ inline void consume(const Params &p, uint32_t shared) {
    const int clusters = (int)p.grid.clusters;
    Consumer<T> consumer(p, shared);

    /* The ring's steps tell which tile it is: its number in a register of its own would be one too
     * many. */
    for (;;) {
        const int tile = (int)(consumer.ring.steps / p.k_blocks);
        const int cluster = (int)(blockIdx.x + tile * gridDim.x) / CLUSTER;
        typename Consumer<T>::Sums d;

        if (cluster >= clusters)
            break;
        consumer.product(d);
        Store<T>(p, shared, (int)(consumer.ring.steps / p.k_blocks) - 1).any(d);
    }
    if (threadIdx.x % WARPGROUP == 0)
        tmsi_store_wait_read<0>(); /* the grid's end completes the stores */
}

} // namespace nm24

#endif
