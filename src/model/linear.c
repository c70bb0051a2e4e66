#include "model/linear.h"

#include <string.h>

#include "base/context.h"
#include "base/memory.h"
#include "spmm/problem.h"

/* From this many tokens on a layer must run well: a single short text. */
enum { T_MIN = 8 };

static tms_spmm_problem describe_problem(const tmsi_linear_desc *desc, const tmsi_linear *self) {
    tms_spmm_problem problem = tms_spmm_problem_default();
    double stored = 0.0;

    if (!desc->dense_kernels) {
        problem = tmsi_weight_problem(&desc->weights[0]);
        for (int32_t i = 0; i < desc->count; i++)
            stored += desc->weights[i].density * (double)desc->weights[i].matrix.n;
        problem.density = stored / (double)self->n;
    }
    problem.n = self->n;
    problem.k = self->k;
    problem.t_max = desc->t_max;
    problem.epilogue = (desc->biases != NULL ? TMS_EPILOGUE_BIAS : 0u) |
                       (desc->has_residual ? TMS_EPILOGUE_RESIDUAL : 0u);
    problem.activation = desc->activation;
    return problem;
}

static tms_status build_image(tms_context *context, const tms_matrix *matrices, int32_t count,
                              const tms_layout *layout, tms_image *out) {
    tms_image_desc desc = tms_image_desc_default();
    tms_status status = TMS_OK;
    void *data = NULL;
    size_t bytes;

    desc.matrices = matrices;
    desc.count = count;
    desc.layout = *layout;
    TMS_TRY(tmsi_image_bytes(context, &desc, &bytes));
    TMS_TRY(tmsi_alloc(context, bytes, 1, &data));
    TMS_TRY(tmsi_image_build(context, &desc, data, bytes, out));
    data = NULL;
done:
    tmsi_free(context, data);
    return status;
}

tms_status tmsi_linear_create(tms_context *context, const tmsi_linear_desc *desc,
                              tmsi_linear *out) {
    tms_status status = TMS_OK;
    tmsi_linear self = {.name = desc->weights[0].name, .k = desc->weights[0].matrix.k};
    tms_matrix matrices[TMSI_LINEAR_WEIGHTS_MAX];
    tms_spmm_problem problem;
    tmsi_machine machine;
    tms_layout layout;

    for (int32_t i = 0; i < desc->count; i++) {
        matrices[i] = desc->weights[i].matrix;
        self.n += matrices[i].n;
        self.zeros += desc->weights[i].zeros;
    }
    if (desc->biases != NULL)
        TMS_TRY(tmsi_alloc(context, (size_t)self.n, sizeof *self.bias, &self.bias));
    for (int64_t i = 0, row = 0; self.bias != NULL && i < desc->count; row += matrices[i++].n)
        memcpy(self.bias + row, desc->biases[i], (size_t)matrices[i].n * sizeof *self.bias);
    problem = describe_problem(desc, &self);
    TMS_TRY(tmsi_spmm_problem_check(&problem));
    machine = tmsi_spmm_machine(context, &problem);
    TMS_TRY(tmsi_spmm_layout_choose(&problem, &machine, tmsi_min(T_MIN, desc->t_max), desc->t_max,
                                    desc->keep_dense, &layout));
    TMS_TRY(tmsi_spmm_plan_create(context, &problem, &layout, &self.plan));
    TMS_TRY(build_image(context, matrices, desc->count, &layout, &self.image));
    *out = self;
    self = (tmsi_linear){0};
done:
    tmsi_linear_free(context, &self);
    return status;
}

tms_status tmsi_linear_create_plain(tms_context *context, const float *weights, int64_t n,
                                    int64_t k, int64_t t_max, tmsi_linear *out) {
    tmsi_weight weight = {.name = "", .matrix = tms_matrix_dense(TMS_F32, n, k, weights)};
    tmsi_linear_desc desc = {.weights = &weight, .count = 1, .dense_kernels = true, .t_max = t_max};

    return tmsi_linear_create(context, &desc, out);
}

void tmsi_linear_free(tms_context *context, tmsi_linear *linear) {
    tmsi_spmm_plan_destroy(linear->plan);
    tmsi_free(context, linear->image.data);
    tmsi_free(context, linear->bias);
}

tms_status tmsi_linear_replace(tms_context *context, tmsi_linear *linear, const float *weights) {
    tms_matrix matrix = tms_matrix_dense(TMS_F32, linear->n, linear->k, weights);
    tms_image image;
    tms_status status = build_image(context, &matrix, 1, &linear->plan->layout, &image);

    if (status != TMS_OK)
        return status;
    tmsi_free(context, linear->image.data);
    linear->image = image;
    return TMS_OK;
}

void tmsi_linear_run(const tmsi_linear *linear, const float *x, int64_t t, float *y, int64_t ldy,
                     void *work) {
    bool has_residual = tmsi_spmm_has(&linear->plan->problem, TMS_EPILOGUE_RESIDUAL);
    tms_spmm_args args = tms_spmm_args_default();

    args.t = t;
    args.image = &linear->image;
    args.x = x;
    args.ldx = linear->k;
    args.y = y;
    args.ldy = ldy;
    args.bias = linear->bias;
    args.residual = has_residual ? y : NULL;
    args.ldr = has_residual ? ldy : 0;
    args.scale_y = 1.0f;
    args.work = work;
    tmsi_spmm_plan_run(linear->plan, &args);
}
