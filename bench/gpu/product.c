#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/dtype.h"
#include "bench.h"
#include "fill.h"
#include "spmm/problem.h"

tms_spmm_problem bench_problem(const bench_product *p, tms_dtype y_type, uint32_t epilogue,
                               tms_activation activation) {
    tms_spmm_problem problem = tmsi_spmm_problem_24(p->type, p->n, p->k, p->t);

    problem.y_type = y_type;
    problem.epilogue = epilogue;
    problem.activation = activation;
    return problem;
}

static bool has_24(const tms_layout *layout) {
    for (int32_t i = 0; i < layout->part_count; i++)
        if (layout->parts[i].format == TMS_FORMAT_NM)
            return true;
    return false;
}

tms_image bench_image_build(bench *self, const tms_spmm_problem *problem, const void *w_24,
                            bool keep_dense) {
    const tms_matrix matrix = tms_matrix_dense(problem->w_type, problem->n, problem->k, w_24);
    tms_image_desc desc = tms_image_desc_default();
    const tms_image none = {0};
    tms_image image;
    size_t bytes = 0;
    void *data;

    desc.matrices = &matrix;
    desc.count = 1;
    desc.intake = TMS_INTAKE_SELECT;
    desc.nan = TMS_NAN_KEEP;
    desc.device = TMS_DEVICE_CUDA;
    desc.stream = self->product.stream;
    bench_check_tamis(tms_spmm_layout_choose(self->context, problem, 1, problem->t_max, keep_dense,
                                             &desc.layout));
    if (!has_24(&desc.layout))
        return none; /* no kernel of ours serves it: rivals alone are measured */
    bench_check_tamis(tms_image_bytes(self->context, &desc, &bytes));
    data = bench_alloc(bytes);
    bench_check_tamis(tms_image_build(self->context, &desc, data, bytes, &image));
    bench_check(cudaStreamSynchronize(self->product.stream));
    return image;
}

void bench_product_open(bench *self, tms_dtype type, int64_t t, int64_t k, int64_t n) {
    bench_product *p = &self->product;
    const size_t element = tmsi_dtype_bytes(type);
    const tms_dtype y_type = type == TMS_F16 ? TMS_F16 : TMS_BF16;
    void *w = bench_alloc((size_t)(n * k) * element), *x, *bias, *residual;
    void *w_24 = bench_alloc((size_t)(n * k) * element);
    tms_spmm_problem problem;

    p->t = t, p->k = k, p->n = n;
    p->type = type;
    p->fused = BENCH_PLAIN;
    x = bench_alloc((size_t)((t + 15) * k) * element);
    bias = bench_alloc((size_t)n * 4);
    residual = bench_alloc((size_t)(t * n) * 4);
    bench_fill(w, type, n * k, 0, 1, p->stream);
    bench_fill(w_24, type, n * k, 1, 1, p->stream);
    bench_fill(x, type, t * k, 0, 1000003, p->stream);
    bench_fill(bias, y_type, n, 0, 7, p->stream);
    bench_fill(residual, y_type, t * n, 0, 11, p->stream);
    p->w = w, p->w_24 = w_24, p->x = x, p->bias = bias, p->residual = residual;
    p->y = bench_alloc((size_t)((t + 15) * n) * 4);
    self->bias_f32 = bench_alloc((size_t)n * sizeof(float));
    self->scale_n = bench_alloc((size_t)(n > t ? n : t) * sizeof(float));
    bench_fill_f32(self->bias_f32, n, 7, p->stream);
    bench_fill_f32(self->scale_n, n, 13, p->stream);
    bench_check(cudaDeviceSynchronize());
    problem = bench_problem(p, y_type, 0, TMS_ACT_NONE);
    self->image = bench_image_build(self, &problem, w_24, false);
    self->dense_image.data = NULL;
}

