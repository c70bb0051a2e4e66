/* Weights with the plan that the library chooses for them, and products of both. */
#ifndef TAMIS_TESTS_GPU_FIXTURE_H
#define TAMIS_TESTS_GPU_FIXTURE_H

#include "gpu/product.h"

typedef struct gpu_fixture {
    tms_spmm_problem problem;
    gpu_ground *ground;
    tms_layout layout;
    tms_spmm_plan *plan;
    const tms_image *image;
} gpu_fixture;

/* The context's GPU is to be the current one. False where the library has no kernel of that type on
 * it. */
bool gpu_fixture_make(gpu_fixture *out, tms_context *context, const tms_spmm_problem *problem,
                      int32_t keep_dense);
/* 2:4 without dense kept. */
bool gpu_fixture_plain(gpu_fixture *out, tms_context *context, tms_dtype type, int64_t n, int64_t k,
                       int64_t t, uint32_t epilogue);
void gpu_fixture_free(gpu_fixture *fixture);

/* A product of the first t tokens, ready to run. */
void gpu_fixture_product(gpu_product *out, gpu_room *room, const gpu_fixture *made, int64_t t);
/* Fails unless y is right. */
void gpu_expect_right(const gpu_product *product);

/* A context of GPU `index`, of its own. */
tms_context *gpu_context_of(int32_t index);

#endif
