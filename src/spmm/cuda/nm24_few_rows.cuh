/* How most tiles for few tokens end: y in rows of 16- or 8-bit values, aligned to 16 bytes, with
 * scales, bias, activation, absmax_t and a residual beside 16 bits, but no gate. The sums stay in
 * the tensor core's order until they are finished and rounded; then stmatrix turns two units of 8
 * tokens by a warp's 16 rows of w, and each lane stores 16 bytes of y: a quarter of the
 * instructions a value that the pieces of nm24_few_store.cuh take. With a warp alone on its part of
 * the multiprocessor every instruction is waited for (64 tokens: 4.4 us in pieces, where K is 64).
 */
#ifndef TAMIS_SPMM_CUDA_NM24_FEW_ROWS_CUH
#define TAMIS_SPMM_CUDA_NM24_FEW_ROWS_CUH

#include "spmm/cuda/nm24_few_store.cuh"

namespace nm24_few {

/* A consumer thread. Lane 4g + c has rows g and g + 8 of its warp's 16, tokens 2c and 2c + 1 of
 * each unit; behind the turn half l % 2 of those rows, of token l / 2 of a pair of units. This
 * CTA's pairs are finished in order. */
template <class T> struct Rows {
    typedef typename T::Element::Sum Sum;
    /* A warp's pair, 32 bytes a token: the halves change places every four tokens, so that eight
     * lanes of stmatrix, or of a load, meet all banks. Pairs finished together hide each other's
     * waiting. */
    static constexpr int TOKEN_BYTES = 32, TURN_BYTES = 16 * TOKEN_BYTES, PAIRS_MAX = 2;
    static_assert(WARPGROUP / 32 * PAIRS_MAX * TURN_BYTES <= T::STAGING_BYTES, "");

    const Params &p;
    const Place &at;
    uint32_t turn;               /* shared memory of the warp's pairs */
    uint32_t turn_to, turn_from; /* there: a row of stmatrix; this lane's 16 bytes */
    int token;                   /* of the next pair: the one that this lane stores */
    int row;                     /* of w: the first of the 8 that it stores */
    int factor_token;            /* of the next pair: the first of this lane's sums */
    float scale[2], bias[2];     /* of rows g and g + 8 */

    __device__ inline Rows(const Params &params, const Place &place, uint32_t shared, int group,
                           int thread)
        : p(params), at(place) {
        const tmsi_epilogue &e = p.epilogue;
        const int lane = thread % 32, first = (at.row_block + group) * 64 + thread / 32 * 16;
        const int matrix = lane / 8, at_token = matrix / 2 * 8 + lane % 8;

        turn = shared + T::STAGING_AT + group * T::STAGING_BYTES +
               thread / 32 * (PAIRS_MAX * TURN_BYTES);
        turn_to = turn + at_token * TOKEN_BYTES + ((matrix & 1) ^ (at_token / 4 & 1)) * 16;
        turn_from = turn + lane / 2 * TOKEN_BYTES + ((lane & 1) ^ (lane / 8 & 1)) * 16;
        factor_token = at.token + 8 * at.rank + lane % 4 * 2;
        token = at.token + 8 * at.rank + lane / 16 * 8 * p.split + lane / 2 % 8;
        row = first + lane % 2 * 8;
#pragma unroll
        for (int i = 0; i < 2; i++) {
            const int n = first + lane / 4 + 8 * i;

            scale[i] = e.scale_n != NULL && n < e.n ? e.scale_n[n] : 1.f;
            bias[i] = e.bias != NULL && n < e.n ? e.bias[n] : 0.f;
        }
    }

    template <int COUNT> __device__ inline void activate(float (&z)[COUNT]) {
        const tmsi_epilogue &e = p.epilogue;

        if (e.activation == TMS_ACT_RELU || e.activation == TMS_ACT_RELU2) {
#pragma unroll
            for (int i = 0; i < COUNT; i++) {
                z[i] = tmsi_max_nan(z[i], 0.f);
                z[i] *= e.activation == TMS_ACT_RELU ? 1.f : z[i];
            }
        } else if (e.activation != TMS_ACT_NONE) {
#pragma unroll
            for (int i = 0; i < COUNT; i++)
                z[i] = tmsi_smooth(e, 0.5f * z[i]);
        }
    }

    template <int COUNT> __device__ inline void scale_tokens(float (&z)[COUNT]) {
#pragma unroll
        for (int i = 0; i < COUNT / 2; i++) {
            const int t = factor_token + i / 2 * 8 * p.split + i % 2;
            const float s = t < at.end ? p.epilogue.scale_t[t] : 1.f;

            z[i + (i & ~1)] *= s;
            z[i + (i & ~1) + 2] *= s;
        }
    }

    /* The residual, turned the other way. */
    template <int PAIRS> __device__ inline void add_residual(float (&z)[8 * PAIRS]) {
        const tmsi_epilogue &e = p.epilogue;

#pragma unroll
        for (int pair = 0; pair < PAIRS; pair++) {
            const int t = token + pair * 16 * p.split;
            uint4 piece = make_uint4(0, 0, 0, 0);

            if (t < at.end && row < e.n)
                piece = *(const uint4 *)((const uint16_t *)e.residual + t * e.ldr + row);
            tmsi_store_shared_v4(turn_from + pair * TURN_BYTES,
                                 {piece.x, piece.y, piece.z, piece.w});
        }
        __syncwarp();
#pragma unroll
        for (int pair = 0; pair < PAIRS; pair++) {
            uint32_t two[4];

            tmsi_ldmatrix_x4_trans(turn_to + pair * TURN_BYTES, two);
#pragma unroll
            for (int i = 0; i < 8; i++)
                z[8 * pair + i] += tmsi_unpack_16(two[i / 2], i & 1, e.y_type == TMS_BF16);
        }
        __syncwarp();
    }

    /* absmax_t, by this warp's rows. Where there are none, sums may be NaN: zeros by an infinity.
     */
    template <int PAIRS> __device__ inline void raise(const float (&z)[8 * PAIRS]) {
        const tmsi_epilogue &e = p.epilogue;
        const int first = row & ~15;

#pragma unroll
        for (int i = 0; i < 4 * PAIRS; i++) {
            const int at_z = i + (i & ~1), t = factor_token + i / 2 * 8 * p.split + i % 2;
            uint32_t largest = first < e.n ? tmsi_magnitude(z[at_z]) : 0;

            if (first + 8 < e.n)
                largest = max(largest, tmsi_magnitude(z[at_z + 2]));
#pragma unroll
            for (int lane = 4; lane < 32; lane *= 2)
                largest = max(largest, __shfl_xor_sync(0xffffffffu, largest, lane));
            if (threadIdx.x % 32 < 4 && t < at.end)
                atomicMax(&e.absmax[t], largest);
        }
    }

    /* Bytes: 16 rows of a token lie side by side, and half of the lanes store a token each. */
    template <int PAIRS> __device__ inline void store_8(const float (&z)[8 * PAIRS]) {
        const tmsi_epilogue &e = p.epilogue;
        const int lane = threadIdx.x % 32, first = row & ~15;
        const uint32_t to = turn + lane % 4 * 32 + lane / 4;
        const int64_t first_token =
            factor_token - lane % 4 * 2 + lane / 8 % 2 * 8 * p.split + lane % 8;

#pragma unroll
        for (int unit = 0; unit < 2 * PAIRS; unit++) {
            const float *four = z + 4 * unit;
            const uint32_t bytes =
                tmsi_pack_8(four[0] * e.inverse_y, four[1] * e.inverse_y, four[2] * e.inverse_y,
                            four[3] * e.inverse_y, e.y_type == TMS_I8);

#pragma unroll
            for (int i = 0; i < 4; i++)
                tmsi_store_shared_u8(to + unit * 128 + i % 2 * 16 + i / 2 * 8, bytes >> 8 * i);
        }
        __syncwarp();
#pragma unroll
        for (int pair = 0; pair < PAIRS; pair++) {
            const int64_t t = first_token + pair * 16 * p.split;
            int32_t piece[4];

            tmsi_load_shared_v4(turn + pair * 256 + lane % 16 * 16, piece);
            if (lane < 16 && t < at.end && first < e.n)
                *(int4 *)((uint8_t *)e.y + t * e.ldy + first) =
                    make_int4(piece[0], piece[1], piece[2], piece[3]);
        }
        __syncwarp();
    }

    template <int PAIRS> __device__ inline void store_16(const float (&z)[8 * PAIRS]) {
        const tmsi_epilogue &e = p.epilogue;
        const bool is_bf16 = e.y_type == TMS_BF16;

#pragma unroll
        for (int pair = 0; pair < PAIRS; pair++) {
            uint32_t r[4];

#pragma unroll
            for (int i = 0; i < 4; i++)
                r[i] = tmsi_pack_16(z[8 * pair + 2 * i], z[8 * pair + 2 * i + 1], is_bf16);
            tmsi_stmatrix_x4_trans(turn_to + pair * TURN_BYTES, r[0], r[1], r[2], r[3]);
        }
        __syncwarp();
#pragma unroll
        for (int pair = 0; pair < PAIRS; pair++) {
            const int t = token + pair * 16 * p.split;
            int32_t piece[4];

            tmsi_load_shared_v4(turn_from + pair * TURN_BYTES, piece);
            if (t < at.end && row < e.n)
                *(int4 *)((uint16_t *)e.y + t * e.ldy + row) =
                    make_int4(piece[0], piece[1], piece[2], piece[3]);
        }
        __syncwarp();
    }

    /* The next pairs, from their sums. */
    template <int PAIRS> __device__ inline void finish(const Sum (&d)[8 * PAIRS]) {
        float z[8 * PAIRS];

#pragma unroll
        for (int i = 0; i < 8 * PAIRS; i++)
            z[i] = nm24::to_float(d[i]);
        if (p.epilogue.scale_t != NULL)
            scale_tokens(z);
#pragma unroll
        for (int i = 0; i < 8 * PAIRS; i++)
            z[i] = fmaf(z[i], scale[i >> 1 & 1], bias[i >> 1 & 1]);
        activate(z);
        if (p.epilogue.residual != NULL)
            add_residual<PAIRS>(z);
        if (p.epilogue.absmax != NULL)
            raise<PAIRS>(z);
        if (p.epilogue.y_type == TMS_I8 || p.epilogue.y_type == TMS_E4M3)
            store_8<PAIRS>(z);
        else
            store_16<PAIRS>(z);
        token += PAIRS * 16 * p.split;
        factor_token += PAIRS * 16 * p.split;
    }

    /* Where no other CTA shares the tile. */
    __device__ inline void finish_own(const Sum (&d)[T::TOKENS / 2]) {
        constexpr int PAIRS = T::TOKENS < 32 ? 1 : 2;

#pragma unroll
        for (int first = 0; first < T::TOKENS / 2; first += 8 * PAIRS)
            if (2 * first < p.tokens) {
                Sum sums[8 * PAIRS] = {};

#pragma unroll
                for (int i = 0; i < 8 * PAIRS && i < T::TOKENS / 2; i++)
                    sums[i] = d[first + i];
                finish<PAIRS>(sums);
            }
    }

    /* This CTA's units, of which `shares` has the sums of all. */
    __device__ inline void finish_shared(Store<T> &shares) {
        constexpr int PAIRS = T::TOKENS < 64 ? 1 : 2;

        shares.wait();
#pragma unroll 1
        for (int slot = 0; slot < shares.own; slot += 2 * PAIRS) {
            Sum sums[8 * PAIRS] = {};

#pragma unroll
            for (int i = 0; i < 2 * PAIRS; i++)
                if (slot + i < shares.own)
                    shares.add_up(slot + i, sums + 4 * i);
            finish<PAIRS>(sums);
        }
    }
};

} // namespace nm24_few

#endif
