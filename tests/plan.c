/* Layouts, plans and runs: what they refuse, and what they promise beyond right numbers (those are
 * in tests/spmm.c). */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <threads.h>

#include "support/matrices.h"
#include "support/setup.h"

static void plan_run_computes_a_product_by_hand(void **state) {
    const float w[2 * 3] = {1, 2, 3, 4, 5, 6}, x[3] = {1, 10, 100};
    tms_context *context = test_context(1, 0);
    tms_matrix matrix = tms_matrix_dense(TMS_F32, 2, 3, w);
    tms_spmm_problem problem = tms_spmm_problem_default();
    tms_spmm_args args = tms_spmm_args_default();
    tms_spmm_plan *plan = NULL;
    tms_layout layout;
    tms_image_desc desc;
    tms_image image;
    float y[2] = {0};

    (void)state;
    problem.n = 2;
    problem.k = 3;
    assert_ok(tms_spmm_layout_choose(context, &problem, 1, 1, 0, &layout));
    desc = test_image_desc(&layout, &matrix, 1);
    image = test_image_build(context, &desc);
    assert_ok(tms_spmm_plan_create(context, &problem, &layout, &plan));
    args.t = 1;
    args.image = &image;
    args.x = x;
    args.y = y;
    args.work = test_aligned(tms_spmm_plan_work_bytes(plan));
    assert_ok(tms_spmm_plan_run(plan, &args, NULL));
    assert_true(y[0] == 321.0f && y[1] == 654.0f);
    tms_spmm_plan_destroy(plan);
    free(args.work);
    free(image.data);
    tms_context_destroy(context);
}

/* ---- What problems are refused --------------------------------------------------------------- */

/* Creates a plan for the problem on a layout of the same shape; both entries refuse alike. */
static void assert_problem_fails(tms_context *context, const tms_spmm_problem *problem,
                                 tms_status expected, const char *text) {
    tms_spmm_problem good = test_small_problem(TMS_FORMAT_DENSE);
    tms_layout layout, untouched;
    tms_spmm_plan *plan = NULL;

    assert_ok(tms_spmm_layout_choose(context, &good, 1, 8, 0, &layout));
    untouched = layout;
    assert_fails(tms_spmm_plan_create(context, problem, &layout, &plan), expected, text);
    test_assert_contains(tms_error_text(), "tms_spmm_plan_create: ");
    assert_null(plan);
    assert_fails(tms_spmm_layout_choose(context, problem, 1, 8, 0, &layout), expected, text);
    assert_memory_equal(&layout, &untouched, sizeof layout);
}

static void plan_create_refuses_k_not_multiple_of_4(void **state) {
    tms_context *context = test_context(1, 0);
    tms_spmm_problem problem = test_small_problem(TMS_FORMAT_NM);

    (void)state;
    problem.k = 4098;
    assert_problem_fails(context, &problem, TMS_ERR_INVALID,
                         "problem->k is 4098, but 2:4 packs weights in groups of 4: k must be a "
                         "multiple of 4");
    tms_context_destroy(context);
}

static void plan_create_refuses_gate_on_odd_n(void **state) {
    tms_context *context = test_context(1, 0);
    tms_spmm_problem problem = test_small_problem(TMS_FORMAT_DENSE);

    (void)state;
    problem.n = 41;
    problem.epilogue = TMS_EPILOGUE_GATE;
    assert_problem_fails(context, &problem, TMS_ERR_INVALID, "problem->n is 41, but with gate");
    tms_context_destroy(context);
}

