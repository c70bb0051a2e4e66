/* "unstructured 80%": any element may be zero; the smallest scores go.
 *
 * Per tensor: radix select on the 31 bits of the score's magnitude in two passes of 16 bits, each
 * task with its own histogram over its rows. Integer sums and a quota of equals per task, dealt in
 * order of index, make the result the same for any split. Two reads of the scores for the line,
 * one to mark: linear, and no copy of the matrix. Per row: byte-wise radix select row by row, since
 * a 16-bit histogram would cost more than a row of a few hundred keys. */
#include "base/memory.h"
#include "base/threads.h"
#include "pattern/kind.h"
#include "pattern/mask.h"
#include "pattern/rank.h"
#include "pattern/score.h"

enum { BINS = 1 << 16 };

typedef struct selection {
    const tms_select_desc *desc;
    int64_t parts;
    int64_t *bins;         /* [parts][BINS] */
    uint32_t high;         /* second pass: the upper half that the line's key has */
    tmsi_threshold *lines; /* [parts], each with its quota of equals */
    uint64_t *keys;        /* per row: [parts][k] */
    uint8_t *mask;
} selection;

static void count_high(int64_t *bins, const float *scores, int64_t count) {
    for (int64_t i = 0; i < count; i++)
        bins[tmsi_score_key(scores[i]) >> 16]++;
}

/* A branch, since few keys have the line's upper half: to add a 0 for each of the others would walk
 * through a table larger than the first cache. */
static void count_low(int64_t *bins, const float *scores, int64_t count, uint32_t high) {
    for (int64_t i = 0; i < count; i++) {
        uint32_t key = tmsi_score_key(scores[i]);
        if (key >> 16 == high)
            bins[key & 0xffffu]++;
    }
}

static void count_part(selection *s, int64_t part, bool is_low) {
    int64_t *bins = s->bins + part * BINS, k = s->desc->weights.k;
    tmsi_range rows = tmsi_part_rows(s->desc->weights.n, s->parts, part);
    float scores[TMSI_SEGMENT];

    memset(bins, 0, BINS * sizeof *bins);
    for (int64_t row = rows.begin; row < rows.end; row++)
        for (int64_t column = 0; column < k; column += TMSI_SEGMENT) {
            int64_t count = tmsi_min(TMSI_SEGMENT, k - column);
            tmsi_score_segment(s->desc, row, column, count, scores);
            if (is_low)
                count_low(bins, scores, count, s->high);
            else
                count_high(bins, scores, count);
        }
}

static void count_high_part(void *arg, int64_t part) {
    count_part(arg, part, false);
}

static void count_low_part(void *arg, int64_t part) {
    count_part(arg, part, true);
}

static void add_bins(const selection *s, int64_t *total) {
    memset(total, 0, BINS * sizeof *total);
    for (int64_t part = 0; part < s->parts; part++)
        for (int64_t bin = 0; bin < BINS; bin++)
            total[bin] += s->bins[part * BINS + bin];
}

/* Equals are rare but where all are: only then is each key asked for in turn. */
static void mark_segment(const float *scores, int64_t count, tmsi_threshold *line, uint8_t *keep) {
    uint32_t at = (uint32_t)line->key; /* ~0 where all go: above any key */
    int32_t equal = 0;

    for (int64_t i = 0; i < count; i++) {
        uint32_t key = tmsi_score_key(scores[i]);
        keep[i] = key > at;
        equal += key == at;
    }
    for (int64_t i = 0; equal > 0 && i < count; i++)
        keep[i] = tmsi_threshold_keeps(line, tmsi_score_key(scores[i]));
}

static void mark_row(const selection *s, int64_t row, tmsi_threshold *line) {
    int64_t k = s->desc->weights.k;
    uint8_t *bits = s->mask + row * tmsi_mask_row_bytes(k), keep[TMSI_SEGMENT];
    float scores[TMSI_SEGMENT];

    for (int64_t column = 0; column < k; column += TMSI_SEGMENT) {
        int64_t count = tmsi_min(TMSI_SEGMENT, k - column);
        tmsi_score_segment(s->desc, row, column, count, scores);
        mark_segment(scores, count, line, keep);
        tmsi_mask_pack(keep, count, bits + column / 8);
    }
}

static void mark_part(void *arg, int64_t part) {
    selection *s = arg;
    tmsi_range rows = tmsi_part_rows(s->desc->weights.n, s->parts, part);

    for (int64_t row = rows.begin; row < rows.end; row++)
        mark_row(s, row, &s->lines[part]);
}

