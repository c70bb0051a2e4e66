#include "spmm/cpu/tokens_avx2.h"

#include <string.h>

#include "base/memory.h"
#include "base/threads.h"
#include "spmm/cpu/epilogue_avx2.h"
#include "spmm/cpu/vector_avx2.h"

/* k's that a packing task takes: 24 KiB of packed x stay in the first-level cache. */
enum { PACK_COLUMNS = 96 };

typedef struct product {
    const tmsi_spmm_run *run;
    tmsi_token_kernel kernel;
    int64_t block_columns;
    int64_t k_padded;
    int64_t pack_tasks; /* of a panel */
    int64_t chunks;
    int64_t first_panel, panels; /* packed now */
    float *x;                    /* packed: [panel][k_padded][64] */
} product;

/* Tokens of panel p. */
static int64_t panel_tokens(const product *job, int64_t p) {
    return tmsi_min(job->run->args->t - p * TMSI_PANEL_TOKENS, TMSI_PANEL_TOKENS);
}

/* Vectors that hold so many tokens: a power of two, as kernels come. */
static int32_t count_vectors(int64_t tokens) {
    return tokens <= 8 ? 1 : tokens <= 16 ? 2 : tokens <= 32 ? 4 : 8;
}

/* x to [k][token]; tokens past the last and k's past K are zero. */
static void pack_task(void *arg, int64_t i) {
    const product *job = arg;
    const tms_spmm_args *args = job->run->args;
    const int64_t k_count = job->run->problem->k;
    int64_t at = i / job->pack_tasks, p = job->first_panel + at, tokens = panel_tokens(job, p);
    int64_t first = i % job->pack_tasks * PACK_COLUMNS;
    int64_t end = tmsi_min(first + PACK_COLUMNS, job->k_padded);
    int64_t lanes = count_vectors(tokens) * 8;
    const float *x = (const float *)args->x + p * TMSI_PANEL_TOKENS * args->ldx;
    float *out = job->x + at * job->k_padded * TMSI_PANEL_TOKENS;

    for (int64_t t = 0; t < lanes; t += 8)
        for (int64_t k = first; k < end; k += 8) {
            __m256 columns[8];
            if (t < tokens && k < k_count)
                tmsi_load_columns(x + t * args->ldx + k, args->ldx, tokens - t, k_count - k,
                                  columns);
            else
                memset(columns, 0, sizeof columns);
            for (int64_t j = 0; j < 8; j++)
                _mm256_store_ps(out + (k + j) * TMSI_PANEL_TOKENS + t, columns[j]);
        }
}

/* Sums [row][token] to rows of y, eight tokens at a time: each then is one stretch of y. */
static void write_sums(const tmsi_token_cell *cell, int64_t t, int64_t tokens) {
    float y[8][TMSI_CHUNK_ROWS];

    for (int64_t first = 0; first < tokens; first += 8) {
        for (int64_t r = 0; r < cell->rows; r += 8) { /* the sums have rows up to a multiple of 8 */
            __m256 square[8];
            for (int64_t i = 0; i < 8; i++)
                square[i] = _mm256_load_ps(cell->sums + (r + i) * TMSI_PANEL_TOKENS + first);
            tmsi_transpose_8x8(square);
            for (int64_t i = 0; i < 8; i++)
                _mm256_storeu_ps(&y[i][r], square[i]);
        }
        tmsi_epilogue_avx2(cell->run, t + first, tmsi_min(tokens - first, 8), cell->row, cell->rows,
                           y[0], TMSI_CHUNK_ROWS);
    }
}

/* One chunk of rows with one panel of tokens. */
static void run_task(void *arg, int64_t i) {
    const product *job = arg;
    int64_t at = i / job->chunks, p = job->first_panel + at, tokens = panel_tokens(job, p);
    int64_t row = i % job->chunks * TMSI_CHUNK_ROWS;
    _Alignas(TMSI_ALIGNMENT) float sums[TMSI_CHUNK_ROWS * TMSI_PANEL_TOKENS];
    tmsi_token_cell cell = {.run = job->run,
                            .row = row,
                            .rows = tmsi_min(TMSI_CHUNK_ROWS, job->run->problem->n - row),
                            .vectors = count_vectors(tokens),
                            .x = job->x + at * job->k_padded * TMSI_PANEL_TOKENS,
                            .sums = sums};

    memset(sums, 0, sizeof sums);
    for (int64_t k = 0; k < job->run->problem->k; k += job->block_columns) {
        job->kernel(&cell);
        cell.block++;
        cell.x += job->block_columns * TMSI_PANEL_TOKENS;
    }
    write_sums(&cell, p * TMSI_PANEL_TOKENS, tokens);
}

void tmsi_tokens_avx2(const tmsi_spmm_run *run, int64_t block_columns, tmsi_token_kernel kernel) {
    int64_t all_panels = tmsi_div_up(run->args->t, TMSI_PANEL_TOKENS);
    int64_t at_once = tmsi_panels_at_once(run->problem->k);
    product job = {.run = run, .kernel = kernel, .block_columns = block_columns, .x = run->work};

    job.k_padded = tmsi_panel_columns(run->problem->k);
    job.pack_tasks = tmsi_div_up(job.k_padded, PACK_COLUMNS);
    job.chunks = tmsi_div_up(run->problem->n, TMSI_CHUNK_ROWS);
    for (; job.first_panel < all_panels; job.first_panel += at_once) {
        job.panels = tmsi_min(at_once, all_panels - job.first_panel);
        tmsi_parallel_for(run->context, job.panels * job.pack_tasks, pack_task, &job);
        tmsi_parallel_for(run->context, job.panels * job.chunks, run_task, &job);
    }
}
