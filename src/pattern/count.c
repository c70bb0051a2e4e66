/* Zeros of a matrix, and the patterns that it happens to hold. One read of the weights: bands of 64
 * rows note which 8x8 blocks have a non-zero, and larger blocks are joined from those. */
#include "base/memory.h"
#include "base/threads.h"
#include "pattern/kind.h"
#include "pattern/score.h"

enum { SMALLEST = 8, BAND = 64, BAND_BLOCKS = BAND / SMALLEST, SIZES = 4 };

typedef struct counting {
    const tms_matrix *dense;
    int64_t parts, bands, block_columns; /* 8-wide columns of a band */
    tms_zero_report *reports;            /* [parts]; non-finite as in part_first */
    int64_t *first_bad;                  /* [parts]: first NaN or Inf, or INT64_MAX */
    uint8_t *columns;                    /* [parts][k]: 1 where the column has a non-zero */
    uint8_t *blocks;                     /* [parts][BAND_BLOCKS][block_columns] */
} counting;

/* Where a part writes while it reads a row. */
typedef struct row_sink {
    tms_zero_report *report;
    int64_t *first_bad;
    uint8_t *columns, *blocks;
} row_sink;

static void count_segment(const float *weights, int64_t count, int64_t column, row_sink *sink,
                          int64_t element) {
    int64_t zeros = 0, negative = 0, bad = 0;

    for (int64_t i = 0; i < count; i++) {
        uint32_t bits = tmsi_bits_from_f32(weights[i]), key = tmsi_score_key(weights[i]);
        zeros += key == 0;
        negative += bits == 0x80000000u;
        bad += key >= 0x7f800000u;
        sink->columns[column + i] |= key != 0;
        sink->blocks[(column + i) / SMALLEST] |= key != 0;
    }
    sink->report->zeros += zeros;
    sink->report->negative_zeros += negative;
    sink->report->non_finite += bad;
    for (int64_t i = 0; bad > 0 && i < count && *sink->first_bad == INT64_MAX; i++)
        if (tmsi_score_key(weights[i]) >= 0x7f800000u)
            *sink->first_bad = element + i;
}

/* Groups of 4 begin at multiples of 4, so a segment holds whole ones. */
static void judge_groups(const float *weights, int64_t count, tms_zero_report *report) {
    int32_t most = 0;

    for (int64_t i = 0; i + 4 <= count; i += 4) {
        int32_t non_zeros = 0;
        for (int64_t j = 0; j < 4; j++)
            non_zeros += tmsi_score_key(weights[i + j]) != 0;
        most = non_zeros > most ? non_zeros : most;
    }
    report->holds_2_4 &= most <= 2;
    report->holds_1_4 &= most <= 1;
}

static void count_row(const counting *c, int64_t row, row_sink *sink) {
    int64_t k = c->dense->k, zeros_before = sink->report->zeros;
    float weights[TMSI_SEGMENT];

    for (int64_t column = 0; column < k; column += TMSI_SEGMENT) {
        int64_t count = tmsi_min(TMSI_SEGMENT, k - column);
        tmsi_weight_segment(c->dense, row, column, count, weights);
        count_segment(weights, count, column, sink, row * k + column);
        judge_groups(weights, count, sink->report);
    }
    sink->report->zero_rows += sink->report->zeros - zeros_before == k;
}

/* Blocks of 8 << size in a band of `rows` 8-high rows, from those of half the size, joined in
 * place: the block at (r, c) comes to stand at (2r, 2c) of the 8x8 grid times half the step. */
static void count_blocks(uint8_t *blocks, int64_t rows, int64_t columns, tms_zero_report *report) {
    for (int32_t size = 0; size < SIZES; size++) {
        int64_t step = (int64_t)1 << size, half = step / 2;
        for (int64_t r = 0; r < rows; r += step)
            for (int64_t c = 0; c < columns; c += step) {
                uint8_t *block = blocks + r * columns + c;
                bool is_right = half > 0 && c + half<columns, is_below = half> 0 && r + half < rows;
                if (is_right)
                    *block |= block[half];
                if (is_below)
                    *block |= block[half * columns];
                if (is_right && is_below)
                    *block |= block[half * columns + half];
                report->zero_blocks[size] += *block == 0;
                report->blocks[size]++;
            }
    }
}

