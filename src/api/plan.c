#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "api/arguments.h"
#include "base/context.h"
#include "base/memory.h"
#include "cuda/device.h"
#include "spmm/plan.h"
#include "spmm/problem.h"

tms_status tms_spmm_plan_create(tms_context *context, const tms_spmm_problem *given,
                                const tms_layout *layout, tms_spmm_plan **out_plan) {
    tms_spmm_problem problem;
    tms_status status = TMS_OK;

    tmsi_enter(__func__);
    TMSI_NEED(context);
    TMSI_NEED(layout);
    TMSI_NEED(out_plan);
    TMS_TRY(tmsi_struct_read("problem", given, sizeof problem, &problem));
    TMS_TRY(tmsi_spmm_problem_check(&problem));
    TMS_TRY(tmsi_spmm_device_check(context, &problem));
    TMS_TRY(tmsi_layout_check(layout, "layout"));
    if (layout->n != problem.n || layout->k != problem.k)
        return tmsi_fail(TMS_ERR_INVALID,
                         "layout is for %" PRId64 " x %" PRId64 " weights, but the problem has "
                         "%" PRId64 " x %" PRId64,
                         layout->n, layout->k, problem.n, problem.k);
    TMS_TRY(tmsi_spmm_plan_create(context, &problem, layout, out_plan));
done:
    return status;
}

void tms_spmm_plan_destroy(tms_spmm_plan *plan) {
    tmsi_spmm_plan_destroy(plan);
}

size_t tms_spmm_plan_work_bytes(const tms_spmm_plan *plan) {
    return plan != NULL ? plan->work_bytes : 0;
}

size_t tms_spmm_plan_describe(const tms_spmm_plan *plan, char *text, size_t text_bytes) {
    if (text == NULL)
        text_bytes = 0;
    if (text_bytes > 0)
        text[0] = '\0';
    return plan != NULL ? tmsi_spmm_plan_describe(plan, text, text_bytes) : 0;
}

const char *tms_spmm_plan_kernel(const tms_spmm_plan *plan, int64_t t) {
    if (plan == NULL || t < 1 || t > plan->problem.t_max)
        return NULL;
    return tmsi_spmm_plan_choice(plan, t)->kernel->name;
}

/* A 2-D array of the caller's. */
typedef struct array_view {
    const char *name, *ld_name;
    const void *data;
    tms_dtype dtype;
    int64_t rows, columns, ld; /* rows ld elements apart */
    size_t bytes;              /* from the first to past the last element; check_view sets it */
} array_view;

static tms_status check_view(array_view *view) {
    size_t element = tmsi_dtype_bytes(view->dtype), bytes;

    if (view->data == NULL)
        return tmsi_fail(TMS_ERR_INVALID,
                         "args->%s is NULL, but the plan and t = %" PRId64 " need %s", view->name,
                         view->rows, view->name);
    if ((uintptr_t)view->data % element != 0)
        return tmsi_fail(TMS_ERR_INVALID, "args->%s is %p, but %s must be aligned to %zu bytes",
                         view->name, view->data, tms_dtype_name(view->dtype), element);
    if (view->ld == 0)
        view->ld = view->columns;
    if (view->ld < view->columns)
        return tmsi_fail(TMS_ERR_INVALID,
                         "args->%s is %" PRId64 ", but rows of %s have %" PRId64 " elements",
                         view->ld_name, view->ld, view->name, view->columns);
    if (!tmsi_mul_bytes((size_t)(view->rows - 1), (size_t)view->ld, &bytes) ||
        !tmsi_add_bytes(bytes, (size_t)view->columns, &bytes) ||
        !tmsi_mul_bytes(bytes, element, &view->bytes) || view->bytes > PTRDIFF_MAX)
        return tmsi_fail(TMS_ERR_INVALID,
                         "args->%s is %" PRId64 ": %" PRId64 " such rows are more than memory can "
                         "hold",
                         view->ld_name, view->ld, view->rows);
    return TMS_OK;
}

