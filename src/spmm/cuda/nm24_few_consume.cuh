/* A consumer warpgroup of an nm24 kernel for few tokens: multiplies its CTA's share of k, then
 * takes part in adding up the shares of the cluster. */
#ifndef TAMIS_SPMM_CUDA_NM24_FEW_CONSUME_CUH
#define TAMIS_SPMM_CUDA_NM24_FEW_CONSUME_CUH

#include "cuda/ptx/grid.cuh"
#include "cuda/ptx/warp.cuh"
#include "spmm/cuda/nm24_consume.cuh"
#include "spmm/cuda/nm24_few_rows.cuh"

namespace nm24_few {

template <class T> struct Consumer {
    typedef typename T::Element Element;
    typedef typename Element::Sum Sums[T::TOKENS / 2]; /* of this thread */
    typedef uint32_t Words[Element::WORDS], Meta[T::GROUP][Element::WORDS];

    const Params &p;
    const Place at;
    uint32_t shared, first_w; /* stage 0: this warpgroup's first block */
    int group, thread;        /* consumer warpgroup, thread in it */
    Ring ring;

    __device__ inline Consumer(const Params &params, const Place &place, uint32_t memory)
        : p(params), at(place), shared(memory), ring(params.stages) {
        group = threadIdx.x / WARPGROUP;
        thread = threadIdx.x % WARPGROUP;
        first_w = shared + p.ring_at + T::X_BYTES + group * T::W_BYTES;
    }

    __device__ inline void release(int stage) {
        __syncwarp();
        if (nm24::EACH_ARRIVES || thread % 32 == 0)
            tmsi_mbarrier_arrive(empty_barrier(shared, stage));
    }

    __device__ inline void load_meta(uint32_t block, Words &meta) {
#pragma unroll
        for (int i = 0; i < Element::WORDS; i++)
            meta[i] = tmsi_load_shared_u32(block + TMSI_NM24_MMA_VALUE_BYTES +
                                           (i * WARPGROUP + thread) * 4);
    }

    __device__ inline void multiply_block(Sums &d, uint32_t w, uint32_t x, const Words &meta,
                                          bool accumulate) {
        const uint64_t a = nm24::describe(w, 512, 2), b = nm24::describe(x, 1024, 1);

        nm24::multiply<0>(Element(), d, a, b, meta, accumulate);
        nm24::multiply<1>(Element(), d, a + (32 >> 4), b + (64 >> 4), meta, true);
    }

    /* A whole stage. The metadata registers are read until its group of products is retired, which
     * is one stage later: calls alternate between two sets. */
    __device__ inline void step(Sums &d, Meta &meta, int stages_done) {
        const int offset = ring.stage * T::STAGE_BYTES, x_bytes = p.tokens * X_ROW_BYTES;
        const int previous = ring.stage == 0 ? ring.stages - 1 : ring.stage - 1;

        nm24::wait_for(full_barrier(shared, ring.stage), ring.phase);
#pragma unroll
        for (int i = 0; i < T::GROUP; i++)
            load_meta(first_w + offset + i * T::BLOCK_BYTES, meta[i]);
        tmsi_wgmma_fence();
#pragma unroll
        for (int i = 0; i < T::GROUP; i++)
            multiply_block(d, first_w + offset + i * T::BLOCK_BYTES,
                           shared + p.ring_at + offset + i * x_bytes, meta[i],
                           i > 0 || stages_done > 0);
        tmsi_wgmma_commit();
        tmsi_wgmma_wait<1>();
        if (stages_done > 0)
            release(previous);
        ring.next(1);
    }

    /* The blocks of a last stage that is not full, one by one. */
    __device__ inline void rest(Sums &d, int blocks, bool accumulate) {
        const int offset = ring.stage * T::STAGE_BYTES, x_bytes = p.tokens * X_ROW_BYTES;

        nm24::wait_for(full_barrier(shared, ring.stage), ring.phase);
#pragma unroll 1
        for (int i = 0; i < blocks; i++) {
            Words meta;

            load_meta(first_w + offset + i * T::BLOCK_BYTES, meta);
            tmsi_wgmma_fence();
            multiply_block(d, first_w + offset + i * T::BLOCK_BYTES,
                           shared + p.ring_at + offset + i * x_bytes, meta, i > 0 || accumulate);
            tmsi_wgmma_commit();
            tmsi_wgmma_wait<0>();
        }
    }

    __device__ inline void product(Sums &d) {
        const int stages = at.count / T::GROUP;
        Meta even, odd;
        int done = 0;

        for (; done + 1 < stages; done += 2) {
            step(d, even, done);
            step(d, odd, done + 1);
        }
        if (done < stages)
            step(d, even, done);
        tmsi_wgmma_wait<0>();
        if (at.count % T::GROUP != 0)
            rest(d, at.count % T::GROUP, stages > 0);
    }
};

template <class T>
__device__ inline void consume(const Params &p, const Place &at, uint32_t shared) {
    Consumer<T> consumer(p, at, shared);
    Store<T> store(p, at, shared, consumer.group, consumer.thread);
    typename Consumer<T>::Sums d;

    if (consumer.group >= at.blocks)
        return;
    /* As those that load do: what follows reads factors, and reads and writes y. */
    tmsi_griddepcontrol_wait();
    Rows<T> rows(p, at, shared, consumer.group, consumer.thread);
    consumer.product(d);
    if (p.has_rows && p.split == 1)
        return rows.finish_own(d);
    if (p.split > 1)
        tmsi_barrier_cluster_wait(); /* all CTAs have begun, long ago */
    store.send(d);
    if (p.has_rows)
        return rows.finish_shared(store);
    store.load_factors();
    store.store(consumer.group);
}

} // namespace nm24_few

#endif
