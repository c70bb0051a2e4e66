/* What the GPU is compared with, on the GPU itself: inputs drawn from a seed, float64 sums of
 * products, and the comparison of a whole y with them. Slow and plain: a thread an element, nothing
 * shared with the library's kernels. Calls wait for the GPU; all memory is the GPU's but results.
 */
#ifndef TAMIS_TESTS_GPU_GROUND_H
#define TAMIS_TESTS_GPU_GROUND_H

#include "support/answer.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A matrix of drawn numbers: element (row, column) follows from the seed alone. */
typedef struct test_draw {
    test_kind kind;
    tms_dtype type;
    uint64_t seed;
} test_draw;

/* Activations x [rows, columns], pitch elements apart; what lies between rows stays. Neighbours
 * along a row change sign where numbers are to cancel. */
void test_draw_x(test_draw draw, void *x, int64_t rows, int64_t columns, int64_t pitch);

/* Weights w [n, k] in 2:4, dense with zeros. pair 0 .. 5: every group keeps that pair of positions;
 * -1: pairs at random, and at times but one weight or none. */
void test_draw_w(test_draw draw, int pair, void *w, int64_t n, int64_t k);

/* The six pairs of positions that a group of four may keep. */
extern const int test_pairs[6][2];

/* Sums over k of w x, and of |w x|, [t, n] each, and non-zeros of w's rows [n]. x and w are of one
 * type, w's rows packed. */
void test_ground_sum(tms_dtype type, const void *x, int64_t ldx, int64_t t, const void *w,
                     int64_t n, int64_t k, double *sum, double *magnitude, double *nnz);

/* What y should be. */
typedef struct test_truth {
    int64_t n, columns, t; /* of the weight; of y */
    const double *sum, *magnitude, *nnz;
    const float *scale_n, *scale_t, *bias; /* NULL: none */
    int is_gated, has_residual, is_exact, is_transposed;
    test_draw residual; /* [t, columns], whatever the order of y */
    test_rule rule;
    float scale_y;
    int64_t any_token; /* of this token's row nothing is known; -1: no such */
} test_truth;

/* The residual as y lies: rows `pitch` elements apart. */
void test_draw_residual(const test_truth *truth, void *residual, int64_t pitch);

/* The largest |value| of y before scale_y, and of |w x| summed. */
void test_ground_largest(const test_truth *truth, double *value, double *magnitude);

/* y as it lies: MARGIN bytes of marks, rows ldy elements apart with marks between them, MARGIN more
 * bytes of marks. */
enum { TEST_GPU_MARGIN = 256, TEST_GPU_MARK = 0xa5 };
typedef struct test_place {
    const uint8_t *memory; /* of the margin before y */
    int64_t offset;        /* of y: TEST_GPU_MARGIN, and an element more where y is not aligned */
    size_t bytes;          /* with both margins */
    int64_t ldy;
    const float *absmax_t; /* NULL: none */
} test_place;

typedef enum test_fault {
    TEST_FAULT_NONE,
    TEST_FAULT_VALUE,  /* of y */
    TEST_FAULT_ABSMAX, /* of absmax_t */
    TEST_FAULT_MARK,   /* a byte outside y was written */
    TEST_FAULT_INEXACT /* the exact test's own value needs more bits than f32 has: an axis is wrong
                        */
} test_fault;

/* The first fault in the order of memory, and how many elements are wrong. */
typedef struct test_finding {
    test_fault fault;
    int64_t count;
    int64_t token, column; /* fault mark: -1, byte of memory */
    double got, value, bound;
} test_finding;

void test_ground_compare(const test_truth *truth, const test_place *place, test_finding *out);

/* Bytes that differ. */
int64_t test_ground_differences(const void *a, const void *b, size_t bytes);

#ifdef __cplusplus
}
#endif

#endif