static void plan_create_refuses_fields_out_of_range(void **state) {
    tms_context *context = test_context(1, 0);
    tms_spmm_problem problem;

    (void)state;
#define REFUSED(format, field, value, status, text)                                                \
    problem = test_small_problem(format);                                                          \
    problem.field = value;                                                                         \
    assert_problem_fails(context, &problem, status, text)
    REFUSED(TMS_FORMAT_DENSE, n, 0, TMS_ERR_INVALID, "problem->n is 0, but must be 1 to");
    REFUSED(TMS_FORMAT_DENSE, k, -4, TMS_ERR_INVALID, "problem->k is -4");
    REFUSED(TMS_FORMAT_DENSE, t_max, (int64_t)1 << 40, TMS_ERR_INVALID, "t_max is 1099511627776");
    REFUSED(TMS_FORMAT_DENSE, format, (tms_format)9, TMS_ERR_INVALID, "problem->format is 9");
    REFUSED(TMS_FORMAT_NM, keep, 4, TMS_ERR_INVALID, "problem is 4:4, but nm keeps n of every m");
    REFUSED(TMS_FORMAT_NM, group, 65, TMS_ERR_INVALID, "problem is 2:65");
    REFUSED(TMS_FORMAT_BSR, block_rows, 0, TMS_ERR_INVALID, "blocks of 0x16");
    REFUSED(TMS_FORMAT_BSR, block_columns, 65537, TMS_ERR_INVALID, "blocks of 16x65537");
    REFUSED(TMS_FORMAT_CSR, density, 1.5, TMS_ERR_INVALID, "problem->density is 1.5");
    REFUSED(TMS_FORMAT_CSR, density, (double)NAN, TMS_ERR_INVALID, "problem->density is nan");
    REFUSED(TMS_FORMAT_DENSE, x_type, TMS_I32, TMS_ERR_UNSUPPORTED, "problem->x_type is i32");
    REFUSED(TMS_FORMAT_DENSE, x_type, TMS_I8, TMS_ERR_UNSUPPORTED,
            "problem->w_type is f32, but w is i8 where x is i8");
    REFUSED(TMS_FORMAT_DENSE, w_type, TMS_E4M3, TMS_ERR_UNSUPPORTED, "problem->w_type is e4m3");
    REFUSED(TMS_FORMAT_DENSE, y_type, TMS_F64, TMS_ERR_UNSUPPORTED, "problem->y_type is f64");
    REFUSED(TMS_FORMAT_DENSE, epilogue, 0x80, TMS_ERR_INVALID, "problem->epilogue is 0x80");
    REFUSED(TMS_FORMAT_DENSE, activation, TMS_ACT_COUNT, TMS_ERR_INVALID, "activation is 6");
    REFUSED(TMS_FORMAT_DENSE, y_order, (tms_order)2, TMS_ERR_INVALID, "problem->y_order is 2");
    REFUSED(TMS_FORMAT_DENSE, struct_size, 4096, TMS_ERR_INVALID, "struct_size is 4096");
#undef REFUSED
    tms_context_destroy(context);
}

static void layout_choose_refuses_ranges_of_tokens(void **state) {
    tms_context *context = test_context(1, 0);
    tms_spmm_problem problem = test_small_problem(TMS_FORMAT_DENSE);
    tms_layout layout;

    (void)state;
    assert_fails(tms_spmm_layout_choose(context, &problem, 9, 8, 0, &layout), TMS_ERR_INVALID,
                 "t_min is 9 and t_max 8");
    assert_fails(tms_spmm_layout_choose(context, &problem, -1, 8, 0, &layout), TMS_ERR_INVALID,
                 "t_min is -1");
    assert_fails(tms_spmm_layout_choose(NULL, &problem, 1, 8, 0, &layout), TMS_ERR_INVALID,
                 "context is NULL");
    assert_fails(tms_spmm_layout_choose(context, &problem, 1, 8, 0, NULL), TMS_ERR_INVALID,
                 "out_layout is NULL");
    tms_context_destroy(context);
}

static void plan_create_refuses_a_foreign_layout(void **state) {
    tms_context *context = test_context(1, 0);
    tms_spmm_problem problem = test_small_problem(TMS_FORMAT_NM),
                     other = test_small_problem(TMS_FORMAT_CSR);
    tms_spmm_plan *plan = NULL;
    tms_layout good, layout;

    (void)state;
    assert_ok(tms_spmm_layout_choose(context, &problem, 1, 8, 0, &good));
#define REFUSED(field, value, status, text)                                                        \
    layout = good;                                                                                 \
    layout.field = value;                                                                          \
    assert_fails(tms_spmm_plan_create(context, &problem, &layout, &plan), status, text)
    REFUSED(n, 44, TMS_ERR_INVALID, "layout is for 44 x 64 weights, but the problem has 40 x 64");
    REFUSED(n, -1, TMS_ERR_INVALID, "layout is for -1 x 64 weights");
    REFUSED(part_count, 0, TMS_ERR_INVALID, "layout.part_count is 0");
    REFUSED(part_count, 5, TMS_ERR_INVALID, "layout.part_count is 5");
    REFUSED(struct_size, 8, TMS_ERR_INVALID, "layout.struct_size is 8");
    REFUSED(parts[0].id, 999, TMS_ERR_INVALID, "layout.parts[0].id is 999");
    REFUSED(parts[0].version, 77, TMS_ERR_INVALID, "in version 77, but this library reads version");
    REFUSED(parts[0].dtype, TMS_I16, TMS_ERR_INVALID, "layout.parts[0].dtype is i16");
    REFUSED(parts[0].format, -2, TMS_ERR_INVALID, "layout.parts[0].format is -2");
    REFUSED(parts[0].group, 1, TMS_ERR_INVALID, "layout.parts[0] is 2:1");
    REFUSED(parts[0].dtype, TMS_F16, TMS_ERR_UNSUPPORTED,
            "no kernel computes nm weights of type f32");
#undef REFUSED
    assert_ok(tms_spmm_layout_choose(context, &other, 1, 8, 0, &layout));
    assert_fails(tms_spmm_plan_create(context, &problem, &layout, &plan), TMS_ERR_UNSUPPORTED,
                 "no kernel computes nm weights of type f32 from layout");
    assert_null(plan);
    tms_context_destroy(context);
}

