/* Every kernel of the table against float64, over declared axes: a new row is tested by being
 * there. Shape x format x epilogue x T x types x order x kind of numbers, each with one and with
 * three threads; then what a wrong kernel would do, which the comparison must catch. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/dtype.h"
#include "format/layout/plain.h"
#include "spmm/plan.h"
#include "spmm/problem.h"
#include "support/number.h"
#include "support/product.h"

enum { ONE_THREAD, THREE_THREADS, CONTEXTS };
static tms_context *contexts[CONTEXTS];
static int64_t case_count;

/* ---- Axes ------------------------------------------------------------------------------------ */

/* n and k; k is rounded up to what nm needs, n to a pair for gate. */
static const int64_t shapes[][2] = {{1, 1},    {7, 3},   {2, 387}, {129, 40},
                                    {35, 387}, {64, 64}, {5, 1541}};

static const int64_t tokens[] = {0, 1, 3, 17, 64, 130};

/* Formats with their parameters: keep, group or block. */
static const struct {
    tms_format format;
    int32_t a, b;
} formats[] = {
    {TMS_FORMAT_DENSE, 0, 0}, {TMS_FORMAT_CSR, 0, 0},   {TMS_FORMAT_NM, 2, 4},
    {TMS_FORMAT_NM, 1, 4},    {TMS_FORMAT_NM, 3, 5},    {TMS_FORMAT_NM, 4, 8},
    {TMS_FORMAT_NM, 9, 64},   {TMS_FORMAT_BSR, 32, 32}, {TMS_FORMAT_BSR, 4, 1},
    {TMS_FORMAT_BSR, 16, 16}, {TMS_FORMAT_BSR, 8, 3},   {TMS_FORMAT_BSR, 1, 1},
};

#define SCALES (TMS_EPILOGUE_SCALE_N | TMS_EPILOGUE_SCALE_T)
static const struct {
    uint32_t bits;
    tms_activation activation;
} epilogues[] = {
    {0, TMS_ACT_NONE},
    {TMS_EPILOGUE_BIAS, TMS_ACT_NONE},
    {TMS_EPILOGUE_BIAS, TMS_ACT_GELU},
    {TMS_EPILOGUE_BIAS | TMS_EPILOGUE_RESIDUAL, TMS_ACT_NONE},
    {TMS_EPILOGUE_RESIDUAL, TMS_ACT_RELU},
    {TMS_EPILOGUE_BIAS | TMS_EPILOGUE_RESIDUAL, TMS_ACT_GELU_TANH},
    {SCALES | TMS_EPILOGUE_BIAS, TMS_ACT_NONE},
    {TMS_EPILOGUE_SCALE_N | TMS_EPILOGUE_BIAS, TMS_ACT_RELU2},
    {TMS_EPILOGUE_SCALE_T | TMS_EPILOGUE_ABSMAX_T, TMS_ACT_NONE},
    {SCALES | TMS_EPILOGUE_BIAS | TMS_EPILOGUE_RESIDUAL | TMS_EPILOGUE_ABSMAX_T, TMS_ACT_SILU},
    {TMS_EPILOGUE_GATE, TMS_ACT_NONE},
    {TMS_EPILOGUE_GATE | TMS_EPILOGUE_BIAS, TMS_ACT_SILU},
    {TMS_EPILOGUE_GATE | SCALES | TMS_EPILOGUE_BIAS | TMS_EPILOGUE_RESIDUAL | TMS_EPILOGUE_ABSMAX_T,
     TMS_ACT_GELU},
};

/* Types of x, w and y. */
static const tms_dtype types[][3] = {
    {TMS_F32, TMS_F32, TMS_F32},   {TMS_BF16, TMS_BF16, TMS_BF16}, {TMS_F16, TMS_F16, TMS_F16},
    {TMS_F32, TMS_F16, TMS_I8},    {TMS_BF16, TMS_F32, TMS_E4M3},  {TMS_F16, TMS_BF16, TMS_F32},
    {TMS_F32, TMS_BF16, TMS_BF16},
};

