/* How an nm24 kernel for few tokens ends: a cluster's sums are added up, finished and stored.
 *
 * Units of 8 tokens go round the CTAs of a cluster. Each thread sends its sums of a unit, a quad of
 * registers, to the unit's CTA, where the same thread of the same warpgroup adds the quads of all
 * CTAs in their order. Nobody waits for the cluster: a barrier of the receiver counts the bytes.
 * (Bulk copies by the copy engine in the quads' place took 0.2 us longer.)
 *
 * A unit's sums then cross shared memory to pieces, four rows of w by one token a thread, which lie
 * side by side in y. Pieces are few enough to take every epilogue by branches. */
#ifndef TAMIS_SPMM_CUDA_NM24_FEW_STORE_CUH
#define TAMIS_SPMM_CUDA_NM24_FEW_STORE_CUH

#include "cuda/ptx/cluster.cuh"
#include "spmm/cuda/nm24_few_tile.cuh"

namespace nm24_few {

/* A consumer thread: its four rows are the same in all of its pieces. */
template <class T> struct Store {
    typedef typename T::Element::Sum Sum;
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
    __device__ inline void send(const Sum (&d)[T::TOKENS / 2]) {
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

    /* Until other CTAs' sums are there. */
    __device__ inline void wait() {
        if (p.split > 1)
            nm24::wait_for(barrier, 0);
    }

    /* This thread's quad of a unit, over the whole of k. */
    __device__ inline void add_up(int slot, Sum *sum) {
#pragma unroll
        for (int i = 0; i < 4; i++)
            sum[i] = 0;
#pragma unroll 4
        for (int cta = 0; cta < p.split; cta++) {
            Sum quad[4];

            tmsi_load_shared_v4(quads_of(slot, cta), quad);
#pragma unroll
            for (int i = 0; i < 4; i++)
                sum[i] += quad[i];
        }
    }

    /* The same, on their way across. */
    __device__ inline void cross_over(int slot, int cross) {
        Sum sum[4];

        add_up(slot, sum);
#pragma unroll
        for (int i = 0; i < 4; i++)
            tmsi_store_shared(cross_from + cross * T::CROSS_BYTES + (i & 1) * T::CROSS_PITCH +
                                  (i >> 1) * 32,
                              (float)sum[i]);
    }

    /* A piece from its z's, where rows of y are not aligned or run the other way. Returns the
     * largest magnitude. */
    __device__ inline uint32_t store_elements(float (&z)[4], int t) {
        const tmsi_epilogue &e = p.epilogue;
        const bool is_nt = e.y_order == TMS_ORDER_NT;
        const int step = e.is_gated ? 2 : 1;
        uint32_t largest = 0;

#pragma unroll
        for (int i = 0; i < 4; i++) {
            const int column = (row + i) / step;

            if (i % step != 0 || column >= tmsi_epilogue_columns(e))
                continue;
            z[i] = tmsi_activate_rounded(e, z[i]);
            if (e.is_gated)
                z[i] *= z[(i + 1) % 4];
            if (e.residual != NULL)
                z[i] += tmsi_load_y(e.residual, is_nt ? column * e.ldr + t : t * e.ldr + column,
                                    e.y_type);
            tmsi_store_y(e, is_nt ? column * e.ldy + t : t * e.ldy + column, z[i]);
            largest = max(largest, tmsi_magnitude(z[i]));
        }
        return largest;
    }

    __device__ inline uint32_t finish(float (&z)[4], int t) {
        const tmsi_epilogue &e = p.epilogue;
        const float scale_t = e.scale_t != NULL ? e.scale_t[t] : 1.f;

#pragma unroll
        for (int i = 0; i < 4; i++)
            z[i] = fmaf(z[i] * scale_t, scale[i], bias[i]);
        return p.has_pieces ? tmsi_epilogue_piece(e, z, row, t) : store_elements(z, t);
    }

    /* The largest magnitude of this warp's rows of a token: of the lanes that share it. */
    __device__ inline void raise(uint32_t largest, int t) {
        const bool is_nt = p.epilogue.y_order == TMS_ORDER_NT;
        const int first = is_nt ? 8 : 1, last = is_nt ? 32 : 16;

#pragma unroll 1
        for (int lane = first; lane < last; lane *= 2)
            largest = max(largest, __shfl_xor_sync(0xffffffffu, largest, lane));
        if (t < at.end && threadIdx.x % 32 / first % (last / first) == 0)
            atomicMax(&p.epilogue.absmax[t], largest);
    }

    /* This CTA's units, when all sums are there. */
    __device__ inline void store(int group) {
        wait();
#pragma unroll 1
        for (int slot = 0; slot < own; slot += BATCH) {
            if (slot > 0)
                tmsi_bar_sync(2 + group, WARPGROUP);
#pragma unroll
            for (int b = 0; b < BATCH; b++)
                if (slot + b < own)
                    cross_over(slot + b, b);
            tmsi_bar_sync(2 + group, WARPGROUP);
#pragma unroll 1 /* the code of all epilogues once */
            for (int b = 0; b < BATCH; b++) {
                const int t = at.token + 8 * ((slot + b) * p.split + at.rank) + token;
                uint32_t largest = 0;

                if (t < at.end && row < p.epilogue.n) {
                    float z[4];

                    tmsi_load_shared_v4(cross_to + b * T::CROSS_BYTES, z);
                    largest = finish(z, t);
                }
                if (p.epilogue.absmax != NULL)
                    raise(largest, t);
            }
        }
    }
};

} // namespace nm24_few

#endif