/* ---- What runs are refused ------------------------------------------------------------------- */

static void plan_run_refuses_wrong_arguments(void **state) {
    tms_spmm_problem problem = test_small_problem(TMS_FORMAT_NM);
    tms_spmm_args args;
    test_setup f;

    (void)state;
    problem.epilogue = TMS_EPILOGUE_BIAS | TMS_EPILOGUE_RESIDUAL | TMS_EPILOGUE_ABSMAX_T |
                       TMS_EPILOGUE_SCALE_N | TMS_EPILOGUE_SCALE_T;
    test_setup_make(&f, &problem, 1);
#define REFUSED(field, value, text)                                                                \
    args = f.args;                                                                                 \
    args.field = value;                                                                            \
    assert_fails(tms_spmm_plan_run(f.plan, &args, NULL), TMS_ERR_INVALID, text)
    REFUSED(t, 71, "args->t is 71, but the plan is for 0 to 70 tokens");
    REFUSED(t, -1, "args->t is -1");
    REFUSED(image, NULL, "args->image is NULL");
    REFUSED(x, NULL, "args->x is NULL");
    REFUSED(y, NULL, "args->y is NULL");
    REFUSED(x, (const char *)f.args.x + 2, "args->x is");
    REFUSED(ldx, 63, "args->ldx is 63, but rows of x have 64 elements");
    REFUSED(ldy, 39, "args->ldy is 39, but rows of y have 40 elements");
    REFUSED(ldr, -5, "args->ldr is -5");
    REFUSED(ldx, INT64_MAX, "such rows are more than memory can hold");
    REFUSED(scale_n, NULL, "args->scale_n is NULL, but the plan's epilogue uses it");
    REFUSED(scale_t, NULL, "args->scale_t is NULL");
    REFUSED(bias, NULL, "args->bias is NULL");
    REFUSED(bias, (const float *)(const void *)((const char *)f.args.bias + 1), "args->bias is");
    REFUSED(residual, NULL, "args->residual is NULL");
    REFUSED(absmax_t, NULL, "args->absmax_t is NULL");
    REFUSED(scale_y, 0.5f, "args->scale_y is 0.5, but y is f32: only i8 and e4m3 are scaled");
    REFUSED(scale_y, -1.0f, "args->scale_y is -1, but must be finite and above 0");
    REFUSED(scale_y, NAN, "args->scale_y is nan");
    REFUSED(y, (void *)(uintptr_t)f.args.x, "overlaps args->x");
    REFUSED(residual, (char *)f.args.y + 4, "args->residual overlaps args->y, but is not y itself");
    REFUSED(struct_size, 4, "args->struct_size is 4");
#undef REFUSED
    assert_fails(tms_spmm_plan_run(f.plan, &f.args, &f), TMS_ERR_INVALID,
                 "but must be NULL on a CPU");
    assert_fails(tms_spmm_plan_run(NULL, &f.args, NULL), TMS_ERR_INVALID, "plan is NULL");
    assert_fails(tms_spmm_plan_run(f.plan, NULL, NULL), TMS_ERR_INVALID, "args is NULL");
    if (tms_spmm_plan_work_bytes(f.plan) > 0) {
        args = f.args;
        args.work = NULL;
        assert_fails(tms_spmm_plan_run(f.plan, &args, NULL), TMS_ERR_INVALID, "args->work is NULL");
        args.work = (char *)f.args.work + 8;
        assert_fails(tms_spmm_plan_run(f.plan, &args, NULL), TMS_ERR_INVALID, "args->work is");
    }
    assert_ok(tms_spmm_plan_run(f.plan, &f.args, NULL));
    test_setup_free(&f);
}

