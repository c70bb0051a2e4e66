#include "spmm/cpu/rows_avx2.h"

#include <string.h>

#include "base/memory.h"
#include "base/threads.h"
#include "spmm/cpu/epilogue_avx2.h"
#include "spmm/cpu/vector_avx2.h"

enum {
    MAX_PANELS = 4,             /* of 16 rows, that one micro-kernel serves at once */
    MAX_ROWS = MAX_PANELS * 16, /* of w in a micro-kernel */
    TASK_FMAS = 1 << 15,        /* vector FMAs of a task, some 5 us: the handing out of
                                 * tasks then costs a few percent at most */
};

/* What a micro-kernel works on: some panels of one block row. */
typedef struct panel_group {
    int64_t blocks, block_columns;
    const int32_t *columns;
    const float *values;
    int64_t step; /* floats from one panel's values to the next one's */
} panel_group;

/* sums[m][row] = chain over all blocks and their columns, for M tokens and V vectors of rows in
 * each of Q panels. Constant M, V, Q make it straight code with M*V*Q sums in registers. */
static inline __attribute__((always_inline)) void
multiply(const int M, const int V, const int Q, const panel_group *w, const float *x, float *sums) {
    const float *values = w->values;
    const int64_t step = w->step, depth = w->block_columns;
    __m256 sum[6][8];

    TMSI_UNROLL
    for (int m = 0; m < M; m++) {
        TMSI_UNROLL
        for (int v = 0; v < V * Q; v++)
            sum[m][v] = _mm256_setzero_ps();
    }
    for (int64_t block = 0; block < w->blocks; block++) {
        const float *column = x + w->columns[block] * M;
        for (int64_t k = 0; k < depth; k++) {
            __m256 rows[8];
            TMSI_UNROLL
            for (int q = 0; q < Q; q++) {
                TMSI_UNROLL
                for (int v = 0; v < V; v++)
                    rows[q * V + v] = _mm256_loadu_ps(values + q * step + v * 8);
            }
            TMSI_UNROLL
            for (int m = 0; m < M; m++) {
                __m256 token = _mm256_broadcast_ss(column + m);
                TMSI_UNROLL
                for (int v = 0; v < V * Q; v++)
                    sum[m][v] = _mm256_fmadd_ps(token, rows[v], sum[m][v]);
            }
            values += V * 8;
            column += M;
        }
    }
    TMSI_UNROLL
    for (int m = 0; m < M; m++) {
        TMSI_UNROLL
        for (int v = 0; v < V * Q; v++)
            _mm256_storeu_ps(sums + m * MAX_ROWS + v * 8, sum[m][v]);
    }
}

typedef void (*micro_kernel)(const panel_group *w, const float *x, float *sums);

#define MICRO_KERNEL(M, V, Q)                                                                      \
    static void multiply_##M##_##V##_##Q(const panel_group *w, const float *x, float *sums) {      \
        multiply(M, V, Q, w, x, sums);                                                             \
    }
MICRO_KERNEL(1, 1, 1)
MICRO_KERNEL(2, 1, 1)
MICRO_KERNEL(3, 1, 1)
MICRO_KERNEL(4, 1, 1)
MICRO_KERNEL(5, 1, 1)
MICRO_KERNEL(6, 1, 1)
MICRO_KERNEL(1, 2, 1)
MICRO_KERNEL(2, 2, 1)
MICRO_KERNEL(3, 2, 1)
MICRO_KERNEL(4, 2, 1)
MICRO_KERNEL(5, 2, 1)
MICRO_KERNEL(6, 2, 1)
/* Few tokens: several panels at once, for more chains than the four that an FMA takes to end. */
MICRO_KERNEL(1, 2, 4)
MICRO_KERNEL(2, 2, 2)
MICRO_KERNEL(3, 2, 2)

static const micro_kernel kernels[2][TMSI_TILE_TOKENS] = {
    {multiply_1_1_1, multiply_2_1_1, multiply_3_1_1, multiply_4_1_1, multiply_5_1_1,
     multiply_6_1_1},
    {multiply_1_2_1, multiply_2_2_1, multiply_3_2_1, multiply_4_2_1, multiply_5_2_1,
     multiply_6_2_1},
};

typedef struct product {
    const tmsi_spmm_run *run;
    const tmsi_row_blocks *w;
    float *x;                  /* packed tiles */
    int64_t tile_floats;       /* of a packed tile */
    int64_t k_padded;          /* k's of a packed tile */
    int64_t first_tile, tiles; /* packed now */
    int64_t panels_across;     /* of a block row */
    int64_t panels;            /* of all block rows */
    int64_t panels_at_once;    /* that a task takes */
} product;

/* x of one tile to [k][token]. A vector of eight tokens is stored for each k, six of them at most
 * meant: the next k's lie over the rest. */
