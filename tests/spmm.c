/* Every kernel of the table against float64, over declared axes: a new row is tested by being
 * there. Shape x format x epilogue x T x types x order x kind of numbers, each with one and with
 * three threads. tests/mutants.c shows that the comparison catches wrong kernels. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/dtype.h"
#include "spmm/problem.h"
#include "support/kernels.h"
#include "support/matrices.h"
#include "support/number.h"

enum { ONE_THREAD, THREE_THREADS, CONTEXTS };
static tms_context *contexts[CONTEXTS];
static int64_t case_count;

/* n and k; k is rounded up to what nm needs, n to a pair for gate. */
static const int64_t shapes[][2] = {{1, 1},    {7, 3},   {2, 387}, {129, 40},
                                    {35, 387}, {64, 64}, {5, 1541}};

static const int64_t tokens[] = {0, 1, 3, 17, 64, 130};

/* With sanitizers a fifth of the cells is walked (no divisor of any axis): they look for other
 * things than wrong numbers. */
#if defined(__SANITIZE_ADDRESS__)
enum { CELL_STEP = 5 };
#else
enum { CELL_STEP = 1 };
#endif

static void check_product(const tmsi_spmm_kernel *kernel, const test_product *product) {
    bool residual_is_y = product->residual != NULL && product->seed % 2 == 0 &&
                         !tmsi_spmm_is_scaled(product->problem.y_type);
    test_output outputs[CONTEXTS];
    char message[512];
    tms_spmm_plan plan;
    tms_image image;

    test_kernel_plan(&plan, contexts[ONE_THREAD], kernel, &product->problem);
    image = test_image_of(contexts[ONE_THREAD], &plan.layout, &product->weight);
    for (int i = 0; i < CONTEXTS; i++) {
        test_kernel_plan(&plan, contexts[i], kernel, &product->problem);
        test_plan_run(&plan, &image, product, residual_is_y, &outputs[i]);
        if (!test_output_matches(product, &outputs[i], message))
            fail_msg("%s: %s", kernel->name, message);
    }
    if (!test_outputs_equal(product, &outputs[0], &outputs[1])) {
        test_product_print(product, message);
        fail_msg("%s: %s: bits differ between one and three threads", kernel->name, message);
    }
    for (int i = 0; i < CONTEXTS; i++)
        test_output_free(&outputs[i]);
    free(image.data);
}

/* A dense kernel also meets the first row of each sparse format: its part is built from them. */
static bool is_axis_of(const tmsi_spmm_kernel *kernel, int64_t format) {
    return kernel->format != TMS_FORMAT_DENSE || format == 0 ||
           test_formats[format].format != test_formats[format - 1].format;
}

static test_kind kind_of(const tms_spmm_problem *problem, uint64_t turn) {
    test_kind kind = (test_kind)(turn / 3 % TEST_KIND_COUNT);

    if (turn % 3 == 0) /* one third each: exact, random, any */
        kind = TEST_INTEGER;
    else if (turn % 3 == 1)
        kind = TEST_RANDOM;
    if (kind == TEST_INTEGER && problem->activation > TMS_ACT_RELU)
        kind = TEST_RANDOM;
    if (kind == TEST_HUGE && problem->activation == TMS_ACT_RELU2)
        kind = TEST_RANDOM; /* an infinite square times an empty row is no number */
    return kind;
}

/* A hash of the run's seed and a case's number. */
static uint64_t seed_of(int64_t number) {
    test_random random;
    test_random_seed(&random, test_seed() + (uint64_t)number);
    return test_random_u64(&random);
}

static void walk_cells(const tmsi_spmm_kernel *kernel, int64_t format, int64_t shape) {
    static int64_t cell;

    for (int64_t e = 0; e < test_epilogue_count; e++)
        for (int64_t t = 0; t < (int64_t)TEST_COUNT(tokens); t++) {
            uint64_t seed = seed_of(++cell), turn = seed >> 8;
            tms_spmm_problem problem;
            test_product product;

            if (cell % CELL_STEP != 0 ||
                !test_axes_problem(kernel, format, shapes[shape], e, turn, &problem))
                continue;
            test_product_make(&product, contexts[ONE_THREAD], &problem, tokens[t],
                              kind_of(&problem, turn >> 8), seed);
            check_product(kernel, &product);
            test_product_free(&product);
            case_count++;
        }
}

static void kernel_is_right_on_every_axis(void **state) {
    const tmsi_spmm_kernel *kernel = *state;
    int64_t before = case_count;

    if (!test_kernel_can_run(contexts[0], kernel)) {
        print_message("this CPU lacks the instructions of %s\n", kernel->name);
        skip();
    }
    for (int64_t format = 0; format < test_format_count; format++)
        for (int64_t shape = 0; is_axis_of(kernel, format) && shape < (int64_t)TEST_COUNT(shapes);
             shape++)
            walk_cells(kernel, format, shape);
    print_message("%s: %" PRId64 " cases\n", kernel->name, case_count - before);
    assert_true(case_count > before);
}

static void cases_are_at_least_two_thousand(void **state) {
    (void)state;
    print_message("%" PRId64 " cases\n", case_count);
    assert_true(case_count >= 2000);
}

/* ---- Other promises of every kernel ---------------------------------------------------------- */

