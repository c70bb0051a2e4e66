/* "2:4": of every 4 elements along k, 2 stay. An element stays if fewer than `keep` of its group
 * beat it; of equals the lower index wins. Every pair of a group is compared once and no branch
 * depends on a score: 6 comparisons for a group of 4, (m - 1)/2 an element for m. */
#include "pattern/nm.h"

#include <stdio.h>

#include "base/memory.h"
#include "base/threads.h"
#include "pattern/kind.h"
#include "pattern/mask.h"
#include "pattern/score.h"

/* wins_ij: element i beats j, i < j. */
static void keep_of_4(const float *scores, int64_t count, int32_t keep, uint8_t *out) {
    for (int64_t i = 0; i < count; i += 4) {
        uint32_t k0 = tmsi_score_key(scores[i]), k1 = tmsi_score_key(scores[i + 1]);
        uint32_t k2 = tmsi_score_key(scores[i + 2]), k3 = tmsi_score_key(scores[i + 3]);
        int32_t wins_01 = k0 >= k1, wins_02 = k0 >= k2, wins_03 = k0 >= k3;
        int32_t wins_12 = k1 >= k2, wins_13 = k1 >= k3, wins_23 = k2 >= k3;
        out[i] = wins_01 + wins_02 + wins_03 >= 4 - keep;
        out[i + 1] = 1 - wins_01 + wins_12 + wins_13 >= 4 - keep;
        out[i + 2] = 2 - wins_02 - wins_12 + wins_23 >= 4 - keep;
        out[i + 3] = 3 - wins_03 - wins_13 - wins_23 >= 4 - keep;
    }
}

/* All groups of a segment at once, element a of every group beside each other, so that a pair's
 * comparison is one loop over groups. */
static void keep_of_group(const float *scores, int64_t count, int32_t keep, int32_t group,
                          uint8_t *out) {
    int64_t groups = count / group;
    uint32_t keys[TMSI_SEGMENT];
    int32_t beaten[TMSI_SEGMENT] = {0}; /* by how many of its group */

    for (int64_t g = 0; g < groups; g++)
        for (int32_t a = 0; a < group; a++)
            keys[a * groups + g] = tmsi_score_key(scores[g * group + a]);
    for (int32_t a = 0; a < group; a++)
        for (int32_t b = a + 1; b < group; b++)
            for (int64_t g = 0; g < groups; g++) {
                int32_t b_wins = keys[b * groups + g] > keys[a * groups + g];
                beaten[a * groups + g] += b_wins;
                beaten[b * groups + g] += 1 - b_wins;
            }
    for (int64_t g = 0; g < groups; g++)
        for (int32_t a = 0; a < group; a++)
            out[g * group + a] = beaten[a * groups + g] < keep;
}

void tmsi_nm_keep(const float *scores, int64_t count, int32_t keep, int32_t group, uint8_t *out) {
    if (group == 4)
        keep_of_4(scores, count, keep, out);
    else
        keep_of_group(scores, count, keep, group, out);
}

typedef struct nm_rows {
    const tms_select_desc *desc;
    int64_t parts;
    uint8_t *mask;
} nm_rows;

static void select_part(void *arg, int64_t part) {
    const nm_rows *s = arg;
    int64_t k = s->desc->weights.k;
    int32_t keep = s->desc->pattern.keep, group = s->desc->pattern.group;
    /* Whole groups and whole bytes; a group has at most 64 elements. */
    int64_t segment = TMSI_SEGMENT / (8 * group) * (8 * group);
    tmsi_range rows = tmsi_part_rows(s->desc->weights.n, s->parts, part);
    float scores[TMSI_SEGMENT];
    uint8_t flags[TMSI_SEGMENT];

    for (int64_t row = rows.begin; row < rows.end; row++)
        for (int64_t column = 0; column < k; column += segment) {
            int64_t count = tmsi_min(segment, k - column);
            tmsi_score_segment(s->desc, row, column, count, scores);
            tmsi_nm_keep(scores, count, keep, group, flags);
            tmsi_mask_pack(flags, count, s->mask + row * tmsi_mask_row_bytes(k) + column / 8);
        }
}

void tmsi_nm_select(tms_context *context, const tms_select_desc *desc, uint8_t *out_mask) {
    nm_rows s = {desc, tmsi_part_count(context, desc->weights.n), out_mask};
    tmsi_parallel_for(context, s.parts, select_part, &s);
}

static tms_status select_nm(tms_context *context, const tms_select_desc *desc, uint8_t *out_mask) {
    tmsi_nm_select(context, desc, out_mask);
    return TMS_OK;
}

