/* What the roles of an nm24 kernel for few tokens share: the tile, its parameters, its place. */
#ifndef TAMIS_SPMM_CUDA_NM24_FEW_TILE_CUH
#define TAMIS_SPMM_CUDA_NM24_FEW_TILE_CUH

#include "spmm/cuda/nm24_tile.cuh"

namespace nm24_few {

using nm24::WARPGROUP;
using nm24::X_ROW_BYTES;

/* A tile: ROW_BLOCKS consumer warpgroups, a block of 64 rows of w each, by up to TOKENS rows of x.
 * A stage of the ring holds GROUP blocks of k: one copy brings as many for a row of blocks, and one
 * for x. CTAS of them may share a multiprocessor. */
template <class Element_, int ROW_BLOCKS_, int TOKENS_, int GROUP_, int CTAS_> struct Tile {
    typedef Element_ Element;
    static constexpr int ROW_BLOCKS = ROW_BLOCKS_, TOKENS = TOKENS_, GROUP = GROUP_, CTAS = CTAS_;
    static constexpr int CONSUMERS = ROW_BLOCKS * WARPGROUP;
    /* Warps of which one thread loads. They take turns with the stages: a thread needs 300 cycles
     * and more to load one, longer than its products take. */
    static constexpr int PRODUCERS = 4;
    static constexpr int THREADS = CONSUMERS + PRODUCERS * 32;
    static constexpr int DEPTH = X_ROW_BYTES / Element::BYTES; /* k of a block */
    static constexpr int BLOCK_BYTES =
        TMSI_NM24_MMA_VALUE_BYTES + Element::WORDS * TMSI_NM24_MMA_META_BYTES;
    static constexpr int X_BYTES = GROUP * TOKENS * X_ROW_BYTES;
    static constexpr int W_BYTES = GROUP * BLOCK_BYTES; /* of a row of blocks */
    static constexpr int STAGE_BYTES = X_BYTES + ROW_BLOCKS * W_BYTES;
    /* Shared memory: barriers, full and empty of each stage and one that counts sums; a place where
     * sums cross from the tensor core's order to y's, two units of 8 tokens in rows of 64 + 4 f32,
     * so that the lanes that share rows of w store to different banks; the sums that CTAs send, a
     * quad a thread and unit; the ring. */
    static constexpr int STAGES_MAX = 60, SUMS_BARRIER_AT = STAGES_MAX * 16;
    static constexpr int STAGING_AT = 1024, STAGING_BYTES = 4352;
    static constexpr int CROSS_PITCH = 68 * 4, CROSS_BYTES = 8 * CROSS_PITCH;
    static constexpr int SUMS_AT = STAGING_AT + ROW_BLOCKS * STAGING_BYTES;
    static constexpr int UNIT_BYTES = WARPGROUP * 16;
    static_assert(STAGE_BYTES % 1024 == 0, "the swizzle of x repeats every 1024 bytes");
    static_assert(SUMS_BARRIER_AT + 8 <= STAGING_AT, "");
};

struct Params {
    CUtensorMap x_map; /* [k / DEPTH][t][DEPTH], boxes of GROUP; or, with a rest of k, [1][t][k] */
    const uint8_t *w;  /* image blocks [row_blocks][k_blocks] */
    int32_t row_blocks, k_blocks;
    int32_t share, more; /* blocks of k a CTA; the first `more` of a cluster have one more */
    int32_t has_rest;    /* of k, less than a block: a box of x has one block, else GROUP */
    int32_t sums_bytes;  /* a warpgroup */
    int32_t ring_at;
    int32_t stages;     /* of the ring */
    int32_t producers;  /* that work: see produce */
    int32_t tokens;     /* of a tile, a multiple of 8 */
    int32_t split;      /* CTAs that share a tile's k: the cluster */
    int32_t has_pieces; /* whether pieces of y, and of the residual, are aligned to their size */
    int32_t has_rows;   /* whether nm24_few_rows.cuh serves the epilogue */
    tmsi_epilogue epilogue;
};

/* What a CTA computes. */
struct Place {
    int row_block, blocks; /* first of the tile; how many the image has, 1 .. ROW_BLOCKS */
    int first, count;      /* blocks of k */
    int token, end;        /* tokens */
    int rank;
};

/* The grid is cluster by tiles of n by tiles of t. */
template <class T> __device__ inline Place place(const Params &p) {
    Place at;

    at.rank = (int)blockIdx.x;
    at.row_block = (int)blockIdx.y * T::ROW_BLOCKS;
    at.blocks = min(p.row_blocks - at.row_block, T::ROW_BLOCKS);
    at.first = at.rank * p.share + min(at.rank, p.more);
    at.count = p.share + (at.rank < p.more);
    at.token = (int)blockIdx.z * p.tokens;
    at.end = min(at.token + p.tokens, p.epilogue.t);
    return at;
}

/* Units of 8 tokens: of a tile, and those of them that this CTA adds up. */
__device__ inline int tile_units(const Place &at) {
    return (at.end - at.token + 7) / 8;
}

__device__ inline int own_units(const Params &p, const Place &at) {
    return (tile_units(at) - at.rank + p.split - 1) / p.split;
}

/* The ring's place, of a length that the launch decides. */
struct Ring {
    int stages;
    int stage = 0;
    uint32_t phase = 0;

    __device__ inline explicit Ring(int count) : stages(count) {}
    __device__ inline void next(int count) {
        for (stage += count; stage >= stages; stage -= stages)
            phase ^= 1;
    }
};

__device__ inline uint32_t full_barrier(uint32_t shared, int stage) {
    return shared + stage * 16;
}
__device__ inline uint32_t empty_barrier(uint32_t shared, int stage) {
    return shared + stage * 16 + 8;
}

} // namespace nm24_few

#endif
