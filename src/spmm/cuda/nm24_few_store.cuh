/* How an nm24 kernel for few tokens ends: a cluster's sums are added up, finished and stored.
 *
 * Units of 8 tokens go round the CTAs of a cluster. Each thread sends its sums of a unit, a quad of
 * registers, to the unit's CTA, where the same thread of the same warpgroup adds the quads of all
 * CTAs in their order. Nobody waits for the cluster: a barrier of the receiver counts the bytes.
 *
 * A unit's sums then cross shared memory to pieces, four rows of w by one token a thread, which lie
 * side by side in y. Pieces are few enough to take every epilogue by branches. */
#ifndef TAMIS_SPMM_CUDA_NM24_FEW_STORE_CUH
#define TAMIS_SPMM_CUDA_NM24_FEW_STORE_CUH

#include "cuda/ptx/cluster.cuh"
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
    /* Units that cross shared memory between two barriers. */
    static constexpr int BATCH = T::TOKENS < 16 ? 1 : 2;
    static_assert(BATCH * T::CROSS_BYTES <= T::STAGING_BYTES, "");

    const Params &p;
    const Place &at;
    uint32_t barrier;    /* counts what other CTAs send */
    uint32_t quads;      /* this thread's place in this warpgroup's sums of unit 0, CTA 0 */
    uint32_t cross_from; /* its sums on their way across, of its first row and token */
    uint32_t cross_to;   /* its piece */
    int units, own;      /* of the tile; of this CTA */
    int row, token;      /* of the piece: of w, and in a unit */
    float scale[4], bias[4];

    __device__ inline Store(const Params &params, const Place &place, uint32_t shared, int group,
                            int thread)
        : p(params), at(place) {
        /* Threads run along y's rows. */
        const bool is_nt = p.epilogue.y_order == TMS_ORDER_NT;
        const int four = is_nt ? thread / 8 : thread % 16, lane = thread % 32;
        const uint32_t cross = shared + T::STAGING_AT + group * T::STAGING_BYTES;

        barrier = shared + T::SUMS_BARRIER_AT;
        quads = shared + T::SUMS_AT + group * p.sums_bytes + thread * 16;
        units = tile_units(at);
        own = own_units(p, at);
        token = is_nt ? thread % 8 : thread / 16;
        row = (at.row_block + group) * 64 + 4 * four;
        cross_from = cross + 2 * (lane % 4) * T::CROSS_PITCH + (thread / 32 * 16 + lane / 4) * 4;
        cross_to = cross + token * T::CROSS_PITCH + 16 * four;
    }

    /* A unit's place in its CTA, and one CTA's quads there. */
    __device__ inline uint32_t quads_of(int slot, int cta) {
        return quads + (slot * p.split + cta) * T::UNIT_BYTES;
    }

    /* Each unit to its CTA. The registers of d need numbers known to the compiler. */
    __device__ inline void send(const float (&d)[T::TOKENS / 2]) {
        int cta = 0, slot = 0;

#pragma unroll
        for (int j = 0; j < T::TOKENS / 8; j++)
            if (j < units) {
                const uint32_t to = quads_of(slot, at.rank);

                if (cta == at.rank)
                    tmsi_store_shared_v4(to, d[4 * j], d[4 * j + 1], d[4 * j + 2], d[4 * j + 3]);
                else
                    tmsi_store_async_v4(tmsi_mapa(to, cta), d[4 * j], d[4 * j + 1], d[4 * j + 2],
                                        d[4 * j + 3], tmsi_mapa(barrier, cta));
                if (++cta == p.split) {
                    cta = 0;
                    slot++;
                }
            }
    }

    __device__ inline void load_factors() {
        const tmsi_epilogue &e = p.epilogue;

#pragma unroll
        for (int i = 0; i < 4; i++) {
            scale[i] = e.scale_n != NULL && row + i < e.n ? e.scale_n[row + i] : 1.f;
            bias[i] = e.bias != NULL && row + i < e.n ? e.bias[row + i] : 0.f;
        }
    }

    /* A unit's sums over the whole of k, on their way across. */
    __device__ inline void add_up(int slot, int cross) {
        float sum[4] = {};

#pragma unroll 4
        for (int cta = 0; cta < p.split; cta++) {
            float quad[4];

            tmsi_load_shared_v4(quads_of(slot, cta), quad);
#pragma unroll
            for (int i = 0; i < 4; i++)
                sum[i] += quad[i];
        }
#pragma unroll
        for (int i = 0; i < 4; i++)
            tmsi_store_shared(cross_from + cross * T::CROSS_BYTES + (i & 1) * T::CROSS_PITCH +
                                  (i >> 1) * 32,
                              sum[i]);
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
            tmsi_store_y(e, is_nt ? (row + i) * e.ldy + t : t * e.ldy + row + i, z[i]);
        }
    }

    /* This CTA's units, when all sums are there. */
    __device__ inline void store(int group) {
        if (p.split > 1)
            nm24::wait_for(barrier, 0);
#pragma unroll 1
        for (int slot = 0; slot < own; slot += BATCH) {
            if (slot > 0)
                tmsi_bar_sync(2 + group, WARPGROUP);
#pragma unroll
            for (int b = 0; b < BATCH; b++)
                if (slot + b < own)
                    add_up(slot + b, b);
            tmsi_bar_sync(2 + group, WARPGROUP);
#pragma unroll
            for (int b = 0; b < BATCH; b++) {
                const int t = at.token + 8 * ((slot + b) * p.split + at.rank) + token;
                float z[4];

                if (t < at.end && row < p.epilogue.n) {
                    tmsi_load_shared_v4(cross_to + b * T::CROSS_BYTES, z);
                    finish(z, t);
                }
            }
        }
    }
};

} // namespace nm24_few

#endif
