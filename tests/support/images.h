/* Joined weights for images of sparse tensor cores, full of what goes wrong easily. */
#ifndef TAMIS_TESTS_IMAGES_H
#define TAMIS_TESTS_IMAGES_H

#include "support/support.h"

typedef enum test_joining {
    TEST_ONE,
    TEST_STACK,
    TEST_INTERLEAVE,
    TEST_JOINING_COUNT
} test_joining;

/* Which weights: two of each four at most; any number; any number, NaN and Inf among them. */
typedef enum test_filling { TEST_HELD, TEST_FULL, TEST_NAN, TEST_FILLING_COUNT } test_filling;

/* Zeros of both signs, ties, subnormals, extremes and any other bits, in one to three matrices. */
typedef struct test_joined {
    tms_matrix matrices[3]; /* dense, of malloc */
    int32_t count;
    tms_join join;
    tms_layout layout; /* nm24-mma; every other time with a dense part beside it */
} test_joined;

/* n is made even where rows are interleaved. */
void test_joined_make(test_joined *out, test_random *random, tms_dtype dtype, int64_t n, int64_t k,
                      test_joining joining, test_filling filling);
void test_joined_free(test_joined *joined);

/* The same weights as nm 2:4, which they must hold. */
void test_joined_encode(tms_context *context, const test_joined *joined, test_joined *out);
/* Matrices of the same shapes as `joined`, with components of marked memory. */
void test_joined_like(const test_joined *joined, test_joined *out);

tms_layout test_layout_mma(int64_t n, int64_t k, tms_dtype dtype);
tms_image_desc test_joined_desc(const test_joined *joined);

#endif
