/* A consumer warpgroup of an nm24 kernel: multiplies the stages of a tile, finishes and stores it.
 */
#ifndef TAMIS_SPMM_CUDA_NM24_CONSUME_CUH
#define TAMIS_SPMM_CUDA_NM24_CONSUME_CUH

#include "cuda/ptx/copy.cuh"
#include "cuda/ptx/warp.cuh"
#include "spmm/cuda/nm24_tile.cuh"

namespace nm24 {

/* Shared-memory descriptors (PTX ISA 9.7.15.5.1): address, leading offset (unused here), stride of
 * 8 rows, swizzle. */
__device__ inline uint64_t describe(uint32_t address, uint32_t stride, uint32_t swizzle) {
    const uint32_t low = ((address & 0x3ffff) >> 4) | (1u << 16);

    return (uint64_t)(stride >> 4 | swizzle << 30) << 32 | low;
}

template <class T> struct Consumer {
    typedef typename T::Element Element;
    typedef float Sums[T::BLOCKS][T::TOKENS / 2]; /* of this thread */

    /* k block after which a tile's first residuals are fetched. */
    static constexpr int FETCH_AT = 4;

    const Params &p;
    const bool fetches;        /* a residual, by the copy engine */
    uint32_t full, empty;      /* barriers */
    uint32_t first_x, first_w; /* stage 0: x; this warpgroup's first block */
    uint32_t staging;          /* this warpgroup's buffers */
    uint32_t residual;         /* this warpgroup's barriers of it */
    int group, thread;         /* consumer warpgroup, thread in it */
    Ring<T::STAGES> ring;
    Ring<T::BUFFERS> buffers;

    __device__ inline Consumer(const Params &params, uint32_t shared, int warpgroup)
        : p(params), fetches(params.kind != TMSI_EPILOGUE_ANY && params.epilogue.residual != NULL) {
        group = warpgroup;
        thread = threadIdx.x % WARPGROUP;
        full = shared + T::BARRIERS_AT;
        empty = full + T::STAGES * 8;
        first_x = shared;
        first_w = shared + T::X_BYTES + group * T::BLOCKS * BLOCK_BYTES;
        staging = shared + T::STAGES * T::STAGE_BYTES + group * T::STAGING_BYTES;
        residual = shared + T::RESIDUAL_AT + group * T::BUFFERS * 8;
    }

    /* Tells the producers of both CTAs that this warp has read a stage. One arrival a warpgroup
     * would do in time, and does in other libraries; a warp's own makes the order provable, at no
     * cost. */
    __device__ inline void release(int stage) {
        __syncwarp();
        if (thread % 32 < CLUSTER)
            tmsi_mbarrier_arrive_cluster(tmsi_mapa(empty + stage * 8, thread % 32));
    }

    /* Multiplies one stage. The metadata registers are read by the tensor core until the group is
     * retired, which is one step later: calls must alternate between two sets. */
    __device__ inline void step(Sums &d, uint32_t (&meta)[T::BLOCKS], int kb) {
        const uint32_t offset = ring.stage * T::STAGE_BYTES;
        const uint32_t w = first_w + offset;
        const uint64_t a = describe(w, 512, 2), b = describe(first_x + offset, 1024, 1);
        const int previous = ring.stage == 0 ? T::STAGES - 1 : ring.stage - 1;

        wait_for(full + ring.stage * 8, ring.phase);
#pragma unroll
        for (int i = 0; i < T::BLOCKS; i++)
            meta[i] =
                tmsi_load_shared_u32(w + i * BLOCK_BYTES + TMSI_NM24_MMA_VALUE_BYTES + thread * 4);
        tmsi_wgmma_fence();
#pragma unroll
        for (int i = 0; i < T::BLOCKS; i++)
            multiply<0>(Element(), d[i], a + i * (BLOCK_BYTES >> 4), b, meta[i], kb > 0);
#pragma unroll
        for (int i = 0; i < T::BLOCKS; i++)
            multiply<1>(Element(), d[i], a + i * (BLOCK_BYTES >> 4) + (32 >> 4), b + (64 >> 4),
                        meta[i], true);
        tmsi_wgmma_commit();
        tmsi_wgmma_wait<1>();
        if (kb > 0)
            release(previous);
        ring.next();
    }

    __device__ inline void product(Sums &d, const Place &at) {
        uint32_t even[T::BLOCKS], odd[T::BLOCKS];
        int kb = 0;

        for (; kb + 1 < p.k_blocks; kb += 2) {
            step(d, even, kb);
            step(d, odd, kb + 1);
            if (kb == FETCH_AT && fetches)
                fetch_first(at);
        }
        if (kb <= FETCH_AT && fetches)
            fetch_first(at);
        if (kb < p.k_blocks)
            step(d, even, kb);
        tmsi_wgmma_wait<0>();
        release(ring.stage == 0 ? T::STAGES - 1 : ring.stage - 1);
    }

    /* Where chunk c of this warpgroup's rows of a tile lies in y. */
    __device__ inline void copy_chunk(const Place &at, int c, uint32_t buffer, bool is_store) {
        const int block = at.row_block + group * T::BLOCKS + c / T::CHUNKS;
        const int token = at.token + c % T::CHUNKS * T::CHUNK;
        const uint32_t at_buffer = staging + buffer * T::BUFFER_BYTES;

        if (is_store) {
            if (block < p.row_blocks)
                tmsi_store_tensor_2d(&p.y_map, at_buffer, block * 64, token);
            tmsi_store_commit();
        } else {
            tmsi_mbarrier_arrive_expect_tx(residual + buffer * 8, T::BUFFER_BYTES);
            tmsi_copy_tensor_2d(at_buffer, &p.residual_map, block * 64, token,
                                residual + buffer * 8);
        }
    }

    /* The residual of a tile's first chunks, while the product still runs: the buffers have been
     * stored long before. */
    __device__ inline void fetch_first(const Place &at) {
        if (thread == 0) {
            tmsi_store_wait_read<0>();
            for (int c = 0; c < T::BUFFERS && c < T::BLOCKS * T::CHUNKS; c++)
                copy_chunk(at, c, (buffers.stage + c) % T::BUFFERS, false);
        }
    }

    /* 16-bit y, row-major: finished in registers, transposed into a buffer by stmatrix, stored by
     * the copy engine while the next chunk or tile is computed. The buffer's row is a token: 64
     * features, its eight 16-byte chunks swizzled by token % 8 as the map says. A residual comes
     * into the same buffer first. */
    template <int KIND> __device__ inline void store(Sums &d, const Place &at) {
        constexpr bool MAY_FETCH = KIND == TMSI_EPILOGUE_RESIDUAL || KIND == TMSI_EPILOGUE_MIXED;
        const int warp = thread / 32, lane = thread % 32;
        const int token = (lane >> 4) * 8 + (lane & 7);
        const int swizzled = ((2 * warp + ((lane >> 3) & 1)) ^ (lane & 7)) * 16;

#pragma unroll
        for (int i = 0; i < T::BLOCKS; i++) {
            const int n = (at.row_block + group * T::BLOCKS + i) * 64 + warp * 16 + lane / 4;
            const tmsi_row_factors rows = tmsi_epilogue_rows(p.epilogue, n);

#pragma unroll
            for (int c = 0; c < T::CHUNKS; c++) {
                const uint32_t to =
                    staging + buffers.stage * T::BUFFER_BYTES + token * 128 + swizzled;

                if (MAY_FETCH && fetches) {
                    wait_for(residual + buffers.stage * 8, buffers.phase);
                } else {
                    if (thread == 0)
                        tmsi_store_wait_read<T::BUFFERS - 1>();
                    tmsi_bar_sync(1 + group, WARPGROUP);
                }
#pragma unroll
                for (int j = 0; j < T::CHUNK / 16; j++) {
                    uint32_t packed[4];

                    if (MAY_FETCH && fetches)
                        tmsi_ldmatrix_x4_trans(to + j * 16 * 128, packed);
                    tmsi_epilogue_finish<KIND>(p.epilogue, d[i] + (c * T::CHUNK + 16 * j) / 2, rows,
                                               at.token + c * T::CHUNK + 16 * j + 2 * (lane & 3),
                                               packed);
                    tmsi_stmatrix_x4_trans(to + j * 16 * 128, packed[0], packed[1], packed[2],
                                           packed[3]);
                }
                tmsi_fence_proxy_async();
                tmsi_bar_sync(1 + group, WARPGROUP);
                if (thread == 0) {
                    copy_chunk(at, i * T::CHUNKS + c, buffers.stage, true);
                    if (MAY_FETCH && fetches &&
                        i * T::CHUNKS + c + T::BUFFERS < T::BLOCKS * T::CHUNKS) {
                        tmsi_store_wait_read<0>();
                        copy_chunk(at, i * T::CHUNKS + c + T::BUFFERS, buffers.stage, false);
                    }
                }
                buffers.next();
            }
        }
    }

    __device__ inline void store_any(Sums &d, const Place &at) {
        switch (p.kind) {
        case TMSI_EPILOGUE_LINEAR:
            return store<TMSI_EPILOGUE_LINEAR>(d, at);
        case TMSI_EPILOGUE_CLAMP:
            return store<TMSI_EPILOGUE_CLAMP>(d, at);
        case TMSI_EPILOGUE_SMOOTH:
            return store<TMSI_EPILOGUE_SMOOTH>(d, at);
        case TMSI_EPILOGUE_RESIDUAL:
            return store<TMSI_EPILOGUE_RESIDUAL>(d, at);
        default:
            return store<TMSI_EPILOGUE_MIXED>(d, at);
        }
    }

    /* Any y: sums are spread out in shared memory, and the whole epilogue runs element by element.
     */
    __device__ inline void store_plain(Sums &d, const Place &at, float *spread) {
        constexpr int CHUNKS = T::TOKENS / T::PLAIN_TOKENS;
        const int warp = thread / 32, lane = thread % 32;
        const int row = warp * 16 + lane / 4;

#pragma unroll 1
        for (int chunk = 0; chunk < T::BLOCKS * CHUNKS; chunk++) {
            const int block = at.row_block + group * T::BLOCKS + chunk / CHUNKS;

            tmsi_bar_sync(1 + group, WARPGROUP);
#pragma unroll
            for (int c = 0; c < T::BLOCKS * CHUNKS; c++)
                if (c == chunk)
#pragma unroll
                    for (int j = 0; j < T::PLAIN_TOKENS / 8; j++)
#pragma unroll
                        for (int r = 0; r < 4; r++)
                            spread[(8 * j + 2 * (lane & 3) + (r & 1)) * T::PLAIN_PITCH + row +
                                   8 * (r >> 1)] =
                                d[c / CHUNKS][(c % CHUNKS * T::PLAIN_TOKENS + 8 * j) / 2 + r];
            tmsi_bar_sync(1 + group, WARPGROUP);
            if (block < p.row_blocks)
                tmsi_epilogue_plain(p.epilogue, spread, T::PLAIN_PITCH, block * 64,
                                    at.token + chunk % CHUNKS * T::PLAIN_TOKENS, T::PLAIN_TOKENS,
                                    thread);
        }
        tmsi_bar_sync(1 + group, WARPGROUP);
    }
};

template <class T>
__device__ inline void consume(const Params &p, uint32_t shared, uint8_t *memory, int warpgroup,
                               int rank) {
    const int clusters = p.clusters_n * p.clusters_t;
    Consumer<T> consumer(p, shared, warpgroup);

    for (int cluster = blockIdx.x / CLUSTER; cluster < clusters; cluster += gridDim.x / CLUSTER) {
        const Place at = place<T>(p, cluster, rank);
        typename Consumer<T>::Sums d;

        consumer.product(d, at);
        if (p.kind == TMSI_EPILOGUE_ANY)
            consumer.store_plain(d, at, (float *)(memory + (consumer.staging - shared)));
        else
            consumer.store_any(d, at);
    }
    if (consumer.thread == 0)
        tmsi_store_wait();
}

} // namespace nm24

#endif
