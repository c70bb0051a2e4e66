#include "spmm/problem.h"

#include <inttypes.h>

#include "base/context.h"

static tms_status check_count(const char *name, int64_t value) {
    if (value < 1 || value > INT32_MAX)
        return tmsi_fail(TMS_ERR_INVALID, "problem->%s is %" PRId64 ", but must be 1 to %d", name,
                         value, INT32_MAX);
    return TMS_OK;
}

static tms_status check_format(tms_spmm_problem *problem) {
    switch (problem->format) {
    case TMS_FORMAT_DENSE:
        problem->density = 1.0;
        return TMS_OK;
    case TMS_FORMAT_NM:
        if (problem->keep < 1 || problem->keep >= problem->group || problem->group > 64)
            return tmsi_fail(TMS_ERR_INVALID,
                             "problem is %d:%d, but nm keeps n of every m weights with 1 <= n < m "
                             "<= 64",
                             problem->keep, problem->group);
        if (problem->k % problem->group != 0)
            return tmsi_fail(TMS_ERR_INVALID,
                             "problem->k is %" PRId64 ", but %d:%d packs weights in groups of %d: "
                             "k must be a multiple of %d",
                             problem->k, problem->keep, problem->group, problem->group,
                             problem->group);
        problem->density = (double)problem->keep / problem->group;
        return TMS_OK;
    case TMS_FORMAT_BSR:
        if (problem->block_rows < 1 || problem->block_columns < 1 || problem->block_rows > 65536 ||
            problem->block_columns > 65536)
            return tmsi_fail(TMS_ERR_INVALID,
                             "problem has blocks of %dx%d, but each side must be 1 to 65536",
                             problem->block_rows, problem->block_columns);
        break;
    case TMS_FORMAT_CSR:
        break;
    default:
        return tmsi_fail(TMS_ERR_INVALID, "problem->format is %d, but formats are 0 to %d",
                         (int)problem->format, TMS_FORMAT_COUNT - 1);
    }
    if (!(problem->density >= 0.0 && problem->density <= 1.0))
        return tmsi_fail(TMS_ERR_INVALID, "problem->density is %g, but must be 0 to 1",
                         problem->density);
    return TMS_OK;
}

static tms_status check_types(const tms_spmm_problem *problem) {
    const bool is_8_bit = tmsi_spmm_is_scaled(problem->x_type);

    if (!tmsi_dtype_is_matrix(problem->x_type))
        return tmsi_fail(TMS_ERR_UNSUPPORTED,
                         "problem->x_type is %s, but x is f32, bf16, f16, i8 or e4m3",
                         tms_dtype_name(problem->x_type));
    if (is_8_bit ? problem->w_type != problem->x_type : !tmsi_dtype_is_weight(problem->w_type))
        return tmsi_fail(TMS_ERR_UNSUPPORTED, "problem->w_type is %s, but w is %s where x is %s",
                         tms_dtype_name(problem->w_type),
                         is_8_bit ? tms_dtype_name(problem->x_type) : "f32, bf16 or f16",
                         tms_dtype_name(problem->x_type));
    if (!tmsi_dtype_is_weight(problem->y_type) && !tmsi_spmm_is_scaled(problem->y_type))
        return tmsi_fail(TMS_ERR_UNSUPPORTED,
                         "problem->y_type is %s, but y is f32, bf16, f16, i8 or e4m3",
                         tms_dtype_name(problem->y_type));
    return TMS_OK;
}

static tms_status check_epilogue(const tms_spmm_problem *problem) {
    const uint32_t known = TMS_EPILOGUE_SCALE_N | TMS_EPILOGUE_SCALE_T | TMS_EPILOGUE_BIAS |
                           TMS_EPILOGUE_GATE | TMS_EPILOGUE_RESIDUAL | TMS_EPILOGUE_ABSMAX_T;

    if ((problem->epilogue & ~known) != 0)
        return tmsi_fail(TMS_ERR_INVALID,
                         "problem->epilogue is 0x%x, but the known TMS_EPILOGUE_ bits are 0x%x",
                         problem->epilogue, known);
    if ((uint32_t)problem->activation >= TMS_ACT_COUNT)
        return tmsi_fail(TMS_ERR_INVALID, "problem->activation is %d, but must be 0 to %d",
                         (int)problem->activation, TMS_ACT_COUNT - 1);
    if (problem->y_order != TMS_ORDER_TN && problem->y_order != TMS_ORDER_NT)
        return tmsi_fail(TMS_ERR_INVALID,
                         "problem->y_order is %d, but must be TMS_ORDER_TN (0) or TMS_ORDER_NT (1)",
                         (int)problem->y_order);
    if (tmsi_spmm_has(problem, TMS_EPILOGUE_GATE) && problem->n % 2 != 0)
        return tmsi_fail(TMS_ERR_INVALID,
                         "problem->n is %" PRId64
                         ", but with gate the weight's rows come in pairs: "
                         "n must be even",
                         problem->n);
    return TMS_OK;
}

