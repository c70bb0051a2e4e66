/* How a consumer warpgroup of an nm24 kernel finishes and stores a tile. */
#ifndef TAMIS_SPMM_CUDA_NM24_STORE_CUH
#define TAMIS_SPMM_CUDA_NM24_STORE_CUH

#include "cuda/ptx/copy.cuh"
#include "cuda/ptx/place.cuh"
#include "cuda/ptx/warp.cuh"
#include "spmm/cuda/nm24_tile.cuh"

namespace nm24 {

/* A tile's store by one thread. Made anew for each tile, from the thread's number: registers are
 * short, and what lives on through the product costs one. */
template <class T> struct Store {
    typedef typename T::Element Element;
    typedef typename Element::Sum Sum;
    typedef Sum Sums[T::BLOCKS][T::TOKENS / 2]; /* of this thread */

    const Params &p;
    const uint32_t shared;
    const int tile;          /* how many this CTA had before */
    const int group, thread; /* consumer warpgroup, thread in it */

    __device__ inline Store(const Params &params, uint32_t address, int count)
        : Store(params, address, count, tmsi_tid_x()) {}
    __device__ inline Store(const Params &params, uint32_t address, int count, int tid)
        : p(params), shared(address), tile(count), group(tid / WARPGROUP - 1),
          thread(tid % WARPGROUP) {}

    /* The tile's first block of rows and first token, from where the producers put them: worked out
     * here, or kept, they would cost registers. Behind the wait for the factors. */
    __device__ inline int tile_block() const {
        return (int)tmsi_load_shared_u32(shared + T::TILE_BLOCK_AT);
    }
    __device__ inline int tile_token() const {
        return (int)tmsi_load_shared_u32(shared + T::TILE_TOKEN_AT);
    }

    /* This warpgroup's buffers. */
    __device__ inline uint32_t buffer(int i) const {
        return T::buffer(shared, group, i);
    }

    /* Says, while the product still runs, that the first chunks of the residual may come: the
     * buffers have been stored long before. Of whichever tile. */
    __device__ inline void free_buffers() const {
        if (p.kind == RESIDUAL && thread == 0) {
            tmsi_store_wait_read<0>();
            tmsi_mbarrier_arrive(shared + T::BUFFERS_FREE_AT);
        }
    }

    /* Parity of the residual's turn in chunk c's buffer. */
    __device__ inline uint32_t phase(int c) const {
        const int turns = (T::ALL_CHUNKS - 1 - c % T::BUFFERS) / T::BUFFERS + 1; /* of it, a tile */

        return (tile * turns + c / T::BUFFERS) & 1;
    }

    /* y's out of it. */
    template <int KIND> __device__ inline void store_chunk(int c) {
        const int row_block = tile_block() + T::chunk_block(group, c);
        const int first = tile_token() + T::chunk_token(group, c);

        if (row_block < p.row_blocks) {
            if (KIND == TURNED)
                for (int i = 0; i < T::CHUNK / T::TURNED_TOKENS; i++)
                    tmsi_store_tensor_2d(&p.y_map,
                                         buffer(c % T::BUFFERS) + i * T::TURNED_TOKENS * 128,
                                         first + i * T::TURNED_TOKENS, row_block * 64);
            else
                tmsi_store_tensor_2d(&p.y_map, buffer(c % T::BUFFERS),
                                     row_block * (is_gated(KIND) ? 32 : 64), first);
        }
        tmsi_store_commit();
    }

    /* Where this thread writes in a buffer whose rows' chunks of 16 bytes are swizzled as the map
     * says. Rows of 128 bytes: the address of a row that stmatrix.x4 takes, two chunks a warp; 64:
     * of .x2, one chunk; 32: of the lane's own byte; TURNED: of .x4, rows of w. */
    template <int KIND> __device__ inline uint32_t place_in_buffer() const {
        const int warp = thread / 32, lane = thread % 32;

        if (KIND == TURNED) {
            const int row = 16 * warp + (lane & 7) + (lane & 8);

            return T::TURNED_TOKENS == 32 ? row * 64 + ((lane >> 4) ^ ((row >> 1) & 3)) * 16
                                          : row * 32 + ((lane >> 4) ^ ((row >> 2) & 1)) * 16;
        }
        if (y_row_bytes(KIND) == 128) {
            const int token = (lane >> 4) * 8 + (lane & 7);

            return token * 128 + ((2 * warp + ((lane >> 3) & 1)) ^ (lane & 7)) * 16;
        }
        if (y_row_bytes(KIND) == 64) {
            const int token = lane & 15;

            return token * 64 + (warp ^ ((token >> 1) & 3)) * 16;
        }
        const int token = 2 * (lane & 3), column = lane / 8 + (lane & 4);

        return token * 32 + ((warp >> 1) ^ ((token >> 2) & 1)) * 16 + (warp & 1) * 8 + column;
    }

    /* Sums of 16 tokens, the first of them `token` in the tile and 16 j in its chunk, to where this
     * thread writes in a buffer. */
    template <int KIND>
    __device__ inline void write_16_tokens(const Finish &f, const Sum *d, int token, int j,
                                           uint32_t place) {
        const uint32_t to = KIND != TURNED           ? place + j * 16 * y_row_bytes(KIND)
                            : T::TURNED_TOKENS == 32 ? (place ^ ((j & 1) * 32)) + j / 2 * 64 * 64
                                                     : place + j * 64 * 32;
        uint32_t packed[4];

        if (is_gated(KIND))
            finish_gated<KIND, Element>(f, d, token, packed);
        else if (is_8_bit(KIND))
            finish_8<KIND, Element>(f, d, token, packed);
        else
            finish_16<KIND, Element>(f, d, token, to, packed);
        if (KIND == TURNED) {
            tmsi_stmatrix_x4(to, packed[0], packed[1], packed[2], packed[3]);
        } else if (y_row_bytes(KIND) == 128) {
            tmsi_stmatrix_x4_trans(to, packed[0], packed[1], packed[2], packed[3]);
        } else if (y_row_bytes(KIND) == 64) {
            tmsi_stmatrix_x2_trans(to, packed[0], packed[1]);
        } else {
#pragma unroll
            for (int i = 0; i < 4; i++)
                tmsi_store_shared_u8(to + ((i & 1) + 4 * (i & 2)) * 32, packed[0] >> 8 * i);
        }
    }

    /* y by way of registers: finished there, transposed into a buffer (TURNED: not), stored by the
     * copy engine while the next chunk or tile is computed. A residual comes into the same buffer
     * first. */
    template <int KIND> __device__ inline void write(Sums &d) {
        const int warp = thread / 32, lane = thread % 32;
        const uint32_t place = place_in_buffer<KIND>();
        Finish f = {p.epilogue,
                    p.flags | tmsi_ctaid_y(),
                    {},
                    0,
                    shared + T::SCALES_AT + 2 * (lane & 3) * 4,
                    shared + T::TILE_TOKEN_AT,
                    lane};

#pragma unroll
        for (int c = 0; c < T::ALL_CHUNKS; c++) {
            if (c % T::CHUNKS == 0) {
                f.rows_at = shared + T::ROWS_AT +
                            (T::chunk_block(group, c) * 64 + warp * 16 + lane / 4) * 8;
                if (!has_branches(KIND))
                    f.rows.load(f.rows_at);
                else if (tile_block() + T::chunk_block(group, c) >= p.row_blocks)
                    f.flags &= ~(uint32_t)HAS_ABSMAX; /* rows past w's end */
            }
            if (KIND == RESIDUAL) {
                wait_for(T::residual(shared, group, c % T::BUFFERS), phase(c));
            } else if (c == 0 || c >= T::BUFFERS) {
                if (thread == 0 && c == 0)
                    tmsi_store_wait_read<0>(); /* of the tile before: long since */
                else if (thread == 0)
                    tmsi_store_wait_read<T::BUFFERS - 1>();
                tmsi_bar_sync(1 + group, WARPGROUP);
            }
#pragma unroll
            for (int j = 0; j < T::CHUNK / 16; j++)
                write_16_tokens<KIND>(f, d[c / T::CHUNKS] + (c % T::CHUNKS * T::CHUNK + 16 * j) / 2,
                                      T::chunk_token(group, c) + 16 * j, j,
                                      buffer(c % T::BUFFERS) + place);
            tmsi_fence_proxy_async();
            tmsi_bar_sync(1 + group, WARPGROUP);
            if (thread == 0) {
                store_chunk<KIND>(c);
                if (KIND == RESIDUAL && c + T::BUFFERS < T::ALL_CHUNKS) {
                    tmsi_store_wait_read<0>();
                    fetch_residual<T>(p, shared, group, c + T::BUFFERS, tile_block(), tile_token());
                }
            }
        }
        release_factors();
    }

    __device__ inline void release_factors() {
        __syncwarp();
        if (EACH_ARRIVES || thread % 32 == 0)
            tmsi_mbarrier_arrive(shared + T::FACTORS_EMPTY_AT);
    }

    /* Pieces of the sums in `spread`, of a block of the tile's rows and PLAIN_TOKENS of its tokens:
     * 16 threads a token. */
    __device__ inline void write_pieces(const float *spread, int i, int token) {
        const tmsi_epilogue &e = p.epilogue;
        const int tid = tmsi_tid_x() % WARPGROUP; /* anew: sums take the registers */
        const float *scales = (const float *)(memory + T::SCALES_AT) + token;
        const int row = tid % 16 * 4, n = (tile_block() + T::row_block(group, i)) * 64 + row;
        const int first = tile_token() + token;
        const float2 *rows =
            (const float2 *)(memory + T::ROWS_AT) + T::row_block(group, i) * 64 + row;

#pragma unroll 1
        for (int t = tid / 16; t < T::PLAIN_TOKENS; t += WARPGROUP / 16) {
            const float4 sums = *(const float4 *)(spread + t * T::PLAIN_PITCH + row);
            const int at_token = first + t;
            float z[4] = {sums.x, sums.y, sums.z, sums.w};
            uint32_t largest = 0;

#pragma unroll
            for (int j = 0; j < 4; j++)
                z[j] = fmaf(z[j] * scales[t], rows[j].x, rows[j].y);
            if (n < e.n && at_token < e.t)
                largest = tmsi_epilogue_piece(e, z, n, at_token);
            if (e.absmax != NULL) {
#pragma unroll
                for (int j = 1; j < 16; j *= 2)
                    largest = max(largest, __shfl_xor_sync(0xffffffffu, largest, j));
                if (tid % 16 == 0 && at_token < e.t)
                    atomicMax(&e.absmax[at_token], largest);
            }
        }
    }

    /* Every other epilogue: sums are spread out in shared memory, and finished in pieces or element
     * by element. */
    __device__ inline void write_spread(Sums &d) {
        float *spread = (float *)(memory + T::STAGING_AT + group * T::STAGING_BYTES);
        const int warp = thread / 32, lane = thread % 32;
        const int row = warp * 16 + lane / 4;

#pragma unroll 1
        for (int piece = 0; piece < T::ALL_PIECES; piece++) {
            const int i = piece / T::PIECES;
            const int token = T::block_token(group, i) + piece % T::PIECES * T::PLAIN_TOKENS;

            tmsi_bar_sync(1 + group, WARPGROUP);
#pragma unroll
            for (int c = 0; c < T::ALL_PIECES; c++)
                if (c == piece)
#pragma unroll
                    for (int j = 0; j < T::PLAIN_TOKENS / 8; j++)
#pragma unroll
                        for (int r = 0; r < 4; r++)
                            spread[(8 * j + 2 * (lane & 3) + (r & 1)) * T::PLAIN_PITCH + row +
                                   8 * (r >> 1)] =
                                to_float(d[c / T::PIECES]
                                          [(c % T::PIECES * T::PLAIN_TOKENS + 8 * j) / 2 + r]);
            tmsi_bar_sync(1 + group, WARPGROUP);
            if (p.kind == PIECES)
                write_pieces(spread, i, token);
            else if (tile_block() + T::row_block(group, i) < p.row_blocks)
                tmsi_epilogue_plain(p.epilogue, spread, T::PLAIN_PITCH,
                                    (tile_block() + T::row_block(group, i)) * 64,
                                    tile_token() + token, T::PLAIN_TOKENS, thread);
        }
        tmsi_bar_sync(1 + group, WARPGROUP);
        release_factors();
    }

    __device__ inline void any(Sums &d) {
        wait_for(shared + T::FACTORS_FULL_AT, tile & 1);
        /* Behind its last product a warp sends the other CTA nothing more. */
        if (tmsi_load_shared_u32(shared + T::TILE_IS_LAST_AT))
            tmsi_barrier_cluster_arrive();
        switch (p.kind) {
        case LINEAR:
            return write<LINEAR>(d);
        case RELU:
            return write<RELU>(d);
        case SMOOTH:
            return write<SMOOTH>(d);
        case SCALED:
            return write<SCALED>(d);
        case RESIDUAL:
            return write<RESIDUAL>(d);
        case TURNED:
            return write<TURNED>(d);
        case MIXED:
            return write<MIXED>(d);
        case GATED:
            return write<GATED>(d);
        case LINEAR_I8:
            return write<LINEAR_I8>(d);
        case LINEAR_E4M3:
            return write<LINEAR_E4M3>(d);
        case MIXED_8:
            return write<MIXED_8>(d);
        case GATED_8:
            return write<GATED_8>(d);
        default:
            return write_spread(d);
        }
    }
};

} // namespace nm24

#endif
