/* Few tokens: a product that reads its weight once, 9 bits a bf16 or f16 weight, at the speed of
 * memory. A CTA computes ROWS x TOKENS; its warps take the image's blocks along k in turn, each
 * with a ring of stages of its own, so that no warp waits for another until the end, where their
 * sums meet in shared memory and are added in the order of the warps.
 *
 * What limits it: bytes under way. 3.35 TB/s by a microsecond are 25 KiB a multiprocessor; a CTA
 * has 27 KiB and more. ROWS is small, so that the tiles alone occupy the GPU; x is read once a
 * tile, so more tokens want more rows. Where a weight has few rows, `splits` CTAs share a tile's
 * k's, leave their sums in memory, and a second kernel adds them in order. */
#ifndef TAMIS_SPMM_CUDA_NM24_SM80_FEW_CUH
#define TAMIS_SPMM_CUDA_NM24_SM80_FEW_CUH

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
    static_assert(SHARED_BYTES <= 101376, "99 KiB is the least that a chip from Ampere on has");
    static_assert(ROWS % 16 == 0 && TMSI_NM24_MMA_BLOCK % ROWS == 0 && TOKENS % 8 == 0, "");
    static_assert(Type::WORDS * META_BYTES <= WARP * CHUNK || ROWS == 64, "see Source::load");
};

/* What a lane copies of its warp's stages: addresses in block 0, and in x. */
template <class T> struct Source {
    const uint8_t *values, *meta, *x;
    int lane, tokens; /* rows of x that exist */

    __device__ inline Source(const Params &p, int tile_n, int t) {
        const int row = tile_n % T::TILES_A_BLOCK * T::ROWS;
        const uint8_t *block =
            p.w + (int64_t)(tile_n / T::TILES_A_BLOCK) * p.k_blocks * T::Type::BLOCK_BYTES;

        lane = threadIdx.x % WARP;
        tokens = min(p.epilogue.t - t, T::TOKENS);
        values = block + row * W_ROW_BYTES + lane * CHUNK;
        meta = block + TMSI_NM24_MMA_VALUE_BYTES + row / 16 * WARP * 4 +
               lane / META_CHUNKS * TMSI_NM24_MMA_META_BYTES + lane % META_CHUNKS * CHUNK;
        x = p.x + (int64_t)(t + lane / X_CHUNKS) * p.x_pitch + lane % X_CHUNKS * CHUNK;
    }

    /* Block kb of the image's rows, and as many of x's. */
    __device__ inline void load(const Params &p, int kb, uint32_t to) const {
        const int64_t block = (int64_t)kb * T::Type::BLOCK_BYTES;
        const int valid =
            valid_bytes(p.x_row_bytes, (int64_t)kb * X_ROW_BYTES + lane % X_CHUNKS * CHUNK);
        const uint8_t *from = valid > 0 ? x + (int64_t)kb * X_ROW_BYTES : p.x;

        to += (uint32_t)lane * CHUNK;
#pragma unroll
        for (int i = 0; i < T::VALUE_BYTES / CHUNK / WARP; i++)
            tmsi_cp_async_16(to + i * WARP * CHUNK, values + block + i * WARP * CHUNK, CHUNK);
#pragma unroll
        for (int i = 0; i < (T::Type::WORDS * META_CHUNKS + WARP - 1) / WARP; i++)
            if (lane < T::Type::WORDS * META_CHUNKS)
                tmsi_cp_async_16(to + T::VALUE_BYTES + i * WARP * CHUNK,
                                 meta + block + i * TMSI_NM24_MMA_META_BYTES, CHUNK);
        to += T::X_AT - (uint32_t)lane * CHUNK;
#pragma unroll
        for (int i = 0; i < T::TOKENS * X_CHUNKS / WARP; i++) {
            const int row = lane / X_CHUNKS + i * (WARP / X_CHUNKS);

            if (row < tokens)
                copy_chunk<typename T::Type>(
                    p.width, to + (uint32_t)tmsi_nm24_sm80_x_place(row, lane % X_CHUNKS),
                    valid > 0 ? from + i * (WARP / X_CHUNKS) * p.x_pitch : from, valid);
        }
    }

  private:
    /* Of one word a thread. Two words of 64 rows are two rounds of the loop above. */
    static constexpr int META_CHUNKS = T::META_BYTES / CHUNK;
};

