#include "pattern/pattern.h"
#include "api/arguments.h"

tms_status tms_pattern_parse(const char *text, tms_pattern *out_pattern) {
    tmsi_enter(__func__);
    TMSI_NEED(text);
    TMSI_NEED(out_pattern);
    return tmsi_pattern_parse(text, out_pattern);
}

tms_status tms_pattern_print(const tms_pattern *pattern, char out_text[TMS_PATTERN_TEXT_MAX]) {
    tms_status status;

    tmsi_enter(__func__);
    TMSI_NEED(pattern);
    TMSI_NEED(out_text);
    status = tmsi_pattern_valid(pattern);
    if (status == TMS_OK)
        tmsi_pattern_print(pattern, out_text);
    return status;
}

tms_status tms_pattern_fits(const tms_pattern *pattern, int64_t n, int64_t k) {
    tms_status status;

    tmsi_enter(__func__);
    TMSI_NEED(pattern);
    if (n < 0 || k < 0)
        return tmsi_fail(TMS_ERR_INVALID, "%s is %lld, but must be at least 0", n < 0 ? "n" : "k",
                         (long long)(n < 0 ? n : k));
    status = tmsi_pattern_valid(pattern);
    return status == TMS_OK ? tmsi_pattern_fits(pattern, n, k) : status;
}

tms_status tms_pattern_check(tms_context *context, const tms_pattern *pattern,
                             const tms_matrix *dense, tms_check_report *out_report) {
    tms_status status = TMS_OK;
    tms_check_report report;

    tmsi_enter(__func__);
    TMSI_NEED(context);
    TMSI_NEED(pattern);
    TMS_TRY(tmsi_pattern_valid(pattern));
    TMS_TRY(tmsi_dense_check("dense", dense));
    TMS_TRY(tmsi_struct_check("out_report", out_report, sizeof report));
    TMS_TRY(tmsi_pattern_check(context, pattern, dense, &report));
    tmsi_struct_write(&report, out_report);
done:
    return status;
}