static void plan_run_refuses_an_image_of_another_layout(void **state) {
    tms_spmm_problem problem = test_small_problem(TMS_FORMAT_CSR),
                     dense = test_small_problem(TMS_FORMAT_DENSE);
    tms_layout layout;
    tms_image_desc desc;
    tms_image image;
    test_setup f;

    (void)state;
    test_setup_make(&f, &problem, 1);
    assert_ok(tms_spmm_layout_choose(f.context, &dense, 1, 70, 0, &layout));
    desc = test_image_desc(&layout, &f.product.weight, 1);
    image = test_image_build(f.context, &desc);
    f.args.image = &image;
    assert_fails(tms_spmm_plan_run(f.plan, &f.args, NULL), TMS_ERR_INVALID,
                 "args->image was built in layout ");
    test_assert_contains(tms_error_text(), ", but the plan wants ");
    free(image.data);
    image = f.image;
    image.data = NULL;
    assert_fails(tms_spmm_plan_run(f.plan, &f.args, NULL), TMS_ERR_INVALID,
                 "args->image->data is NULL");
    image.data = (char *)f.image.data + 4;
    assert_fails(tms_spmm_plan_run(f.plan, &f.args, NULL), TMS_ERR_INVALID,
                 "but must be aligned to 64 bytes");
    test_setup_free(&f);
}

/* ---- What runs promise ----------------------------------------------------------------------- */

static void plan_run_of_no_tokens_touches_nothing(void **state) {
    tms_spmm_problem problem = test_small_problem(TMS_FORMAT_DENSE);
    test_setup f;
    tms_spmm_args args = tms_spmm_args_default();

    (void)state;
    test_setup_make(&f, &problem, 1);
    args.image = &f.image;
    assert_ok(tms_spmm_plan_run(f.plan, &args, NULL)); /* x, y and work are NULL */
    test_setup_free(&f);
}

static void plan_run_allocates_nothing(void **state) {
    const tms_format formats[] = {TMS_FORMAT_DENSE, TMS_FORMAT_NM, TMS_FORMAT_CSR, TMS_FORMAT_BSR};

    (void)state;
    for (size_t i = 0; i < TEST_COUNT(formats); i++) {
        tms_spmm_problem problem = test_small_problem(formats[i]);
        int64_t calls;
        test_setup f;

        problem.epilogue = TMS_EPILOGUE_BIAS;
        problem.activation = TMS_ACT_GELU;
        test_setup_make(&f, &problem, 3);
        calls = f.allocator.calls;
        for (f.args.t = 0; f.args.t <= f.product.t; f.args.t++)
            assert_ok(tms_spmm_plan_run(f.plan, &f.args, NULL));
        assert_int_equal(f.allocator.calls, calls);
        test_setup_free(&f);
    }
}

/* One of several threads on one plan, with work and y of its own. */
typedef struct runner {
    const test_setup *setup;
    test_output output;
    tms_spmm_args args;
    tms_status status;
} runner;

static int run_many(void *arg) {
    runner *self = arg;

    for (int i = 0; i < 50 && self->status == TMS_OK; i++)
        self->status = tms_spmm_plan_run(self->setup->plan, &self->args, NULL);
    return 0;
}

static void many_threads_run_one_plan(void **state) {
    enum { RUNNERS = 4 };
    const tms_format formats[] = {TMS_FORMAT_DENSE, TMS_FORMAT_NM, TMS_FORMAT_CSR, TMS_FORMAT_BSR};

    (void)state;
    for (size_t i = 0; i < TEST_COUNT(formats); i++) {
        tms_spmm_problem problem = test_small_problem(formats[i]);
        runner runners[RUNNERS];
        thrd_t threads[RUNNERS];
        test_setup f;

        test_setup_make(&f, &problem, 2);
        assert_ok(tms_spmm_plan_run(f.plan, &f.args, NULL));
        for (int r = 0; r < RUNNERS; r++) {
            runners[r].setup = &f;
            runners[r].status = TMS_OK;
            test_output_make(&runners[r].output, &f.product, false);
            runners[r].args = f.args;
            runners[r].args.y = runners[r].output.y;
            runners[r].args.work = test_aligned(tms_spmm_plan_work_bytes(f.plan));
            assert_int_equal(thrd_create(&threads[r], run_many, &runners[r]), thrd_success);
        }
        for (int r = 0; r < RUNNERS; r++) {
            assert_int_equal(thrd_join(threads[r], NULL), thrd_success);
            assert_int_equal(runners[r].status, TMS_OK);
            assert_memory_equal(runners[r].output.memory, f.output.memory, f.output.memory_bytes);
            free(runners[r].args.work);
            test_output_free(&runners[r].output);
        }
        test_setup_free(&f);
    }
}