static void pack_tile(void *arg, int64_t i) {
    const product *job = arg;
    const tms_spmm_args *args = job->run->args;
    const int64_t k_count = job->run->problem->k;
    int64_t tile = job->first_tile + i, t = tmsi_tile_start(args->t, tile);
    int64_t tokens = tmsi_tile_start(args->t, tile + 1) - t;
    const float *x = (const float *)args->x + t * args->ldx;
    float *out = job->x + i * job->tile_floats;
    int64_t k = 0;

    for (; k < k_count; k += 8) {
        __m256 columns[8];
        tmsi_load_columns(x + k, args->ldx, tokens, k_count - k, columns);
        for (int64_t j = 0; j < 8; j++)
            _mm256_storeu_ps(out + (k + j) * tokens, columns[j]);
    }
    if (k < job->k_padded)
        memset(out + k * tokens, 0, (size_t)((job->k_padded - k) * tokens) * sizeof *out);
}

/* A tile's tokens with `count` panels from panel p of block row b on. */
static void run_tile(const product *job, int64_t tile, int64_t b, int64_t p, int64_t count) {
    const tmsi_row_blocks *w = job->w;
    const int64_t t_count = job->run->args->t, n = job->run->problem->n;
    int64_t t = tmsi_tile_start(t_count, tile), tokens = tmsi_tile_start(t_count, tile + 1) - t;
    int64_t blocks = w->offsets[b + 1] - w->offsets[b];
    int64_t panel_floats = blocks * w->block_columns * w->lanes;
    int64_t row = b * w->block_rows + p * w->lanes;
    int64_t end = tmsi_min(tmsi_min((b + 1) * w->block_rows, row + count * w->lanes), n);
    panel_group group = {blocks, w->block_columns, w->columns + w->offsets[b],
                         w->values +
                             w->offsets[b] * w->block_columns * job->panels_across * w->lanes +
                             p * panel_floats,
                         panel_floats};
    micro_kernel kernel = kernels[w->lanes / 8 - 1][tokens - 1];
    float sums[TMSI_TILE_TOKENS * MAX_ROWS];

    if (end <= row) /* a block row past N has panels without rows */
        return;
    if (count > 1)
        kernel = tokens == 1 ? multiply_1_2_4 : tokens == 2 ? multiply_2_2_2 : multiply_3_2_2;
    kernel(&group, job->x + (tile - job->first_tile) * job->tile_floats, sums);
    tmsi_epilogue_avx2(job->run, t, tokens, row, end - row, sums, MAX_ROWS);
}

/* Panels that one micro-kernel takes where all of t is one tile of so many tokens. */
static int64_t panels_of_kernel(const product *job) {
    const int64_t t = job->run->args->t;

    if (job->w->lanes != 16 || t > 3)
        return 1;
    return t == 1 ? 4 : 2;
}

static void run_task(void *arg, int64_t i) {
    const product *job = arg;
    int64_t panel = i * job->panels_at_once;
    int64_t end = tmsi_min(panel + job->panels_at_once, job->panels);

    while (panel < end) {
        int64_t b = panel / job->panels_across, p = panel % job->panels_across;
        int64_t count = panels_of_kernel(job);
        if (p + count > job->panels_across || panel + count > end)
            count = 1;
        for (int64_t tile = 0; tile < job->tiles; tile++)
            run_tile(job, job->first_tile + tile, b, p, count);
        panel += count;
    }
}

/* Panels of a task: as many as have TASK_FMAS with the tokens of a block of tiles. */
static int64_t choose_panels(const product *job, int64_t tiles) {
    const tmsi_row_blocks *w = job->w;
    int64_t block_rows = job->panels / job->panels_across;
    int64_t columns = w->offsets[block_rows] * w->block_columns / block_rows; /* of a panel */
    int64_t fmas = tmsi_min(job->run->args->t, tiles * TMSI_TILE_TOKENS) * (w->lanes / 8) *
                   tmsi_max(columns, 1);

    return (int64_t)tmsi_round_up((size_t)tmsi_div_up(TASK_FMAS, fmas), MAX_PANELS);
}

void tmsi_rows_avx2(const tmsi_spmm_run *run, const tmsi_row_blocks *w) {
    const tms_spmm_problem *problem = run->problem;
    int64_t all_tiles = tmsi_tile_count(run->args->t), blocks, block_tiles;
    product job = {.run = run, .w = w, .x = run->work};

    job.k_padded = tmsi_tile_columns(problem->k, w->block_columns);
    job.tile_floats = tmsi_tile_floats(problem->k, w->block_columns);
    job.panels_across = tmsi_div_up(w->block_rows, w->lanes);
    job.panels = tmsi_div_up(problem->n, w->block_rows) * job.panels_across;
    blocks = tmsi_div_up(all_tiles, tmsi_tiles_at_once(job.tile_floats));
    block_tiles = tmsi_div_up(all_tiles, blocks);
    job.panels_at_once = choose_panels(&job, block_tiles);
    for (; job.first_tile < all_tiles; job.first_tile += block_tiles) {
        job.tiles = tmsi_min(block_tiles, all_tiles - job.first_tile);
        tmsi_parallel_for(run->context, job.tiles, pack_tile, &job);
        tmsi_parallel_for(run->context, tmsi_div_up(job.panels, job.panels_at_once), run_task,
                          &job);
    }
}
