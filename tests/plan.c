/* Layouts, images, plans and runs: what they refuse, and what they promise beyond right numbers
 * (those are in tests/spmm.c). */
#include <stdlib.h>
#include <string.h>

#include "support/support.h"

static void plan_run_computes_a_product_by_hand(void **state) {
    tms_context *context = test_context(1, 0);
    float w[2 * 3] = {1, 2, 3, 4, 5, 6}, x[3] = {1, 10, 100}, y[2];
    tms_matrix matrix = tms_matrix_dense(TMS_F32, 2, 3, w);
    tms_spmm_problem problem = tms_spmm_problem_default();
    tms_image_desc desc = tms_image_desc_default();
    tms_spmm_args args = tms_spmm_args_default();
    tms_image image;
    tms_spmm_plan *plan = NULL;
    size_t bytes = 0;
    void *data;
    char text[512];

    (void)state;
    problem.n = 2, problem.k = 3;
    desc.matrices = &matrix, desc.count = 1;
    assert_ok(tms_spmm_layout_choose(context, &problem, 1, 1, 0, &desc.layout));
    assert_ok(tms_image_bytes(context, &desc, &bytes));
    data = aligned_alloc(64, bytes);
    assert_ok(tms_image_build(context, &desc, data, bytes, &image));
    assert_ok(tms_spmm_plan_create(context, &problem, &desc.layout, &plan));
    args.t = 1, args.image = &image, args.x = x, args.y = y;
    args.work = aligned_alloc(64, (tms_spmm_plan_work_bytes(plan) / 64 + 1) * 64);
    assert_ok(tms_spmm_plan_run(plan, &args, NULL));
    tms_spmm_plan_describe(plan, text, sizeof text);
    print_message("%s", text);
    assert_true(y[0] == 321.0f && y[1] == 654.0f);
    tms_spmm_plan_destroy(plan);
    free(args.work);
    free(data);
    tms_context_destroy(context);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(plan_run_computes_a_product_by_hand)};
    return cmocka_run_group_tests_name("plan", tests, NULL, NULL);
}
