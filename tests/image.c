/* Images: what they are refused for, and how matrices join in one. */
#include <stdlib.h>
#include <string.h>

#include "format/layout.h"
#include "support/matrices.h"
#include "support/setup.h"

static void image_build_refuses_what_does_not_join(void **state) {
    tms_context *context = test_context(1, 0);
    tms_spmm_problem problem = test_small_problem(TMS_FORMAT_DENSE);
    float values[40 * 64] = {0};
    tms_matrix parts[2] = {tms_matrix_dense(TMS_F32, 30, 64, values),
                           tms_matrix_dense(TMS_F32, 10, 64, values)};
    tms_image_desc good, desc;
    tms_layout layout;
    size_t bytes = 0;

    (void)state;
    assert_ok(tms_spmm_layout_choose(context, &problem, 1, 8, 0, &layout));
    good = test_image_desc(&layout, parts, 2);
    assert_ok(tms_image_bytes(context, &good, &bytes));
#define REFUSED(field, value, text)                                                                \
    desc = good;                                                                                   \
    desc.field = value;                                                                            \
    assert_fails(tms_image_bytes(context, &desc, &bytes), TMS_ERR_INVALID, text)
    REFUSED(count, 1, "desc->matrices have 30 rows together, but the layout's n is 40");
    REFUSED(layout.n, 35, "desc->matrices[0..1] have more rows than the layout's n, 35");
    REFUSED(layout.k, 65, "desc->matrices[0].k is 64, but the layout's k is 65");
    REFUSED(count, 0, "desc->count 0");
    REFUSED(matrices, NULL, "desc->matrices is NULL");
    REFUSED(join, (tms_join)7, "desc->join is 7");
    REFUSED(join, TMS_JOIN_INTERLEAVE, "have 30 and 10 rows, but interleaved ones");
    REFUSED(layout.parts[0].id, 999, "desc->layout.parts[0].id is 999");
#undef REFUSED
    parts[1].components[0].data = NULL;
    assert_fails(tms_image_bytes(context, &good, &bytes), TMS_ERR_INVALID, "desc->matrices[1]");
    tms_context_destroy(context);
}

static void image_build_refuses_bad_memory(void **state) {
    tms_context *context = test_context(1, 0);
    tms_spmm_problem problem = test_small_problem(TMS_FORMAT_DENSE);
    float values[40 * 64] = {0};
    tms_matrix matrix = tms_matrix_dense(TMS_F32, 40, 64, values);
    tms_image_desc desc;
    tms_layout layout;
    tms_image image;
    size_t bytes = 0;
    char *data;

    (void)state;
    assert_ok(tms_spmm_layout_choose(context, &problem, 1, 8, 0, &layout));
    desc = test_image_desc(&layout, &matrix, 1);
    assert_ok(tms_image_bytes(context, &desc, &bytes));
    data = test_aligned(bytes);
    assert_fails(tms_image_build(context, &desc, data + 4, bytes, &image), TMS_ERR_INVALID,
                 "but must be aligned to 64 bytes");
    assert_fails(tms_image_build(context, &desc, data, bytes - 1, &image), TMS_ERR_INVALID,
                 "but this image has");
    assert_fails(tms_image_build(context, &desc, NULL, bytes, &image), TMS_ERR_INVALID,
                 "data is NULL");
    free(data);
    tms_context_destroy(context);
}

static void image_build_refuses_to_narrow(void **state) {
    tms_context *context = test_context(1, 0);
    tms_spmm_problem problem = test_small_problem(TMS_FORMAT_DENSE);
    float values[40 * 64] = {0};
    tms_matrix matrix = tms_matrix_dense(TMS_F32, 40, 64, values);
    tms_image_desc desc;
    tms_layout layout;
    size_t bytes = 0;

    (void)state;
    problem.w_type = TMS_BF16;
    assert_ok(tms_spmm_layout_choose(context, &problem, 1, 8, 0, &layout));
    desc = test_image_desc(&layout, &matrix, 1);
    assert_fails(tms_image_bytes(context, &desc, &bytes), TMS_ERR_INVALID,
                 "desc->matrices[0] holds f32, but part 0 of the layout bf16");
    tms_context_destroy(context);
}

