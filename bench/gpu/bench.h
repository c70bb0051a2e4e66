/* What the files of this program share: a product's matrices, candidates on it, and how they are
 * measured. */
#ifndef TAMIS_BENCH_GPU_BENCH_H
#define TAMIS_BENCH_GPU_BENCH_H

#include <cuda_runtime_api.h>

#include "measure/statistics.h"
#include "rivals.h"
#include "spmm/plan.h"

enum { BENCH_ROUNDS_MAX = 99, BENCH_CANDIDATES_MAX = 48, BENCH_ASKED_MAX = 16 };

typedef struct bench_options {
    double ms; /* of a turn */
    int rounds;
    const tms_dtype *types; /* of x and w */
    int type_count;
    int64_t products[BENCH_ASKED_MAX][3]; /* t, k, n: in the place of those of shapes and tiles */
    int product_count;
    const char *kernels[BENCH_ASKED_MAX]; /* parts of names of those that tiles takes; none: all */
    int kernel_count;
} bench_options;

/* Who takes part: a rival, one plan of ours, or several steps that `steps` enqueues. */
typedef struct bench_candidate {
    const char *op, *who, *kernel, *epilogue, *label; /* op: NULL: "spmm"; label: NULL: y's type */
    tms_dtype type, y_type;
    bench_rival *rival;
    tms_spmm_plan *plan;
    tms_spmm_args args;
    bool (*steps)(void *data, void *stream);
    void *data;
    int runs; /* that a graph holds */
    cudaGraphExec_t batch, stamped;
    bool is_lost; /* a run failed: no row */
    double us[BENCH_ROUNDS_MAX], cycles[BENCH_ROUNDS_MAX];
    tmsi_median median, median_cycles;
} bench_candidate;

typedef struct bench {
    tms_context *context;
    bench_options options;
    const char *versions;
    bench_product product;        /* its w, x, y ... are memory of the open product */
    tms_image image, dense_image; /* the second has the dense part too; data NULL unless added */
    float *bias_f32, *scale_n;
    void *args_work;
    size_t args_work_bytes;
    unsigned long long *stamps; /* two a multiprocessor: before and after */
    int processors;
    double stamp_cycles; /* between two stamps with nothing between them */
    bool is_warm;        /* the card, by what was measured before */
    bench_candidate candidates[BENCH_CANDIDATES_MAX];
    int count;
} bench;

/* End the program with a sentence where something fails. */
void bench_check(cudaError_t error);
void bench_check_tamis(tms_status status);
void *bench_alloc(size_t bytes);

/* ---- measure.c: sustained, rotated, by graphs ---- */

void bench_stamps_open(bench *self);
/* Captures each candidate's runs, warms all, and takes rounds in turns. */
void bench_measure(bench *self);
void bench_candidates_close(bench *self);

/* ---- product.c ---- */

/* Random matrices of the type, and the image of w_24. */
void bench_product_open(bench *self, tms_dtype type, int64_t t, int64_t k, int64_t n);
void bench_product_close(bench *self);
tms_spmm_problem bench_problem(const bench_product *product, tms_dtype y_type, uint32_t epilogue,
                               tms_activation activation);
bench_candidate *bench_add(bench *self, const char *who, const char *epilogue, tms_dtype y_type);
void bench_add_rivals(bench *self);
/* The plan that the library chooses, or one of the kernel given; NULL where none fits. */
bench_candidate *bench_add_ours(bench *self, const char *epilogue, const tms_spmm_problem *problem,
                                const tmsi_spmm_kernel *kernel);
/* The plan that the library chooses where the dense weight is kept beside the image. */
void bench_add_dense_kept(bench *self, const tms_spmm_problem *problem);
/* Memory for a plan's work, shared by all that run one after the other. */
void *bench_work_of(bench *self, const tms_spmm_plan *plan);
/* Builds an image of a dense 2:4 matrix on the GPU, in the layout that suits the problem, with or
 * without the dense part. */
tms_image bench_image_build(bench *self, const tms_spmm_problem *problem, const void *w_24,
                            bool keep_dense);

/* ---- rows.c ---- */

/* A row of JSON for each candidate; ratio_dense is to cuBLASLt's. state: "sustained", "host". */
void bench_print_rows(const bench *self, const char *state);

/* ---- Sets ---- */

void bench_shapes(bench *self);
void bench_tiles(bench *self);
void bench_few(bench *self);
void bench_fused_set(bench *self);
void bench_blocks(bench *self);
void bench_host(bench *self);
void bench_build(bench *self);

#endif
