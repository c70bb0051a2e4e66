/* Many tokens: a CTA's tile of ROWS x TOKENS is shared out among its warps, and its stages are
 * filled by cp.async STAGES - 1 ahead of the product.
 *
 * What limits it: a warp of 64 rows x 32 tokens reads 8 KiB of fragments a stage for 2 * 16
 * instructions, so a CTA of eight as many cycles of shared memory (128 bytes each) as an A100's
 * tensor cores need. Three stages, since Ada and the smaller Amperes have 99 KiB a CTA. */
#ifndef TAMIS_SPMM_CUDA_NM24_SM80_MANY_CUH
#define TAMIS_SPMM_CUDA_NM24_SM80_MANY_CUH

#include "spmm/cuda/nm24_sm80.cuh"

namespace nm24_sm80 {

template <class Type_, int ROWS_, int TOKENS_, int WARPS_N, int WARPS_T, int STAGES_> struct Many {
    typedef Type_ Type;
    static constexpr int ROWS = ROWS_, TOKENS = TOKENS_, STAGES = STAGES_;
    static constexpr int THREADS = WARPS_N * WARPS_T * WARP;
    static constexpr int ROW_BLOCKS = ROWS / TMSI_NM24_MMA_BLOCK;
    static constexpr int WARP_ROWS = ROWS / WARPS_N, WARP_TOKENS = TOKENS / WARPS_T;
    static constexpr int WARPS_ALONG_N = WARPS_N;
    static constexpr int W_BYTES = ROW_BLOCKS * Type::BLOCK_BYTES;
    static constexpr int STAGE_BYTES = W_BYTES + TOKENS * X_ROW_BYTES;
    /* The tile's sums as floats, in the memory of the stages. */
    static constexpr int PITCH = ROWS + 4;
    static constexpr int SUM_BYTES = TOKENS * PITCH * 4;
    static constexpr int SHARED_BYTES =
        STAGES * STAGE_BYTES > SUM_BYTES ? STAGES *STAGE_BYTES : SUM_BYTES;
    static_assert(SHARED_BYTES <= 101376, "99 KiB is the least that a chip from Ampere on has");
    static_assert(WARP_ROWS % 16 == 0 && TMSI_NM24_MMA_BLOCK % WARP_ROWS == 0, "");
    static_assert(WARP_TOKENS % 8 == 0 && TOKENS * X_CHUNKS % THREADS == 0, "");
    static_assert(ROW_BLOCKS <= 2 && THREADS / X_CHUNKS % 8 == 0, "see Share");
};

/* Tiles along n that run side by side before t advances, so that their x stays in the second-level
 * cache. */
constexpr int RASTER_GROUP = 8;

/* What a thread copies of a CTA's stages: addresses in block 0 of the image's rows, and in x. */
template <class T> struct Share {
    const uint8_t *w, *x;
    int64_t next_block; /* from a block to the one of the next 64 rows, or 0 past the image's end:
                         * rows that are read twice then are not stored */
    int tokens;         /* of x from this thread's first row on */

    __device__ inline Share(const Params &p, int row_block, int t) {
        const int thread = threadIdx.x, row = thread / X_CHUNKS;
        const int64_t row_block_bytes = (int64_t)p.k_blocks * T::Type::BLOCK_BYTES;

        w = p.w + row_block * row_block_bytes + thread * CHUNK;
        next_block = row_block + 1 < p.row_blocks ? row_block_bytes : 0;
        tokens = p.epilogue.t - t - row;
        x = p.x + (int64_t)(t + row) * p.x_pitch + thread % X_CHUNKS * CHUNK;
    }

    __device__ inline void load(const Params &p, int kb, uint32_t to) const {
        const int thread = threadIdx.x, chunk = thread % X_CHUNKS;
        const int64_t at = (int64_t)kb * X_ROW_BYTES;
        const int valid = valid_bytes(p.x_row_bytes, at + chunk * CHUNK);
        const uint8_t *from = w + (int64_t)kb * T::Type::BLOCK_BYTES;
        uint32_t x_to =
            to + (uint32_t)(T::W_BYTES + tmsi_nm24_sm80_x_place(thread / X_CHUNKS, chunk));

        to += (uint32_t)thread * CHUNK;
#pragma unroll
        for (int b = 0; b < T::ROW_BLOCKS; b++) {
#pragma unroll
            for (int i = 0; i < T::Type::BLOCK_BYTES; i += T::THREADS * CHUNK)
                if (i + thread * CHUNK < T::Type::BLOCK_BYTES)
                    tmsi_cp_async_16(to + (uint32_t)(b * T::Type::BLOCK_BYTES + i), from + i,
                                     CHUNK);
            from += next_block;
        }
        from = x + at;
#pragma unroll
        for (int i = 0; i < T::TOKENS; i += T::THREADS / X_CHUNKS) {
            if (p.width == CHUNK)
                copy_chunk<typename T::Type, true>(
                    p.width, x_to, i < tokens && valid > 0 ? from : p.x, i < tokens ? valid : 0);
            else
                copy_chunk<typename T::Type, false>(
                    p.width, x_to, i < tokens && valid > 0 ? from : p.x, i < tokens ? valid : 0);
            from += T::THREADS / X_CHUNKS * p.x_pitch;
            x_to += T::THREADS / X_CHUNKS * X_ROW_BYTES;
        }
    }
};

template <class T>
__global__ void __launch_bounds__(T::THREADS, 2) many(const __grid_constant__ Params p) {
    extern __shared__ __align__(128) uint8_t memory[];
    const uint32_t shared = tmsi_shared_address(memory);
    const int group = (int)blockIdx.x / (RASTER_GROUP * p.tiles_t), first = group * RASTER_GROUP;
    const int across = min(p.tiles_n - first, RASTER_GROUP);
    const int rest = (int)blockIdx.x - first * p.tiles_t;
    const int row_block = (first + rest % across) * T::ROW_BLOCKS, t = rest / across * T::TOKENS;
    const int warp = threadIdx.x / WARP;
    const int row = warp % T::WARPS_ALONG_N * T::WARP_ROWS;
    const int token = warp / T::WARPS_ALONG_N * T::WARP_TOKENS;
    /* This warp's rows in a stage. */
    const uint32_t block = (uint32_t)(row / TMSI_NM24_MMA_BLOCK * T::Type::BLOCK_BYTES);
    const uint32_t w = block + (uint32_t)(row % TMSI_NM24_MMA_BLOCK * W_ROW_BYTES);
    const uint32_t meta =
        block + TMSI_NM24_MMA_VALUE_BYTES + (uint32_t)(row % TMSI_NM24_MMA_BLOCK / 16 * WARP * 4);
    const uint32_t x = (uint32_t)(T::W_BYTES + token * X_ROW_BYTES);
    const Share<T> share(p, row_block, t);
    Product<typename T::Type, T::WARP_ROWS / 16, T::WARP_TOKENS / 8> product;

    for (int kb = 0; kb < T::STAGES - 1; kb++) {
        if (kb < p.k_blocks)
            share.load(p, kb, shared + (uint32_t)(kb * T::STAGE_BYTES));
        tmsi_cp_async_commit();
    }
    for (int kb = 0; kb < p.k_blocks; kb++) {
        const uint32_t stage = shared + (uint32_t)(kb % T::STAGES * T::STAGE_BYTES);
        const int next = kb + T::STAGES - 1;

        tmsi_cp_async_wait<T::STAGES - 2>();
        __syncthreads(); /* stage kb has come, and stage kb - 1 is read by all */
        if (next < p.k_blocks)
            share.load(p, next, shared + (uint32_t)(next % T::STAGES * T::STAGE_BYTES));
        tmsi_cp_async_commit();
        product.stage(stage + w, stage + x, stage + meta, TMSI_NM24_MMA_META_BYTES);
    }
    tmsi_cp_async_wait<0>();
    __syncthreads();
    product.spread((float *)memory + token * T::PITCH + row, T::PITCH);
    __syncthreads();
    finish(p.epilogue, p.has_pieces, (const float *)memory, bits_of(T::ROWS), T::TOKENS,
           row_block * TMSI_NM24_MMA_BLOCK, t);
}

} // namespace nm24_sm80

#endif