/* Sizes an image, builds it and throws it away. */
static tms_status try_image(tms_context *context, const tms_image_desc *desc) {
    size_t bytes = 0;
    void *data = NULL;
    tms_image image;
    tms_status status = tms_image_bytes(context, desc, &bytes);

    if (status == TMS_OK) {
        data = test_aligned(bytes);
        status = tms_image_build(context, desc, data, bytes, &image);
    }
    free(data);
    return status;
}

/* A third non-zero in a group of four, in a matrix that is stored dense: said where, whatever
 * layout the machine wants. */
static void image_build_refuses_a_weight_outside_the_pattern(void **state) {
    const uint32_t masks[] = {TMS_ISA_NONE, TMS_ISA_ALL};

    (void)state;
    for (size_t i = 0; i < TEST_COUNT(masks); i++) {
        tms_context *context = test_context(1, masks[i]);
        tms_spmm_problem problem = test_small_problem(TMS_FORMAT_NM);
        float values[40 * 64] = {0};
        tms_matrix matrix = tms_matrix_dense(TMS_F32, 40, 64, values);
        tms_image_desc desc;
        tms_layout layout;

        assert_ok(tms_spmm_layout_choose(context, &problem, 1, 8, 0, &layout));
        desc = test_image_desc(&layout, &matrix, 1);
        assert_ok(try_image(context, &desc));
        for (int k = 20; k < 23; k++)
            values[7 * 64 + k] = 1.0f;
        assert_fails(try_image(context, &desc), TMS_ERR_PATTERN, "row 7");
        tms_context_destroy(context);
    }
}

/* The halves of one weight, in formats of their own, joined again give the same y. */
static void check_join(tms_context *context, const tms_spmm_problem *problem, tms_join join,
                       tms_format first, tms_format second) {
    tms_spmm_problem half = *problem;
    tms_matrix parts[2];
    test_product product;
    test_output output;
    double *rows = calloc((size_t)(problem->n * problem->k), sizeof *rows);
    tms_spmm_plan *plan = NULL;
    tms_layout layout;
    tms_image_desc desc;
    tms_image image;
    tms_spmm_args args;
    char message[512];

    assert_non_null(rows);
    test_product_make(&product, context, problem, 9, TEST_INTEGER, test_seed());
    half.n = problem->n / 2;
    for (int i = 0; i < 2; i++) {
        for (int64_t n = 0; n < half.n; n++)
            memcpy(rows + n * problem->k,
                   product.w + (join == TMS_JOIN_STACK ? i * half.n + n : 2 * n + i) * problem->k,
                   (size_t)problem->k * sizeof *rows);
        half.format = i == 0 ? first : second;
        parts[i] = test_weight_encode(context, &half, rows);
    }
    assert_ok(tms_spmm_layout_choose(context, problem, 1, 9, 1, &layout));
    desc = test_image_desc(&layout, parts, 2);
    desc.join = join;
    image = test_image_build(context, &desc);
    assert_ok(tms_spmm_plan_create(context, problem, &layout, &plan));
    test_output_make(&output, &product, false);
    args = test_product_args(&product, &output, false);
    args.image = &image;
    args.work = test_aligned(tms_spmm_plan_work_bytes(plan));
    assert_ok(tms_spmm_plan_run(plan, &args, NULL));
    if (!test_output_matches(&product, &output, message))
        fail_msg("%s", message);
    free(args.work);
    free(image.data);
    free(rows);
    test_output_free(&output);
    test_product_free(&product);
    tms_spmm_plan_destroy(plan);
    for (int i = 0; i < 2; i++)
        test_weight_free(&parts[i]);
}

static void image_joins_matrices_of_any_formats(void **state) {
    const tms_format formats[] = {TMS_FORMAT_DENSE, TMS_FORMAT_NM, TMS_FORMAT_CSR, TMS_FORMAT_BSR};

    (void)state;
    for (int mask = 0; mask < 2; mask++) {
        tms_context *context = test_context(1, mask == 0 ? TMS_ISA_NONE : 0);
        for (size_t target = 0; target < TEST_COUNT(formats); target++)
            for (size_t i = 0; i < TEST_COUNT(formats); i++) {
                tms_spmm_problem problem = test_small_problem(formats[target]);
                bool is_nm = formats[target] == TMS_FORMAT_NM;
                tms_format source =
                    is_nm || formats[i] != TMS_FORMAT_NM ? formats[i] : TMS_FORMAT_CSR;
                check_join(context, &problem, TMS_JOIN_STACK, formats[target], source);
                check_join(context, &problem, TMS_JOIN_INTERLEAVE, source, formats[target]);
            }
        tms_context_destroy(context);
    }
}

