/* The columns of nm24.def: which problems these kernels compute, and at what cost. */
#include "spmm/cuda/nm24.h"

#include "base/memory.h"
#include "spmm/cuda/nm24_cost.h"
#include "spmm/kernel.h"
#include "spmm/problem.h"
#include "spmm/tuning.h"

static bool is_served(const tms_spmm_problem *problem, tms_dtype type) {
    return problem->w_type == type && problem->x_type == type && problem->keep == 2 &&
           problem->group == 4;
}

/* Every epilogue. */
#define NM24_FITS(name, type)                                                                      \
    bool tmsi_spmm_fits_nm24_sm90_##name(const tms_spmm_problem *problem) {                        \
        return is_served(problem, type);                                                           \
    }
NM24_FITS(bf16, TMS_BF16)
NM24_FITS(f16, TMS_F16)
NM24_FITS(e4m3, TMS_E4M3)
NM24_FITS(i8, TMS_I8)

/* What other families on this layout finish: y of 16 or 32 bits, no gate, no absmax_t. */
static bool is_simple(const tms_spmm_problem *problem) {
    return tmsi_dtype_is_weight(problem->y_type) &&
           !tmsi_spmm_has(problem, TMS_EPILOGUE_GATE | TMS_EPILOGUE_ABSMAX_T);
}

bool tmsi_spmm_fits_nm24_mma_bf16(const tms_spmm_problem *problem) {
    return is_served(problem, TMS_BF16) && is_simple(problem);
}

bool tmsi_spmm_fits_nm24_mma_f16(const tms_spmm_problem *problem) {
    return is_served(problem, TMS_F16) && is_simple(problem);
}

tmsi_nm24_grid tmsi_nm24_grid_of(int64_t n, int64_t t, int64_t rows, int64_t tokens) {
    const int64_t tiles_n = tmsi_div_up(n, rows), tiles_t = tmsi_div_up(t, tokens);
    const int64_t single = tiles_n % 2 * tmsi_div_up(tiles_t, 2);
    const tmsi_nm24_grid grid = {tiles_n / 2 * tiles_t + single, (int32_t)(tiles_n / 2),
                                 (int32_t)tiles_t, (int32_t)(tiles_n % 2)};

    return grid;
}

/* Of weights and activations that stay in the L2 cache from call to call, so much counts: fitted to
 * an H100's times of few tokens. */
static const double cached_share = 0.62, cache_share = 0.8;

double tmsi_nm24_megabytes(const tms_spmm_problem *problem, int64_t t,
                           const tmsi_hardware *hardware) {
    const double element = (double)tmsi_dtype_bytes(problem->x_type);
    const double n = (double)problem->n, k = (double)problem->k, tokens = (double)t;
    const double bytes = n * k * (0.5 * element + 0.125) + tokens * k * element +
                         tokens * n * (double)tmsi_dtype_bytes(problem->y_type);

    return 1e-6 * bytes * (bytes < cache_share * (double)hardware->l2_bytes ? cached_share : 1.0);
}

/* A launch, then waves of cluster tiles over pairs of multiprocessors: a tile takes so long a block
 * of k, and so long on top to begin and store; or the bytes, if they take longer. Epilogues are
 * left out: they are in the prices. */
static void count_terms(const tms_spmm_problem *problem, int64_t t, const tmsi_hardware *hardware,
                        int64_t rows, int64_t tokens, double out[TMSI_TERM_COUNT]) {
    const tmsi_nm24_grid grid = tmsi_nm24_grid_of(problem->n, t, rows, tokens);
    const int64_t pairs = tmsi_max(hardware->processors / 2, 1);
    const double waves = (double)tmsi_div_up(grid.clusters, pairs);

    /* 64 k's of 16 bits or 128 of 8. */
    const int64_t depth = tmsi_dtype_bytes(problem->w_type) == 1 ? 128 : 64;

    out[TMSI_TERM_LAUNCH] = 1.0;
    out[TMSI_TERM_BLOCK] = waves * (double)tmsi_div_up(problem->k, depth);
    out[TMSI_TERM_TILE] = waves;
    out[TMSI_TERM_MEMORY] = tmsi_nm24_megabytes(problem, t, hardware);
}

#define NM24_COST(rows, tokens)                                                                    \
    void tmsi_spmm_cost_nm24_##rows##x##tokens(const tms_spmm_problem *problem, int64_t t,         \
                                               const tmsi_hardware *hardware,                      \
                                               double out[TMSI_TERM_COUNT]) {                      \
        count_terms(problem, t, hardware, rows, tokens, out);                                      \
    }
NM24_COST(256, 192)
NM24_COST(256, 160)
NM24_COST(192, 256)
NM24_COST(128, 256)
NM24_COST(128, 128)
NM24_COST(64, 64)