/* Token 9 gets NaN, then Inf, in one feature: the other rows keep their bits. */
static void kernel_keeps_a_non_finite_token_to_itself(void **state) {
    const tmsi_spmm_kernel *kernel = *state;
    const int64_t bad_token = 9, bad_feature = 30;
    test_output clean, spoiled;
    test_product product;
    size_t element, row_bytes;

    if (!test_kernel_can_run(contexts[0], kernel))
        skip();
    test_simple_product(contexts[ONE_THREAD], kernel, 37, 64, 21, TEST_RANDOM, &product);
    test_kernel_run(contexts[THREE_THREADS], kernel, &product, &product.weight, &clean);
    element = tmsi_dtype_bytes(product.problem.y_type);
    row_bytes = (size_t)product.columns * element;
    for (int i = 0; i < 2; i++) {
        tms_dtype dtype = product.problem.x_type;
        test_write(product.x, dtype, bad_token * product.ldx + bad_feature,
                   i == 0 ? NAN : INFINITY);
        test_kernel_run(contexts[THREE_THREADS], kernel, &product, &product.weight, &spoiled);
        for (int64_t t = 0; t < product.t; t++) {
            size_t at = (size_t)(t * clean.ldy) * element;
            if (t != bad_token)
                assert_memory_equal((char *)clean.y + at, (char *)spoiled.y + at, row_bytes);
        }
        test_output_free(&spoiled);
    }
    test_output_free(&clean);
    test_product_free(&product);
}

static void kernel_gives_the_same_bits_again(void **state) {
    const tmsi_spmm_kernel *kernel = *state;
    test_output first, again;
    test_product product;

    if (!test_kernel_can_run(contexts[0], kernel))
        skip();
    test_simple_product(contexts[ONE_THREAD], kernel, 129, 388, 70, TEST_RANDOM, &product);
    test_kernel_run(contexts[THREE_THREADS], kernel, &product, &product.weight, &first);
    for (int i = 0; i < 5; i++) {
        test_kernel_run(contexts[THREE_THREADS], kernel, &product, &product.weight, &again);
        assert_true(test_outputs_equal(&product, &first, &again));
        test_output_free(&again);
    }
    test_output_free(&first);
    test_product_free(&product);
}

/* ---- Plans as callers get them --------------------------------------------------------------- */

static void check_plan(tms_context *context, const test_product *product, int32_t keep_dense) {
    tms_layout layout;
    tms_spmm_plan *plan = NULL;
    tms_image image;
    test_output output;
    char message[512], text[2048];

    assert_ok(tms_spmm_layout_choose(context, &product->problem, 1, product->problem.t_max,
                                     keep_dense, &layout));
    assert_ok(tms_spmm_plan_create(context, &product->problem, &layout, &plan));
    image = test_image_of(context, &layout, &product->weight);
    for (int32_t i = 0; i < plan->range_count; i++)
        assert_int_equal(plan->ranges[i].choice.kernel->needs & ~context->hardware.isa, 0);
    test_plan_run(plan, &image, product, false, &output);
    if (!test_output_matches(product, &output, message)) {
        tms_spmm_plan_describe(plan, text, sizeof text);
        fail_msg("%s\nplan:\n%s", message, text);
    }
    test_output_free(&output);
    free(image.data);
    tms_spmm_plan_destroy(plan);
}

/* Format x T x what the context may use: the ISA mask, threads, dense parts. */
static void plans_are_right_under_every_mask(void **state) {
    const uint32_t masks[] = {TMS_ISA_NONE, TMS_ISA_AVX2, TMS_ISA_ALL};

    (void)state;
    for (int64_t i = 0; i < (int64_t)TEST_COUNT(masks) * 2; i++) {
        tms_context *context = test_context(i % 2 == 0 ? 1 : 3, masks[i / 2]);
        for (int64_t format = 0; format < test_format_count; format++)
            for (int64_t t = 0; t < (int64_t)TEST_COUNT(tokens); t++) {
                const int64_t shape[2] = {70, 200};
                uint64_t seed = seed_of(case_count++);
                tms_spmm_problem problem;
                test_product product;

                assert_true(test_axes_problem(&tmsi_spmm_kernels[0], format, shape,
                                              (int64_t)(seed % (uint64_t)test_epilogue_count), 0,
                                              &problem));
                test_product_make(&product, context, &problem, tokens[t], TEST_RANDOM, seed);
                check_plan(context, &product, seed % 2 == 0);
                test_product_free(&product);
            }
        tms_context_destroy(context);
    }
}

int main(void) {
    const struct CMUnitTest checks[] = {
        cmocka_unit_test(kernel_is_right_on_every_axis),
        cmocka_unit_test(kernel_keeps_a_non_finite_token_to_itself),
        cmocka_unit_test(kernel_gives_the_same_bits_again),
    };
    const struct CMUnitTest others[] = {
        cmocka_unit_test(plans_are_right_under_every_mask),
        cmocka_unit_test(cases_are_at_least_two_thousand),
    };
    int failures;

    contexts[ONE_THREAD] = test_context(1, 0);
    contexts[THREE_THREADS] = test_context(3, 0);
    failures = test_every_kernel("spmm", checks, TEST_COUNT(checks), others, TEST_COUNT(others));
    for (int i = 0; i < CONTEXTS; i++)
        tms_context_destroy(contexts[i]);
    return failures;
}