static void count_part(void *arg, int64_t part) {
    const counting *c = arg;
    int64_t n = c->dense->n, k = c->dense->k, band_bytes = BAND_BLOCKS * c->block_columns;
    uint8_t *blocks = c->blocks + part * band_bytes;
    row_sink sink = {&c->reports[part], &c->first_bad[part], c->columns + part * k, NULL};
    tmsi_range bands = tmsi_part_rows(c->bands, c->parts, part);

    sink.report->holds_2_4 = sink.report->holds_1_4 = 1;
    *sink.first_bad = INT64_MAX;
    for (int64_t band = bands.begin; band < bands.end; band++) {
        int64_t top = band * BAND, height = tmsi_min(BAND, n - top);
        memset(blocks, 0, (size_t)band_bytes);
        for (int64_t row = 0; row < height; row++) {
            sink.blocks = blocks + row / SMALLEST * c->block_columns;
            count_row(c, top + row, &sink);
        }
        count_blocks(blocks, tmsi_div_up(height, SMALLEST), c->block_columns, sink.report);
    }
}

static void merge_parts(const counting *c, tms_zero_report *out) {
    int64_t k = c->dense->k, first_bad = INT64_MAX;

    for (int64_t part = 0; part < c->parts; part++) {
        const tms_zero_report *report = &c->reports[part];
        out->zeros += report->zeros;
        out->negative_zeros += report->negative_zeros;
        out->zero_rows += report->zero_rows;
        out->non_finite += report->non_finite;
        out->holds_2_4 &= report->holds_2_4;
        out->holds_1_4 &= report->holds_1_4;
        for (int32_t size = 0; size < SIZES; size++) {
            out->zero_blocks[size] += report->zero_blocks[size];
            out->blocks[size] += report->blocks[size];
        }
        first_bad = tmsi_min(first_bad, c->first_bad[part]);
    }
    for (int64_t column = 0; column < k; column++) {
        uint8_t any = 0;
        for (int64_t part = 0; part < c->parts; part++)
            any |= c->columns[part * k + column];
        out->zero_columns += any == 0;
    }
    if (first_bad != INT64_MAX) {
        out->first_non_finite_row = first_bad / k;
        out->first_non_finite_column = first_bad % k;
    }
}

tms_status tmsi_matrix_count(tms_context *context, const tms_matrix *dense, tms_zero_report *out) {
    tms_zero_report report = tms_zero_report_default();
    counting c = {.dense = dense};
    tms_status status = TMS_OK;

    report.elements = dense->n * dense->k;
    report.first_non_finite_row = report.first_non_finite_column = -1;
    report.holds_2_4 = report.holds_1_4 = dense->k % 4 == 0;
    if (report.elements > 0) {
        c.bands = tmsi_div_up(dense->n, BAND);
        c.parts = tmsi_part_count(context, c.bands);
        c.block_columns = tmsi_div_up(dense->k, SMALLEST);
        TMS_TRY(tmsi_alloc(context, (size_t)c.parts, sizeof *c.reports, &c.reports));
        TMS_TRY(tmsi_alloc(context, (size_t)c.parts, sizeof *c.first_bad, &c.first_bad));
        TMS_TRY(tmsi_alloc(context, (size_t)c.parts, (size_t)dense->k, &c.columns));
        TMS_TRY(tmsi_alloc(context, (size_t)(c.parts * BAND_BLOCKS), (size_t)c.block_columns,
                           &c.blocks));
        tmsi_parallel_for(context, c.parts, count_part, &c);
        merge_parts(&c, &report);
    }
    *out = report;
done:
    tmsi_free(context, c.reports);
    tmsi_free(context, c.first_bad);
    tmsi_free(context, c.columns);
    tmsi_free(context, c.blocks);
    return status;
}
