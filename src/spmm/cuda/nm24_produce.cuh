/* The producer of an nm24 kernel: keeps the ring of stages filled. */
#ifndef TAMIS_SPMM_CUDA_NM24_PRODUCE_CUH
#define TAMIS_SPMM_CUDA_NM24_PRODUCE_CUH

#include "cuda/ptx/cluster.cuh"
#include "cuda/ptx/copy.cuh"
#include "cuda/ptx/warp.cuh"
#include "spmm/cuda/nm24_tile.cuh"

namespace nm24 {

/* The producer's threads, one each of three warps (the fourth fetches what the epilogue needs): one
 * thread issues a copy in about 150 cycles, and five of them took longer than the products of a
 * stage. Of the operand that the cluster shares, its CTAs take turns to load a whole tile for both.
 *
 * Each arrives at every stage, whether it has something to load for it or not: so none is left
 * behind by two turns of the ring, after which parity would show it the wrong one, and it waited
 * for ever. */
constexpr int PRODUCERS = 3;
constexpr uint16_t BOTH = (1u << CLUSTER) - 1;

/* x, and the count of bytes that a stage waits for. Boxes without a token are not loaded: their
 * rows of shared memory hold what was there before, and the sums of it are never stored. Loading
 * them as zeros made products of 1 token 1.4 times slower than of 64. */
template <class T>
__device__ inline void produce_x(const Params &p, uint32_t shared, int rank, Place at) {
    const uint32_t full = shared + T::BARRIERS_AT, empty = full + T::STAGES * 8;
    const int clusters = (int)p.grid.clusters, box_bytes = p.box_rows * X_ROW_BYTES;
    Ring<T::STAGES> ring;

    for (int cluster = blockIdx.x / CLUSTER; cluster < clusters; cluster += gridDim.x / CLUSTER) {
        if (ring.steps > 0)
            at = place<T>(p, cluster, rank);
        const uint32_t bytes = at.boxes * box_bytes + at.blocks * T::BLOCK_BYTES;

        for (int kb = 0; kb < p.k_blocks; kb++) {
            const uint32_t to = shared + ring.stage() * T::STAGE_BYTES;
            const uint32_t barrier = full + ring.stage() * 8;
            const bool is_turn = ((kb ^ rank) & 1) == 0;

            wait_for(empty + ring.stage() * 8, ring.phase() ^ 1);
            tmsi_mbarrier_arrive_expect_tx(barrier, bytes);
            for (int b = 0; b < at.boxes; b++) {
                if (!at.shares_x)
                    tmsi_copy_tensor_2d(to + b * box_bytes, &p.x_map, kb * T::DEPTH,
                                        at.token + b * p.box_rows, barrier);
                else if (is_turn)
                    tmsi_copy_tensor_2d_multicast(to + b * box_bytes, &p.x_map, kb * T::DEPTH,
                                                  at.token + b * p.box_rows, barrier, BOTH);
            }
            ring.next();
        }
    }
}

/* Blocks first, first + 1 ... of a tile's w, `count` at most. */
template <class T>
__device__ inline void produce_w(const Params &p, uint32_t shared, int rank, Place at, int first,
                                 int count) {
    const uint32_t full = shared + T::BARRIERS_AT, empty = full + T::STAGES * 8;
    const int clusters = (int)p.grid.clusters;
    const int64_t row_bytes = (int64_t)p.k_blocks * T::BLOCK_BYTES;
    Ring<T::STAGES> ring;

    for (int cluster = blockIdx.x / CLUSTER; cluster < clusters; cluster += gridDim.x / CLUSTER) {
        if (ring.steps > 0)
            at = place<T>(p, cluster, rank);
        const uint8_t *from = p.w + (at.row_block + first) * row_bytes;
        const int blocks = min(at.blocks - first, count);

        for (int kb = 0; kb < p.k_blocks; kb++) {
            const uint32_t to =
                shared + ring.stage() * T::STAGE_BYTES + T::X_BYTES + first * T::BLOCK_BYTES;
            const uint32_t barrier = full + ring.stage() * 8;

            wait_for(empty + ring.stage() * 8, ring.phase() ^ 1);
            if (at.shares_x) {
                for (int b = 0; b < blocks; b++)
                    tmsi_copy_bulk(to + b * T::BLOCK_BYTES, from + b * row_bytes, T::BLOCK_BYTES,
                                   barrier);
            } else if (((kb ^ rank) & 1) == 0) {
                for (int b = 0; b < blocks; b++)
                    tmsi_copy_bulk_multicast(to + b * T::BLOCK_BYTES, from + b * row_bytes,
                                             T::BLOCK_BYTES, barrier, BOTH);
            }
            tmsi_mbarrier_arrive(barrier);
            from += T::BLOCK_BYTES;
            ring.next();
        }
    }
}

/* What the epilogue needs of a tile, by a warp, while its product runs: factors, where the tile
 * lies, the first chunks of the residual. Read when the sums were there, factors from memory held
 * up the store; read or worked out by the consumers themselves, they cost them registers. SMOOTH
 * wants h = z/2. */
template <class T>
__device__ inline void produce_factors(const Params &p, uint32_t shared, int rank) {
    const tmsi_epilogue &e = p.epilogue;
    const int clusters = (int)p.grid.clusters, lane = threadIdx.x % 32;
    const float half = p.kind == SMOOTH ? 0.5f : 1.f;
    uint32_t phase = 1;

    for (int cluster = blockIdx.x / CLUSTER; cluster < clusters; cluster += gridDim.x / CLUSTER) {
        const Place at = place<T>(p, cluster, rank);

        wait_for(shared + T::FACTORS_EMPTY_AT, phase);
        for (int r = lane; r < T::ROW_BLOCKS * 64; r += 32) {
            const int n = at.row_block * 64 + r;

            tmsi_store_shared_f32x2(shared + T::ROWS_AT + r * 8,
                                    e.scale_n != NULL && n < e.n ? half * e.scale_n[n] : half,
                                    e.bias != NULL && n < e.n ? half * e.bias[n] : 0.f);
        }
        for (int t = lane; t < T::TOKENS; t += 32)
            tmsi_store_shared(shared + T::SCALES_AT + t * 4, e.scale_t != NULL && at.token + t < e.t
                                                                 ? e.scale_t[at.token + t]
                                                                 : 1.f);
        if (lane == 0) {
            tmsi_store_shared_u32(shared + T::TILE_BLOCK_AT, at.row_block);
            tmsi_store_shared_u32(shared + T::TILE_TOKEN_AT, at.token);
            tmsi_store_shared_u32(shared + T::TILE_IS_LAST_AT,
                                  cluster + (int)gridDim.x / CLUSTER >= clusters);
        }
        __syncwarp();
        if (EACH_ARRIVES || lane == 0)
            tmsi_mbarrier_arrive(shared + T::FACTORS_FULL_AT);
        phase ^= 1;
        if (p.kind == RESIDUAL && lane == 0) {
            wait_for(shared + T::BUFFERS_FREE_AT, phase);
            for (int i = 0; i < T::CONSUMERS * T::BUFFERS; i++)
                fetch_residual<T>(p, shared, i / T::BUFFERS, i % T::BUFFERS, at.row_block,
                                  at.token);
        }
        __syncwarp();
    }
}

/* Blocks of a tile's w that each of the threads for w loads. */
template <class T> constexpr int EACH_W = (T::ROW_BLOCKS + 1) / (PRODUCERS - 1);

/* at: of the first tile. */
template <class T>
__device__ inline void produce(const Params &p, uint32_t shared, int rank, const Place &at) {
    const int producer = threadIdx.x / 32;

    if (producer == PRODUCERS)
        return produce_factors<T>(p, shared, rank);
    if (threadIdx.x % 32 != 0)
        return;
    if (producer == 0)
        produce_x<T>(p, shared, rank, at);
    else
        produce_w<T>(p, shared, rank, at, (producer - 1) * EACH_W<T>, EACH_W<T>);
}

} // namespace nm24

#endif
