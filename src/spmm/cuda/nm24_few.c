/* The columns of nm24_few.def: at what cost these kernels compute a product, and on what grid. */
#include "spmm/cuda/nm24_few.h"

#include "base/dtype.h"
#include "base/memory.h"
#include "spmm/kernel.h"
#include "spmm/problem.h"
#include "spmm/tuning.h"

/* What a CTA costs beyond its blocks of k, in such blocks: to begin, to add up, to store. */
enum { OVERHEAD_BLOCKS = 6 };

/* CTAs do not stay: where there is more than one wave, each takes so much longer. And a step takes
 * the time of so many tokens more than it has, but no less than a share of a full one's: w comes
 * all the same. Fitted to an H100's times at T = 1 .. 8192. */
static const double later_waves = 1.3, least_share = 0.75;
enum { STEP_TOKENS = 8 };

/* Clusters of 1, 2 ... CTAs that an H100 with 132 multiprocessors runs at once, if each has one of
 * them: those of a cluster share a part of the chip, and some parts have 14, some 18. Two a
 * multiprocessor leave hardly a gap. (cudaOccupancyMaxActiveClusters.) */
static const int64_t clusters_at_once[TMSI_NM24_FEW_SPLIT_MAX] = {132, 66, 39, 30, 22, 17, 15, 15};
enum { MEASURED_PROCESSORS = 132 };

static int64_t waves_of(int64_t tiles, int32_t split, int64_t tokens, int64_t processors) {
    const int64_t most = tmsi_nm24_few_is_alone(tokens) ? clusters_at_once[split - 1] * split *
                                                              processors / MEASURED_PROCESSORS
                                                        : processors;

    return tmsi_div_up(tiles * split, tmsi_max(most, 1));
}

tmsi_nm24_few_grid tmsi_nm24_few_grid_of(int64_t n, int64_t t, int64_t blocks, int64_t rows,
                                         int64_t tokens, int64_t processors) {
    tmsi_nm24_few_grid grid;
    int64_t best = INT64_MAX;

    grid.tiles_n = tmsi_div_up(n, rows);
    grid.tokens = (int32_t)(tmsi_div_up(tmsi_div_up(t, tmsi_div_up(t, tokens)), 8) * 8);
    grid.tiles_t = tmsi_div_up(t, grid.tokens);
    grid.split = 1;
    for (int32_t split = 1; split <= TMSI_NM24_FEW_SPLIT_MAX && split <= blocks; split++) {
        const int64_t length = waves_of(grid.tiles_n * grid.tiles_t, split, tokens, processors) *
                               (tmsi_div_up(blocks, split) + OVERHEAD_BLOCKS);

        if (length < best) {
            best = length;
            grid.split = split;
        }
    }
    return grid;
}

/* Of weights and activations that stay in the L2 cache from call to call, so much counts. */
static const double cached_share = 0.6, cache_share = 0.8;

/* Megabytes of the image, of x and of y. */
static double megabytes_of(const tms_spmm_problem *problem, int64_t t,
                           const tmsi_hardware *hardware) {
    const double element = (double)tmsi_dtype_bytes(problem->x_type);
    const double n = (double)problem->n, k = (double)problem->k, tokens = (double)t;
    const double bytes = n * k * (0.5 * element + 0.125) + tokens * k * element +
                         tokens * n * (double)tmsi_dtype_bytes(problem->y_type);

    return 1e-6 * bytes * (bytes < cache_share * (double)hardware->l2_bytes ? cached_share : 1.0);
}

/* A launch, then waves of CTAs over the multiprocessors: each so long a block of k of its share,
 * and so long on top to begin, to add up and to store. */
static void count_terms(const tms_spmm_problem *problem, int64_t t, const tmsi_hardware *hardware,
                        int64_t rows, int64_t tokens, double out[TMSI_TERM_COUNT]) {
    const int64_t depth = 128 / (int64_t)tmsi_dtype_bytes(problem->x_type);
    const int64_t blocks = tmsi_div_up(problem->k, depth);
    const tmsi_nm24_few_grid grid =
        tmsi_nm24_few_grid_of(problem->n, t, blocks, rows, tokens, hardware->processors);
    const int64_t count =
        waves_of(grid.tiles_n * grid.tiles_t, grid.split, tokens, hardware->processors);
    /* Tiles are as wide as the tokens that there are. */
    const double filled = ((double)grid.tokens + STEP_TOKENS) / ((double)tokens + STEP_TOKENS);
    const double share = filled > least_share ? filled : least_share;
    const double waves = share * (double)count * (count > 1 ? later_waves : 1.0);

    out[TMSI_TERM_LAUNCH] = 1.0;
    out[TMSI_TERM_BLOCK] = waves * (double)tmsi_div_up(blocks, grid.split);
    out[TMSI_TERM_TILE] = waves;
    out[TMSI_TERM_MEMORY] = megabytes_of(problem, t, hardware);
}

#define NM24_FEW_COST(rows, tokens)                                                                \
    void tmsi_spmm_cost_nm24_few_##rows##x##tokens(const tms_spmm_problem *problem, int64_t t,     \
                                                   const tmsi_hardware *hardware,                  \
                                                   double out[TMSI_TERM_COUNT]) {                  \
        count_terms(problem, t, hardware, rows, tokens, out);                                      \
    }
NM24_FEW_COST(64, 8)
NM24_FEW_COST(64, 16)
NM24_FEW_COST(64, 32)
NM24_FEW_COST(64, 64)
NM24_FEW_COST(128, 64)
NM24_FEW_COST(128, 96)
NM24_FEW_COST(128, 128)
NM24_FEW_COST(128, 192)
