/* Scores of blocks are means in double, each summed element by element in row-major order, so that
 * they are the same on every machine and for any number of threads; their bits are then ranked as
 * integers. Cost: one read of the scores, and some passes over the blocks. */
#include "pattern/grid.h"

#include "base/memory.h"
#include "base/rows.h"
#include "pattern/kind.h"
#include "pattern/mask.h"
#include "pattern/rank.h"
#include "pattern/score.h"

enum { MEAN_BITS = 63 }; /* of a double without its sign */

tmsi_grid tmsi_grid_make(int64_t n, int64_t k, int64_t block_rows, int64_t block_columns) {
    return (tmsi_grid){block_rows, block_columns, tmsi_div_up(n, block_rows),
                       tmsi_div_up(k, block_columns)};
}

/* Scored at a time: a run of blocks beside each other, as many as make about a segment of columns:
 * so that "columns", one row of blocks, still gives every thread work. */
typedef struct scoring {
    const tmsi_grid *grid;
    const tms_select_desc *desc;
    int64_t run, runs; /* blocks in a run; runs in a row of blocks */
    uint64_t *keys;    /* [rows][columns]: bits of the means */
} scoring;

/* Adds a segment's scores to its blocks' sums; `offset` is where it starts in sums[0]'s block row,
 * in columns from that block's left edge. */
static void add_segment(const float *scores, int64_t count, int64_t offset, int64_t block_columns,
                        tms_norm norm, double *sums) {
    int64_t block = offset / block_columns, i = 0;

    while (i < count) {
        int64_t end = tmsi_min(count, (block + 1) * block_columns - offset);
        double sum = sums[block];
        if (norm == TMS_NORM_L2)
            for (; i < end; i++)
                sum += (double)scores[i] * (double)scores[i];
        else
            for (; i < end; i++)
                sum += (double)scores[i];
        sums[block++] = sum;
    }
}

static void score_run(const void *arg, int64_t number) {
    const scoring *s = arg;
    const tmsi_grid *grid = s->grid;
    int64_t n = s->desc->weights.n, k = s->desc->weights.k;
    int64_t block_row = number / s->runs, block = number % s->runs * s->run;
    int64_t blocks = tmsi_min(s->run, grid->columns - block);
    int64_t top = block_row * grid->block_rows, bottom = tmsi_min(n, top + grid->block_rows);
    int64_t left = block * grid->block_columns;
    int64_t right = tmsi_min(k, left + blocks * grid->block_columns);
    double sums[TMSI_SEGMENT] = {0};
    float scores[TMSI_SEGMENT];

    for (int64_t row = top; row < bottom; row++)
        for (int64_t column = left; column < right; column += TMSI_SEGMENT) {
            int64_t count = tmsi_min(TMSI_SEGMENT, right - column);
            tmsi_score_segment(s->desc, row, column, count, scores);
            add_segment(scores, count, column - left, grid->block_columns, s->desc->block_norm,
                        sums);
        }
    for (int64_t i = 0; i < blocks; i++) {
        int64_t width = tmsi_min(grid->block_columns, k - (block + i) * grid->block_columns);
        double mean = sums[i] / (double)((bottom - top) * width);
        memcpy(&s->keys[block_row * grid->columns + block + i], &mean, sizeof mean);
    }
}

/* keys[rows][columns] of a grid; a key is 0 exactly where all scores of the block are. */
static void score_grid(tms_context *context, const tmsi_grid *grid, const tms_select_desc *desc,
                       uint64_t *keys) {
    scoring s = {.grid = grid, .desc = desc, .keys = keys};

    s.run = tmsi_max(1, tmsi_min(TMSI_SEGMENT / grid->block_columns, grid->columns));
    s.runs = tmsi_div_up(grid->columns, s.run);
    tmsi_rows_each(context, grid->rows * s.runs, s.run * grid->block_columns * grid->block_rows,
                   score_run, &s);
}

