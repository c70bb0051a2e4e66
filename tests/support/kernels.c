#include "support/kernels.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "spmm/problem.h"
#include "support/matrices.h"

/* ---- Axes ------------------------------------------------------------------------------------ */

/* Formats with their parameters: keep, group or block. */
const test_format test_formats[] = {
    {TMS_FORMAT_DENSE, 0, 0}, {TMS_FORMAT_CSR, 0, 0},   {TMS_FORMAT_NM, 2, 4},
    {TMS_FORMAT_NM, 1, 4},    {TMS_FORMAT_NM, 3, 5},    {TMS_FORMAT_NM, 4, 8},
    {TMS_FORMAT_NM, 9, 64},   {TMS_FORMAT_BSR, 32, 32}, {TMS_FORMAT_BSR, 4, 1},
    {TMS_FORMAT_BSR, 16, 16}, {TMS_FORMAT_BSR, 8, 3},   {TMS_FORMAT_BSR, 1, 1},
};

const int64_t test_format_count = (int64_t)TEST_COUNT(test_formats);

#define SCALES (TMS_EPILOGUE_SCALE_N | TMS_EPILOGUE_SCALE_T)
const test_epilogue test_epilogues[] = {
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

const int64_t test_epilogue_count = (int64_t)TEST_COUNT(test_epilogues);

/* Types of x, w and y. */
static const tms_dtype types[][3] = {
    {TMS_F32, TMS_F32, TMS_F32},   {TMS_BF16, TMS_BF16, TMS_BF16}, {TMS_F16, TMS_F16, TMS_F16},
    {TMS_F32, TMS_F16, TMS_I8},    {TMS_BF16, TMS_F32, TMS_E4M3},  {TMS_F16, TMS_BF16, TMS_F32},
    {TMS_F32, TMS_BF16, TMS_BF16}, {TMS_I8, TMS_I8, TMS_I8},       {TMS_I8, TMS_I8, TMS_BF16},
    {TMS_I8, TMS_I8, TMS_F32},     {TMS_E4M3, TMS_E4M3, TMS_E4M3}, {TMS_E4M3, TMS_E4M3, TMS_F16},
};

static bool serves(const tmsi_spmm_kernel *kernel, const tms_spmm_problem *problem) {
    return (kernel->format == problem->format || kernel->format == TMS_FORMAT_DENSE) &&
           kernel->fits(problem);
}

bool test_axes_problem(const tmsi_spmm_kernel *kernel, int64_t format, const int64_t shape[2],
                       int64_t epilogue, uint64_t turn, tms_spmm_problem *out) {
    const tms_dtype *type = types[turn % TEST_COUNT(types)];
    tms_spmm_problem problem = tms_spmm_problem_default();

    problem.format = test_formats[format].format;
    problem.n = shape[0];
    problem.k = shape[1];
    problem.t_max = 130;
    problem.epilogue = test_epilogues[epilogue].bits;
    problem.activation = test_epilogues[epilogue].activation;
    if (problem.epilogue & TMS_EPILOGUE_GATE)
        problem.n += problem.n % 2;
    if (problem.format == TMS_FORMAT_NM) {
        problem.keep = test_formats[format].a;
        problem.group = test_formats[format].b;
        problem.k = (problem.k + problem.group - 1) / problem.group * problem.group;
    } else if (problem.format == TMS_FORMAT_BSR) {
        problem.block_rows = test_formats[format].a;
        problem.block_columns = test_formats[format].b;
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

/* ---- Running one kernel ---------------------------------------------------------------------- */

bool test_kernel_can_run(const tms_context *context, const tmsi_spmm_kernel *kernel) {
    return (kernel->needs & ~context->hardware.isa) == 0;
}

void test_kernel_plan(tms_spmm_plan *plan, tms_context *context, const tmsi_spmm_kernel *kernel,
                      const tms_spmm_problem *problem) {
    memset(plan, 0, sizeof *plan);
    tmsi_spmm_plan_fill(plan, context, problem, kernel);
    assert_ok(tmsi_spmm_plan_ready(plan));
}

void test_plan_run(const tms_spmm_plan *plan, const tms_image *image, const test_product *product,
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

bool test_outputs_equal(const test_product *product, const test_output *a, const test_output *b) {
    return memcmp(a->memory, b->memory, a->memory_bytes) == 0 &&
           (a->absmax_t == NULL ||
            memcmp(a->absmax_t, b->absmax_t, (size_t)product->t * sizeof(float)) == 0);
}

void test_simple_product(tms_context *context, const tmsi_spmm_kernel *kernel, int64_t n, int64_t k,
                         int64_t t, test_kind kind, test_product *out) {
    const int64_t shape[2] = {n, k};
    tms_spmm_problem problem;

    for (int64_t format = 0; format < test_format_count; format++)
        if (test_axes_problem(kernel, format, shape, 0, 0, &problem)) {
            test_product_make(out, context, &problem, t, kind, test_seed());
            return;
        }
    fail_msg("%s serves no problem of the axes", kernel->name);
}

void test_kernel_run(tms_context *context, const tmsi_spmm_kernel *kernel,
                     const test_product *product, const tms_matrix *weight, test_output *out) {
    tms_spmm_plan plan;
    tms_image image;

    test_kernel_plan(&plan, context, kernel, &product->problem);
    image = test_image_of(context, &plan.layout, weight);
    test_plan_run(&plan, &image, product, false, out);
    free(image.data);
}

/* ---- A test for every row -------------------------------------------------------------------- */

/* "spmm_csr_any_1x1_ref: keeps ...": kept until the group has run. */
static char *name_of(const char *check, const tmsi_spmm_kernel *kernel) {
    char *name = malloc(256);

    assert_non_null(name);
    snprintf(name, 256, "%s: %s", kernel->name, check);
    return name;
}

int test_every_kernel(const char *group, const struct CMUnitTest *checks, int check_count,
                      const struct CMUnitTest *others, int other_count) {
    int kernel_tests = tmsi_spmm_kernel_count * check_count;
    struct CMUnitTest *tests = calloc((size_t)(kernel_tests + other_count), sizeof *tests);
    int failures;

    assert_non_null(tests);
    for (int i = 0; i < kernel_tests; i++) {
        const tmsi_spmm_kernel *kernel = &tmsi_spmm_kernels[i / check_count];
        tests[i] = checks[i % check_count];
        tests[i].name = name_of(tests[i].name, kernel);
        tests[i].initial_state = (void *)(uintptr_t)kernel;
    }
    memcpy(tests + kernel_tests, others, (size_t)other_count * sizeof *others);
    failures =
        _cmocka_run_group_tests(group, tests, (size_t)(kernel_tests + other_count), NULL, NULL);
    for (int i = 0; i < kernel_tests; i++)
        free((void *)(uintptr_t)tests[i].name);
    free(tests);
    return failures;
}
