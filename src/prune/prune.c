/* One weight: select, apply, and what that cost. The error of pruning without calibration is the
 * share of the weight's Frobenius norm that went. Squares are summed in double, element by element
 * within a row and then row by row, so that the figure is the same for any number of threads. */
#include "prune/prune.h"

#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/dtype.h"
#include "base/memory.h"
#include "base/rows.h"
#include "pattern/pattern.h"

const tmsi_method tmsi_methods[TMS_METHOD_COUNT] = {
    [TMS_METHOD_MAGNITUDE] = {"magnitude", false, TMS_SCOPE_PER_TENSOR},
    /* Sun et al. 2023 (arXiv 2306.11695), section 3: compared per output. */
    [TMS_METHOD_WANDA] = {"wanda", true, TMS_SCOPE_PER_ROW},
};

tms_status tmsi_method_parse(const char *text, tms_prune_method *out) {
    for (int i = 0; i < TMS_METHOD_COUNT; i++)
        if (strcmp(text, tmsi_methods[i].name) == 0) {
            *out = (tms_prune_method)i;
            return TMS_OK;
        }
    return tmsi_fail(TMS_ERR_INVALID, "\"%.40s\" is no method; methods are \"%s\" and \"%s\"", text,
                     tmsi_methods[TMS_METHOD_MAGNITUDE].name, tmsi_methods[TMS_METHOD_WANDA].name);
}

tms_pattern tmsi_method_pattern(tms_prune_method method, const tms_pattern *pattern) {
    tms_pattern said = *pattern;

    if (said.scope == TMS_SCOPE_DEFAULT && tmsi_pattern_has_scope(pattern))
        said.scope = tmsi_methods[method].scope;
    return said;
}

/* Sums over one row. */
typedef struct row_sums {
    double squares, dropped; /* of all weights; of those that the mask drops */
    int64_t zeros_before, zeros;
} row_sums;

typedef struct summing {
    const tms_matrix *dense;
    const uint8_t *mask;
    row_sums *rows; /* [n] */
} summing;

static void sum_row(const void *arg, int64_t row) {
    const summing *s = arg;
    const uint8_t *bits = s->mask + row * tmsi_mask_row_bytes(s->dense->k);
    row_sums sums = {0};

    for (int64_t column = 0; column < s->dense->k; column++) {
        float weight = tmsi_load_f32(s->dense->components[0].data, s->dense->dtype,
                                     row * s->dense->k + column);
        double square = (double)weight * (double)weight;
        bool is_kept = bits[column / 8] >> (column % 8) & 1;
        sums.squares += square;
        sums.dropped += is_kept ? 0.0 : square;
        sums.zeros_before += weight == 0.0f;
        sums.zeros += weight == 0.0f || !is_kept;
    }
    s->rows[row] = sums;
}

tms_status tmsi_prune_matrix(tms_context *context, const tmsi_prune_settings *settings,
                             const float *column_norms, const tms_matrix *dense,
                             tmsi_prune_result *out_result) {
    tms_select_desc desc = tms_select_desc_default();
    summing s = {.dense = dense};
    double start = tmsi_clock_us(), squares = 0.0, dropped = 0.0;
    tmsi_prune_result result = {0};
    uint8_t *mask = NULL;
    tms_status status = TMS_OK;

    desc.pattern = tmsi_method_pattern(settings->method, &settings->pattern);
    desc.weights = *dense;
    desc.column_norms = column_norms;
    desc.block_norm = settings->block_norm;
    TMS_TRY(tmsi_alloc(context, (size_t)dense->n, (size_t)tmsi_mask_row_bytes(dense->k), &mask));
    TMS_TRY(tmsi_alloc(context, (size_t)dense->n, sizeof *s.rows, &s.rows));
    TMS_TRY(tmsi_mask_select(context, &desc, mask));
    s.mask = mask;
    tmsi_rows_each(context, dense->n, dense->k, sum_row, &s);
    tmsi_mask_apply(context, mask, dense);
    for (int64_t row = 0; row < dense->n; row++) {
        squares += s.rows[row].squares;
        dropped += s.rows[row].dropped;
        result.zeros_before += s.rows[row].zeros_before;
        result.zeros += s.rows[row].zeros;
    }
    result.error = squares > 0.0 ? sqrt(dropped / squares) : 0.0;
    result.seconds = (tmsi_clock_us() - start) * 1e-6;
    *out_result = result;
done:
    tmsi_free(context, mask);
    tmsi_free(context, s.rows);
    return status;
}