tms_status tmsi_grid_select(tms_context *context, const tmsi_grid *grid,
                            const tms_select_desc *desc, uint8_t **out_keep) {
    bool is_per_row = desc->pattern.scope == TMS_SCOPE_PER_ROW;
    int64_t blocks = grid->rows * grid->columns, width = is_per_row ? grid->columns : blocks;
    int64_t drop = tmsi_pattern_drop_count(&desc->pattern, width);
    tms_status status = TMS_OK;
    uint64_t *keys = NULL, *scratch = NULL;
    uint8_t *keep = NULL;

    TMS_TRY(tmsi_alloc(context, (size_t)blocks, sizeof *keys, &keys));
    TMS_TRY(tmsi_alloc(context, (size_t)width, sizeof *scratch, &scratch));
    TMS_TRY(tmsi_alloc(context, (size_t)blocks, sizeof *keep, &keep));
    score_grid(context, grid, desc, keys);
    for (int64_t first = 0; first < blocks; first += width) {
        tmsi_threshold line;
        memcpy(scratch, keys + first, (size_t)width * sizeof *keys);
        line = tmsi_rank(scratch, width, MEAN_BITS, drop);
        for (int64_t i = first; i < first + width; i++)
            keep[i] = tmsi_threshold_keeps(&line, keys[i]);
    }
    *out_keep = keep;
done:
    tmsi_free(context, keys);
    tmsi_free(context, scratch);
    return status;
}

void tmsi_grid_clear(const tmsi_grid *grid, const uint8_t *keep, int64_t n, int64_t k,
                     uint8_t *scratch, uint8_t *mask) {
    int64_t row_bytes = tmsi_mask_row_bytes(k);

    for (int64_t block_row = 0; block_row < grid->rows; block_row++) {
        int64_t top = block_row * grid->block_rows, bottom = tmsi_min(n, top + grid->block_rows);
        memset(scratch, 0, (size_t)row_bytes);
        for (int64_t i = 0; i < grid->columns; i++)
            if (keep[block_row * grid->columns + i])
                tmsi_mask_set(scratch, i * grid->block_columns,
                              tmsi_min(k, (i + 1) * grid->block_columns));
        for (int64_t row = top; row < bottom; row++)
            for (int64_t i = 0; i < row_bytes; i++)
                mask[row * row_bytes + i] &= scratch[i];
    }
}

tms_status tmsi_grid_select_mask(tms_context *context, const tmsi_grid *grid,
                                 const tms_select_desc *desc, uint8_t *out_mask) {
    int64_t n = desc->weights.n, k = desc->weights.k;
    tms_status status = TMS_OK;
    uint8_t *keep = NULL, *scratch = NULL;

    TMS_TRY(tmsi_alloc(context, (size_t)tmsi_mask_row_bytes(k), 1, &scratch));
    TMS_TRY(tmsi_grid_select(context, grid, desc, &keep));
    memset(out_mask, 0xff, (size_t)(n * tmsi_mask_row_bytes(k)));
    tmsi_grid_clear(grid, keep, n, k, scratch, out_mask);
done:
    tmsi_free(context, keep);
    tmsi_free(context, scratch);
    return status;
}

tms_status tmsi_grid_check(tms_context *context, const tmsi_grid *grid, const tms_pattern *pattern,
                           const tms_matrix *dense, const char *things, tms_check_report *out) {
    tms_select_desc desc = tms_select_desc_default();
    tms_status status = TMS_OK;
    uint64_t *keys = NULL;
    int64_t *zeros = NULL;

    desc.weights = *dense;
    TMS_TRY(tmsi_alloc(context, (size_t)(grid->rows * grid->columns), sizeof *keys, &keys));
    TMS_TRY(tmsi_alloc(context, (size_t)grid->rows, sizeof *zeros, &zeros));
    score_grid(context, grid, &desc, keys);
    for (int64_t i = 0; i < grid->rows * grid->columns; i++)
        zeros[i / grid->columns] += keys[i] == 0;
    tmsi_share_judge(pattern, zeros, grid->rows, grid->columns, grid->block_rows, things, out);
done:
    tmsi_free(context, keys);
    tmsi_free(context, zeros);
    return status;
}
