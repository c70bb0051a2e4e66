#include "measure/gpu_case.h"

#include "base/memory.h"
#include "format/format.h"
#include "format/layout/plain.h"
#include "spmm/problem.h"

/* The part as an image of its own. */
static tms_image image_of(const tmsi_gpu_case *self, const tms_part *part, void *data,
                          size_t bytes) {
    tms_image image = {0};

    image.struct_size = sizeof image;
    image.layout.struct_size = sizeof image.layout;
    image.layout.n = self->problem.n;
    image.layout.k = self->problem.k;
    image.layout.part_count = 1;
    image.layout.parts[0] = *part;
    image.data = data;
    image.bytes = image.part_bytes[0] = bytes;
    return image;
}

/* 2:4 from the dense values, on the GPU: the two largest of each four stay. */
static tms_status build_sparse(tmsi_gpu_case *self) {
    const tms_spmm_problem *p = &self->problem;
    const tms_matrix dense =
        tms_matrix_dense(p->w_type, p->n, p->k, (char *)self->dense + sizeof(tmsi_plain_header));
    tms_image_desc desc = tms_image_desc_default();
    tms_part part = {0};
    tms_image image;
    size_t bytes = 0;
    tms_status status;

    part.id = TMSI_LAYOUT_NM24_MMA;
    part.version = tmsi_layouts[part.id].version;
    part.format = TMS_FORMAT_NM;
    part.dtype = (int32_t)p->w_type;
    part.keep = 2;
    part.group = 4;
    desc.matrices = &dense;
    desc.count = 1;
    desc.layout = image_of(self, &part, NULL, 0).layout;
    desc.intake = TMS_INTAKE_SELECT;
    desc.nan = TMS_NAN_KEEP;
    desc.device = TMS_DEVICE_CUDA;
    TMS_TRY(tmsi_image_bytes(self->context, &desc, &bytes));
    TMS_TRY(tmsi_gpu_alloc(self->context, bytes, &self->sparse));
    self->sparse_bytes = bytes;
    TMS_TRY(tmsi_image_build(self->context, &desc, self->sparse, bytes, &image));
done:
    return status;
}

tms_status tmsi_gpu_case_open(tms_context *context, tmsi_gpu_clock *clock,
                              const tms_spmm_problem *problem, tmsi_gpu_case *out) {
    const tms_spmm_problem *p = problem;
    const size_t x_bytes = (size_t)(p->t_max * p->k) * tmsi_dtype_bytes(p->x_type);
    const size_t w_bytes = (size_t)(p->n * p->k) * tmsi_dtype_bytes(p->w_type);
    const size_t y_bytes = (size_t)(p->t_max * p->n) * tmsi_dtype_bytes(p->y_type);
    const int64_t longest = tmsi_max(p->t_max, p->n);
    void *vector = NULL;
    tms_status status;

    out->context = context;
    out->clock = clock;
    out->problem = *p;
    TMS_TRY(tmsi_gpu_alloc(context, x_bytes, &out->x));
    TMS_TRY(tmsi_gpu_noise(context, out->x, p->x_type, p->t_max * p->k, 1));
    TMS_TRY(tmsi_gpu_alloc(context, y_bytes, &out->y));
    if (tmsi_spmm_has(p, TMS_EPILOGUE_RESIDUAL)) {
        TMS_TRY(tmsi_gpu_alloc(context, y_bytes, &out->residual));
        TMS_TRY(tmsi_gpu_noise(context, out->residual, p->y_type, p->t_max * p->n, 3));
    }
    TMS_TRY(tmsi_gpu_alloc(context, (size_t)longest * sizeof(float), &vector));
    out->vector = vector;
    TMS_TRY(tmsi_gpu_noise(context, vector, TMS_F32, longest, 4));
    out->dense_bytes = sizeof(tmsi_plain_header) + w_bytes;
    TMS_TRY(tmsi_gpu_alloc(context, out->dense_bytes, &out->dense));
    TMS_TRY(tmsi_gpu_noise(context, (char *)out->dense + sizeof(tmsi_plain_header), p->w_type,
                           p->n * p->k, 2));
    if (p->format == TMS_FORMAT_NM)
        TMS_TRY(build_sparse(out));
done:
    return status;
}

