/* Products of the encoder's layers, dense beside sparse beside OpenBLAS and the FMA peak, all in
 * AVX2: rows of JSON to stdout, from which scripts/kernel_table.py makes the table of geometric
 * means that docs/layouts.md states its limits against.
 *
 *     bench_spmm [threads, 1] [rounds, 9] [T ..., 64 256] */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>

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
    PATTERNS = sizeof pattern_texts / sizeof pattern_texts[0]
};

static int32_t print_row(void *user, const tms_bench_row *row) {
    char text[2048];

    (void)user;
    tms_bench_row_print(row, text, sizeof text);
    puts(text);
    return fflush(stdout);
}

static tms_status run_tokens(tms_context *context, int64_t t, int32_t rounds) {
    tms_pattern patterns[PATTERNS];
    tms_shape shapes[LAYERS];
    tms_bench_desc desc = tms_bench_desc_default();
    tms_status status = TMS_OK;

    for (int i = 0; i < PATTERNS && status == TMS_OK; i++)
        status = tms_pattern_parse(pattern_texts[i], &patterns[i]);
    for (int i = 0; i < LAYERS; i++)
        shapes[i] = (tms_shape){t, layers[i][0], layers[i][1]};
    desc.shapes = shapes, desc.shape_count = LAYERS;
    desc.patterns = patterns, desc.pattern_count = PATTERNS;
    desc.rounds = rounds;
    if (status == TMS_OK)
        status = tms_bench_run(context, &desc, print_row, NULL);
    return status;
}

int main(int argc, char **argv) {
    tms_context_desc desc = tms_context_desc_default();
    int32_t rounds = argc > 2 ? atoi(argv[2]) : 0;
    tms_context *context = NULL;
    tms_status status;

    /* Read by OpenBLAS when the bench loads it: kernels of the same instruction set as ours, no
     * cache size that a machine may preset, and threads that sleep after 2^20 cycles without work,
     * so that they do not spin into the next candidate's turn. */
    setenv("OPENBLAS_CORETYPE", "Haswell", 1);
    setenv("OPENBLAS_THREAD_TIMEOUT", "20", 1);
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