static bool overlaps(const array_view *a, const array_view *b) {
    uintptr_t a_first = (uintptr_t)a->data, b_first = (uintptr_t)b->data;

    return a_first < b_first + b->bytes && b_first < a_first + a->bytes;
}

static tms_status check_arrays(const tms_spmm_problem *problem, tms_spmm_args *args) {
    bool is_transposed = problem->y_order == TMS_ORDER_NT;
    int64_t columns = tmsi_spmm_columns(problem), t = args->t;
    tms_dtype residual_type = tmsi_spmm_residual_type(problem->y_type);
    array_view x = {"x", "ldx", args->x, problem->x_type, t, problem->k, args->ldx, 0};
    array_view y = {"y", "ldy", args->y, problem->y_type, t, columns, args->ldy, 0};
    array_view residual;
    tms_status status = TMS_OK;

    if (is_transposed) {
        y.rows = columns;
        y.columns = t;
    }
    residual = y;
    residual.name = "residual";
    residual.ld_name = "ldr";
    residual.data = args->residual;
    residual.dtype = residual_type;
    residual.ld = args->ldr;
    TMS_TRY(check_view(&x));
    TMS_TRY(check_view(&y));
    if (overlaps(&x, &y))
        return tmsi_fail(TMS_ERR_INVALID,
                         "args->y (%zu bytes at %p) overlaps args->x (%zu bytes at %p)", y.bytes,
                         y.data, x.bytes, x.data);
    args->ldx = x.ld;
    args->ldy = y.ld;
    if (!tmsi_spmm_has(problem, TMS_EPILOGUE_RESIDUAL))
        return TMS_OK;
    TMS_TRY(check_view(&residual));
    if (overlaps(&residual, &y) &&
        (residual.data != y.data || residual.ld != y.ld || residual.dtype != y.dtype))
        return tmsi_fail(TMS_ERR_INVALID,
                         "args->residual overlaps args->y, but is not y itself: it may be y where "
                         "address, type and rows' distance agree (ldr %" PRId64 ", ldy %" PRId64
                         ")",
                         residual.ld, y.ld);
    args->ldr = residual.ld;
done:
    return status;
}

/* Keeps a pointer where the epilogue needs it, else makes it NULL. */
static tms_status check_vector(const tms_spmm_problem *problem, uint32_t bit, const char *name,
                               const void **vector) {
    if (!tmsi_spmm_has(problem, bit))
        *vector = NULL;
    else if (*vector == NULL)
        return tmsi_fail(TMS_ERR_INVALID, "args->%s is NULL, but the plan's epilogue uses it",
                         name);
    else if ((uintptr_t)*vector % sizeof(float) != 0)
        return tmsi_fail(TMS_ERR_INVALID, "args->%s is %p, but must be aligned to %zu bytes", name,
                         *vector, sizeof(float));
    return TMS_OK;
}

static tms_status check_epilogue(const tms_spmm_problem *problem, tms_spmm_args *args) {
    const void *scale_n = args->scale_n, *scale_t = args->scale_t, *bias = args->bias;
    const void *absmax_t = args->absmax_t, *residual = args->residual;
    tms_status status = TMS_OK;

    TMS_TRY(check_vector(problem, TMS_EPILOGUE_SCALE_N, "scale_n", &scale_n));
    TMS_TRY(check_vector(problem, TMS_EPILOGUE_SCALE_T, "scale_t", &scale_t));
    TMS_TRY(check_vector(problem, TMS_EPILOGUE_BIAS, "bias", &bias));
    TMS_TRY(check_vector(problem, TMS_EPILOGUE_ABSMAX_T, "absmax_t", &absmax_t));
    args->scale_n = scale_n;
    args->scale_t = scale_t;
    args->bias = bias;
    args->absmax_t = absmax_t != NULL ? args->absmax_t : NULL;
    args->residual = tmsi_spmm_has(problem, TMS_EPILOGUE_RESIDUAL) ? residual : NULL;
    if (args->scale_y == 0.0f)
        args->scale_y = 1.0f;
    if (!(args->scale_y > 0.0f && isfinite(args->scale_y)))
        return tmsi_fail(TMS_ERR_INVALID, "args->scale_y is %g, but must be finite and above 0",
                         (double)args->scale_y);
    if (!tmsi_spmm_is_scaled(problem->y_type) && args->scale_y != 1.0f)
        return tmsi_fail(TMS_ERR_INVALID,
                         "args->scale_y is %g, but y is %s: only i8 and e4m3 are scaled",
                         (double)args->scale_y, tms_dtype_name(problem->y_type));
done:
    return status;
}

