/* The columns of dense.def: which problems cuBLASLt computes, and at what cost. */
#include "spmm/cuda/dense.h"

#include <math.h>

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

/* Tiles that the library's kernels have, and their steps of 128 bytes of k in those of the largest:
 * smaller ones reuse less of what they load. Fitted, with what follows, to times on an H100. */
static const struct {
    int64_t rows, tokens;
    double steps;
} tiles[] = {{128, 256, 1.0},  {256, 128, 1.0},  {128, 192, 0.76}, {192, 128, 0.76},
             {128, 160, 0.65}, {128, 128, 0.53}, {128, 96, 0.42},  {128, 64, 0.3},
             {64, 128, 0.3},   {64, 64, 0.18},   {64, 32, 0.12},   {64, 16, 0.09}};

/* Where tiles are few, k is split among multiprocessors, down to so many steps each. */
static const int64_t splits[] = {1, 2, 4};
enum { SPLIT_STEPS = 8 };

/* In steps of the largest tile: what a tile takes beside its steps, and adding up what was split.
 * They decide between tiles; what the winner costs is the table's business. */
static const double tile_steps = 1.5, split_steps = 2.0;

/* Of weights and activations that stay in the L2 cache from call to call, so much counts. */
static const double cached_share = 0.6, cache_share = 0.8;

typedef struct way {
    double steps, tiles;
    bool is_split;
} way;

/* The way that the busiest multiprocessor is done with first. */
static way find_way(int64_t n, int64_t t, double k_steps, int64_t processors) {
    way best = {0.0, 0.0, false};
    double least = 0.0;

    for (size_t i = 0; i < sizeof tiles / sizeof tiles[0]; i++)
        for (size_t s = 0; s < sizeof splits / sizeof splits[0]; s++) {
            const int64_t count = tmsi_div_up(n, tiles[i].rows) * tmsi_div_up(t, tiles[i].tokens);
            const double waves = (double)tmsi_div_up(count * splits[s], processors);
            const way this = {waves * tiles[i].steps * ceil(k_steps / (double)splits[s]),
                              waves * tiles[i].steps, splits[s] > 1};
            const double steps =
                this.steps + tile_steps * this.tiles + (this.is_split ? split_steps : 0.0);

            if (this.is_split &&
                (count * splits[s] > processors || k_steps / (double)splits[s] < SPLIT_STEPS))
                continue;
            if (least == 0.0 || steps < least) {
                least = steps;
                best = this;
            }
        }
    return best;
}

/* Meanwhile w, x and what is written pass through memory, once each. */
void tmsi_spmm_cost_dense_lt(const tms_spmm_problem *problem, int64_t t,
                             const tmsi_hardware *hardware, double out[TMSI_TERM_COUNT]) {
    const double n = (double)problem->n, k = (double)problem->k, tokens = (double)t;
    const double element = (double)tmsi_dtype_bytes(problem->x_type);
    const double sum_bytes = (double)tmsi_dense_sum_bytes(problem, t);
    const double y_bytes =
        tokens * (double)tmsi_spmm_columns(problem) * (double)tmsi_dtype_bytes(problem->y_type);
    const double bytes = (n + tokens) * k * element + (sum_bytes > 0.0 ? sum_bytes : y_bytes);
    const bool is_cached = bytes < cache_share * (double)hardware->l2_bytes;
    const way best =
        find_way(problem->n, t, k * element / 128.0, tmsi_max(hardware->processors, 1));

    out[TMSI_TERM_LAUNCH] = (sum_bytes > 0.0 ? 2.0 : 1.0) + (best.is_split ? 0.5 : 0.0);
    out[TMSI_TERM_BLOCK] = best.steps;
    out[TMSI_TERM_TILE] = best.tiles;
    out[TMSI_TERM_MEMORY] = 1e-6 * bytes * (is_cached ? cached_share : 1.0);
    if (sum_bytes > 0.0)
        out[TMSI_TERM_PASS] =
            1e-6 * (sum_bytes + y_bytes * (tmsi_spmm_has(problem, TMS_EPILOGUE_RESIDUAL) ? 2 : 1));
}
