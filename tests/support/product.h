/* One product with its answer in float64: weights in a pattern, activations and an epilogue from a
 * seed, what y should be, and how far a kernel may be from it (DESIGN: "Numbers"). */
#ifndef TAMIS_TESTS_PRODUCT_H
#define TAMIS_TESTS_PRODUCT_H

#include "support/answer.h"
#include "support/support.h"

const char *test_kind_name(test_kind kind);

typedef struct test_product {
    tms_spmm_problem problem;
    int64_t t, columns; /* y is t x columns */
    test_kind kind;
    uint64_t seed;
    double *w;         /* [n, k], exactly the typed values below */
    tms_matrix weight; /* in the problem's format */
    void *x;           /* typed, rows ldx apart; NaN between the rows */
    int64_t ldx;
    double *x_values;                /* [t, k] */
    float *scale_n, *scale_t, *bias; /* NULL where the epilogue has none */
    float scale_y;
    void *residual; /* typed, rows ldr apart, or NULL */
    int64_t ldr;
    double *residual_values; /* [t, columns] */
    double *value, *bound;   /* [t, columns]: right value before rounding; allowed error */
} test_product;

/* problem: shape, format, types and epilogue; its density is set. Padding in ldx and ldr comes from
 * the seed. */
void test_product_make(test_product *out, tms_context *context, const tms_spmm_problem *problem,
                       int64_t t, test_kind kind, uint64_t seed);
void test_product_free(test_product *product);

/* Encodes a dense w [n, k] in the product's format and type; release with test_weight_free. */
tms_matrix test_weight_encode(tms_context *context, const tms_spmm_problem *problem,
                              const double *w);
void test_weight_free(tms_matrix *matrix);

/* Memory for y and absmax_t with marked bytes around and between the rows. */
typedef struct test_output {
    uint8_t *memory;
    size_t memory_bytes;
    void *y;
    int64_t ldy;
    float *absmax_t; /* NULL where the epilogue has none */
} test_output;

/* residual_is_y: y begins as the residual (rows ldy apart), which the run then updates in place. */
void test_output_make(test_output *out, const test_product *product, bool residual_is_y);
void test_output_free(test_output *output);

/* Args of a run of the product into the output, but for image and work. */
tms_spmm_args test_product_args(const test_product *product, const test_output *output,
                                bool residual_is_y);

/* Whether y, absmax_t and the marked bytes are right: TEST_INTEGER bit for bit, others within the
 * bound. Else message says where, both values, and the seed. */
bool test_output_matches(const test_product *product, const test_output *output, char message[512]);

/* "n 7 k 12 t 3 nm 2:4 f32 f32 -> i8 bias gelu random seed 0x...". */
void test_product_print(const test_product *product, char text[256]);

#endif
