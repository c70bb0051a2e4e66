#include "measure/product.h"

#include <string.h>

#include "base/memory.h"
#include "spmm/problem.h"

/* Where the system does not say how large its last cache is. */
static const int64_t l3_bytes_guess = 32 << 20;

tmsi_product_copies tmsi_copies_plan(const tms_context *context, size_t bytes, bool is_cold) {
    int64_t l3_bytes = context->hardware.l3_bytes > 0 ? context->hardware.l3_bytes : l3_bytes_guess;
    tmsi_product_copies copies = {1, 0, tmsi_round_up(bytes, TMSI_ALIGNMENT)};

    if (is_cold && bytes > 0)
        copies.count = tmsi_div_up(4 * l3_bytes, (int64_t)copies.stride) + 1;
    return copies;
}

static tms_status build_image(tmsi_product *product, const tms_matrix *matrix, bool is_cold) {
    tms_context *context = product->context;
    tms_image_desc desc = tms_image_desc_default();
    tms_status status;
    size_t bytes;

    desc.matrices = matrix;
    desc.count = 1;
    desc.layout = product->plan->layout;
    TMS_TRY(tmsi_image_bytes(context, &desc, &bytes));
    product->copies = tmsi_copies_plan(context, bytes, is_cold);
    TMS_TRY(
        tmsi_alloc(context, (size_t)product->copies.count, product->copies.stride, &product->data));
    TMS_TRY(tmsi_image_build(context, &desc, product->data, bytes, &product->image));
    for (int64_t i = 1; i < product->copies.count; i++)
        memcpy(product->data + (size_t)i * product->copies.stride, product->data, bytes);
done:
    return status;
}

tms_spmm_problem tmsi_product_problem(const tms_matrix *matrix) {
    tms_spmm_problem problem = tms_spmm_problem_default();
    double elements = (double)matrix->n * (double)matrix->k;

    problem.n = matrix->n;
    problem.k = matrix->k;
    problem.format = matrix->format;
    problem.density = elements > 0.0 ? (double)matrix->nnz / elements : 0.0;
    if (problem.density > 1.0) /* blocks reach over the edge */
        problem.density = 1.0;
    problem.keep = matrix->keep;
    problem.group = matrix->group;
    problem.block_rows = matrix->block_rows;
    problem.block_columns = matrix->block_columns;
    return problem;
}

/* What is left to do when the plan is there. */
static tms_status finish(tmsi_product *product, const tms_matrix *matrix, const float *x, float *y,
                         bool is_cold) {
    tms_status status;

    TMS_TRY(build_image(product, matrix, is_cold));
    TMS_TRY(tmsi_alloc(product->context, product->plan->work_bytes, 1, &product->work));
    product->args = tms_spmm_args_default();
    product->args.t = product->plan->problem.t_max;
    product->args.image = &product->image;
    product->args.x = x;
    product->args.ldx = matrix->k;
    product->args.y = y;
    product->args.ldy = matrix->n;
    product->args.scale_y = 1.0f;
    product->args.work = product->work;
done:
    return status;
}

tms_status tmsi_product_create(tms_context *context, const tms_matrix *matrix,
                               const tms_spmm_problem *given, const float *x, float *y,
                               bool is_cold, tmsi_product *out) {
    tms_spmm_problem problem = *given;
    const tmsi_machine machine = tmsi_spmm_machine(context, &problem);
    int64_t t = problem.t_max;
    tms_layout layout;
    tms_status status;

    out->context = context;
    TMS_TRY(tmsi_spmm_problem_check(&problem));
    TMS_TRY(tmsi_spmm_layout_choose(&problem, &machine, t, t, false, &layout));
    TMS_TRY(tmsi_spmm_plan_create(context, &problem, &layout, &out->plan));
    TMS_TRY(finish(out, matrix, x, y, is_cold));
done:
    return status;
}

tms_status tmsi_product_force(tms_context *context, const tms_matrix *matrix,
                              const tms_spmm_problem *problem, const tmsi_spmm_kernel *kernel,
                              const float *x, float *y, tmsi_product *out) {
    tms_status status;

    out->context = context;
    TMS_TRY(tmsi_spmm_plan_force(context, problem, kernel, &out->plan));
    TMS_TRY(finish(out, matrix, x, y, false));
done:
    return status;
}

void tmsi_product_destroy(tmsi_product *product) {
    if (product->context == NULL)
        return;
    tmsi_spmm_plan_destroy(product->plan);
    tmsi_free(product->context, product->data);
    tmsi_free(product->context, product->work);
}

tms_status tmsi_product_run(void *self) {
    tmsi_product *product = self;
    tmsi_product_copies *copies = &product->copies;

    product->image.data = product->data + (size_t)copies->next * copies->stride;
    copies->next = copies->next + 1 < copies->count ? copies->next + 1 : 0;
    tmsi_spmm_plan_run(product->plan, &product->args);
    return TMS_OK;
}

const char *tmsi_product_kernel(const tmsi_product *product) {
    return tmsi_spmm_plan_choice(product->plan, product->args.t)->kernel->name;
}
