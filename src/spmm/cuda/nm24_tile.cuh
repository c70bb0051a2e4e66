/* What the roles of an nm24 kernel share: the tile, its parameters, where it lies, the ring. */
#ifndef TAMIS_SPMM_CUDA_NM24_TILE_CUH
#define TAMIS_SPMM_CUDA_NM24_TILE_CUH

#include <cuda.h>
#include <stdint.h>

#include "cuda/ptx/copy.cuh"
#include "cuda/ptx/mbarrier.cuh"
#include "cuda/ptx/wgmma_sp.cuh"
#include "format/layout/nm24_mma.h"
#include "spmm/cuda/nm24.h"
#include "spmm/cuda/nm24_finish.cuh"

namespace nm24 {

constexpr int WARPGROUP = 128;
constexpr int CLUSTER = 2;
/* A stage's rows of x, as wide as its swizzle: 64 k's of 16 bits or 128 of 8, and so a block of w.
 */
constexpr int X_ROW_BYTES = 128;

/* What types of weights and activations differ in. */
struct bf16 {
    typedef float Sum;
    static constexpr int BYTES = 2;
    static constexpr int WORDS = 1;         /* of metadata, a thread and block */
    static constexpr bool Y_IS_BF16 = true; /* which 16-bit y has the fastest epilogues */
};
struct f16 {
    typedef float Sum;
    static constexpr int BYTES = 2, WORDS = 1;
    static constexpr bool Y_IS_BF16 = false;
};
struct e4m3 {
    typedef float Sum;
    static constexpr int BYTES = 1, WORDS = 2;
    static constexpr bool Y_IS_BF16 = true;
};
struct i8 {
    typedef int32_t Sum;
    static constexpr int BYTES = 1, WORDS = 2;
    static constexpr bool Y_IS_BF16 = true;
};

/* The instruction of step S (0 or 1) of a stage: selector S of a word that serves both steps, or
 * word S. */
#define NM24_MULTIPLY(n)                                                                           \
    template <int S>                                                                               \
    __device__ inline void multiply(bf16, float(&d)[n / 2], uint64_t a, uint64_t b,                \
                                    const uint32_t(&meta)[1], bool accumulate) {                   \
        tmsi_wgmma_sp_m64n##n##k32_bf16<S>(d, a, b, meta[0], accumulate);                          \
    }                                                                                              \
    template <int S>                                                                               \
    __device__ inline void multiply(f16, float(&d)[n / 2], uint64_t a, uint64_t b,                 \
                                    const uint32_t(&meta)[1], bool accumulate) {                   \
        tmsi_wgmma_sp_m64n##n##k32_f16<S>(d, a, b, meta[0], accumulate);                           \
    }                                                                                              \
    template <int S>                                                                               \
    __device__ inline void multiply(e4m3, float(&d)[n / 2], uint64_t a, uint64_t b,                \
                                    const uint32_t(&meta)[2], bool accumulate) {                   \
        tmsi_wgmma_sp_m64n##n##k64_e4m3<0>(d, a, b, meta[S], accumulate);                          \
    }                                                                                              \
    template <int S>                                                                               \
    __device__ inline void multiply(i8, int32_t(&d)[n / 2], uint64_t a, uint64_t b,                \
                                    const uint32_t(&meta)[2], bool accumulate) {                   \
        tmsi_wgmma_sp_m64n##n##k64_s8<0>(d, a, b, meta[S], accumulate);                            \
    }
NM24_MULTIPLY(8)
NM24_MULTIPLY(16)
NM24_MULTIPLY(32)
NM24_MULTIPLY(64)
NM24_MULTIPLY(96)
NM24_MULTIPLY(128)
NM24_MULTIPLY(160)
NM24_MULTIPLY(192)
NM24_MULTIPLY(256)
#undef NM24_MULTIPLY

/* A tile: CONSUMERS warpgroups of BLOCKS x 64 rows of w, TOKENS rows of x. y leaves through BUFFERS
 * buffers a warpgroup of CHUNK tokens x 64 rows. IS_HALVED: the last of the BLOCKS is one that the
 * warpgroups have in common, half of the tokens each; so two warpgroups are three blocks of rows.
 */
template <class Element_, int CONSUMERS_, int BLOCKS_, int TOKENS_, int STAGES_, int CHUNK_,
          int BUFFERS_, bool IS_HALVED_ = false>
struct Tile {
    typedef Element_ Element;
    static constexpr int CONSUMERS = CONSUMERS_, BLOCKS = BLOCKS_, TOKENS = TOKENS_;
    static constexpr int STAGES = STAGES_, CHUNK = CHUNK_, BUFFERS = BUFFERS_;
    static constexpr int THREADS = (CONSUMERS + 1) * WARPGROUP;
    static constexpr bool IS_HALVED = IS_HALVED_;
    static constexpr int ROW_BLOCKS = IS_HALVED ? CONSUMERS * (BLOCKS - 1) + 1 : CONSUMERS * BLOCKS;
    static constexpr int DEPTH = X_ROW_BYTES / Element::BYTES; /* k of a stage */
    static constexpr int META_BYTES = Element::WORDS * TMSI_NM24_MMA_META_BYTES;
    static constexpr int BLOCK_BYTES = TMSI_NM24_MMA_VALUE_BYTES + META_BYTES;
    static constexpr int X_BYTES = TOKENS * X_ROW_BYTES;
    /* The swizzle of x repeats every 1024 bytes, and so must stages. */
    static constexpr int STAGE_BYTES = (X_BYTES + ROW_BLOCKS * BLOCK_BYTES + 1023) / 1024 * 1024;
    static constexpr int BUFFER_BYTES = CHUNK * 128;
    /* Tokens that the plain store spreads out as f32 at a time; rows of 64 + 4 floats, so that the
     * four lanes of a row land in different banks. */
    static constexpr int PLAIN_TOKENS = 32;
    static constexpr int PLAIN_PITCH = 68;
    static constexpr int PLAIN_BYTES = PLAIN_TOKENS * PLAIN_PITCH * 4;
    static constexpr int STAGING_BYTES =
        ((BUFFERS * BUFFER_BYTES > PLAIN_BYTES ? BUFFERS * BUFFER_BYTES : PLAIN_BYTES) + 1023) /
        1024 * 1024;
    static constexpr int STAGING_AT = STAGES * STAGE_BYTES;
    /* What the epilogue needs, "the factors": scale and bias a row, scale_t a token, where the tile
     * lies. */
    static constexpr int ROWS_AT = STAGING_AT + CONSUMERS * STAGING_BYTES;
    static constexpr int SCALES_AT = ROWS_AT + ROW_BLOCKS * 64 * 8;
    static constexpr int TILE_BLOCK_AT = SCALES_AT + TOKENS * 4; /* its first block of rows */
    static constexpr int TILE_TOKEN_AT = TILE_BLOCK_AT + 4;      /* and its first token */
    static constexpr int TILE_IS_LAST_AT = TILE_TOKEN_AT + 4;    /* 1: of this CTA */
    static constexpr int BARRIERS_AT = (TILE_IS_LAST_AT + 4 + 7) / 8 * 8;
    /* full and empty a stage; one a buffer for the residual, one for all of its buffers being free;
     * full and empty for the factors. */
    static constexpr int RESIDUAL_AT = BARRIERS_AT + 2 * STAGES * 8;
    static constexpr int BUFFERS_FREE_AT = RESIDUAL_AT + CONSUMERS * BUFFERS * 8;
    static constexpr int FACTORS_FULL_AT = BUFFERS_FREE_AT + 8;
    static constexpr int FACTORS_EMPTY_AT = FACTORS_FULL_AT + 8;
    static constexpr int SHARED_BYTES = FACTORS_EMPTY_AT + 8;
    static constexpr int CHUNKS = TOKENS / CHUNK; /* of a block, and of all of a warpgroup's */
    static constexpr int ALL_CHUNKS = BLOCKS * CHUNKS - (IS_HALVED ? CHUNKS / 2 : 0);
    /* Pieces of PLAIN_TOKENS likewise. */
    static constexpr int PIECES = TOKENS / PLAIN_TOKENS;
    static constexpr int ALL_PIECES = BLOCKS * PIECES - (IS_HALVED ? PIECES / 2 : 0);
    /* Of transposed y a chunk leaves as boxes of so many tokens by 64 rows of w. */
    static constexpr int TURNED_TOKENS = CHUNK % 32 == 0 ? 32 : 16;
    static_assert(SHARED_BYTES <= 232448, "a CTA has 227 KiB of shared memory");
    static_assert(BUFFERS <= ALL_CHUNKS, "a tile uses each buffer");
    static_assert(TOKENS % CHUNK == 0 && CHUNK % 16 == 0 && TOKENS % PLAIN_TOKENS == 0, "");
    static_assert(!IS_HALVED || (CONSUMERS == 2 && CHUNKS % 2 == 0), "halves are whole chunks");
    static_assert(!IS_HALVED || TOKENS / 2 % PLAIN_TOKENS == 0, "");