/* What no kernel of a GPU computes is said here field by field: "no kernel fits" helps nobody. */
tms_status tmsi_spmm_device_check(const tms_context *context, const tms_spmm_problem *problem) {
    if ((uint32_t)problem->device >= TMS_DEVICE_COUNT)
        return tmsi_fail(TMS_ERR_INVALID, "problem->device is %d, but devices are 0 (CPU) to %d",
                         (int)problem->device, TMS_DEVICE_COUNT - 1);
    if (problem->device == TMS_DEVICE_CPU)
        return TMS_OK;
    if (context->gpu.processors == 0)
        return tmsi_fail(TMS_ERR_DEVICE, "problem->device is TMS_DEVICE_CUDA, but the context has "
                                         "no GPU: create it with desc->device TMS_DEVICE_CUDA");
    if (problem->format == TMS_FORMAT_DENSE && (context->gpu.isa & TMS_ISA_CUBLASLT) == 0)
        return tmsi_fail(TMS_ERR_UNSUPPORTED,
                         "problem->format is dense, which cuBLASLt computes on a GPU, but the "
                         "context has %s",
                         context->cublaslt == NULL ? context->cublaslt_text : "it masked off");
    if (problem->format == TMS_FORMAT_DENSE && problem->x_type == problem->w_type &&
        problem->w_type != TMS_F32)
        return TMS_OK;
    if (problem->format != TMS_FORMAT_NM || problem->keep != 2 || problem->group != 4)
        return tmsi_fail(TMS_ERR_UNSUPPORTED,
                         "problem->format is %s, but on a GPU weights are dense or 2:4 in nm",
                         tms_format_name(problem->format));
    if (problem->w_type == TMS_E4M3 && (context->gpu.isa & TMS_ISA_SM90) == 0)
        return tmsi_fail(TMS_ERR_UNSUPPORTED,
                         "problem->w_type is e4m3, whose 2:4 kernels are for Hopper GPUs (sm90), "
                         "but the context's instruction sets are %s",
                         context->isa_text);
    if (problem->w_type == TMS_F32 || problem->x_type == TMS_F32)
        return tmsi_fail(TMS_ERR_UNSUPPORTED,
                         "problem has x %s and w %s, but sparse tensor cores multiply no f32: bf16 "
                         "has its range",
                         tms_dtype_name(problem->x_type), tms_dtype_name(problem->w_type));
    if (problem->x_type != problem->w_type)
        return tmsi_fail(TMS_ERR_UNSUPPORTED,
                         "problem has x %s and w %s, but sparse tensor cores want both of one "
                         "type: bf16, f16, i8 or e4m3",
                         tms_dtype_name(problem->x_type), tms_dtype_name(problem->w_type));
    return TMS_OK;
}

tms_spmm_problem tmsi_spmm_problem_24(tms_dtype type, int64_t n, int64_t k, int64_t t_max) {
    tms_spmm_problem problem = tms_spmm_problem_default();

    problem.n = n;
    problem.k = k;
    problem.t_max = t_max;
    problem.format = TMS_FORMAT_NM;
    problem.keep = 2;
    problem.group = 4;
    problem.density = 0.5;
    problem.x_type = problem.w_type = type;
    problem.y_type = type == TMS_F16 ? TMS_F16 : TMS_BF16;
    problem.device = TMS_DEVICE_CUDA;
    return problem;
}

tms_status tmsi_spmm_problem_check(tms_spmm_problem *problem) {
    tms_status status = TMS_OK;

    TMS_TRY(check_count("n", problem->n));
    TMS_TRY(check_count("k", problem->k));
    TMS_TRY(check_count("t_max", problem->t_max));
    TMS_TRY(check_format(problem));
    TMS_TRY(check_types(problem));
    TMS_TRY(check_epilogue(problem));
done:
    return status;
}
