/* The columns of the nm24 tables from Ampere on: which problems, at what cost, with what work
 * memory.
 */
#include "spmm/cuda/nm24_sm80.h"

#include "base/dtype.h"
#include "base/memory.h"
#include "spmm/kernel.h"

/* Every epilogue. */
#define NM24_SM80_FITS(name, type)                                                                 \
    bool tmsi_spmm_fits_nm24_sm80_##name(const tms_spmm_problem *problem) {                        \
        return problem->w_type == type && problem->x_type == type && problem->keep == 2 &&         \
               problem->group == 4;                                                                \
    }
NM24_SM80_FITS(bf16, TMS_BF16)
NM24_SM80_FITS(f16, TMS_F16)
NM24_SM80_FITS(i8, TMS_I8)

/* CTAs that occupy a GPU of some hundred multiprocessors, and blocks of k that a split must have
 * for it to be worth the second kernel: with 64 of them 1024 x 8192 by 8 took 8.1 us on an H100, by
 * 16, undivided, 5.7. */
enum { SPLIT_CTAS = 128, SPLIT_BLOCKS = 192, SPLITS_MAX = 16 };

int32_t tmsi_nm24_sm80_splits(int64_t n, int64_t t, int64_t k_blocks, int64_t rows,
                              int64_t tokens) {
    const int64_t tiles = tmsi_div_up(n, rows) * tmsi_div_up(t, tokens);
    const int64_t splits = tmsi_min(SPLIT_CTAS / tiles, k_blocks / SPLIT_BLOCKS);

    return (int32_t)tmsi_max(tmsi_min(splits, SPLITS_MAX), 1);
}

static int64_t k_blocks_of(const tms_spmm_problem *problem) {
    const int64_t element_bytes = (int64_t)tmsi_dtype_bytes(problem->x_type);

    return tmsi_div_up(problem->k, tmsi_nm24_sm80_depth(element_bytes));
}

/* Of weights and activations that stay in the L2 cache from call to call, so much counts: what an
 * H100's times at 4096 x 4096 and 8192 x 8192 agree on. */
static const double cached_share = 0.86, cache_share = 0.8;

/* What passes through the GPU's memory at least: w, x and y, once. */
static double megabytes_of(const tms_spmm_problem *problem, int64_t t,
                           const tmsi_hardware *hardware) {
    const double block = 64.0 * 64.0 + 512.0 * 2.0 / (double)tmsi_dtype_bytes(problem->x_type);
    const double w = (double)tmsi_div_up(problem->n, 64) * (double)k_blocks_of(problem) * block;
    const double x = (double)problem->k * (double)tmsi_dtype_bytes(problem->x_type);
    const double y = (double)problem->n * (double)tmsi_dtype_bytes(problem->y_type);

    const double bytes = w + (double)t * (x + y);

    return 1e-6 * bytes * (bytes < cache_share * (double)hardware->l2_bytes ? cached_share : 1.0);
}

/* Tiles, of which a multiprocessor runs several side by side: a step is a block of k of one of
 * them.
 */
static void count_terms(const tms_spmm_problem *problem, int64_t t, const tmsi_hardware *hardware,
                        int64_t rows, int64_t tokens, int32_t splits, double out[TMSI_TERM_COUNT]) {
    const int64_t tiles = tmsi_div_up(problem->n, rows) * tmsi_div_up(t, tokens);
    const double most = (double)tmsi_div_up(tiles * splits, tmsi_max(hardware->processors, 1));

    out[TMSI_TERM_LAUNCH] = splits > 1 ? 2.0 : 1.0;
    out[TMSI_TERM_BLOCK] = most * (double)tmsi_div_up(k_blocks_of(problem), splits);
    out[TMSI_TERM_TILE] = most;
    out[TMSI_TERM_MEMORY] = megabytes_of(problem, t, hardware);
    if (splits > 1)
        out[TMSI_TERM_PASS] = 2.0 * splits * (double)t * (double)problem->n * 4.0 / 1e6;
}

/* Sums of all splits; as t grows there are fewer splits, then one. */
static size_t work(const tms_spmm_problem *problem, int64_t t_max, int64_t rows, int64_t tokens) {
    const int64_t k_blocks = k_blocks_of(problem);
    int64_t bytes = 0;

    for (int64_t t = tokens;; t += tokens) {
        const int64_t most = tmsi_min(t, t_max);
        const int32_t splits = tmsi_nm24_sm80_splits(problem->n, most, k_blocks, rows, tokens);

        if (splits > 1)
            bytes = tmsi_max(bytes, splits * most * problem->n * 4);
        if (splits == 1 || t >= t_max)
            return (size_t)bytes;
    }
}

#define NM24_SM80_MANY(rows, tokens)                                                               \
    void tmsi_spmm_cost_nm24_sm80_##rows##x##tokens(const tms_spmm_problem *problem, int64_t t,    \
                                                    const tmsi_hardware *hardware,                 \
                                                    double out[TMSI_TERM_COUNT]) {                 \
        count_terms(problem, t, hardware, rows, tokens, 1, out);                                   \
    }
#define NM24_SM80_FEW(rows, tokens)                                                                \
    void tmsi_spmm_cost_nm24_sm80_##rows##x##tokens(const tms_spmm_problem *problem, int64_t t,    \
                                                    const tmsi_hardware *hardware,                 \
                                                    double out[TMSI_TERM_COUNT]) {                 \
        const int32_t splits =                                                                     \
            tmsi_nm24_sm80_splits(problem->n, t, k_blocks_of(problem), rows, tokens);              \
                                                                                                   \
        count_terms(problem, t, hardware, rows, tokens, splits, out);                              \
    }                                                                                              \
    size_t tmsi_spmm_work_nm24_sm80_##rows##x##tokens(                                             \
        const tms_spmm_problem *problem, const tms_part *part, int64_t t_max, int32_t threads) {   \
        (void)part, (void)threads;                                                                 \
        return work(problem, t_max, rows, tokens);                                                 \
    }
NM24_SM80_MANY(128, 128)
NM24_SM80_FEW(64, 32)
NM24_SM80_FEW(32, 16)
NM24_SM80_FEW(32, 8)
NM24_SM80_FEW(16, 8)