/* Layout, image and plan, in memory that runs out. */
static tms_status make_all(tms_context *context, void *user) {
    const tms_matrix *matrix = user;
    tms_spmm_problem problem = test_small_problem(TMS_FORMAT_CSR);
    tms_spmm_plan *plan = NULL;
    tms_image_desc desc;
    tms_layout layout;
    tms_image image;
    size_t bytes = 0;
    void *data = NULL;
    tms_status status = tms_spmm_layout_choose(context, &problem, 1, 8, 1, &layout);

    if (status == TMS_OK) {
        desc = test_image_desc(&layout, matrix, 1);
        status = tms_image_bytes(context, &desc, &bytes);
    }
    if (status == TMS_OK) {
        data = test_aligned(bytes);
        status = tms_image_build(context, &desc, data, bytes, &image);
    }
    if (status == TMS_OK)
        status = tms_spmm_plan_create(context, &problem, &layout, &plan);
    free(data);
    tms_spmm_plan_destroy(plan);
    return status;
}

static void running_out_of_memory_leaves_nothing(void **state) {
    float values[40 * 64] = {1.0f, 0.0f, 2.0f};
    tms_matrix dense = tms_matrix_dense(TMS_F32, 40, 64, values);

    (void)state;
    test_every_allocation_fails_once(make_all, &dense);
}

static void plan_describes_every_range(void **state) {
    tms_spmm_problem problem = test_small_problem(TMS_FORMAT_BSR);
    char text[1024], cut[8];
    size_t length;
    test_setup f;

    (void)state;
    test_setup_make(&f, &problem, 1);
    length = tms_spmm_plan_describe(f.plan, text, sizeof text);
    assert_int_equal(length, strlen(text));
    test_assert_contains(text, "t 1..");
    test_assert_contains(text, "us at t 70");
    for (int64_t t = 1; t <= 70; t++)
        test_assert_contains(text, tms_spmm_plan_kernel(f.plan, t));
    assert_null(tms_spmm_plan_kernel(f.plan, 71));
    assert_null(tms_spmm_plan_kernel(f.plan, 0));
    assert_int_equal(tms_spmm_plan_describe(f.plan, cut, sizeof cut), length);
    assert_int_equal(strlen(cut), sizeof cut - 1);
    assert_int_equal(tms_spmm_plan_describe(f.plan, NULL, 0), length);
    test_setup_free(&f);
}

static void plan_says_when_it_runs_a_reference(void **state) {
    tms_context *context = test_context(1, TMS_ISA_NONE);
    tms_spmm_problem problem = test_small_problem(TMS_FORMAT_NM);
    tms_spmm_plan *plan = NULL;
    tms_layout layout;
    char text[1024];

    (void)state;
    assert_ok(tms_spmm_layout_choose(context, &problem, 1, 70, 0, &layout));
    assert_ok(tms_spmm_plan_create(context, &problem, &layout, &plan));
    tms_spmm_plan_describe(plan, text, sizeof text);
    test_assert_contains(text, "spmm_nm_any_1x1_ref from plain 2:4 f32");
    test_assert_contains(text, "(reference: nothing faster fits)");
    tms_spmm_plan_destroy(plan);
    tms_spmm_plan_destroy(NULL);
    tms_context_destroy(context);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plan_run_computes_a_product_by_hand),
        cmocka_unit_test(plan_create_refuses_k_not_multiple_of_4),
        cmocka_unit_test(plan_create_refuses_gate_on_odd_n),
        cmocka_unit_test(plan_create_refuses_fields_out_of_range),
        cmocka_unit_test(layout_choose_refuses_ranges_of_tokens),
        cmocka_unit_test(plan_create_refuses_a_foreign_layout),
        cmocka_unit_test(plan_run_refuses_wrong_arguments),
        cmocka_unit_test(plan_run_refuses_an_image_of_another_layout),
        cmocka_unit_test(plan_run_of_no_tokens_touches_nothing),
        cmocka_unit_test(plan_run_allocates_nothing),
        cmocka_unit_test(many_threads_run_one_plan),
        cmocka_unit_test(running_out_of_memory_leaves_nothing),
        cmocka_unit_test(plan_describes_every_range),
        cmocka_unit_test(plan_says_when_it_runs_a_reference),
    };
    return cmocka_run_group_tests_name("plan", tests, NULL, NULL);
}
