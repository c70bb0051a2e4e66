/* Products with vectors along tokens: scattered non-zeros, 2:4 and unstructured.
 *
 * x is packed to panels [k][64 tokens]. A non-zero w[n,k] is broadcast and meets row k of a panel
 * in up to 8 fused multiply-adds whose operand is that row in memory: no x is used twice from a
 * register, so loads bind, not FMAs. Four weights come by one 16-byte broadcast and are spread by
 * shuffles: 8.25 loads for 8 FMAs at 2 a cycle each, 97 % of peak at best, 2 x 0.97 of dense for
 * 2:4.
 *
 * For every load to hit the first-level cache, K is cut into blocks of 96: 96 x 64 floats are
 * 24 KiB. The sums of a chunk of rows (96 x 64 floats) are kept in memory between blocks, so a
 * row's sums are loaded and stored once a block: 16 accesses beside 8 for each non-zero. */
#ifndef TAMIS_SPMM_CPU_TOKENS_AVX2_H
#define TAMIS_SPMM_CPU_TOKENS_AVX2_H

#include "spmm/kernel.h"

enum {
    TMSI_PANEL_TOKENS = 64,
    TMSI_CHUNK_ROWS = 96,          /* of w whose sums a task keeps */
    TMSI_X_PAD = 32,               /* packed k's are rounded up to this, with zeros */
    TMSI_PANELS_BYTES = 512 * 1024 /* x that is packed and used before more is: it stays in the
                                    * second-level cache while all of w passes */
};

/* Packed k's. */
static inline int64_t tmsi_panel_columns(int64_t k) {
    return (k + TMSI_X_PAD - 1) / TMSI_X_PAD * TMSI_X_PAD;
}

/* Most panels that are packed at once. */
static inline int64_t tmsi_panels_at_once(int64_t k) {
    int64_t bytes = tmsi_panel_columns(k) * TMSI_PANEL_TOKENS * (int64_t)sizeof(float);
    return bytes < TMSI_PANELS_BYTES ? TMSI_PANELS_BYTES / bytes : 1;
}

/* Packed x of that many tokens at most. */
static inline size_t tmsi_tokens_work(int64_t k, int64_t t_max) {
    int64_t panels = (t_max + TMSI_PANEL_TOKENS - 1) / TMSI_PANEL_TOKENS;
    int64_t most = tmsi_panels_at_once(k);
    return (size_t)((panels < most ? panels : most) * tmsi_panel_columns(k) * TMSI_PANEL_TOKENS) *
           sizeof(float);
}

/* What is to be done at once: one chunk of rows, one block of K, one panel of tokens. */
typedef struct tmsi_token_cell {
    const tmsi_spmm_run *run;
    int64_t row, rows; /* of w */
    int64_t block;     /* of K */
    int32_t vectors;   /* of 8 tokens: 1, 2, 4 or 8 */
    const float *x;    /* the block's first row of the panel; rows are 64 floats apart */
    float *sums;       /* [rows][64] */
} tmsi_token_cell;

/* Adds the cell's products to its sums, in ascending k. */
typedef void (*tmsi_token_kernel)(const tmsi_token_cell *cell);

/* Runs the whole product by a family's kernel with blocks of block_columns k's. Each element of y
 * is one chain of fused multiply-adds over ascending k from +0, whatever t and the number of
 * threads. run->work
 * is tmsi_tokens_work bytes. */
void tmsi_tokens_avx2(const tmsi_spmm_run *run, int64_t block_columns, tmsi_token_kernel kernel);

#endif
