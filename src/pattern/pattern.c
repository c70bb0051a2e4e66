/* The table of kinds, and what all kinds share: ranges, scopes, drop counts, verdicts. */
#include "pattern/pattern.h"

#include <stdio.h>

#include "base/context.h"
#include "base/memory.h"
#include "pattern/kind.h"

const tmsi_pattern_ops *const tmsi_patterns[TMS_PATTERN_KIND_COUNT] = {
#define ROW(id, name, example) &tmsi_pattern_##name,
    TMS_PATTERN_MAP(ROW)
#undef ROW
};

enum { GROUP_MAX = 64, BLOCK_MAX = 65536, PARTS_MAX = 64 };
static const int64_t whole_ppb = 1000000000;

static tms_status check_nm(const tms_pattern *pattern) {
    if (pattern->group < 2 || pattern->group > GROUP_MAX)
        return tmsi_fail(TMS_ERR_INVALID, "the group of %d:%d is %d, but must be 2 to %d",
                         pattern->keep, pattern->group, pattern->group, GROUP_MAX);
    if (pattern->keep < 1 || pattern->keep >= pattern->group)
        return tmsi_fail(TMS_ERR_INVALID, "%d:%d keeps %d of %d, but must keep 1 to %d",
                         pattern->keep, pattern->group, pattern->keep, pattern->group,
                         pattern->group - 1);
    return TMS_OK;
}

static tms_status check_block(const tms_pattern *pattern) {
    if (pattern->block_rows < 1 || pattern->block_rows > BLOCK_MAX || pattern->block_columns < 1 ||
        pattern->block_columns > BLOCK_MAX)
        return tmsi_fail(TMS_ERR_INVALID, "the block is %dx%d, but must be 1x1 to %dx%d",
                         pattern->block_rows, pattern->block_columns, BLOCK_MAX, BLOCK_MAX);
    return TMS_OK;
}

static tms_status check_share(const tms_pattern *pattern) {
    if (pattern->share_ppb < 0 || pattern->share_ppb > whole_ppb)
        return tmsi_fail(TMS_ERR_INVALID,
                         "the share of zeros is %.10g%%, but must be 0%% to 100%% (share_ppb 0 to "
                         "%lld)",
                         (double)pattern->share_ppb / 1e7, (long long)whole_ppb);
    return TMS_OK;
}

static tms_status check_scope(const tms_pattern *pattern) {
    const tmsi_pattern_ops *ops = tmsi_patterns[pattern->kind];

    if ((unsigned)pattern->scope >= TMS_SCOPE_COUNT)
        return tmsi_fail(TMS_ERR_INVALID, "scope is %d, but must be 0 to %d", (int)pattern->scope,
                         TMS_SCOPE_COUNT - 1);
    if (ops->has_scope || pattern->scope == TMS_SCOPE_DEFAULT ||
        (pattern->scope == TMS_SCOPE_PER_TENSOR && ops->says_tensor))
        return TMS_OK;
    return tmsi_fail(TMS_ERR_INVALID, "'%s' has no meaning for a pattern like \"%s\": %s",
                     pattern->scope == TMS_SCOPE_PER_ROW ? "per row" : "per tensor",
                     tmsi_pattern_example(pattern->kind), ops->no_scope);
}

tms_status tmsi_pattern_valid(const tms_pattern *pattern) {
    static tms_status (*const checks[])(const tms_pattern *) = {
        [TMSI_FIELD_NM] = check_nm,
        [TMSI_FIELD_BLOCK] = check_block,
        [TMSI_FIELD_SHARE] = check_share,
    };
    tms_status status = TMS_OK;
    tmsi_example_word word;
    const char *at;

    if ((unsigned)pattern->kind >= TMS_PATTERN_KIND_COUNT)
        return tmsi_fail(TMS_ERR_INVALID, "the pattern's kind is %d, but must be 0 to %d",
                         (int)pattern->kind, TMS_PATTERN_KIND_COUNT - 1);
    at = tmsi_pattern_example(pattern->kind);
    while (tmsi_example_next(&at, &word))
        if (word.field != TMSI_FIELD_WORD)
            TMS_TRY(checks[word.field](pattern));
    TMS_TRY(check_scope(pattern));
    if (tmsi_patterns[pattern->kind]->valid != NULL)
        TMS_TRY(tmsi_patterns[pattern->kind]->valid(pattern));
done:
    return status;
}