/* The line of the whole tensor, and each part's quota of the equals that stay. */
static void find_lines(tms_context *context, selection *s, int64_t rank, int64_t *total) {
    int64_t low, left;

    tmsi_parallel_for(context, s->parts, count_high_part, s);
    add_bins(s, total);
    s->high = (uint32_t)tmsi_rank_bin(total, &rank);
    tmsi_parallel_for(context, s->parts, count_low_part, s);
    add_bins(s, total);
    low = tmsi_rank_bin(total, &rank);
    left = total[low] - rank;
    for (int64_t part = 0; part < s->parts; part++) {
        int64_t equal = s->bins[part * BINS + low];
        s->lines[part].key = (uint64_t)s->high << 16 | (uint64_t)low;
        s->lines[part].equal_kept = tmsi_min(left, equal);
        left -= s->lines[part].equal_kept;
    }
}

static tms_status select_tensor(tms_context *context, selection *s) {
    const tms_select_desc *desc = s->desc;
    int64_t elements = desc->weights.n * desc->weights.k;
    int64_t drop = tmsi_pattern_drop_count(&desc->pattern, elements), *total = NULL;
    tms_status status = TMS_OK;

    TMS_TRY(tmsi_alloc(context, (size_t)s->parts * BINS, sizeof *s->bins, &s->bins));
    TMS_TRY(tmsi_alloc(context, BINS, sizeof *total, &total));
    TMS_TRY(tmsi_alloc(context, (size_t)s->parts, sizeof *s->lines, &s->lines));
    if (drop < elements)
        find_lines(context, s, drop, total);
    else
        for (int64_t part = 0; part < s->parts; part++)
            s->lines[part].key = UINT64_MAX;
    tmsi_parallel_for(context, s->parts, mark_part, s);
done:
    tmsi_free(context, s->bins);
    tmsi_free(context, total);
    tmsi_free(context, s->lines);
    return status;
}

static void select_rows_part(void *arg, int64_t part) {
    selection *s = arg;
    int64_t k = s->desc->weights.k, drop = tmsi_pattern_drop_count(&s->desc->pattern, k);
    uint64_t *keys = s->keys + part * k;
    tmsi_range rows = tmsi_part_rows(s->desc->weights.n, s->parts, part);
    float scores[TMSI_SEGMENT];

    for (int64_t row = rows.begin; row < rows.end; row++) {
        tmsi_threshold line;
        for (int64_t column = 0; column < k; column += TMSI_SEGMENT) {
            int64_t count = tmsi_min(TMSI_SEGMENT, k - column);
            tmsi_score_segment(s->desc, row, column, count, scores);
            for (int64_t i = 0; i < count; i++)
                keys[column + i] = tmsi_score_key(scores[i]);
        }
        line = tmsi_rank(keys, k, TMSI_SCORE_BITS, drop);
        mark_row(s, row, &line);
    }
}

static tms_status select_rows(tms_context *context, selection *s) {
    tms_status status = TMS_OK;

    TMS_TRY(tmsi_alloc(context, (size_t)s->parts * (size_t)s->desc->weights.k, sizeof *s->keys,
                       &s->keys));
    tmsi_parallel_for(context, s->parts, select_rows_part, s);
done:
    tmsi_free(context, s->keys);
    return status;
}

static tms_status select_unstructured(tms_context *context, const tms_select_desc *desc,
                                      uint8_t *out_mask) {
    selection s = {.desc = desc, .mask = out_mask};

    s.parts = tmsi_part_count(context, desc->weights.n);
    return desc->pattern.scope == TMS_SCOPE_PER_ROW ? select_rows(context, &s)
                                                    : select_tensor(context, &s);
}

typedef struct counting {
    const tms_matrix *dense;
    int64_t parts;
    int64_t *zeros; /* [n], a row each */
} counting;

static void count_zeros_part(void *arg, int64_t part) {
    const counting *c = arg;
    int64_t k = c->dense->k;
    tmsi_range rows = tmsi_part_rows(c->dense->n, c->parts, part);
    float weights[TMSI_SEGMENT];

    for (int64_t row = rows.begin; row < rows.end; row++) {
        int64_t zeros = 0;
        for (int64_t column = 0; column < k; column += TMSI_SEGMENT) {
            int64_t count = tmsi_min(TMSI_SEGMENT, k - column);
            tmsi_weight_segment(c->dense, row, column, count, weights);
            for (int64_t i = 0; i < count; i++)
                zeros += tmsi_score_key(weights[i]) == 0;
        }
        c->zeros[row] = zeros;
    }
}

static tms_status check_unstructured(tms_context *context, const tms_pattern *pattern,
                                     const tms_matrix *dense, tms_check_report *out) {
    counting c = {dense, tmsi_part_count(context, dense->n), NULL};
    tms_status status = TMS_OK;

    TMS_TRY(tmsi_alloc(context, (size_t)dense->n, sizeof *c.zeros, &c.zeros));
    tmsi_parallel_for(context, c.parts, count_zeros_part, &c);
    tmsi_share_judge(pattern, c.zeros, dense->n, dense->k, 1, "elements", out);
done:
    tmsi_free(context, c.zeros);
    return status;
}

const tmsi_pattern_ops tmsi_pattern_unstructured = {
    .has_scope = true,
    .select = select_unstructured,
    .check = check_unstructured,
};