void bench_product_close(bench *self) {
    const bench_product *p = &self->product;
    const void *const memory[] = {p->w,
                                  p->w_24,
                                  p->x,
                                  p->y,
                                  p->bias,
                                  p->residual,
                                  self->bias_f32,
                                  self->scale_n,
                                  self->image.data,
                                  self->dense_image.data};

    bench_candidates_close(self);
    for (size_t i = 0; i < sizeof memory / sizeof memory[0]; i++)
        bench_check(cudaFree((void *)(uintptr_t)memory[i]));
}

bench_candidate *bench_add(bench *self, const char *who, const char *epilogue, tms_dtype y_type) {
    bench_candidate *added = &self->candidates[self->count++];

    memset(added, 0, sizeof *added);
    added->who = who;
    added->epilogue = epilogue;
    added->type = self->product.type;
    added->y_type = y_type;
    return added;
}

void bench_add_rivals(bench *self) {
    bench_rival *dense = bench_cublaslt_open(&self->product);
    bench_rival *sparse = bench_cusparselt_open(&self->product);

    if (dense != NULL)
        bench_add(self, "cublaslt", "none", bench_rival_y_type(dense))->rival = dense;
    if (sparse != NULL)
        bench_add(self, "cusparselt", "none", bench_rival_y_type(sparse))->rival = sparse;
}

void *bench_work_of(bench *self, const tms_spmm_plan *plan) {
    const size_t bytes = tms_spmm_plan_work_bytes(plan);

    if (bytes > self->args_work_bytes) {
        /* What runs already hold stays theirs until the program ends. */
        self->args_work = bench_alloc(bytes);
        self->args_work_bytes = bytes;
    }
    return bytes > 0 ? self->args_work : NULL;
}

/* A kernel that wants another image than this one's gets no plan. */
static bool make_plan(bench *self, bench_candidate *added, const tms_spmm_problem *problem,
                      const tmsi_spmm_kernel *kernel, const tms_image *image) {
    if (kernel != NULL) {
        bench_check_tamis(tmsi_spmm_plan_force(self->context, problem, kernel, &added->plan));
        if (tmsi_layout_equal(&added->plan->layout, &image->layout))
            return true;
        tms_spmm_plan_destroy(added->plan);
        return false;
    }
    if (tms_spmm_plan_create(self->context, problem, &image->layout, &added->plan) == TMS_OK)
        return true;
    fprintf(stderr, "bench_gpu: %s: %s\n", added->epilogue, tms_error_text());
    return false;
}

static bench_candidate *add_ours(bench *self, const char *who, const char *epilogue,
                                 const tms_spmm_problem *problem, const tmsi_spmm_kernel *kernel,
                                 const tms_image *image) {
    bench_candidate *added = bench_add(self, who, epilogue, problem->y_type);
    const bench_product *p = &self->product;

    if (image->data == NULL || !make_plan(self, added, problem, kernel, image)) {
        self->count--;
        return NULL;
    }
    added->kernel = tms_spmm_plan_kernel(added->plan, p->t);
    added->args = tms_spmm_args_default();
    added->args.t = p->t;
    added->args.image = image;
    added->args.x = p->x;
    added->args.y = p->y;
    added->args.bias = self->bias_f32;
    added->args.residual = p->residual;
    if (problem->y_type == TMS_I8 || problem->y_type == TMS_E4M3)
        added->args.scale_y = 1.0f;
    added->args.work = bench_work_of(self, added->plan);
    return added;
}

bench_candidate *bench_add_ours(bench *self, const char *epilogue, const tms_spmm_problem *problem,
                                const tmsi_spmm_kernel *kernel) {
    return add_ours(self, "tamis", epilogue, problem, kernel, &self->image);
}

void bench_add_dense_kept(bench *self, const tms_spmm_problem *problem) {
    self->dense_image = bench_image_build(self, problem, self->product.w_24, true);
    add_ours(self, "tamis dense kept", "none", problem, NULL, &self->dense_image);
}
