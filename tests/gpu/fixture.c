#include "gpu/fixture.h"

#include "gpu/tests.h"
#include "spmm/problem.h"

bool gpu_fixture_make(gpu_fixture *out, tms_context *context, const tms_spmm_problem *problem,
                      int32_t keep_dense) {
    const tms_dtype type = problem->x_type;
    const int64_t n = problem->n, k = problem->k, t = problem->t_max;
    tms_status status;

    out->problem = *problem;
    status = tms_spmm_layout_choose(context, &out->problem, 1, t, keep_dense, &out->layout);
    if (status == TMS_ERR_UNSUPPORTED)
        return false;
    assert_ok(status);
    assert_ok(tms_spmm_plan_create(context, &out->problem, &out->layout, &out->plan));
    out->ground = gpu_ground_make(type, n, k, t, TEST_RANDOM, -1, test_seed());
    out->image = gpu_ground_image(out->ground, context, &out->layout);
    return true;
}

bool gpu_fixture_plain(gpu_fixture *out, tms_context *context, tms_dtype type, int64_t n, int64_t k,
                       int64_t t, uint32_t epilogue) {
    tms_spmm_problem problem = tmsi_spmm_problem_24(type, n, k, t);

    problem.epilogue = epilogue;
    return gpu_fixture_make(out, context, &problem, 0);
}

void gpu_fixture_free(gpu_fixture *self) {
    tms_spmm_plan_destroy(self->plan);
    gpu_ground_free(self->ground);
}

void gpu_fixture_product(gpu_product *out, gpu_room *room, const gpu_fixture *made, int64_t t) {
    gpu_product_make(out, room, made->ground, &made->problem, t, GPU_ROWS_ALIGNED, false, 0);
    gpu_product_bind(out, made->plan, made->image);
}

void gpu_expect_right(const gpu_product *product) {
    char message[512];

    if (!gpu_product_is_right(product, message))
        fail_msg("%s: %s", product->kernel, message);
    gpu_case_count++;
}

tms_context *gpu_context_of(int32_t index) {
    tms_context_desc desc = tms_context_desc_default();
    tms_context *context = NULL;

    desc.device = TMS_DEVICE_CUDA;
    desc.device_index = index;
    assert_ok(tms_context_create(&desc, &context));
    return context;
}
