/* Products of the encoder's layers, dense beside sparse beside OpenBLAS and the FMA peak, all in
 * AVX2: rows of JSON to stdout, then to stderr, for each T and kind of row, the geometric means
 * over shapes that docs/layouts.md states its limits against.
 *
 *     bench_spmm [threads, 1] [rounds, 9] [T ..., 64 256] */
#define _GNU_SOURCE
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tamis.h"

static const int64_t layers[][2] = {{384, 384}, {384, 1152}, {384, 1536}, {1536, 384}}; /* k, n */

static const char *const pattern_texts[] = {
    "2:4",
    "unstructured 35%",
    "unstructured 50%",
    "unstructured 80%",
    "unstructured 90%",
    "block 32x32 50%",
    "block 32x32 80%",
};

enum {
    LAYERS = sizeof layers / sizeof layers[0],
    PATTERNS = sizeof pattern_texts / sizeof pattern_texts[0],
    MEANS_MAX = 16
};

/* Geometric means by who and pattern, of one T. */
typedef struct geomean {
    char who[16], pattern[TMS_PATTERN_TEXT_MAX];
    double log_ratio, log_rate; /* sums of log(ratio_dense), log(dense-equivalent GF/s) */
    int32_t count;
} geomean;

typedef struct geomeans {
    geomean means[MEANS_MAX];
    int32_t count;
} geomeans;

static geomean *find_mean(geomeans *summary, const char *who, const char *pattern) {
    geomean *found = summary->means;

    while (found < summary->means + summary->count &&
           (strcmp(found->who, who) != 0 || strcmp(found->pattern, pattern) != 0))
        found++;
    if (found == summary->means + summary->count && summary->count < MEANS_MAX) {
        summary->count++;
        snprintf(found->who, sizeof found->who, "%s", who);
        snprintf(found->pattern, sizeof found->pattern, "%s", pattern);
    }
    return found < summary->means + MEANS_MAX ? found : NULL;
}

static int32_t take_row(void *user, const tms_bench_row *row) {
    const char *pattern = strcmp(row->op, "peak") == 0 ? "peak" : row->pattern;
    geomean *mean = find_mean(user, row->who, pattern != NULL ? pattern : "dense");
    char text[2048];

    tms_bench_row_print(row, text, sizeof text);
    puts(text);
    fflush(stdout);
    if (mean != NULL) {
        double flops = 2.0 * (double)row->t * (double)row->k * (double)row->n;
        mean->log_ratio += log(row->ratio_dense);
        mean->log_rate += log(flops / row->us * 1e-3);
        mean->count++;
    }
    return 0;
}

static void print_summary(const geomeans *summary, int64_t t) {
    double peak = NAN;

    for (int32_t i = 0; i < summary->count; i++)
        if (strcmp(summary->means[i].pattern, "peak") == 0)
            peak = exp(summary->means[i].log_rate / summary->means[i].count);
    for (int32_t i = 0; i < summary->count; i++) {
        const geomean *mean = &summary->means[i];
        double rate = exp(mean->log_rate / mean->count);
        fprintf(stderr,
                "T %4lld  %-10s %-18s %5.2f x dense  %7.1f GF/s dense-equivalent, %5.1f %%\n",
                (long long)t, mean->who, mean->pattern, exp(mean->log_ratio / mean->count), rate,
                100.0 * rate / peak);
    }
}

static tms_status run_tokens(tms_context *context, int64_t t, int32_t rounds) {
    tms_pattern patterns[PATTERNS];
    tms_shape shapes[LAYERS];
    tms_bench_desc desc = tms_bench_desc_default();
    geomeans summary = {0};
    tms_status status = TMS_OK;

    for (int i = 0; i < PATTERNS && status == TMS_OK; i++)
        status = tms_pattern_parse(pattern_texts[i], &patterns[i]);
    for (int i = 0; i < LAYERS; i++)
        shapes[i] = (tms_shape){t, layers[i][0], layers[i][1]};
    desc.shapes = shapes, desc.shape_count = LAYERS;
    desc.patterns = patterns, desc.pattern_count = PATTERNS;
    desc.rounds = rounds;
    if (status == TMS_OK)
        status = tms_bench_run(context, &desc, take_row, &summary);
    if (status == TMS_OK)
        print_summary(&summary, t);
    return status;
}

int main(int argc, char **argv) {
    tms_context_desc desc = tms_context_desc_default();
    int32_t rounds = argc > 2 ? atoi(argv[2]) : 0;
    tms_context *context = NULL;
    tms_status status;

    /* Read by OpenBLAS when the bench loads it: kernels of the same instruction set as ours, and no
     * cache size that a machine may preset. */
    setenv("OPENBLAS_CORETYPE", "Haswell", 1);
    unsetenv("OPENBLAS_L2_SIZE");
    desc.threads = argc > 1 ? atoi(argv[1]) : 1;
    desc.isa_mask = TMS_ISA_AVX2;
    status = tms_context_create(&desc, &context);
    if (argc <= 3) {
        if (status == TMS_OK)
            status = run_tokens(context, 64, rounds);
        if (status == TMS_OK)
            status = run_tokens(context, 256, rounds);
    }
    for (int i = 3; i < argc && status == TMS_OK; i++)
        status = run_tokens(context, atoll(argv[i]), rounds);
    if (status != TMS_OK)
        fprintf(stderr, "bench_spmm: %s\n", tms_error_text());
    tms_context_destroy(context);
    return status == TMS_OK ? 0 : 1;
}
