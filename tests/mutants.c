/* Mutants of every kernel, which the comparison of tests/spmm.c must catch: one weight read wrong,
 * one product dropped, a tail skipped, a byte too many, one bit off, NaN, one index flipped. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "format/layout/plain.h"
#include "support/kernels.h"
#include "support/matrices.h"

static tms_context *context;

/* Runs the kernel on w as it is now, while the product's answer is that of the old w. */
static bool catches_weight(const tmsi_spmm_kernel *kernel, const test_product *product) {
    tms_matrix weight = test_weight_encode(context, &product->problem, product->w);
    test_output output;
    char message[512];
    bool is_caught;

    test_kernel_run(context, kernel, product, &weight, &output);
    is_caught = !test_output_matches(product, &output, message);
    test_output_free(&output);
    test_weight_free(&weight);
    return is_caught;
}

/* A weight at random that is well above the bound, and so is its difference to its neighbour along
 * k: both are in one group or block. */
static int64_t find_weight(const test_product *product, test_random *random) {
    int64_t elements = product->problem.n * product->problem.k, at;

    do
        at = test_random_int(random, 0, elements - 1);
    while (fabs(product->w[at]) < 0.5 || fabs(product->w[at] - product->w[at ^ 1]) < 0.5);
    return at;
}

static void kernel_that_reads_one_weight_wrong_is_caught(void **state) {
    const tmsi_spmm_kernel *kernel = *state;
    const test_kind kinds[] = {TEST_INTEGER, TEST_RANDOM};
    test_random random;

    if (!test_kernel_can_run(context, kernel))
        skip();
    test_random_seed(&random, test_seed());
    for (int64_t i = 0; i < 20; i++) {
        test_product product;
        int64_t at;
        double old;

        test_simple_product(context, kernel, 37, 388, 33, kinds[i % 2], &product);
        at = find_weight(&product, &random);
        old = product.w[at];
        product.w[at] = product.w[at ^ 1]; /* an index off by one: two weights change places */
        product.w[at ^ 1] = old;
        if (!catches_weight(kernel, &product))
            fail_msg("%s: w[%" PRId64 "] = %g moved unseen", kernel->name, at, old);
        product.w[at ^ 1] = product.w[at];
        product.w[at] = 0.0; /* a product dropped */
        if (!catches_weight(kernel, &product))
            fail_msg("%s: w[%" PRId64 "] = %g was dropped unseen", kernel->name, at, old);
        test_product_free(&product);
    }
}

static void (*true_run)(const tmsi_spmm_run *run);

static void run_without_last_token(const tmsi_spmm_run *run) {
    tms_spmm_args args = *run->args;
    tmsi_spmm_run shorter = *run;

    args.t--;
    shorter.args = &args;
    true_run(&shorter);
}

static float *last_of_y(const tmsi_spmm_run *run) {
    return (float *)run->args->y + (run->args->t - 1) * run->args->ldy + run->problem->n - 1;
}

static void run_without_last_row(const tmsi_spmm_run *run) {
    true_run(run);
    for (int64_t t = 0; t < run->args->t; t++)
        ((float *)run->args->y)[t * run->args->ldy + run->problem->n - 1] = 0.0f;
}

static void run_past_the_end(const tmsi_spmm_run *run) {
    true_run(run);
    last_of_y(run)[1] = 0.0f;
}

static void run_off_by_a_bit(const tmsi_spmm_run *run) {
    true_run(run);
    *last_of_y(run) = nextafterf(*last_of_y(run), INFINITY);
}

static void run_to_nan(const tmsi_spmm_run *run) {
    true_run(run);
    *last_of_y(run) = NAN;
}

static void kernel_that_skips_a_tail_is_caught(void **state) {
    void (*const broken[])(const tmsi_spmm_run *) = {run_off_by_a_bit, run_without_last_token,
                                                     run_without_last_row, run_past_the_end,
                                                     run_to_nan};
    const tmsi_spmm_kernel *kernel = *state;

    if (!test_kernel_can_run(context, kernel))
        skip();
    true_run = kernel->run;
    for (int64_t i = 0; i < 2 * (int64_t)TEST_COUNT(broken); i++) {
        tmsi_spmm_kernel mutant = *kernel;
        test_kind kind = i % 2 == 0 ? TEST_INTEGER : TEST_RANDOM;
        test_product product;
        test_output output;
        char message[512];

        if (kind == TEST_RANDOM && broken[i / 2] == run_off_by_a_bit)
            continue; /* one bit is within the bound of sums */
        mutant.run = broken[i / 2];
        test_simple_product(context, kernel, 37, 388, 33, kind, &product);
        test_kernel_run(context, &mutant, &product, &product.weight, &output);
        if (test_output_matches(&product, &output, message))
            fail_msg("%s: mutant %" PRId64 " passed on %s numbers", kernel->name, i / 2,
                     test_kind_name(kind));
        test_output_free(&output);
        test_product_free(&product);
    }
}

/* One bit of one position or column, in the image itself. */
static void flipped_index_in_an_image_is_caught(void **state) {
    (void)state;
    for (int64_t format = 1; format <= 2; format++) { /* csr, 2:4 */
        const int64_t shape[2] = {37, 388};
        const tmsi_spmm_kernel *kernel = NULL;
        tms_spmm_problem problem;
        test_product product;
        test_output output;
        tms_spmm_plan plan;
        tms_image image;
        char message[512];
        const tmsi_plain_header *header;
        const float *values;
        uint8_t *index;
        int64_t first = 0;

        for (int32_t i = 0; kernel == NULL; i++)
            if (tmsi_spmm_kernels[i].format == test_formats[format].format)
                kernel = &tmsi_spmm_kernels[i];
        assert_true(test_axes_problem(kernel, format, shape, 0, 0, &problem));
        test_product_make(&product, context, &problem, 5, TEST_RANDOM, test_seed());
        test_kernel_plan(&plan, context, kernel, &product.problem);
        image = test_image_of(context, &plan.layout, &product.weight);
        header = image.data;
        values = (const float *)((char *)image.data + header->offset[0]);
        while (fabsf(values[first]) < 0.5f)
            first++;
        index = (uint8_t *)image.data + header->offset[1];
        index += format == 1 ? 4 * first : first / 4; /* i32 columns; four 2-bit positions a byte */
        for (int flipped = 0; flipped < 2; flipped++) {
            test_plan_run(&plan, &image, &product, false, &output);
            if (test_output_matches(&product, &output, message) == (flipped == 1))
                fail_msg("%s: %s", kernel->name, flipped == 0 ? message : "a flip passed");
            test_output_free(&output);
            *index ^= (uint8_t)(format == 1 ? 1 : 1 << first % 4 * 2);
        }
        free(image.data);
        test_product_free(&product);
    }
}

int main(void) {
    const struct CMUnitTest checks[] = {
        cmocka_unit_test(kernel_that_reads_one_weight_wrong_is_caught),
        cmocka_unit_test(kernel_that_skips_a_tail_is_caught),
    };
    const struct CMUnitTest others[] = {cmocka_unit_test(flipped_index_in_an_image_is_caught)};
    int failures;

    context = test_context(1, 0);
    failures = test_every_kernel("mutants", checks, TEST_COUNT(checks), others, TEST_COUNT(others));
    tms_context_destroy(context);
    return failures;
}
