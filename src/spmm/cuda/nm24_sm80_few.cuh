/* Few tokens: a product that reads its weight once, 9 bits a bf16 or f16 weight, at the speed of
 * memory. A CTA computes ROWS x TOKENS; its warps take the image's blocks along k in turn, each
 * with a ring of stages of its own, so that no warp waits for another until the end, where their
 * sums meet in shared memory and are added in the order of the warps.
 *
 * What limits it: bytes under way. 3.35 TB/s by a microsecond are 25 KiB a multiprocessor; a CTA
 * has 27 KiB and more. ROWS is small, so that the tiles alone occupy the GPU; x is read once a
 * tile, so more tokens want more rows. Where a weight has few rows, `splits` CTAs share a tile's
 * k's, leave their sums in memory, and a second kernel adds them in order.
 *
 * On Hopper such a kernel begins before the one before it in the stream is complete, and fetches
 * its first weights into the second-level cache meanwhile: the only thing that is safe to do before
 * the wait, since another grid may have written what it reads. */
#ifndef TAMIS_SPMM_CUDA_NM24_SM80_FEW_CUH
#define TAMIS_SPMM_CUDA_NM24_SM80_FEW_CUH

#include "cuda/ptx/grid.cuh"
#include "spmm/cuda/nm24_sm80.cuh"