#define COUNT_OF(array) ((int64_t)(sizeof(array) / sizeof(array)[0]))

/* ---- Running one kernel ---------------------------------------------------------------------- */

static bool can_run(const tmsi_spmm_kernel *kernel) {
    return (kernel->needs & ~contexts[0]->hardware.isa) == 0;
}

/* A plan of one kernel, on the part that it asks for. */
static void make_plan(tms_spmm_plan *plan, tms_context *context, const tmsi_spmm_kernel *kernel,
                      const tms_spmm_problem *problem) {
    tmsi_spmm_choice *choice = &plan->ranges[0].choice;

    memset(plan, 0, sizeof *plan);
    choice->kernel = kernel;
    choice->part = tmsi_spmm_wanted_part(kernel, problem, &context->hardware);
    plan->context = context;
    plan->problem = *problem;
    plan->layout.struct_size = sizeof plan->layout;
    plan->layout.n = problem->n;
    plan->layout.k = problem->k;
    plan->layout.part_count = 1;
    plan->layout.parts[0] = choice->part;
    plan->range_count = 1;
    plan->ranges[0].last = problem->t_max;
    plan->work_bytes = kernel->work(problem, &choice->part, problem->t_max, context->threads);
}

static void build_image(tms_context *context, const tms_layout *layout, const tms_matrix *weight,
                        tms_image *image) {
    tms_image_desc desc = tms_image_desc_default();
    size_t bytes = 0;
    void *data;

    desc.matrices = weight;
    desc.count = 1;
    desc.layout = *layout;
    assert_ok(tms_image_bytes(context, &desc, &bytes));
    data = aligned_alloc(64, bytes);
    assert_non_null(data);
    assert_ok(tms_image_build(context, &desc, data, bytes, image));
}

/* Work memory begins with NaNs, since plans may not rely on zeros. */
static void run_plan(const tms_spmm_plan *plan, const tms_image *image, const test_product *product,
                     bool residual_is_y, test_output *out) {
    size_t work_bytes = (plan->work_bytes + 63) / 64 * 64;
    tms_spmm_args args;

    test_output_make(out, product, residual_is_y);
    args = test_product_args(product, out, residual_is_y);
    args.image = image;
    args.work = work_bytes > 0 ? aligned_alloc(64, work_bytes) : NULL;
    if (work_bytes > 0)
        memset(args.work, 0xff, work_bytes);
    assert_ok(tms_spmm_plan_run(plan, &args, NULL));
    free(args.work);
}

static bool outputs_equal(const test_product *product, const test_output *a, const test_output *b) {
    return memcmp(a->memory, b->memory, a->memory_bytes) == 0 &&
           (a->absmax_t == NULL ||
            memcmp(a->absmax_t, b->absmax_t, (size_t)product->t * sizeof(float)) == 0);
}

static void check_product(const tmsi_spmm_kernel *kernel, const test_product *product) {
    bool residual_is_y = product->residual != NULL && product->seed % 2 == 0 &&
                         !tmsi_spmm_is_scaled(product->problem.y_type);
    test_output outputs[CONTEXTS];
    char message[512];
    tms_spmm_plan plan;
    tms_image image;

    make_plan(&plan, contexts[ONE_THREAD], kernel, &product->problem);
    build_image(contexts[ONE_THREAD], &plan.layout, &product->weight, &image);
    for (int i = 0; i < CONTEXTS; i++) {
        make_plan(&plan, contexts[i], kernel, &product->problem);
        run_plan(&plan, &image, product, residual_is_y, &outputs[i]);
        if (!test_output_matches(product, &outputs[i], message))
            fail_msg("%s: %s", kernel->name, message);
    }
    if (!outputs_equal(product, &outputs[0], &outputs[1])) {
        test_product_print(product, message);
        fail_msg("%s: %s: bits differ between one and three threads", kernel->name, message);
    }
    for (int i = 0; i < CONTEXTS; i++)
        test_output_free(&outputs[i]);
    free(image.data);
}

