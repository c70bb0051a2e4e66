/* The columns of nm24_few.def: at what cost these kernels compute a product, and on what grid. */
#include "spmm/cuda/nm24_few.h"

#include <math.h>

#include "base/dtype.h"
#include "base/memory.h"
#include "spmm/cuda/nm24_cost.h"
#include "spmm/kernel.h"
#include "spmm/tuning.h"

/* What a CTA costs beyond its blocks of k, in such blocks: to begin and to store; and to send sums,
 * wait for the other CTAs', and add up. */
enum { BEGIN_BLOCKS = 6, SHARE_BLOCKS = 10 };

/* Clusters of 1, 2 ... CTAs that an H100 with 132 multiprocessors runs at once, if each has one of
 * them: those of a cluster share a part of the chip, and some parts have 14, some 18.
 * (cudaOccupancyMaxActiveClusters.) */
static const int64_t clusters_at_once[TMSI_NM24_FEW_SPLIT_MAX] = {132, 66, 39, 30, 22, 17, 15, 15};
enum { MEASURED_PROCESSORS = 132 };

int64_t tmsi_nm24_few_waves(int64_t tiles, int32_t split, int64_t processors) {
    const int64_t most = clusters_at_once[split - 1] * processors / MEASURED_PROCESSORS;

    return tmsi_div_up(tiles, tmsi_max(most, 1));
}

/* Shares are worth it only where all CTAs run at once. */
tmsi_nm24_few_grid tmsi_nm24_few_grid_of(int64_t n, int64_t t, int64_t blocks, int64_t rows,
                                         int64_t tokens, int64_t processors) {
    tmsi_nm24_few_grid grid;
    int64_t best;

    grid.tiles_n = tmsi_div_up(n, rows);
    grid.tokens = (int32_t)(tmsi_div_up(tmsi_div_up(t, tmsi_div_up(t, tokens)), 8) * 8);
    grid.tiles_t = tmsi_div_up(t, grid.tokens);
    grid.split = 1;
    best =
        tmsi_nm24_few_waves(grid.tiles_n * grid.tiles_t, 1, processors) * (blocks + BEGIN_BLOCKS);
    for (int32_t split = 2; split <= TMSI_NM24_FEW_SPLIT_MAX && split <= blocks; split++) {
        const int64_t length = tmsi_div_up(blocks, split) + BEGIN_BLOCKS + SHARE_BLOCKS;

        if (tmsi_nm24_few_waves(grid.tiles_n * grid.tiles_t, split, processors) == 1 &&
            length < best) {
            best = length;
            grid.split = split;
        }
    }
    return grid;
}

/* ---- Cost ------------------------------------------------------------------------------------ */

/* What of a tile decides how long a step takes: `group` blocks of k are a stage. */
typedef struct tile {
    int64_t rows, tokens, group, block_bytes;
} tile;

/* Fitted to an H100's times of all tiles and splits at T = 1 .. 512 by seven weights, 2026-11-26;
 * with a price of its own for each kernel, what it chose took 1.5 % longer than the fastest of
 * these kernels in the mean. */
static const double kib_per_us = 90.0; /* that reach a multiprocessor */
static const double latency_us = 2.1;  /* of a byte: the ring has so much on its way at once */
static const double least_us = 0.0874; /* to multiply a block, however few its tokens */
/* CTAs do not stay: steps of several waves take longer, and each wave begins anew, in as much time
 * as so many tiles of 64 tokens take to finish: less where two CTAs share a multiprocessor. */
static const double later_waves = 1.2, begin_alone = 5.0, begin_beside = 1.0;
/* So many waves bring the GPU to its power cap, and then each takes longer again. */
static const int64_t capped_from = 3;
static const double capped_waves = 1.45;
enum {
    SHARED_KIB = 227,
    HALF_KIB = 113,
    STAGING_BYTES = 4352,
    X_ROW_BYTES = 128,
    UNIT_BYTES = 2048
};