namespace nm24_sm80 {

template <class Type_, int ROWS_, int TOKENS_, int WARPS_, int STAGES_> struct Few {
    typedef Type_ Type;
    typedef typename Type::Sum Sum;
    static constexpr int ROWS = ROWS_, TOKENS = TOKENS_, WARPS = WARPS_, STAGES = STAGES_;
    static constexpr int THREADS = WARPS * WARP;
    static constexpr int TILES_A_BLOCK = TMSI_NM24_MMA_BLOCK / ROWS;
    /* A stage: values, metadata, x. */
    static constexpr int VALUE_BYTES = ROWS * W_ROW_BYTES;
    static constexpr int META_BYTES = ROWS / 16 * WARP * 4; /* of one word a thread */
    static constexpr int X_AT = VALUE_BYTES + Type::WORDS * META_BYTES;
    static constexpr int STAGE_BYTES = X_AT + TOKENS * X_ROW_BYTES;
    static constexpr int RING_BYTES = STAGES * STAGE_BYTES;
    /* Sums of each warp, then of all, in the memory of the rings. */
    static constexpr int PITCH = ROWS + 4;
    static constexpr int SUMS = TOKENS * PITCH;
    static constexpr int SHARED_BYTES = WARPS * RING_BYTES > (WARPS + 1) * SUMS * 4
                                            ? WARPS *RING_BYTES
                                            : (WARPS + 1) * SUMS * 4;
    /* CTAs that a multiprocessor of Hopper holds: 228 KiB, of which each takes 1 KiB more. */
    static constexpr int RESIDENTS = 233472 / (SHARED_BYTES + 1024);
    static_assert(SHARED_BYTES <= 101376, "99 KiB is the least that a chip from Ampere on has");
    static_assert(ROWS % 16 == 0 && TMSI_NM24_MMA_BLOCK % ROWS == 0 && TOKENS % 8 == 0, "");
    static_assert(Type::WORDS * META_BYTES <= WARP * CHUNK || ROWS == 64, "see Source");
};

/* What a lane copies of its warp's stages. Addresses go on by one stage with every load: by as many
 * blocks as there are warps. */
template <class T> struct Source {
    /* Chunks of one word of metadata a thread; 64 rows with two words are two rounds of lanes. */
    static constexpr int META_CHUNKS = T::META_BYTES / CHUNK;
    static constexpr int META_LANES = T::Type::WORDS * META_CHUNKS;
    static constexpr int64_t BLOCKS_BYTES = (int64_t)T::WARPS * T::Type::BLOCK_BYTES;

    const Params &p;
    const uint8_t *values, *meta, *x;
    int64_t four_rows; /* bytes from a row of x to the fourth behind it */
    int block;         /* that the next load brings */
    int valid;         /* bytes of this lane's chunk of x in the last block */
    int tokens;        /* rows of x that exist */

    __device__ inline Source(const Params &params, int tile_n, int t, int first) : p(params) {
        const int lane = threadIdx.x % WARP, row = tile_n % T::TILES_A_BLOCK * T::ROWS;
        const uint8_t *begin;

        block = first;
        begin = p.w +
                ((int64_t)(tile_n / T::TILES_A_BLOCK) * p.k_blocks + block) * T::Type::BLOCK_BYTES;
        values = begin + row * W_ROW_BYTES + lane * CHUNK;
        meta = begin + TMSI_NM24_MMA_VALUE_BYTES + row / 16 * WARP * 4 +
               lane / META_CHUNKS * TMSI_NM24_MMA_META_BYTES + lane % META_CHUNKS * CHUNK;
        x = p.x + (int64_t)(t + lane / X_CHUNKS) * p.x_pitch + (int64_t)block * X_ROW_BYTES +
            lane % X_CHUNKS * CHUNK;
        four_rows = 4 * p.x_pitch;
        valid = valid_bytes(p.x_row_bytes,
                            (int64_t)(p.k_blocks - 1) * X_ROW_BYTES + lane % X_CHUNKS * CHUNK);
        tokens = min(p.epilogue.t - t, T::TOKENS);
    }

    /* The weights of the first `count` loads into the second-level cache. */
    __device__ inline void prefetch(int count) const {
#pragma unroll 1
        for (int i = 0; i < count; i++) {
#pragma unroll
            for (int j = 0; j < T::VALUE_BYTES / CHUNK / WARP; j++)
                tmsi_prefetch_l2(values + i * BLOCKS_BYTES + j * WARP * CHUNK);
            if ((int)threadIdx.x % WARP < META_LANES)
                tmsi_prefetch_l2(meta + i * BLOCKS_BYTES);
        }
    }

    /* IS_WIDE: rows of x are aligned to 16 bytes. */
    template <bool IS_WIDE> __device__ inline void load(uint32_t to) {
        const int lane = threadIdx.x % WARP;
        const int exist = block == p.k_blocks - 1 ? valid : CHUNK;
        const uint8_t *from = exist > 0 ? x : p.x;

#pragma unroll
        for (int i = 0; i < T::VALUE_BYTES / CHUNK / WARP; i++)
            tmsi_cp_async_16(to + (uint32_t)((lane + i * WARP) * CHUNK), values + i * WARP * CHUNK,
                             CHUNK);
#pragma unroll
        for (int i = 0; i < (META_LANES + WARP - 1) / WARP; i++)
            if (lane < META_LANES)
                tmsi_cp_async_16(to + (uint32_t)(T::VALUE_BYTES + (lane + i * WARP) * CHUNK),
                                 meta + i * TMSI_NM24_MMA_META_BYTES, CHUNK);
#pragma unroll
        for (int i = 0; i < T::TOKENS; i += 4) {
            const int row = lane / X_CHUNKS + i;

            if (row < tokens)
                copy_chunk<typename T::Type, IS_WIDE>(
                    p.width,
                    to + (uint32_t)(T::X_AT + tmsi_nm24_sm80_x_place(row, lane % X_CHUNKS)), from,
                    exist);
            from += exist > 0 ? four_rows : 0;
        }
        values += BLOCKS_BYTES;
        meta += BLOCKS_BYTES;
        x += T::WARPS * X_ROW_BYTES;
        block += T::WARPS;
    }
};

/* Rows of x that do not exist are never loaded: they are zero once and for all. */
template <class T> __device__ inline void clear_rows(uint32_t ring, int tokens) {
    const uint32_t zero[4] = {0, 0, 0, 0};
    const int chunks = (T::TOKENS - tokens) * X_CHUNKS;

#pragma unroll 1
    for (int stage = 0; stage < T::STAGES; stage++)
#pragma unroll 1
        for (int i = threadIdx.x % WARP; i < chunks; i += WARP)
            tmsi_store_shared_v4(ring + (uint32_t)(stage * T::STAGE_BYTES + T::X_AT +
                                                   (tokens * X_CHUNKS + i) * CHUNK),
                                 zero);
}

/* This warp's share of a tile's product: as many blocks. With one CTA a multiprocessor there are
 * two warps a scheduler, so it is instructions that count: the ring's places are constants. */
template <class T, bool IS_WIDE, class Sums>
__device__ inline void multiply(Source<T> &source, uint32_t ring, int blocks, Sums &product) {
    constexpr int UNROLLED = IS_WIDE ? T::STAGES : 1; /* the other way is slow by itself */
    int ahead = blocks - (T::STAGES - 1); /* blocks to load beyond those of the first stages */

#pragma unroll UNROLLED
    for (int stage = 0; stage < T::STAGES - 1; stage++) {
        if (stage < blocks)
            source.template load<IS_WIDE>(ring + (uint32_t)(stage * T::STAGE_BYTES));
        tmsi_cp_async_commit();
    }
    clear_rows<T>(ring, source.tokens);
    while (blocks > 0) {
#pragma unroll UNROLLED
        for (int i = 0; i < T::STAGES; i++) {
            const uint32_t stage = ring + (uint32_t)(i * T::STAGE_BYTES);
            const uint32_t next =
                ring + (uint32_t)((i + T::STAGES - 1) % T::STAGES * T::STAGE_BYTES);

            if (blocks == 0)
                break;
            tmsi_cp_async_wait<T::STAGES - 2>();
            __syncwarp(); /* this stage has come, and the one before it is read by all lanes */
            if (ahead > 0)
                source.template load<IS_WIDE>(next);
            tmsi_cp_async_commit();
            product.stage(stage, stage + T::X_AT, stage + T::VALUE_BYTES, T::META_BYTES);
            blocks--;
            ahead--;
        }
    }
    tmsi_cp_async_wait<0>();
}

template <class T>
__global__ void __launch_bounds__(T::THREADS) few(const __grid_constant__ Params p) {
    typedef typename T::Sum Sum;
    extern __shared__ __align__(128) uint8_t memory[];
    /* The same in all lanes, and so that the compiler knows it. */
    const int warp = __shfl_sync(0xffffffffu, (int)threadIdx.x / WARP, 0);
    const int tile_n = (int)blockIdx.x % p.tiles_n, split = (int)blockIdx.y;
    const int n = tile_n * T::ROWS, t = (int)blockIdx.x / p.tiles_n * T::TOKENS;
    const Sum *const sums = (const Sum *)memory;
    float *const whole = (float *)(memory + T::WARPS * T::SUMS * 4);
    const uint32_t ring = tmsi_shared_address(memory) + (uint32_t)(warp * T::RING_BYTES);
    const int first = (int)((int64_t)p.k_blocks * split / p.splits) + warp;
    const int end = (int)((int64_t)p.k_blocks * (split + 1) / p.splits);
    const int blocks = max((end - first + T::WARPS - 1) / T::WARPS, 0);
    Source<T> source(p, tile_n, t, first);
    Product<typename T::Type, T::ROWS / 16, T::TOKENS / 8> product;

    tmsi_griddepcontrol_launch_dependents();
    if (p.is_early) {
        source.prefetch(min(blocks, T::STAGES));
        tmsi_griddepcontrol_wait();
    }
    if (p.width == CHUNK)
        multiply<T, true>(source, ring, blocks, product);
    else
        multiply<T, false>(source, ring, blocks, product);
    __syncthreads();
    product.spread((Sum *)memory + warp * T::SUMS, T::PITCH);
    __syncthreads();
    for (int i = threadIdx.x; i < T::ROWS * T::TOKENS; i += T::THREADS) {
        const int row = i % T::ROWS, token = i / T::ROWS, at = token * T::PITCH + row;
        Sum sum = 0;

#pragma unroll
        for (int j = 0; j < T::WARPS; j++)
            sum += sums[j * T::SUMS + at];
        if (p.splits == 1)
            whole[at] = (float)sum;
        else if (n + row < p.epilogue.n && t + token < p.epilogue.t)
            ((Sum *)
                 p.partial)[((int64_t)split * p.epilogue.t + t + token) * p.epilogue.n + n + row] =
                sum;
    }
    if (p.splits > 1)
        return;
    __syncthreads();
    finish(p.epilogue, p.has_pieces, whole, bits_of(T::ROWS), T::TOKENS, n, t);
}

/* Adds the sums that the CTAs of a tile left, in the order of k, and finishes the tile. */
constexpr int JOIN_ROWS = 64, JOIN_TOKENS = 8, JOIN_THREADS = 128;

template <class Sum>
__global__ void __launch_bounds__(JOIN_THREADS) join(const __grid_constant__ Params p) {
    constexpr int PITCH = JOIN_ROWS + 4;
    __shared__ __align__(16) float whole[JOIN_TOKENS * PITCH];
    const int tiles_n = (p.epilogue.n + JOIN_ROWS - 1) / JOIN_ROWS;
    const int n = (int)blockIdx.x % tiles_n * JOIN_ROWS;
    const int t = (int)blockIdx.x / tiles_n * JOIN_TOKENS;

    tmsi_griddepcontrol_wait();
    for (int i = threadIdx.x; i < JOIN_ROWS * JOIN_TOKENS; i += JOIN_THREADS) {
        const int row = i % JOIN_ROWS, token = i / JOIN_ROWS;
        Sum sum = 0;

        if (n + row >= p.epilogue.n || t + token >= p.epilogue.t)
            continue;
        for (int split = 0; split < p.splits; split++)
            sum += ((const Sum *)
                        p.partial)[((int64_t)split * p.epilogue.t + t + token) * p.epilogue.n + n +
                                   row];
        whole[token * PITCH + row] = (float)sum;
    }
    __syncthreads();
    finish(p.epilogue, p.has_pieces, whole, bits_of(JOIN_ROWS), JOIN_TOKENS, n, t);
}

} // namespace nm24_sm80

#endif