    /* Where block i of warpgroup `group` lies in the tile: its block of rows, its first token. */
    __device__ static inline int row_block(int group, int i) {
        return IS_HALVED && i == BLOCKS - 1 ? ROW_BLOCKS - 1 : group * (ROW_BLOCKS / CONSUMERS) + i;
    }
    __device__ static inline int block_token(int group, int i) {
        return IS_HALVED && i == BLOCKS - 1 ? group * (TOKENS / 2) : 0;
    }
    /* Likewise its chunk c. */
    __device__ static inline int chunk_block(int group, int c) {
        return row_block(group, c / CHUNKS);
    }
    __device__ static inline int chunk_token(int group, int c) {
        return block_token(group, c / CHUNKS) + c % CHUNKS * CHUNK;
    }
    /* Where its buffer i lies, and that buffer's barrier for the residual. */
    __device__ static inline uint32_t buffer(uint32_t shared, int group, int i) {
        return shared + STAGING_AT + group * STAGING_BYTES + i * BUFFER_BYTES;
    }
    __device__ static inline uint32_t residual(uint32_t shared, int group, int i) {
        return shared + RESIDUAL_AT + (group * BUFFERS + i) * 8;
    }
};

/* A CTA's shared memory: the swizzle of x wants it aligned. */
extern __shared__ __align__(1024) uint8_t memory[];

struct Params {
    CUtensorMap x_map; /* [t, k], box box_rows x 128 bytes, 128-byte swizzle */
    CUtensorMap y_map; /* [t, n], box CHUNK x y_row_bytes; TURNED: [n, t], box 64 x 64 bytes */
    CUtensorMap residual_map; /* likewise; unused where there is none */
    const uint8_t *w;         /* image blocks [row_blocks][k_blocks] */
    int32_t box_rows;         /* of x_map; tokens of a tile are a multiple of it, or fewer */
    int32_t row_blocks, k_blocks;
    tmsi_nm24_grid grid;
    int32_t raster; /* pairs of tiles along n side by side before t advances */
    int32_t kind;   /* Kind */
    uint32_t flags; /* Flag bits */
    tmsi_epilogue epilogue;
};

/* Where a cluster's tiles lie, for one CTA of it. */
struct Place {
    int row_block; /* first m64 block */
    int token;     /* first token */
    int blocks;    /* m64 blocks of the tile that the image has, 1 .. ROW_BLOCKS */
    int boxes;     /* of x that have a token */
    bool shares_x; /* the cluster is two tiles along n; else two along t, which share w */
};

template <class T> __device__ inline Place place(const Params &p, int cluster, int rank) {
    const tmsi_nm24_place tile = tmsi_nm24_place_of(&p.grid, p.raster, cluster, rank);
    Place at;

    at.shares_x = tile.shares_x;
    at.row_block = tile.tile_n * T::ROW_BLOCKS;
    at.token = tile.tile_t * T::TOKENS;
    at.blocks = min(p.row_blocks - at.row_block, T::ROW_BLOCKS);
    at.boxes = (max(min(p.epilogue.t - at.token, T::TOKENS), 1) + p.box_rows - 1) / p.box_rows;
    return at;
}

/* The ring's place: one register, since a consumer's are short. */
template <int STAGES> struct Ring {
    uint32_t steps = 0;

    __device__ inline int stage() const {
        return (int)(steps % STAGES);
    }
    __device__ inline int previous() const {
        return (int)((steps + STAGES - 1) % STAGES);
    }
    __device__ inline uint32_t phase() const { /* parity of its turns */
        return steps / STAGES & 1;
    }
    __device__ inline void next() {
        steps++;
    }
};

__device__ inline void wait_for(uint32_t barrier, uint32_t phase) {
    while (!tmsi_mbarrier_try_wait(barrier, phase)) {
    }
}

/* The residual of chunk c of a warpgroup's, in a tile at that block of rows and token, into its
 * buffer. */
template <class T>
__device__ inline void fetch_residual(const Params &p, uint32_t shared, int group, int c,
                                      int row_block, int token) {
    const uint32_t barrier = T::residual(shared, group, c % T::BUFFERS);

    tmsi_mbarrier_arrive_expect_tx(barrier, T::BUFFER_BYTES);
    tmsi_copy_tensor_2d(T::buffer(shared, group, c % T::BUFFERS), &p.residual_map,
                        (row_block + T::chunk_block(group, c)) * 64,
                        token + T::chunk_token(group, c), barrier);
}

/* Behind __syncwarp one lane arrives at a barrier for its whole warp. racecheck does not see that
 * it stands for the others; in the build for it each lane arrives for itself. */
#ifdef TAMIS_RACECHECK
constexpr bool EACH_ARRIVES = true;
#else
constexpr bool EACH_ARRIVES = false;
#endif
constexpr int WARP_ARRIVALS = EACH_ARRIVES ? 32 : 1;

} // namespace nm24

#endif
