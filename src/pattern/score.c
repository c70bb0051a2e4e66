#include "pattern/score.h"

#include <math.h>

#include "base/memory.h"
#include "base/threads.h"
#include "pattern/kind.h"

static const uint32_t infinity_bits = 0x7f800000u, minus_zero_bits = 0x80000000u;

void tmsi_weight_segment(const tms_matrix *dense, int64_t row, int64_t column, int64_t count,
                         float *out) {
    size_t offset = (size_t)(row * dense->k + column) * tmsi_dtype_bytes(dense->dtype);
    tmsi_widen_f32((const char *)dense->components[0].data + offset, dense->dtype, count, out);
}

void tmsi_score_segment(const tms_select_desc *desc, int64_t row, int64_t column, int64_t count,
                        float *out) {
    if (desc->scores != NULL) {
        memcpy(out, desc->scores + row * desc->weights.k + column, (size_t)count * sizeof *out);
    } else {
        tmsi_weight_segment(&desc->weights, row, column, count, out);
        for (int64_t i = 0; i < count; i++)
            out[i] = fabsf(out[i]);
    }
    if (desc->column_norms != NULL)
        for (int64_t i = 0; i < count; i++)
            out[i] *= desc->column_norms[column + i];
}

static int32_t is_bad_score(float score) {
    uint32_t bits = tmsi_bits_from_f32(score);
    return bits >= infinity_bits && bits != minus_zero_bits;
}

static int32_t is_bad_weight(float weight) {
    return (tmsi_bits_from_f32(weight) & 0x7fffffffu) >= infinity_bits;
}

typedef struct search {
    const tms_select_desc *desc;
    int64_t parts;
    int64_t *first; /* [parts]: lowest bad element of each, or INT64_MAX */
} search;

/* First bad element of a segment, or count. The count of all comes first: it has no branch, and
 * nearly always it is zero. */
static int64_t search_segment(const search *s, int64_t row, int64_t column, int64_t count) {
    float scores[TMSI_SEGMENT], weights[TMSI_SEGMENT];
    int64_t bad = 0, i = 0;

    tmsi_score_segment(s->desc, row, column, count, scores);
    tmsi_weight_segment(&s->desc->weights, row, column, count, weights);
    for (i = 0; i < count; i++)
        bad += is_bad_score(scores[i]) | is_bad_weight(weights[i]);
    if (bad == 0)
        return count;
    i = 0;
    while (!is_bad_score(scores[i]) && !is_bad_weight(weights[i]))
        i++;
    return i;
}

static void search_part(void *arg, int64_t part) {
    search *s = arg;
    int64_t k = s->desc->weights.k;
    tmsi_range rows = tmsi_part_rows(s->desc->weights.n, s->parts, part);

    s->first[part] = INT64_MAX;
    for (int64_t row = rows.begin; row < rows.end; row++)
        for (int64_t column = 0; column < k; column += TMSI_SEGMENT) {
            int64_t count = tmsi_min(TMSI_SEGMENT, k - column);
            int64_t bad = search_segment(s, row, column, count);
            if (bad < count) {
                s->first[part] = row * k + column + bad;
                return;
            }
        }
}

/* Says which of weight, score and norm is at fault. */
static tms_status fail_at(const tms_select_desc *desc, int64_t row, int64_t column) {
    tms_select_desc plain = *desc; /* without the norms */
    long long r = row, c = column;
    float weight, score, norm;

    plain.column_norms = NULL;
    tmsi_weight_segment(&desc->weights, row, column, 1, &weight);
    tmsi_score_segment(&plain, row, column, 1, &score);
    if (is_bad_weight(weight))
        return tmsi_fail(TMS_ERR_VALUE,
                         "the weight at row %lld, column %lld is %g, but weights must be finite", r,
                         c, (double)weight);
    if (is_bad_score(score))
        return tmsi_fail(TMS_ERR_VALUE,
                         "the score at row %lld, column %lld is %g, but scores must be finite and "
                         "at least 0",
                         r, c, (double)score);
    norm = desc->column_norms[column];
    if (is_bad_score(norm))
        return tmsi_fail(TMS_ERR_VALUE,
                         "the score at row %lld, column %lld has no value: column_norms[%lld] is "
                         "%g, but norms must be finite and at least 0",
                         r, c, c, (double)norm);
    return tmsi_fail(TMS_ERR_VALUE,
                     "the score at row %lld, column %lld is %g times column norm %g, more than an "
                     "f32 holds",
                     r, c, (double)score, (double)norm);
}

tms_status tmsi_scores_check(tms_context *context, const tms_select_desc *desc) {
    tms_status status = TMS_OK;
    search s = {desc, tmsi_part_count(context, desc->weights.n), NULL};
    int64_t first = INT64_MAX;

    TMS_TRY(tmsi_alloc(context, (size_t)s.parts, sizeof *s.first, &s.first));
    tmsi_parallel_for(context, s.parts, search_part, &s);
    for (int64_t part = 0; part < s.parts; part++)
        first = tmsi_min(first, s.first[part]);
    if (first != INT64_MAX)
        status = fail_at(desc, first / desc->weights.k, first % desc->weights.k);
done:
    tmsi_free(context, s.first);
    return status;
}