/* ---- Walking the axes ------------------------------------------------------------------------ */

/* A dense kernel also meets the first row of each sparse format: its part is built from them. */
static bool is_axis_of(const tmsi_spmm_kernel *kernel, int64_t format) {
    return kernel->format != TMS_FORMAT_DENSE || format == 0 ||
           formats[format].format != formats[format - 1].format;
}

static bool serves(const tmsi_spmm_kernel *kernel, const tms_spmm_problem *problem) {
    return (kernel->format == problem->format || kernel->format == TMS_FORMAT_DENSE) &&
           kernel->fits(problem);
}

/* The problem of one cell. Types and order rotate with `turn`, where the kernel has them. */
static bool make_problem(const tmsi_spmm_kernel *kernel, int64_t format, const int64_t shape[2],
                         int64_t epilogue, uint64_t turn, tms_spmm_problem *out) {
    const tms_dtype *type = types[turn % (uint64_t)COUNT_OF(types)];
    tms_spmm_problem problem = tms_spmm_problem_default();

    problem.format = formats[format].format;
    problem.n = shape[0];
    problem.k = shape[1];
    problem.t_max = 130;
    problem.epilogue = epilogues[epilogue].bits;
    problem.activation = epilogues[epilogue].activation;
    if (problem.epilogue & TMS_EPILOGUE_GATE)
        problem.n += problem.n % 2;
    if (problem.format == TMS_FORMAT_NM) {
        problem.keep = formats[format].a;
        problem.group = formats[format].b;
        problem.k = (problem.k + problem.group - 1) / problem.group * problem.group;
    } else if (problem.format == TMS_FORMAT_BSR) {
        problem.block_rows = formats[format].a;
        problem.block_columns = formats[format].b;
    }
    problem.x_type = type[0];
    problem.w_type = type[1];
    problem.y_type = type[2];
    problem.y_order = turn % 4 == 3 ? TMS_ORDER_NT : TMS_ORDER_TN;
    assert_ok(tmsi_spmm_problem_check(&problem));
    if (!serves(kernel, &problem))
        problem.x_type = problem.w_type = problem.y_type = TMS_F32;
    if (!serves(kernel, &problem))
        problem.y_order = TMS_ORDER_TN;
    *out = problem;
    return serves(kernel, &problem);
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
    for (int64_t e = 0; e < COUNT_OF(epilogues); e++)
        for (int64_t t = 0; t < COUNT_OF(tokens); t++) {
            uint64_t seed = seed_of(case_count), turn = seed >> 8;
            tms_spmm_problem problem;
            test_product product;

            if (!make_problem(kernel, format, shapes[shape], e, turn, &problem))
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

    if (!can_run(kernel)) {
        print_message("this CPU lacks the instructions of %s\n", kernel->name);
        skip();
    }
    for (int64_t format = 0; format < COUNT_OF(formats); format++)
        for (int64_t shape = 0; is_axis_of(kernel, format) && shape < COUNT_OF(shapes); shape++)
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

/* The first problem of a list of plain ones that the kernel serves: random, no epilogue. */
static void make_simple_product(const tmsi_spmm_kernel *kernel, int64_t n, int64_t k, int64_t t,
                                test_kind kind, test_product *out) {
    const int64_t shape[2] = {n, k};
    tms_spmm_problem problem;

    for (int64_t format = 0; format < COUNT_OF(formats); format++)
        if (make_problem(kernel, format, shape, 0, 0, &problem)) {
            test_product_make(out, contexts[ONE_THREAD], &problem, t, kind, test_seed());
            return;
        }
    fail_msg("%s serves no problem of the axes", kernel->name);
}

static void run_kernel(const tmsi_spmm_kernel *kernel, const test_product *product,
                       const tms_matrix *weight, test_output *out) {
    tms_spmm_plan plan;
    tms_image image;

    make_plan(&plan, contexts[THREE_THREADS], kernel, &product->problem);
    build_image(contexts[ONE_THREAD], &plan.layout, weight, &image);
    run_plan(&plan, &image, product, false, out);
    free(image.data);
}

/* Token 9 gets NaN, then Inf, in one feature: the other rows keep their bits. */
static void kernel_keeps_a_non_finite_token_to_itself(void **state) {
    const tmsi_spmm_kernel *kernel = *state;
    const int64_t bad_token = 9, bad_feature = 30;
    test_output clean, spoiled;
    test_product product;
    size_t element, row_bytes;

    if (!can_run(kernel))
        skip();
    make_simple_product(kernel, 37, 64, 21, TEST_RANDOM, &product);
    run_kernel(kernel, &product, &product.weight, &clean);
    element = tmsi_dtype_bytes(product.problem.y_type);
    row_bytes = (size_t)product.columns * element;
    for (int i = 0; i < 2; i++) {
        tms_dtype dtype = product.problem.x_type;
        test_write(product.x, dtype, bad_token * product.ldx + bad_feature,
                   i == 0 ? NAN : INFINITY);
        run_kernel(kernel, &product, &product.weight, &spoiled);
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

    if (!can_run(kernel))
        skip();
    make_simple_product(kernel, 129, 388, 70, TEST_RANDOM, &product);
    run_kernel(kernel, &product, &product.weight, &first);
    for (int i = 0; i < 5; i++) {
        run_kernel(kernel, &product, &product.weight, &again);
        assert_true(outputs_equal(&product, &first, &again));
        test_output_free(&again);
    }
    test_output_free(&first);
    test_product_free(&product);
}

/* ---- Mutations: the comparison catches what a broken kernel would do --------------------------
 */

/* Runs the kernel on w as it is now, while the product's answer is that of the old w. */
static bool catches_weight(const tmsi_spmm_kernel *kernel, const test_product *product) {
    tms_matrix weight = test_weight_encode(contexts[ONE_THREAD], &product->problem, product->w);
    test_output output;
    char message[512];
    bool is_caught;

    run_kernel(kernel, product, &weight, &output);
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

    if (!can_run(kernel))
        skip();
    test_random_seed(&random, test_seed());
    for (int64_t i = 0; i < 20; i++) {
        test_product product;
        int64_t at;
        double old;

        make_simple_product(kernel, 37, 388, 33, kinds[i % 2], &product);
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

    if (!can_run(kernel))
        skip();
    true_run = kernel->run;
    for (int64_t i = 0; i < 2 * COUNT_OF(broken); i++) {
        tmsi_spmm_kernel mutant = *kernel;
        test_kind kind = i % 2 == 0 ? TEST_INTEGER : TEST_RANDOM;
        test_product product;
        test_output output;
        char message[512];

        if (kind == TEST_RANDOM && broken[i / 2] == run_off_by_a_bit)
            continue; /* one bit is within the bound of sums */
        mutant.run = broken[i / 2];
        make_simple_product(kernel, 37, 388, 33, kind, &product);
        run_kernel(&mutant, &product, &product.weight, &output);
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
            if (tmsi_spmm_kernels[i].format == formats[format].format)
                kernel = &tmsi_spmm_kernels[i];
        assert_true(make_problem(kernel, format, shape, 0, 0, &problem));
        test_product_make(&product, contexts[ONE_THREAD], &problem, 5, TEST_RANDOM, test_seed());
        make_plan(&plan, contexts[ONE_THREAD], kernel, &product.problem);
        build_image(contexts[ONE_THREAD], &plan.layout, &product.weight, &image);
        header = image.data;
        values = (const float *)((char *)image.data + header->offset[0]);
        while (fabsf(values[first]) < 0.5f)
            first++;
        index = (uint8_t *)image.data + header->offset[1];
        index += format == 1 ? 4 * first : first / 4; /* i32 columns; four 2-bit positions a byte */
        for (int flipped = 0; flipped < 2; flipped++) {
            run_plan(&plan, &image, &product, false, &output);
            if (test_output_matches(&product, &output, message) == (flipped == 1))
                fail_msg("%s: %s", kernel->name, flipped == 0 ? message : "a flip passed");
            test_output_free(&output);
            *index ^= (uint8_t)(format == 1 ? 1 : 1 << first % 4 * 2);
        }
        free(image.data);
        test_product_free(&product);
    }
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
    build_image(context, &layout, &product->weight, &image);
    for (int32_t i = 0; i < plan->range_count; i++)
        assert_int_equal(plan->ranges[i].choice.kernel->needs & ~context->hardware.isa, 0);
    run_plan(plan, &image, product, false, &output);
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
    for (int64_t i = 0; i < COUNT_OF(masks) * 2; i++) {
        tms_context *context = test_context(i % 2 == 0 ? 1 : 3, masks[i / 2]);
        for (int64_t format = 0; format < COUNT_OF(formats); format++)
            for (int64_t t = 0; t < COUNT_OF(tokens); t++) {
                const int64_t shape[2] = {70, 200};
                uint64_t seed = seed_of(case_count++);
                tms_spmm_problem problem;
                test_product product;

                assert_true(make_problem(&tmsi_spmm_kernels[0], format, shape,
                                         (int64_t)(seed % (uint64_t)COUNT_OF(epilogues)), 0,
                                         &problem));
                test_product_make(&product, context, &problem, tokens[t], TEST_RANDOM, seed);
                check_plan(context, &product, seed % 2 == 0);
                test_product_free(&product);
            }
        tms_context_destroy(context);
    }
}

/* ---- The list: the tests of every row, then the others -----------------------------------------
 */

#define KERNEL_TEST(function, kernel)                                                              \
    { name_of(#function, kernel), function, NULL, NULL, (void *)(uintptr_t)(kernel) }

/* "spmm_csr_any_1x1_ref: is right on every axis", kept for the process. */
static const char *name_of(const char *function, const tmsi_spmm_kernel *kernel) {
    char *name = malloc(256);
    assert_non_null(name);
    snprintf(name, 256, "%s: %s", kernel->name, function);
    return name;
}

int main(void) {
    enum { KERNEL_TESTS = 5, OTHER_TESTS = 3 };
    int64_t count = 0, capacity = tmsi_spmm_kernel_count * KERNEL_TESTS + OTHER_TESTS;
    struct CMUnitTest *tests = calloc((size_t)capacity, sizeof *tests);
    int failures;

    contexts[ONE_THREAD] = test_context(1, 0);
    contexts[THREE_THREADS] = test_context(3, 0);
    for (int32_t i = 0; i < tmsi_spmm_kernel_count; i++) {
        const tmsi_spmm_kernel *kernel = &tmsi_spmm_kernels[i];
        const struct CMUnitTest rows[KERNEL_TESTS] = {
            KERNEL_TEST(kernel_is_right_on_every_axis, kernel),
            KERNEL_TEST(kernel_keeps_a_non_finite_token_to_itself, kernel),
            KERNEL_TEST(kernel_gives_the_same_bits_again, kernel),
            KERNEL_TEST(kernel_that_reads_one_weight_wrong_is_caught, kernel),
            KERNEL_TEST(kernel_that_skips_a_tail_is_caught, kernel),
        };
        for (int test = 0; test < KERNEL_TESTS; test++)
            tests[count++] = rows[test];
    }
    tests[count++] = (struct CMUnitTest)cmocka_unit_test(plans_are_right_under_every_mask);
    tests[count++] = (struct CMUnitTest)cmocka_unit_test(flipped_index_in_an_image_is_caught);
    tests[count++] = (struct CMUnitTest)cmocka_unit_test(cases_are_at_least_two_thousand);
    failures = _cmocka_run_group_tests("spmm", tests, (size_t)count, NULL, NULL);
    for (int32_t i = 0; i < tmsi_spmm_kernel_count * KERNEL_TESTS; i++)
        free((void *)(uintptr_t)tests[i].name);
    free(tests);
    for (int i = 0; i < CONTEXTS; i++)
        tms_context_destroy(contexts[i]);
    return failures;
}