static tms_status check_image(const tms_spmm_plan *plan, const tms_image *image) {
    char built[TMSI_LAYOUT_TEXT_MAX], wanted[TMSI_LAYOUT_TEXT_MAX];

    if (image == NULL || image->data == NULL)
        return tmsi_fail(TMS_ERR_INVALID, "args->image%s is NULL", image == NULL ? "" : "->data");
    if (image->struct_size != sizeof *image)
        return tmsi_fail(TMS_ERR_INVALID,
                         "args->image->struct_size is %zu, but must be %zu: use tms_image_build",
                         image->struct_size, sizeof *image);
    if ((uintptr_t)image->data % TMSI_ALIGNMENT != 0)
        return tmsi_fail(TMS_ERR_INVALID,
                         "args->image->data is %p, but must be aligned to %d bytes", image->data,
                         TMSI_ALIGNMENT);
    if (tmsi_layout_equal(&image->layout, &plan->layout))
        return TMS_OK;
    tmsi_layout_print(&image->layout, built);
    tmsi_layout_print(&plan->layout, wanted);
    return tmsi_fail(TMS_ERR_INVALID,
                     "args->image was built in layout %s for %" PRId64 " x %" PRId64
                     ", but the plan wants %s for %" PRId64 " x %" PRId64,
                     built, image->layout.n, image->layout.k, wanted, plan->layout.n,
                     plan->layout.k);
}

static tms_status check_work(const tms_spmm_plan *plan, const void *work) {
    if (plan->work_bytes == 0)
        return TMS_OK;
    if (work == NULL)
        return tmsi_fail(TMS_ERR_INVALID,
                         "args->work is NULL, but the plan needs %zu bytes "
                         "(tms_spmm_plan_work_bytes)",
                         plan->work_bytes);
    if ((uintptr_t)work % TMSI_ALIGNMENT != 0)
        return tmsi_fail(TMS_ERR_INVALID, "args->work is %p, but must be aligned to %d bytes", work,
                         TMSI_ALIGNMENT);
    return TMS_OK;
}

tms_status tms_spmm_plan_run(const tms_spmm_plan *plan, const tms_spmm_args *given,
                             tms_stream stream) {
    tms_spmm_args args;
    tms_status status = TMS_OK;

    tmsi_enter(__func__);
    TMSI_NEED(plan);
    if (stream != NULL && plan->problem.device == TMS_DEVICE_CPU)
        return tmsi_fail(TMS_ERR_INVALID, "stream is %p, but must be NULL on a CPU", stream);
    TMS_TRY(tmsi_struct_read("args", given, sizeof args, &args));
    if (args.t < 0 || args.t > plan->problem.t_max)
        return tmsi_fail(TMS_ERR_INVALID,
                         "args->t is %" PRId64 ", but the plan is for 0 to %" PRId64 " tokens",
                         args.t, plan->problem.t_max);
    TMS_TRY(check_image(plan, args.image));
    if (args.t == 0)
        return TMS_OK;
    TMS_TRY(check_epilogue(&plan->problem, &args));
    TMS_TRY(check_arrays(&plan->problem, &args));
    TMS_TRY(check_work(plan, args.work));
    if (plan->problem.device == TMS_DEVICE_CUDA) {
        TMS_TRY(tmsi_cuda_check_stream(plan->context, stream));
        TMS_TRY(tmsi_spmm_plan_launch(plan, &args, stream));
    } else {
        tmsi_spmm_plan_run(plan, &args);
    }
done:
    return status;
}