/* Rows of x that do not exist are never loaded: they are zero once and for all. */
template <class T> __device__ inline void clear_rows(uint32_t ring, int tokens) {
    const uint32_t zero[4] = {0, 0, 0, 0};
    const int chunks = (T::TOKENS - tokens) * X_CHUNKS;

    for (int stage = 0; stage < T::STAGES; stage++)
        for (int i = threadIdx.x % WARP; i < chunks; i += WARP)
            tmsi_store_shared_v4(ring + (uint32_t)(stage * T::STAGE_BYTES + T::X_AT +
                                                   (tokens * X_CHUNKS + i) * CHUNK),
                                 zero);
}

/* This warp's share of a tile's product: blocks first + warp, first + warp + WARPS ... below end.
 */
template <class T, class Sums>
__device__ inline void multiply(const Params &p, const Source<T> &source, uint32_t ring, int first,
                                int end, Sums &product) {
    int kb = first + (int)threadIdx.x / WARP, ahead = kb, filled = 0, at = 0;

    clear_rows<T>(ring, source.tokens);
    for (; filled < T::STAGES - 1; filled++, ahead += T::WARPS) {
        if (ahead < end)
            source.load(p, ahead, ring + (uint32_t)(filled * T::STAGE_BYTES));
        tmsi_cp_async_commit();
    }
#pragma unroll 1
    for (; kb < end; kb += T::WARPS, ahead += T::WARPS) {
        const uint32_t stage = ring + (uint32_t)(at * T::STAGE_BYTES);

        tmsi_cp_async_wait<T::STAGES - 2>();
        __syncwarp(); /* stage `at` has come, and the one before it is read by all lanes */
        if (ahead < end)
            source.load(p, ahead, ring + (uint32_t)(filled * T::STAGE_BYTES));
        tmsi_cp_async_commit();
        filled = filled + 1 == T::STAGES ? 0 : filled + 1;
        at = at + 1 == T::STAGES ? 0 : at + 1;
        product.stage(stage, stage + T::X_AT, stage + T::VALUE_BYTES, T::META_BYTES);
    }
    tmsi_cp_async_wait<0>();
}

template <class T>
__global__ void __launch_bounds__(T::THREADS) few(const __grid_constant__ Params p) {
    typedef typename T::Sum Sum;
    extern __shared__ __align__(128) uint8_t memory[];
    const int warp = threadIdx.x / WARP;
    const int tile_n = (int)blockIdx.x % p.tiles_n, split = (int)blockIdx.y;
    const int n = tile_n * T::ROWS, t = (int)blockIdx.x / p.tiles_n * T::TOKENS;
    const Sum *const sums = (const Sum *)memory;
    float *const whole = (float *)(memory + T::WARPS * T::SUMS * 4);
    Product<typename T::Type, T::ROWS / 16, T::TOKENS / 8> product;

    multiply<T>(p, Source<T>(p, tile_n, t),
                tmsi_shared_address(memory) + (uint32_t)(warp * T::RING_BYTES),
                (int)((int64_t)p.k_blocks * split / p.splits),
                (int)((int64_t)p.k_blocks * (split + 1) / p.splits), product);
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
    finish(p.epilogue, whole, T::PITCH, T::ROWS, T::TOKENS, n, t);
}

/* Adds the sums that the CTAs of a tile left, in the order of k, and finishes the tile. */
constexpr int JOIN_ROWS = 64, JOIN_TOKENS = 8, JOIN_THREADS = 128;

template <class Sum>
__global__ void __launch_bounds__(JOIN_THREADS) join(const __grid_constant__ Params p) {
    constexpr int PITCH = JOIN_ROWS + 4;
    __shared__ float whole[JOIN_TOKENS * PITCH];
    const int tiles_n = (p.epilogue.n + JOIN_ROWS - 1) / JOIN_ROWS;
    const int n = (int)blockIdx.x % tiles_n * JOIN_ROWS;
    const int t = (int)blockIdx.x / tiles_n * JOIN_TOKENS;

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
    finish(p.epilogue, whole, PITCH, JOIN_ROWS, JOIN_TOKENS, n, t);
}

} // namespace nm24_sm80

#endif