tms_status tmsi_pattern_fits(const tms_pattern *pattern, int64_t n, int64_t k) {
    const tmsi_pattern_ops *ops = tmsi_patterns[pattern->kind];
    return ops->fits != NULL ? ops->fits(pattern, n, k) : TMS_OK;
}

bool tmsi_pattern_has_scope(const tms_pattern *pattern) {
    return tmsi_patterns[pattern->kind]->has_scope;
}

tms_status tmsi_group_fits(const tms_pattern *pattern, int64_t n, int64_t k) {
    if (k % pattern->group == 0)
        return TMS_OK;
    return tmsi_fail(TMS_ERR_PATTERN,
                     "the matrix is %lld x %lld, but %d:%d keeps %d of every %d along k: k must be "
                     "a multiple of %d, and %lld is not",
                     (long long)n, (long long)k, pattern->keep, pattern->group, pattern->keep,
                     pattern->group, pattern->group, (long long)k);
}

/* share * count can pass 2^63, so whole billions of count go apart; their product is an integer. */
int64_t tmsi_pattern_drop_count(const tms_pattern *pattern, int64_t count) {
    int64_t billions = count / whole_ppb, rest = count % whole_ppb;
    return pattern->share_ppb * billions + (pattern->share_ppb * rest + whole_ppb / 2) / whole_ppb;
}

tms_status tmsi_pattern_check(tms_context *context, const tms_pattern *pattern,
                              const tms_matrix *dense, tms_check_report *out) {
    tms_check_report report = tms_check_report_default();
    tms_status status = tmsi_pattern_fits(pattern, dense->n, dense->k);

    if (status != TMS_OK)
        return status;
    report.row = report.column = -1;
    if (dense->n == 0 || dense->k == 0)
        tmsi_report_holds(&report, pattern, "elements", 0);
    else
        status = tmsi_patterns[pattern->kind]->check(context, pattern, dense, &report);
    if (status == TMS_OK)
        *out = report;
    return status;
}

void tmsi_report_holds(tms_check_report *report, const tms_pattern *pattern, const char *things,
                       int64_t total) {
    char text[TMS_PATTERN_TEXT_MAX];

    tmsi_pattern_print(pattern, text);
    report->holds = 1;
    snprintf(report->text, sizeof report->text, "holds %s: %lld of %lld %s are zero", text,
             (long long)report->zeros_found, (long long)total, things);
}

static void report_misses(tms_check_report *report, const tms_pattern *pattern, const char *things,
                          int64_t total) {
    char text[TMS_PATTERN_TEXT_MAX], where[48] = "";

    tmsi_pattern_print(pattern, text);
    if (report->row >= 0)
        snprintf(where, sizeof where, "row %lld: ", (long long)report->row);
    snprintf(report->text, sizeof report->text,
             "%s%lld of %lld %s are zero, but %s needs at least %lld", where,
             (long long)report->zeros_found, (long long)total, things, text,
             (long long)report->zeros_needed);
}

void tmsi_share_judge(const tms_pattern *pattern, const int64_t *zeros, int64_t rows, int64_t width,
                      int64_t height, const char *things, tms_check_report *out) {
    bool is_per_row = pattern->scope == TMS_SCOPE_PER_ROW;
    int64_t needed = tmsi_pattern_drop_count(pattern, is_per_row ? width : rows * width);

    out->zeros_found = 0;
    for (int64_t row = 0; row < rows; row++) {
        if (is_per_row && zeros[row] < needed) {
            out->row = row * height;
            out->zeros_found = zeros[row];
            out->zeros_needed = needed;
            report_misses(out, pattern, things, width);
            return;
        }
        out->zeros_found += zeros[row];
    }
    out->zeros_needed = is_per_row ? rows * needed : needed;
    if (out->zeros_found < out->zeros_needed)
        report_misses(out, pattern, things, rows * width);
    else
        tmsi_report_holds(out, pattern, things, rows * width);
}

int64_t tmsi_part_count(const tms_context *context, int64_t n) {
    return tmsi_max(1, tmsi_min(n, tmsi_min(context->threads, PARTS_MAX)));
}

tmsi_range tmsi_part_rows(int64_t n, int64_t parts, int64_t i) {
    int64_t rows = n / parts, rest = n % parts;
    int64_t begin = rows * i + tmsi_min(i, rest);
    return (tmsi_range){begin, begin + rows + (i < rest)};
}