void tmsi_gpu_case_close(tmsi_gpu_case *self) {
    void *const memory[] = {self->x,     self->y,      self->residual, self->vector,
                            self->dense, self->sparse, self->work};

    for (size_t i = 0; self->context != NULL && i < sizeof memory / sizeof memory[0]; i++)
        tmsi_gpu_free(self->context, memory[i]);
}

/* The part's bytes, or NULL. */
static void *find_data(const tmsi_gpu_case *self, const tmsi_spmm_kernel *kernel) {
    if (kernel->layout == TMSI_LAYOUT_PLAIN && kernel->format == TMS_FORMAT_DENSE)
        return self->dense;
    return kernel->layout == TMSI_LAYOUT_NM24_MMA ? self->sparse : NULL;
}

bool tmsi_gpu_case_serves(const tmsi_gpu_case *self, const tmsi_spmm_kernel *kernel) {
    return (kernel->needs & ~self->context->gpu.isa) == 0 && kernel->fits(&self->problem) &&
           find_data(self, kernel) != NULL;
}

size_t tmsi_gpu_case_bytes(const tmsi_gpu_case *self, const tmsi_spmm_kernel *kernel) {
    return kernel->format == TMS_FORMAT_DENSE ? self->dense_bytes : self->sparse_bytes;
}

static tms_status make_work(tmsi_gpu_case *self, size_t bytes) {
    tms_status status = TMS_OK;

    if (bytes <= self->work_bytes)
        return TMS_OK;
    tmsi_gpu_free(self->context, self->work);
    self->work = NULL;
    self->work_bytes = 0;
    TMS_TRY(tmsi_gpu_alloc(self->context, bytes, &self->work));
    self->work_bytes = bytes;
done:
    return status;
}

/* A plan's call. */
typedef struct call {
    const tms_spmm_plan *plan;
    tms_spmm_args args;
} call;

static tms_status enqueue(void *arg, tms_stream stream) {
    const call *self = arg;

    return tmsi_spmm_plan_launch(self->plan, &self->args, stream);
}

/* Complete arguments, as tms_spmm_plan_run makes them. */
static tms_spmm_args args_of(const tmsi_gpu_case *self, const tms_image *image, int64_t t) {
    const tms_spmm_problem *p = &self->problem;
    const int64_t columns = tmsi_spmm_columns(p);
    tms_spmm_args args = tms_spmm_args_default();

    args.t = t;
    args.image = image;
    args.x = self->x;
    args.ldx = p->k;
    args.y = self->y;
    args.ldy = args.ldr = p->y_order == TMS_ORDER_NT ? t : columns;
    args.scale_n = tmsi_spmm_has(p, TMS_EPILOGUE_SCALE_N) ? self->vector : NULL;
    args.scale_t = tmsi_spmm_has(p, TMS_EPILOGUE_SCALE_T) ? self->vector : NULL;
    args.bias = tmsi_spmm_has(p, TMS_EPILOGUE_BIAS) ? self->vector : NULL;
    args.residual = self->residual;
    args.scale_y = 1.0f;
    args.work = self->work;
    return args;
}

tms_status tmsi_gpu_case_time(tmsi_gpu_case *self, const tmsi_spmm_kernel *kernel, int64_t t,
                              double warm_us, double timed_us, double *out_us) {
    tms_spmm_problem problem = self->problem;
    tms_spmm_plan *plan = NULL;
    tmsi_gpu_work work = {enqueue, NULL};
    tms_image image;
    call one;
    tms_status status;

    problem.t_max = t;
    TMS_TRY(tmsi_spmm_plan_force(self->context, &problem, kernel, &plan));
    TMS_TRY(make_work(self, plan->work_bytes));
    image = image_of(self, &plan->layout.parts[0], find_data(self, kernel), 0);
    one.plan = plan;
    one.args = args_of(self, &image, t);
    work.self = &one;
    TMS_TRY(tmsi_gpu_time(self->context, self->clock, &work, warm_us, timed_us, out_us));
done:
    tmsi_spmm_plan_destroy(plan);
    return status;
}