/* bf16 weights in an f32 image: widened exactly. */
static void image_widens_exactly(void **state) {
    tms_spmm_problem problem = test_small_problem(TMS_FORMAT_CSR);
    test_setup f;
    tms_image_desc desc;
    tms_image image;
    char message[512];

    (void)state;
    problem.w_type = TMS_BF16;
    test_setup_make(&f, &problem, 1);
    tms_spmm_plan_destroy(f.plan);
    problem.w_type = TMS_F32;
    assert_ok(tms_spmm_layout_choose(f.context, &problem, 1, 70, 0, &f.layout));
    assert_ok(tms_spmm_plan_create(f.context, &problem, &f.layout, &f.plan));
    desc = test_image_desc(&f.layout, &f.product.weight, 1);
    image = test_image_build(f.context, &desc);
    f.args.image = &image;
    free(f.args.work);
    f.args.work = test_aligned(tms_spmm_plan_work_bytes(f.plan));
    assert_ok(tms_spmm_plan_run(f.plan, &f.args, NULL));
    if (!test_output_matches(&f.product, &f.output, message))
        fail_msg("%s", message);
    free(image.data);
    test_setup_free(&f);
}

/* Plain parts: the pattern's, and dense beside it. */
static tms_layout plain_layout(int64_t n, int64_t k, const tms_pattern *pattern) {
    tms_layout layout = {.struct_size = sizeof layout, .n = n, .k = k, .part_count = 2};

    for (int i = 0; i < 2; i++)
        layout.parts[i] =
            (tms_part){TMSI_LAYOUT_PLAIN, 1, TMS_FORMAT_DENSE, TMS_F32, 0, 0, 0, 0, {0}};
    layout.parts[0].format = TMS_FORMAT_NM;
    layout.parts[0].keep = pattern->keep;
    layout.parts[0].group = pattern->group;
    return layout;
}

static void check_selection(tms_context *context, const tms_layout *layout,
                            tms_select_desc *select) {
    static uint8_t mask[40 * 135];
    tms_image_desc desc = test_image_desc(layout, &select->weights, 1);
    tms_image selected, masked;

    desc.intake = TMS_INTAKE_SELECT;
    selected = test_image_build(context, &desc);
    assert_ok(tms_mask_select(context, select, mask));
    assert_ok(tms_mask_apply(context, mask, &select->weights));
    desc.intake = TMS_INTAKE_CHECK;
    masked = test_image_build(context, &desc);
    assert_int_equal(selected.bytes, masked.bytes);
    assert_memory_equal(selected.data, masked.data, masked.bytes);
    free(selected.data);
    free(masked.data);
}

/* Whatever the layout, selecting is masking first, of every part. */
static void image_build_selects_in_every_layout(void **state) {
    static const char *const patterns[] = {"2:4", "3:5", "2:4"};
    static float values[40 * 1080];
    tms_context *context = test_context(1, 0);
    test_random random;

    (void)state;
    test_random_seed(&random, test_seed());
    for (int i = 0; i < 3; i++) {
        tms_spmm_problem problem = test_small_problem(TMS_FORMAT_NM);
        tms_select_desc select = tms_select_desc_default();
        tms_layout layout;

        assert_ok(tms_pattern_parse(patterns[i], &select.pattern));
        for (size_t e = 0; e < TEST_COUNT(values); e++)
            values[e] = (float)test_random_int(&random, -3, 3);
        select.weights = tms_matrix_dense(TMS_F32, 40, 1080, values);
        problem.k = 1080;
        layout = plain_layout(40, 1080, &select.pattern);
        if (i == 2) /* what kernels of this CPU read */
            assert_ok(tms_spmm_layout_choose(context, &problem, 1, 64, 1, &layout));
        check_selection(context, &layout, &select);
    }
    tms_context_destroy(context);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(image_build_refuses_what_does_not_join),
        cmocka_unit_test(image_build_refuses_bad_memory),
        cmocka_unit_test(image_build_refuses_to_narrow),
        cmocka_unit_test(image_build_refuses_a_weight_outside_the_pattern),
        cmocka_unit_test(image_joins_matrices_of_any_formats),
        cmocka_unit_test(image_widens_exactly),
        cmocka_unit_test(image_build_selects_in_every_layout),
    };
    return cmocka_run_group_tests_name("image", tests, NULL, NULL);
}
