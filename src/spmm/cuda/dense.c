/* The columns of dense.def: which problems cuBLASLt computes, and at what cost. */
#include "spmm/cuda/dense.h"

#include "base/memory.h"
#include "format/layout/plain.h"
#include "spmm/kernel.h"
#include "spmm/problem.h"

_Static_assert(TMSI_DENSE_VALUES_OFFSET == sizeof(tmsi_plain_header),
               "a plain part's first component follows its header at once");

static bool fits(const tms_spmm_problem *problem, tms_dtype type) {
    return problem->w_type == type && problem->x_type == type;
}

bool tmsi_spmm_fits_dense_lt_bf16(const tms_spmm_problem *problem) {
    return fits(problem, TMS_BF16);
}

bool tmsi_spmm_fits_dense_lt_f16(const tms_spmm_problem *problem) {
    return fits(problem, TMS_F16);
}

/* The library wants rows of 8-bit elements on 16 bytes. */
static bool fits_8_bit(const tms_spmm_problem *problem, tms_dtype type) {
    return fits(problem, type) && problem->k % 16 == 0 && problem->n % 16 == 0;
}

bool tmsi_spmm_fits_dense_lt_e4m3(const tms_spmm_problem *problem) {
    return fits_8_bit(problem, TMS_E4M3);
}

bool tmsi_spmm_fits_dense_lt_i8(const tms_spmm_problem *problem) {
    return fits_8_bit(problem, TMS_I8);
}

/* The library's order is sum, residual, bias, activation; ours has the residual last. Its bias has
 * y's type where that is of 16 bits, ours is f32; and only along y's rows. Its gelu is the tanh
 * form, near enough for 16 bits. */
bool tmsi_dense_is_direct(const tms_spmm_problem *problem) {
    const uint32_t lacks =
        TMS_EPILOGUE_SCALE_N | TMS_EPILOGUE_SCALE_T | TMS_EPILOGUE_GATE | TMS_EPILOGUE_ABSMAX_T;
    const bool is_16_bit = problem->y_type == TMS_BF16 || problem->y_type == TMS_F16;

    if (tmsi_spmm_has(problem, lacks) || tmsi_spmm_is_scaled(problem->y_type) ||
        problem->w_type == TMS_I8)
        return false;
    if (is_16_bit && problem->w_type != TMS_E4M3 && problem->y_type != problem->w_type)
        return false; /* it has no bf16 from f16 */
    if (tmsi_spmm_has(problem, TMS_EPILOGUE_BIAS) &&
        (is_16_bit || problem->y_order == TMS_ORDER_NT))
        return false;
    switch (problem->activation) {
    case TMS_ACT_NONE:
        return true;
    case TMS_ACT_RELU:
        return !tmsi_spmm_has(problem, TMS_EPILOGUE_RESIDUAL);
    case TMS_ACT_GELU_TANH:
        return is_16_bit && !tmsi_spmm_has(problem, TMS_EPILOGUE_RESIDUAL);
    default:
        return false;
    }
}

size_t tmsi_dense_sum_bytes(const tms_spmm_problem *problem, int64_t t) {
    return tmsi_dense_is_direct(problem) ? 0 : (size_t)t * (size_t)problem->n * sizeof(float);
}

/* Tiles that the library's kernels have, and steps of 64 k's of each, in steps of the largest:
 * smaller ones reuse less of what they load. */
static const struct {
    int64_t rows, tokens;
    double steps;
} tiles[] = {{128, 256, 1.0}, {256, 128, 1.0}, {128, 192, 0.78}, {128, 128, 0.56},
             {128, 64, 0.34}, {64, 64, 0.22},  {64, 32, 0.16}};

/* Waves of the best of these tiles over all multiprocessors; meanwhile w, x and y pass through
 * memory, once each. Where k is split among multiprocessors is left out. */
void tmsi_spmm_cost_dense_lt(const tms_spmm_problem *problem, int64_t t,
                             const tmsi_hardware *hardware, double out[TMSI_TERM_COUNT]) {
    const double n = (double)problem->n, k = (double)problem->k, tokens = (double)t;
    const double element = (double)tmsi_dtype_bytes(problem->x_type);
    const double y_element = (double)tmsi_dtype_bytes(problem->y_type);
    const double depth = 128.0 / element; /* k's of a step: 128 bytes of a row */
    const int64_t processors = tmsi_max(hardware->processors, 1);
    const double sum_bytes = (double)tmsi_dense_sum_bytes(problem, t);
    const double y_bytes = tokens * (double)tmsi_spmm_columns(problem) * y_element;
    double best = 0.0;

    for (size_t i = 0; i < sizeof tiles / sizeof tiles[0]; i++) {
        const int64_t count =
            tmsi_div_up(problem->n, tiles[i].rows) * tmsi_div_up(t, tiles[i].tokens);
        const double steps = (double)tmsi_div_up(count, processors) * tiles[i].steps;

        if (i == 0 || steps < best)
            best = steps;
    }
    out[TMSI_TERM_LAUNCH] = sum_bytes > 0.0 ? 2.0 : 1.0;
    out[TMSI_TERM_BLOCK] = best * k / depth;
    out[TMSI_TERM_TILE] = best;
    out[TMSI_TERM_MEMORY] =
        1e-6 * ((n + tokens) * k * element + (sum_bytes > 0.0 ? sum_bytes : y_bytes));
    if (sum_bytes > 0.0)
        out[TMSI_TERM_PASS] =
            1e-6 * (sum_bytes + y_bytes * (tmsi_spmm_has(problem, TMS_EPILOGUE_RESIDUAL) ? 2 : 1));
}
