#include "support/setup.h"

#include <stdlib.h>

tms_spmm_problem test_small_problem(tms_format format) {
    tms_spmm_problem problem = tms_spmm_problem_default();

    problem.n = 40;
    problem.k = 64;
    problem.t_max = 70;
    problem.format = format;
    problem.keep = 2, problem.group = 4;
    problem.block_rows = problem.block_columns = 16;
    problem.density = 0.4;
    return problem;
}

void *test_aligned(size_t bytes) {
    void *memory = aligned_alloc(64, (bytes + 63) / 64 * 64 + 64);
    assert_non_null(memory);
    return memory;
}

tms_image_desc test_image_desc(const tms_layout *layout, const tms_matrix *matrices,
                               int32_t count) {
    tms_image_desc desc = tms_image_desc_default();

    desc.layout = *layout;
    desc.matrices = matrices;
    desc.count = count;
    return desc;
}

tms_image test_image_build(tms_context *context, const tms_image_desc *desc) {
    tms_image image;
    size_t bytes = 0;
    void *data;

    assert_ok(tms_image_bytes(context, desc, &bytes));
    data = test_aligned(bytes);
    assert_ok(tms_image_build(context, desc, data, bytes, &image));
    return image;
}

tms_image test_image_of(tms_context *context, const tms_layout *layout, const tms_matrix *weight) {
    tms_image_desc desc = test_image_desc(layout, weight, 1);

    return test_image_build(context, &desc);
}

void test_setup_make(test_setup *f, const tms_spmm_problem *problem, int32_t threads) {
    tms_context_desc desc = tms_context_desc_default();
    tms_image_desc image;

    test_allocator_init(&f->allocator);
    desc.allocator = &f->allocator.allocator;
    desc.threads = threads;
    assert_ok(tms_context_create(&desc, &f->context));
    test_product_make(&f->product, f->context, problem, 33, TEST_RANDOM, test_seed());
    test_output_make(&f->output, &f->product, false);
    assert_ok(tms_spmm_layout_choose(f->context, problem, 1, problem->t_max, 0, &f->layout));
    image = test_image_desc(&f->layout, &f->product.weight, 1);
    f->image = test_image_build(f->context, &image);
    assert_ok(tms_spmm_plan_create(f->context, problem, &f->layout, &f->plan));
    f->args = test_product_args(&f->product, &f->output, false);
    f->args.image = &f->image;
    f->args.work = test_aligned(tms_spmm_plan_work_bytes(f->plan));
}

void test_setup_free(test_setup *f) {
    free(f->args.work);
    tms_spmm_plan_destroy(f->plan);
    free(f->image.data);
    test_output_free(&f->output);
    test_product_free(&f->product);
    tms_context_destroy(f->context);
    assert_int_equal(f->allocator.live, 0);
}