typedef struct nm_search {
    const tms_pattern *pattern;
    const tms_matrix *dense;
    int64_t parts;
    int64_t *zeros; /* [parts] */
    int64_t *first; /* [parts]: element that is the first too many, or INT64_MAX */
} nm_search;

/* Offset of the group's (keep + 1)th non-zero, or `group`. */
static int32_t find_excess(const float *weights, int32_t keep, int32_t group, int64_t *zeros) {
    int32_t non_zeros = 0, excess = group;

    for (int32_t i = 0; i < group; i++) {
        int32_t is_zero = tmsi_score_key(weights[i]) == 0;
        *zeros += is_zero;
        non_zeros += 1 - is_zero;
        if (non_zeros > keep && excess == group)
            excess = i;
    }
    return excess;
}

static void search_part(void *arg, int64_t part) {
    const nm_search *s = arg;
    int64_t k = s->dense->k, zeros = 0, first = INT64_MAX;
    int32_t group = s->pattern->group;
    int64_t segment = TMSI_SEGMENT / group * group;
    tmsi_range rows = tmsi_part_rows(s->dense->n, s->parts, part);
    float weights[TMSI_SEGMENT];

    for (int64_t row = rows.begin; row < rows.end; row++)
        for (int64_t column = 0; column < k; column += segment) {
            int64_t count = tmsi_min(segment, k - column);
            tmsi_weight_segment(s->dense, row, column, count, weights);
            for (int64_t i = 0; i < count; i += group) {
                int32_t excess = find_excess(weights + i, s->pattern->keep, group, &zeros);
                if (excess < group)
                    first = tmsi_min(first, row * k + column + i + excess);
            }
        }
    s->zeros[part] = zeros;
    s->first[part] = first;
}

/* "row 3, column 6: the group at columns 4 to 7 has 3 non-zeros, but 2:4 keeps 2: 0.5, 0, 1, -3".
 */
static void report_excess(const nm_search *s, int64_t element, tms_check_report *out) {
    enum { VALUES_SHOWN = 8 };
    int64_t row = element / s->dense->k, column = element % s->dense->k, zeros = 0;
    int32_t group = s->pattern->group;
    int64_t begin = column / group * group;
    float weights[TMSI_SEGMENT];
    int used;

    tmsi_weight_segment(s->dense, row, begin, group, weights);
    find_excess(weights, group, group, &zeros);
    out->holds = 0;
    out->row = row;
    out->column = column;
    used = snprintf(out->text, sizeof out->text,
                    "row %lld, column %lld: the group at columns %lld to %lld has %lld non-zeros, "
                    "but %d:%d keeps %d:",
                    (long long)row, (long long)column, (long long)begin,
                    (long long)(begin + group - 1), (long long)(group - zeros), s->pattern->keep,
                    group, s->pattern->keep);
    for (int32_t i = 0; i < group && i < VALUES_SHOWN; i++)
        used += snprintf(out->text + used, sizeof out->text - (size_t)used, "%s %.6g",
                         i > 0 ? "," : "", (double)weights[i]);
    if (group > VALUES_SHOWN)
        snprintf(out->text + used, sizeof out->text - (size_t)used, ", ...");
}

tms_status tmsi_nm_check(tms_context *context, const tms_pattern *pattern, const tms_matrix *dense,
                         tms_check_report *out) {
    nm_search s = {pattern, dense, tmsi_part_count(context, dense->n), NULL, NULL};
    int64_t first = INT64_MAX, elements = dense->n * dense->k;
    tms_status status = TMS_OK;

    TMS_TRY(tmsi_alloc(context, (size_t)s.parts, sizeof *s.zeros, &s.zeros));
    TMS_TRY(tmsi_alloc(context, (size_t)s.parts, sizeof *s.first, &s.first));
    tmsi_parallel_for(context, s.parts, search_part, &s);
    for (int64_t part = 0; part < s.parts; part++) {
        first = tmsi_min(first, s.first[part]);
        out->zeros_found += s.zeros[part];
    }
    out->zeros_needed = elements / pattern->group * (pattern->group - pattern->keep);
    if (first != INT64_MAX)
        report_excess(&s, first, out);
    else
        tmsi_report_holds(out, pattern, "elements", elements);
done:
    tmsi_free(context, s.zeros);
    tmsi_free(context, s.first);
    return status;
}

const tmsi_pattern_ops tmsi_pattern_nm = {
    .no_scope = "every group keeps its own share",
    .fits = tmsi_group_fits,
    .select = select_nm,
    .check = tmsi_nm_check,
};
