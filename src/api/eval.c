#include "model/eval.h"

#include <inttypes.h>

#include "api/arguments.h"

/* What docs/evaluation.md promises; tests choose smaller ones. */
static const tmsi_dictionary_size size = {.queries = 2000, .candidates = 10000, .calibration = 512};

tms_status tms_eval_create(tms_context *context, const char *wordnet_dir, tms_eval **out_eval) {
    tmsi_enter(__func__);
    TMSI_NEED(context);
    TMSI_NEED(wordnet_dir);
    TMSI_NEED(out_eval);
    return tmsi_eval_create(context, wordnet_dir, &size, out_eval);
}

void tms_eval_destroy(tms_eval *eval) {
    tmsi_eval_destroy(eval);
}

tms_status tms_eval_dump(const tms_eval *eval, const char *dir) {
    tmsi_enter(__func__);
    TMSI_NEED(eval);
    TMSI_NEED(dir);
    return tmsi_dictionary_dump(&eval->dictionary, dir);
}

static int64_t hand_out(const tmsi_text_list *list, const char *const **out_texts,
                        const size_t **out_lengths) {
    *out_texts = list != NULL ? list->texts : NULL;
    *out_lengths = list != NULL ? list->lengths : NULL;
    return list != NULL ? list->count : 0;
}

int64_t tms_eval_queries(const tms_eval *eval, const char *const **out_texts,
                         const size_t **out_lengths) {
    return hand_out(eval != NULL ? &eval->dictionary.queries : NULL, out_texts, out_lengths);
}

int64_t tms_eval_calibration(const tms_eval *eval, const char *const **out_texts,
                             const size_t **out_lengths) {
    return hand_out(eval != NULL ? &eval->dictionary.calibration : NULL, out_texts, out_lengths);
}

tms_status tms_eval_run(const tms_eval *eval, tms_model *model, tms_progress progress,
                        void *progress_user, tms_eval_result **out_result) {
    tmsi_enter(__func__);
    TMSI_NEED(eval);
    TMSI_NEED(model);
    TMSI_NEED(out_result);
    return tmsi_eval_run(eval, model, progress, progress_user, out_result);
}

void tms_eval_result_destroy(tms_eval_result *result) {
    tmsi_eval_result_destroy(result);
}

tms_status tms_eval_compare(const tms_eval_result *result, const tms_eval_result *dense,
                            tms_eval_report *out_report) {
    tms_status status = TMS_OK;
    tms_eval_report report;

    tmsi_enter(__func__);
    TMSI_NEED(result);
    TMS_TRY(tmsi_struct_check("out_report", out_report, sizeof report));
    if (dense != NULL && (dense->queries != result->queries || dense->hidden != result->hidden))
        return tmsi_fail(TMS_ERR_INVALID,
                         "dense has %" PRId64 " queries and %" PRId64
                         " features, but the result compared with it %" PRId64 " and %" PRId64,
                         dense->queries, dense->hidden, result->queries, result->hidden);
    tmsi_eval_compare(result, dense, &report);
    tmsi_struct_write(&report, out_report);
done:
    return status;
}
