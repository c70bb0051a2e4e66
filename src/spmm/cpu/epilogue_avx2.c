/* The epilogue on vectors of eight output columns of one token.
 *
 * GELU is z times the normal distribution's Phi(z), so that an error of Phi is the error of gelu
 * over |z|: 2^-20 is allowed. Phi(-|z|) = 2^p(|z|) with a polynomial p of degree 5, fitted to
 * log2(Phi(-a)) on [0, 5.4] so that the largest error of 2^p itself is smallest (2.9e-7, a third of
 * what is allowed). Beyond, p falls on without end, as Phi does. 2^p is split into 2^round(p), put
 * together as bits, and a polynomial of degree 5 for the rest (relative error 7.5e-8). No division,
 * no table, 20 instructions for eight values. In fp32 the sum of all errors is 0.40 * 2^-20. */
#include "spmm/cpu/epilogue_avx2.h"

#include "spmm/cpu/vector_avx2.h"
#include "spmm/epilogue.h"
#include "spmm/problem.h"

/* coefficients[0] + coefficients[1] x + ... */
static inline __m256 evaluate(const float coefficients[6], __m256 x) {
    __m256 sum = _mm256_set1_ps(coefficients[5]);

    for (int i = 4; i >= 0; i--)
        sum = _mm256_fmadd_ps(sum, x, _mm256_set1_ps(coefficients[i]));
    return sum;
}

/* 2^p for -126 <= p <= 0. */
static inline __m256 exp2_negative(__m256 p) {
    static const float rest[6] = {1.00000007f,   0.69314697f, 0.2402212f,
                                  0.0555071294f, 0.00967554f, 0.00132765f};
    __m256 whole = _mm256_round_ps(p, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    __m256i exponent = _mm256_add_epi32(_mm256_cvtps_epi32(whole), _mm256_set1_epi32(127));

    return _mm256_mul_ps(evaluate(rest, _mm256_sub_ps(p, whole)),
                         _mm256_castsi256_ps(_mm256_slli_epi32(exponent, 23)));
}

/* NaN stays NaN, since it is the second operand of max; -Inf becomes -64 * 2^-126, nearly 0. */
static inline __m256 gelu(__m256 z) {
    static const float log2_phi[6] = {-1.00000084f,   -1.15108315f,   -0.459276637f,
                                      -0.0525380936f, 0.00738724878f, -0.00051886856f};
    const __m256 sign = _mm256_set1_ps(-0.0f);
    __m256 p = evaluate(log2_phi, _mm256_andnot_ps(sign, z));
    __m256 low = exp2_negative(_mm256_max_ps(p, _mm256_set1_ps(-126.0f))); /* Phi(-|z|) */
    __m256 phi = _mm256_blendv_ps(_mm256_sub_ps(_mm256_set1_ps(1.0f), low), low, z);

    return _mm256_mul_ps(_mm256_max_ps(_mm256_set1_ps(-64.0f), z), phi);
}

static inline __m256 activate(tms_activation activation, __m256 z) {
    const __m256 zero = _mm256_setzero_ps();

    switch (activation) {
    case TMS_ACT_RELU:
        return _mm256_max_ps(zero, z);
    case TMS_ACT_RELU2:
        z = _mm256_max_ps(zero, z);
        return _mm256_mul_ps(z, z);
    case TMS_ACT_GELU:
        return gelu(z);
    default:
        return z;
    }
}

static bool has_vector_code(const tms_spmm_problem *problem) {
    return problem->y_type == TMS_F32 && problem->y_order == TMS_ORDER_TN &&
           (problem->epilogue & (TMS_EPILOGUE_GATE | TMS_EPILOGUE_ABSMAX_T)) == 0 &&
           problem->activation != TMS_ACT_GELU_TANH && problem->activation != TMS_ACT_SILU;
}

/* Eight rows from n on, of which `lanes` are there, for all tokens. What the epilogue lacks is done
 * with numbers that change no bit: times 1, plus -0. */
static inline __attribute__((always_inline)) void
finish_rows(const tms_activation activation, const tms_spmm_args *args, int64_t t, int64_t tokens,
            int64_t n, int64_t lanes, const float *sums, int64_t step) {
    const float *scale_t = args->scale_t, *residual = args->residual;
    const int64_t ldy = args->ldy, ldr = args->ldr;
    const __m256 one = _mm256_set1_ps(1.0f), nothing = _mm256_set1_ps(-0.0f);
    const __m256 scale = args->scale_n != NULL ? tmsi_load_lanes(args->scale_n + n, lanes) : one;
    const __m256 bias = args->bias != NULL ? tmsi_load_lanes(args->bias + n, lanes) : nothing;
    float *y = args->y;

    for (int64_t end = t + tokens; t < end; t++, sums += step) {
        __m256 z = _mm256_mul_ps(_mm256_loadu_ps(sums), scale);
        z = _mm256_mul_ps(z, scale_t != NULL ? _mm256_broadcast_ss(scale_t + t) : one);
        z = activate(activation, _mm256_add_ps(z, bias));
        if (residual != NULL)
            z = _mm256_add_ps(z, tmsi_load_lanes(residual + t * ldr + n, lanes));
        tmsi_store_lanes(y + t * ldy + n, lanes, z);
    }
}

static inline __attribute__((always_inline)) void
finish_all(const tms_activation activation, const tms_spmm_args *args, int64_t t, int64_t tokens,
           int64_t row, int64_t count, const float *sums, int64_t step) {
    int64_t whole = count / 8 * 8;

    for (int64_t i = 0; i < whole; i += 8)
        finish_rows(activation, args, t, tokens, row + i, 8, sums + i, step);
    if (whole < count)
        finish_rows(activation, args, t, tokens, row + whole, count - whole, sums + whole, step);
}

void tmsi_epilogue_avx2(const tmsi_spmm_run *run, int64_t t, int64_t tokens, int64_t row,
                        int64_t count, const float *sums, int64_t step) {
    const tms_spmm_args *args = run->args;

    if (!has_vector_code(run->problem)) {
        for (int64_t m = 0; m < tokens; m++)
            tmsi_epilogue_rows(run, t + m, row, count, sums + m * step);
        return;
    }
    switch (run->problem->activation) { /* once: loops are compiled for each */
    case TMS_ACT_RELU:
        finish_all(TMS_ACT_RELU, args, t, tokens, row, count, sums, step);
        break;
    case TMS_ACT_RELU2:
        finish_all(TMS_ACT_RELU2, args, t, tokens, row, count, sums, step);
        break;
    case TMS_ACT_GELU:
        finish_all(TMS_ACT_GELU, args, t, tokens, row, count, sums, step);
        break;
    default:
        finish_all(TMS_ACT_NONE, args, t, tokens, row, count, sums, step);
        break;
    }
}
