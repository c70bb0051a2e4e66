/* A small product with all that a run of it needs. */
#ifndef TAMIS_TESTS_SETUP_H
#define TAMIS_TESTS_SETUP_H

#include "support/product.h"

typedef struct test_setup {
    tms_context *context;
    test_allocator allocator; /* of the context */
    test_product product;
    test_output output;
    tms_layout layout;
    tms_image image;
    tms_spmm_plan *plan;
    tms_spmm_args args;
} test_setup;

/* 33 tokens of the problem, which has room for more. Freeing checks that nothing leaked. */
void test_setup_make(test_setup *out, const tms_spmm_problem *problem, int32_t threads);
void test_setup_free(test_setup *setup);

/* 40 x 64 weights, up to 70 tokens, fp32; 2:4, or blocks of 16x16, where the format asks. */
tms_spmm_problem test_small_problem(tms_format format);

/* Memory for an image or work, 64-byte aligned, never NULL; of free. */
void *test_aligned(size_t bytes);
tms_image_desc test_image_desc(const tms_layout *layout, const tms_matrix *matrices, int32_t count);
/* image.data is to be freed. */
tms_image test_image_build(tms_context *context, const tms_image_desc *desc);
tms_image test_image_of(tms_context *context, const tms_layout *layout, const tms_matrix *weight);

#endif