/* Microseconds of a step with so many of the tile's tokens, for CTAs of a cluster of `split`. */
static double step_us(const tile *of, int64_t tokens, int32_t split, bool is_half) {
    const int64_t row_blocks = of->rows / 64, units = tmsi_div_up(tokens / 8, split) * split;
    const int64_t sums = split > 1 ? row_blocks * units * UNIT_BYTES : 0;
    const int64_t ring =
        (is_half ? HALF_KIB : SHARED_KIB) * 1024 - 2048 - row_blocks * STAGING_BYTES - sums;
    const int64_t w_bytes = row_blocks * of->block_bytes;
    const int64_t stages = ring / (of->group * (w_bytes + of->tokens * X_ROW_BYTES));
    const double kib = (double)(w_bytes + tokens * X_ROW_BYTES) / 1024.0;
    const double coming = (double)(tmsi_max(stages, 1) * of->group * (is_half ? 2 : 1)) * kib;

    return fmax(fmax(kib / kib_per_us, kib * latency_us / coming), least_us);
}

/* A launch, then waves of CTAs over the multiprocessors: each so long a block of k of its share,
 * in steps of a full tile, and for each 64 tokens that it finishes. As long as some of these take
 * the exchange of sums, and the next kernel's beginning where no multiprocessor is left for it. */
static void count_terms(const tms_spmm_problem *problem, int64_t t, const tmsi_hardware *hardware,
                        int64_t rows, int64_t tokens, int64_t group, double out[TMSI_TERM_COUNT]) {
    const int64_t element = (int64_t)tmsi_dtype_bytes(problem->x_type), depth = 128 / element;
    const int64_t blocks = tmsi_div_up(problem->k, depth), processors = hardware->processors;
    const tile full = {rows, tokens, group, element == 1 ? 5120 : 4608};
    const tmsi_nm24_few_grid grid =
        tmsi_nm24_few_grid_of(problem->n, t, blocks, rows, tokens, processors);
    const int64_t tiles = grid.tiles_n * grid.tiles_t;
    const int64_t count = tmsi_nm24_few_waves(tiles, grid.split, processors);
    const bool is_half = count > 1 && !tmsi_nm24_few_is_alone(tokens);
    const double waves = (double)count * (count > capped_from ? capped_waves
                                          : count > 1         ? later_waves
                                                              : 1.0);
    const double begins = (double)(count - 1) * (is_half ? begin_beside : begin_alone);
    const double step =
        step_us(&full, grid.tokens, grid.split, is_half) / step_us(&full, tokens, 1, false);

    out[TMSI_TERM_LAUNCH] = 1.0;
    out[TMSI_TERM_BLOCK] = waves * (double)tmsi_div_up(blocks, grid.split) * step;
    out[TMSI_TERM_TILE] = begins + waves * (double)grid.tokens / (64.0 * (double)grid.split) +
                          (grid.split > 1 ? 3.0 : 0.0) +
                          (2 * tiles * grid.split > processors ? 1.0 : 0.0);
    out[TMSI_TERM_MEMORY] = tmsi_nm24_megabytes(problem, t, hardware);
}

#define NM24_FEW_COST(rows, tokens, group)                                                         \
    void tmsi_spmm_cost_nm24_few_##rows##x##tokens(const tms_spmm_problem *problem, int64_t t,     \
                                                   const tmsi_hardware *hardware,                  \
                                                   double out[TMSI_TERM_COUNT]) {                  \
        count_terms(problem, t, hardware, rows, tokens, group, out);                               \
    }
NM24_FEW_COST(64, 8, 4)
NM24_FEW_COST(64, 16, 4)
NM24_FEW_COST(64, 32, 4)
NM24_FEW_COST(64, 64, 2)
NM24_FEW_COST(128, 96, 1)
NM24_FEW_COST(128, 128, 1)
NM24_FEW_COST(128, 192, 1)
