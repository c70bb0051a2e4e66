/* Cosines of all queries with all candidates are one product: the candidates are a dense weight,
 * the definitions its tokens. It runs in fp32 on the fastest kernel; a candidate whose cosine lies
 * within fp32's error bound of the answer's is compared again in double, so that ranks depend on
 * the embeddings alone and on no kernel. */
#include <float.h>
#include <math.h>

#include "base/memory.h"
#include "base/threads.h"
#include "model/eval.h"
#include "model/linear.h"

enum { QUERIES_AT_A_TIME = 64 };

typedef struct ranking {
    const tmsi_dictionary *dictionary;
    const float *definitions, *candidates;
    int64_t hidden, first; /* query of row 0 of cosines */
    float *cosines;        /* [QUERIES_AT_A_TIME, candidates] */
    int64_t *ranks;
} ranking;

static double exact_cosine(const ranking *self, int64_t query, int64_t candidate) {
    const float *x = self->definitions + query * self->hidden;
    const float *w = self->candidates + candidate * self->hidden;
    double sum = 0.0;

    for (int64_t i = 0; i < self->hidden; i++)
        sum += (double)x[i] * (double)w[i];
    return sum;
}

static void rank_query(void *arg, int64_t row) {
    const ranking *self = arg;
    const tmsi_dictionary *dictionary = self->dictionary;
    int64_t query = self->first + row, above = 0, count = dictionary->candidates.count;
    const float *cosines = self->cosines + row * count;
    /* Of a sum of `hidden` products with |w x| <= 1 in all, in any order; 8 for unit lengths that
     * are rounded themselves. */
    double error = (double)(self->hidden + 8) * FLT_EPSILON, best = -INFINITY;

    for (int64_t i = dictionary->answer_offsets[query]; i < dictionary->answer_offsets[query + 1];
         i++)
        best = fmax(best, exact_cosine(self, query, dictionary->answers[i]));
    for (int64_t i = 0; i < count; i++) {
        double difference = (double)cosines[i] - best;
        if (difference > error || (difference >= -error && exact_cosine(self, query, i) > best))
            above++;
    }
    self->ranks[query] = above + 1;
}

tms_status tmsi_eval_rank(const tms_eval *eval, const float *definitions, const float *candidates,
                          int64_t hidden, int64_t *out_ranks) {
    tms_context *context = eval->context;
    const tmsi_dictionary *dictionary = &eval->dictionary;
    int64_t count = dictionary->candidates.count, rows;
    ranking self = {dictionary, definitions, candidates, hidden, 0, NULL, out_ranks};
    tmsi_linear product = {0};
    void *work = NULL;
    tms_status status = TMS_OK;

    TMS_TRY(
        tmsi_linear_create_plain(context, candidates, count, hidden, QUERIES_AT_A_TIME, &product));
    TMS_TRY(tmsi_alloc(context, product.plan->work_bytes, 1, &work));
    TMS_TRY(tmsi_alloc(context, QUERIES_AT_A_TIME * (size_t)count, sizeof *self.cosines,
                       &self.cosines));
    for (; self.first < dictionary->queries.count; self.first += rows) {
        rows = tmsi_min(QUERIES_AT_A_TIME, dictionary->queries.count - self.first);
        tmsi_linear_run(&product, definitions + self.first * hidden, rows, self.cosines, count,
                        work);
        tmsi_parallel_for(context, rows, rank_query, &self);
    }
done:
    tmsi_free(context, self.cosines);
    tmsi_free(context, work);
    tmsi_linear_free(context, &product);
    return status;
}
