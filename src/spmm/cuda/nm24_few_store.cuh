/* How an nm24 kernel for few tokens ends: a cluster's sums are added up, finished and stored.
 *
 * Each CTA leaves its sums of the whole tile in its shared memory, a token a row. Pieces of four
 * rows of w by one token then go round the threads of the cluster: each reads its piece of every
 * CTA, adds in their order, finishes and stores it. A piece is few enough to take every epilogue by
 * branches, and lies side by side in y as in the sums: nothing is transposed but by the first
 * store. */
#ifndef TAMIS_SPMM_CUDA_NM24_FEW_STORE_CUH
#define TAMIS_SPMM_CUDA_NM24_FEW_STORE_CUH

#include "cuda/ptx/mbarrier.cuh"
#include "cuda/ptx/warp.cuh"
#include "spmm/cuda/nm24_few_tile.cuh"

namespace nm24_few {

/* Four values of a row of y, as its type, side by side: aligned to their size. */
__device__ inline void store_piece(const tmsi_epilogue &e, int64_t at, const float (&value)[4]) {
    if (e.y_type == TMS_F32) {
        *(float4 *)((float *)e.y + at) = make_float4(value[0], value[1], value[2], value[3]);
    } else {
        const bool is_bf16 = e.y_type == TMS_BF16;

        *(uint2 *)((uint16_t *)e.y + at) = make_uint2(tmsi_pack_16(value[0], value[1], is_bf16),
                                                      tmsi_pack_16(value[2], value[3], is_bf16));
    }
}

__device__ inline void add_piece(const tmsi_epilogue &e, int64_t at, float (&value)[4]) {
    if (e.y_type == TMS_F32) {
        const float4 r = *(const float4 *)((const float *)e.residual + at);

        value[0] += r.x, value[1] += r.y, value[2] += r.z, value[3] += r.w;
    } else {
        const uint2 r = *(const uint2 *)((const uint16_t *)e.residual + at);

#pragma unroll
        for (int i = 0; i < 4; i++)
            value[i] += tmsi_unpack_16(i < 2 ? r.x : r.y, i & 1, e.y_type == TMS_BF16);
    }
}

/* A consumer thread: its four rows are the same in all of its pieces. */
template <class T> struct Store {
    /* Pieces in flight, and CTAs of whose sums a thread reads at once: what registers hold. */
    static constexpr int BATCH = T::TOKENS < 64 ? 1 : 2, FLIGHT = 4;

    const Params &p;
    const Place &at;
    uint32_t sums;  /* this warpgroup's sums of token 0, row 0 */
    uint32_t piece; /* this thread's four rows of the first unit's token */
    int row, token; /* of w, and in a unit of 8 tokens */
    float scale[4], bias[4];

    __device__ inline Store(const Params &params, const Place &place, uint32_t shared, int group,
                            int thread)
        : p(params), at(place) {
        /* Threads run along y's rows. */
        const bool is_nt = p.epilogue.y_order == TMS_ORDER_NT;
        const int four = is_nt ? thread / 8 : thread % 16;

        token = is_nt ? thread % 8 : thread / 16;
        row = (at.row_block + group) * 64 + 4 * four;
        sums = shared + T::RING_AT + group * T::SUMS_BYTES;
        piece = sums + token * T::SUM_PITCH + 16 * four;
    }

    /* This CTA's sums: those of a thread of the tensor core's layout. */
    __device__ inline void spread(const float (&d)[T::TOKENS / 2], int thread) {
        const int lane = thread % 32;
        const uint32_t to =
            sums + 2 * (lane % 4) * T::SUM_PITCH + (thread / 32 * 16 + lane / 4) * 4;

#pragma unroll
        for (int j = 0; j < T::TOKENS / 8; j++)
            if (8 * j < p.tokens)
#pragma unroll
                for (int i = 0; i < 4; i++)
                    tmsi_store_shared_f32(to + (8 * j + (i & 1)) * T::SUM_PITCH + (i >> 1) * 32,
                                          d[4 * j + i]);
    }

    __device__ inline void load_factors() {
        const tmsi_epilogue &e = p.epilogue;

#pragma unroll
        for (int i = 0; i < 4; i++) {
            scale[i] = e.scale_n != NULL && row + i < e.n ? e.scale_n[row + i] : 1.f;
            bias[i] = e.bias != NULL && row + i < e.n ? e.bias[row + i] : 0.f;
        }
    }

    /* The sums of units first, first + split ... over the whole of k. */
    __device__ inline void gather(int first, float (&z)[BATCH][4]) {
#pragma unroll
        for (int b = 0; b < BATCH; b++)
#pragma unroll
            for (int i = 0; i < 4; i++)
                z[b][i] = 0.f;
#pragma unroll 1
        for (int cta = 0; cta < p.split; cta += FLIGHT) {
            uint32_t shares[FLIGHT][BATCH][4];

#pragma unroll
            for (int s = 0; s < FLIGHT; s++)
                if (cta + s < p.split)
#pragma unroll
                    for (int b = 0; b < BATCH; b++)
                        if (8 * (first + b * p.split) < p.tokens)
                            tmsi_load_cluster_v4(
                                tmsi_mapa(piece + 8 * (first + b * p.split) * T::SUM_PITCH,
                                          cta + s),
                                shares[s][b]);
#pragma unroll
            for (int s = 0; s < FLIGHT; s++)
                if (cta + s < p.split)
#pragma unroll
                    for (int b = 0; b < BATCH; b++)
#pragma unroll
                        for (int i = 0; i < 4; i++)
                            z[b][i] += __uint_as_float(shares[s][b][i]);
        }
    }

    __device__ inline void finish(float (&z)[4], int t) {
        const tmsi_epilogue &e = p.epilogue;
        const float scale_t = e.scale_t != NULL ? e.scale_t[t] : 1.f;
        const bool is_nt = e.y_order == TMS_ORDER_NT;

#pragma unroll
        for (int i = 0; i < 4; i++)
            z[i] = fmaf(z[i] * scale_t, scale[i], bias[i]);
        if (e.activation != TMS_ACT_NONE) {
#pragma unroll
            for (int i = 0; i < 4; i++)
                z[i] = tmsi_activate(e.activation, z[i]);
        }
        if (p.has_pieces) {
            if (e.residual != NULL)
                add_piece(e, t * e.ldr + row, z);
            store_piece(e, t * e.ldy + row, z);
            return;
        }
#pragma unroll
        for (int i = 0; i < 4; i++) {
            if (row + i >= e.n)
                break;
            if (e.residual != NULL)
                z[i] += tmsi_load_y(e.residual, is_nt ? (row + i) * e.ldr + t : t * e.ldr + row + i,
                                    e.y_type);
            tmsi_store_y(e.y, is_nt ? (row + i) * e.ldy + t : t * e.ldy + row + i, e.y_type, z[i]);
        }
    }

    /* This CTA's units of 8 tokens. */
    __device__ inline void store() {
#pragma unroll 1
        for (int unit = at.rank; at.token + 8 * unit < at.end; unit += BATCH * p.split) {
            float z[BATCH][4];

            gather(unit, z);
#pragma unroll
            for (int b = 0; b < BATCH; b++) {
                const int t = at.token + 8 * (unit + b * p.split) + token;

                if (t < at.end && row < p.epilogue.n)
                    finish(z[b], t);
            }
        }
    }
};

} // namespace nm24_few

#endif
