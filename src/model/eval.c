#include "model/eval.h"

#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "model/model.h"

/* Two-sided 95 % quantile of the normal distribution. */
static const double z95 = 1.959963984540054;

tms_status tmsi_eval_create(tms_context *context, const char *wordnet_dir,
                            const tmsi_dictionary_size *size, tms_eval **out_eval) {
    tms_status status = TMS_OK;
    tms_eval *self = NULL;

    TMS_TRY(tmsi_alloc(context, 1, sizeof *self, &self));
    self->context = context;
    TMS_TRY(tmsi_dictionary_create(context, wordnet_dir, size, &self->dictionary));
    *out_eval = self;
    self = NULL;
done:
    tmsi_eval_destroy(self);
    return status;
}

void tmsi_eval_destroy(tms_eval *eval) {
    if (eval == NULL)
        return;
    tmsi_dictionary_free(&eval->dictionary);
    tmsi_free(eval->context, eval);
}

/* Both embeddings as one count of texts. */
typedef struct joint_progress {
    tms_progress progress; /* or NULL */
    void *user;
    int64_t before, total;
} joint_progress;

static int32_t report_joint(void *arg, const char *what, int64_t done, int64_t total) {
    const joint_progress *self = arg;

    (void)total;
    return self->progress == NULL
               ? 0
               : self->progress(self->user, what, self->before + done, self->total);
}

tms_status tmsi_eval_run(const tms_eval *eval, tms_model *model, tms_progress progress,
                         void *progress_user, tms_eval_result **out_result) {
    const tmsi_dictionary *dictionary = &eval->dictionary;
    const tmsi_text_list *queries = &dictionary->queries, *words = &dictionary->candidates;
    tms_context *context = eval->context;
    size_t hidden = (size_t)model->encoder->sizes.hidden;
    tms_status status = TMS_OK;
    tms_eval_result *self = NULL;
    joint_progress joint = {progress, progress_user, 0, queries->count + words->count};
    float *candidates = NULL;
    double start;

    TMS_TRY(tmsi_alloc(context, 1, sizeof *self, &self));
    self->context = context;
    self->queries = queries->count;
    self->candidates = words->count;
    self->hidden = (int64_t)hidden;
    TMS_TRY(tmsi_alloc(context, (size_t)queries->count, sizeof *self->ranks, &self->ranks));
    TMS_TRY(tmsi_alloc(context, (size_t)queries->count * hidden, sizeof *self->definitions,
                       &self->definitions));
    TMS_TRY(tmsi_alloc(context, (size_t)words->count * hidden, sizeof *candidates, &candidates));
    start = 1e-6 * tmsi_clock_us();
    TMS_TRY(tmsi_model_embed(model, queries->texts, queries->lengths, queries->count, report_joint,
                             &joint, self->definitions));
    joint.before = queries->count;
    TMS_TRY(tmsi_model_embed(model, words->texts, words->lengths, words->count, report_joint,
                             &joint, candidates));
    self->seconds = 1e-6 * tmsi_clock_us() - start;
    TMS_TRY(tmsi_eval_rank(eval, self->definitions, candidates, self->hidden, self->ranks));
    *out_result = self;
    self = NULL;
done:
    tmsi_free(context, candidates);
    tmsi_eval_result_destroy(self);
    return status;
}

void tmsi_eval_result_destroy(tms_eval_result *result) {
    if (result == NULL)
        return;
    tmsi_free(result->context, result->ranks);
    tmsi_free(result->context, result->definitions);
    tmsi_free(result->context, result);
}

/* ---- The report ---- */

/* Wilson's interval of hits in count trials at 95 %; count >= 1. */
static tms_share wilson(int64_t hits, int64_t count) {
    double n = (double)count, p = (double)hits / n, z2 = z95 * z95;
    double middle = (p + z2 / (2.0 * n)) / (1.0 + z2 / n);
    double half = z95 * sqrt(p * (1.0 - p) / n + z2 / (4.0 * n * n)) / (1.0 + z2 / n);

    return (tms_share){p, fmax(0.0, middle - half), fmin(1.0, middle + half)};
}

/* The mean of values that are given as sums, and its interval by the normal approximation. */
static tms_share share_of_mean(double sum, double squares, int64_t count) {
    double n = (double)count, mean = sum / n;
    double variance = count > 1 ? fmax(0.0, (squares - sum * mean) / (n - 1.0)) : 0.0;
    double half = z95 * sqrt(variance / n);

    return (tms_share){mean, mean - half, mean + half};
}

static tms_share recall(const tms_eval_result *result, int64_t rank) {
    int64_t hits = 0;

    for (int64_t i = 0; i < result->queries; i++)
        hits += result->ranks[i] <= rank;
    return wilson(hits, result->queries);
}

static tms_share reciprocal_rank(const tms_eval_result *result) {
    double sum = 0.0, squares = 0.0;

    for (int64_t i = 0; i < result->queries; i++) {
        double value = 1.0 / (double)result->ranks[i];
        sum += value;
        squares += value * value;
    }
    return share_of_mean(sum, squares, result->queries);
}

/* Query by query, so that what both find or both miss adds no noise. */
static tms_share recall_change(const tms_eval_result *result, const tms_eval_result *dense,
                               int64_t rank) {
    double sum = 0.0, squares = 0.0;

    for (int64_t i = 0; i < result->queries; i++) {
        double change = (result->ranks[i] <= rank) - (dense->ranks[i] <= rank);
        sum += change;
        squares += change * change;
    }
    return share_of_mean(sum, squares, result->queries);
}

static double mean_cosine(const tms_eval_result *a, const tms_eval_result *b) {
    double sum = 0.0;

    for (int64_t i = 0; i < a->queries * a->hidden; i++)
        sum += (double)a->definitions[i] * (double)b->definitions[i];
    return sum / (double)a->queries;
}

void tmsi_eval_compare(const tms_eval_result *result, const tms_eval_result *dense,
                       tms_eval_report *out_report) {
    tms_eval_report report = {.struct_size = sizeof report,
                              .queries = result->queries,
                              .candidates = result->candidates,
                              .recall1 = recall(result, 1),
                              .recall10 = recall(result, 10),
                              .mrr = reciprocal_rank(result)};

    report.texts_per_second = (double)(result->queries + result->candidates) / result->seconds;
    if (dense != NULL) {
        report.has_dense = 1;
        report.recall1_change = recall_change(result, dense, 1);
        report.recall10_change = recall_change(result, dense, 10);
        report.cosine = mean_cosine(result, dense);
    }
    *out_report = report;
}
