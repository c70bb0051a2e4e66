/* A consumer warpgroup of an nm24 kernel for few tokens: multiplies its CTA's share of k, then adds
 * up the shares of the cluster and stores its part of the tile. */
#ifndef TAMIS_SPMM_CUDA_NM24_FEW_CONSUME_CUH
#define TAMIS_SPMM_CUDA_NM24_FEW_CONSUME_CUH

#include "cuda/ptx/copy.cuh"
#include "cuda/ptx/warp.cuh"
#include "spmm/cuda/nm24_consume.cuh"
#include "spmm/cuda/nm24_few_tile.cuh"

namespace nm24_few {

template <class T> struct Consumer {
    typedef typename T::Element Element;
    typedef float Sums[T::TOKENS / 2]; /* of this thread */
    typedef uint32_t Meta[T::GROUP];

    /* Sums are added and stored by units of 16 tokens, two of the 8 that a register quad holds. */
    static constexpr int QUADS = T::TOKENS < 16 ? 1 : 2;

    const Params &p;
    const Place at;
    uint32_t shared, first_w; /* stage 0: this warpgroup's first block */
    int group, thread;        /* consumer warpgroup, thread in it */
    Ring ring;

    __device__ inline Consumer(const Params &params, const Place &place, uint32_t memory)
        : p(params), at(place), shared(memory), ring(params.stages) {
        group = threadIdx.x / WARPGROUP;
        thread = threadIdx.x % WARPGROUP;
        first_w = shared + T::RING_AT + T::X_BYTES + group * T::W_BYTES;
    }

    __device__ inline void release(int stage) {
        __syncwarp();
        if (thread % 32 == 0)
            tmsi_mbarrier_arrive(empty_barrier(shared, stage));
    }

    __device__ inline uint32_t load_meta(uint32_t w, int block) {
        return tmsi_load_shared_u32(w + block * BLOCK_BYTES + TMSI_NM24_MMA_VALUE_BYTES +
                                    thread * 4);
    }

    __device__ inline void multiply_block(Sums &d, uint32_t w, uint32_t x, uint32_t meta,
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
            meta[i] = load_meta(first_w + offset, i);
        tmsi_wgmma_fence();
#pragma unroll
        for (int i = 0; i < T::GROUP; i++)
            multiply_block(d, first_w + offset + i * BLOCK_BYTES,
                           shared + T::RING_AT + offset + i * x_bytes, meta[i],
                           i > 0 || stages_done > 0);
        tmsi_wgmma_commit();
        tmsi_wgmma_wait<1>();
        if (stages_done > 0)
            release(previous);
        ring.next();
    }

    /* The blocks of a last stage that is not full, one by one. */
    __device__ inline void rest(Sums &d, int blocks, bool accumulate) {
        const int offset = ring.stage * T::STAGE_BYTES, x_bytes = p.tokens * X_ROW_BYTES;

        nm24::wait_for(full_barrier(shared, ring.stage), ring.phase);
#pragma unroll 1
        for (int i = 0; i < blocks; i++) {
            const uint32_t meta = load_meta(first_w + offset, i);

            tmsi_wgmma_fence();
            multiply_block(d, first_w + offset + i * BLOCK_BYTES,
                           shared + T::RING_AT + offset + i * x_bytes, meta, i > 0 || accumulate);
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

    /* Where this warpgroup's sums lie in every CTA of the cluster. */
    __device__ inline uint32_t sums_at(int quad) {
        return shared + T::RING_AT + group * T::SUMS_BYTES + quad * WARPGROUP * 16 + thread * 16;
    }

    __device__ inline void spread(const Sums &d) {
#pragma unroll
        for (int j = 0; j < T::TOKENS / 8; j++)
            if (8 * j < p.tokens)
                tmsi_store_shared_v4_f32(sums_at(j), d[4 * j], d[4 * j + 1], d[4 * j + 2],
                                         d[4 * j + 3]);
    }

    /* The sums of a unit over the whole of k: shares are added in their order. FLIGHT loads are in
     * flight; more would not fit the registers that two CTAs a multiprocessor leave. */
    __device__ inline void gather(int unit, float (&sums)[8]) {
        constexpr int FLIGHT = 4;

#pragma unroll
        for (int i = 0; i < 8; i++)
            sums[i] = 0.f;
#pragma unroll 1
        for (int first = 0; first < p.split; first += FLIGHT) {
            uint32_t shares[FLIGHT][QUADS][4];

#pragma unroll
            for (int s = 0; s < FLIGHT; s++)
#pragma unroll
                for (int j = 0; j < QUADS; j++)
                    if (first + s < p.split)
                        tmsi_load_cluster_v4(tmsi_mapa(sums_at(unit * QUADS + j), first + s),
                                             shares[s][j]);
#pragma unroll
            for (int s = 0; s < FLIGHT; s++)
                if (first + s < p.split)
#pragma unroll
                    for (int i = 0; i < 4 * QUADS; i++)
                        sums[i] += __uint_as_float(shares[s][i / 4][i % 4]);
        }
    }

    /* 16-bit y, row-major: finished in registers, transposed into a buffer of 16 tokens by 64
     * features (the eight 16-byte chunks of a row swizzled by token % 8), and stored a chunk a
     * thread. A residual comes the same way into the same buffer first. */
    template <int KIND>
    __device__ inline void store(int unit, int parity, const float (&sums)[8],
                                 const tmsi_row_factors &rows) {
        constexpr bool MAY_ADD = KIND == TMSI_EPILOGUE_RESIDUAL || KIND == TMSI_EPILOGUE_MIXED;
        const tmsi_epilogue &e = p.epilogue;
        const int warp = thread / 32, lane = thread % 32;
        const int row = (lane >> 4) * 8 + (lane & 7);
        const uint32_t buffer =
            shared + T::STAGING_AT + group * T::STAGING_BYTES + parity * T::BUFFER_BYTES;
        const uint32_t matrix =
            buffer + row * 128 + ((2 * warp + ((lane >> 3) & 1)) ^ (lane & 7)) * 16;
        const uint32_t chunk = buffer + thread / 8 * 128 + ((thread ^ thread / 8) & 7) * 16;
        const int token = at.token + unit * 8 * QUADS, t = token + thread / 8;
        const int n = (at.row_block + group) * 64 + thread % 8 * 8;
        const bool is_inside = thread / 8 < 8 * QUADS && t < at.end && n < e.n;
        uint32_t packed[4] = {};

        if (MAY_ADD && e.residual != NULL) {
            uint4 values = {};

            if (is_inside)
                values = *(const uint4 *)((const uint16_t *)e.residual + t * e.ldr + n);
            packed[0] = values.x, packed[1] = values.y, packed[2] = values.z, packed[3] = values.w;
            tmsi_store_shared_v4(chunk, packed);
            tmsi_bar_sync(2 + group, WARPGROUP);
            tmsi_ldmatrix_x4_trans(matrix, packed);
        }
        tmsi_epilogue_finish<KIND>(e, sums, rows, token + 2 * (lane & 3), packed);
        tmsi_stmatrix_x4_trans(matrix, packed[0], packed[1], packed[2], packed[3]);
        tmsi_bar_sync(2 + group, WARPGROUP);
        if (is_inside) {
            tmsi_load_cluster_v4(chunk, packed);
            *(uint4 *)((uint16_t *)e.y + t * e.ldy + n) =
                make_uint4(packed[0], packed[1], packed[2], packed[3]);
        }
    }

    /* Any y: sums are spread out in shared memory, and the whole epilogue runs element by element.
     */
    __device__ inline void store_plain(int unit, const float (&sums)[8], uint8_t *memory) {
        float *values = (float *)(memory + T::STAGING_AT + group * T::STAGING_BYTES);
        const int warp = thread / 32, lane = thread % 32;
        const int token = at.token + unit * 8 * QUADS;

        tmsi_bar_sync(2 + group, WARPGROUP);
#pragma unroll
        for (int i = 0; i < 4 * QUADS; i++)
            values[(8 * (i >> 2) + 2 * (lane & 3) + (i & 1)) * T::PLAIN_PITCH + warp * 16 +
                   lane / 4 + 8 * (i >> 1 & 1)] = sums[i];
        tmsi_bar_sync(2 + group, WARPGROUP);
        tmsi_epilogue_plain(p.epilogue, values, T::PLAIN_PITCH, (at.row_block + group) * 64, token,
                            min(8 * QUADS, at.end - token), thread);
    }

    __device__ inline void store_any(int unit, int parity, const float (&sums)[8],
                                     const tmsi_row_factors &rows, uint8_t *memory) {
        switch (p.kind) {
        case TMSI_EPILOGUE_ANY:
            return store_plain(unit, sums, memory);
        case TMSI_EPILOGUE_LINEAR:
            return store<TMSI_EPILOGUE_LINEAR>(unit, parity, sums, rows);
        case TMSI_EPILOGUE_CLAMP:
            return store<TMSI_EPILOGUE_CLAMP>(unit, parity, sums, rows);
        case TMSI_EPILOGUE_SMOOTH:
            return store<TMSI_EPILOGUE_SMOOTH>(unit, parity, sums, rows);
        case TMSI_EPILOGUE_RESIDUAL:
            return store<TMSI_EPILOGUE_RESIDUAL>(unit, parity, sums, rows);
        default:
            return store<TMSI_EPILOGUE_MIXED>(unit, parity, sums, rows);
        }
    }
};

/* Every consumer thread of the cluster. The units of a tile go round its CTAs. */
template <class T>
__device__ inline void consume(const Params &p, const Place &at, uint32_t shared, uint8_t *memory) {
    Consumer<T> consumer(p, at, shared);
    const bool is_inside = consumer.group < at.blocks;
    const int n =
        (at.row_block + consumer.group) * 64 + consumer.thread / 32 * 16 + consumer.thread % 32 / 4;
    tmsi_row_factors rows;

    if (is_inside) {
        typename Consumer<T>::Sums d;

        consumer.product(d);
        tmsi_bar_sync(1, T::CONSUMERS); /* nobody reads the ring any more */
        consumer.spread(d);
    } else {
        tmsi_bar_sync(1, T::CONSUMERS);
    }
    if (p.split > 1)
        tmsi_barrier_cluster_arrive();
    rows = tmsi_epilogue_rows(p.epilogue, n);
    if (p.split > 1)
        tmsi_barrier_cluster_wait();
    if (is_inside) {
        int parity = 0;

#pragma unroll 1
        for (int unit = at.rank; unit * 8 * consumer.QUADS < at.end - at.token; unit += p.split) {
            float sums[8];

            consumer.gather(unit, sums);
            consumer.store_any(unit, parity, sums, rows, memory);
            parity ^= 1;
        }
    }
    if (p.split > 1) { /* others may still read this CTA's sums */
        __syncwarp();
        tmsi_barrier_cluster_arrive();
        tmsi_barrier_cluster_wait();
    }
}

} // namespace nm24_few

#endif
