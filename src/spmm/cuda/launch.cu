#include "spmm/cuda/launch.cuh"

namespace {

CUtensorMapDataType map_type(tms_dtype type) {
    switch (type) {
    case TMS_F32:
        return CU_TENSOR_MAP_DATA_TYPE_FLOAT32;
    case TMS_BF16:
        return CU_TENSOR_MAP_DATA_TYPE_BFLOAT16;
    case TMS_F16:
        return CU_TENSOR_MAP_DATA_TYPE_FLOAT16;
    default:
        return CU_TENSOR_MAP_DATA_TYPE_UINT8;
    }
}

CUtensorMapSwizzle map_swizzle(int box_bytes) {
    return box_bytes == 128  ? CU_TENSOR_MAP_SWIZZLE_128B
           : box_bytes == 64 ? CU_TENSOR_MAP_SWIZZLE_64B
                             : CU_TENSOR_MAP_SWIZZLE_32B;
}

/* The smooth activations as one formula of h = z/2, for y of 16 and 8 bits: see epilogue.cuh. */
void set_activation(tms_activation activation, tmsi_epilogue *e) {
    e->activation = activation;
    if (activation == TMS_ACT_SILU) {
        e->s0 = 1.f;
    } else if (activation == TMS_ACT_GELU_TANH) {
        e->s0 = 2 * 0.79788456f; /* sqrt(2/pi), and 0.044715 times that */
        e->s1 = 8 * 0.035677408f;
    } else if (activation == TMS_ACT_GELU) {
        /* The best fit of two terms to the normal distribution: off by at most 1.4e-4. With the
         * 2^-12 of the instruction that stays within the 2^-11 |z| that 16-bit results may be off.
         */
        e->s0 = 2 * 0.79880143f;
        e->s1 = 8 * 0.035282037f;
    }
}

} // namespace

/* Maps of two dimensions have slices of no height. */
tms_status tmsi_cuda_make_map_3d(const tmsi_cuda_device &device, const tmsi_cuda_matrix &matrix,
                                 int64_t width, int box_rows, int box_bytes, int box_slices,
                                 CUtensorMap *out) {
    const int element = tmsi_cuda_element_bytes(matrix.type);
    const cuuint64_t shape[3] = {(cuuint64_t)width, (cuuint64_t)matrix.rows,
                                 (cuuint64_t)(matrix.columns / width)};
    const cuuint64_t row_bytes = (cuuint64_t)matrix.pitch * (cuuint64_t)element;
    /* Of one slice there is no next, but its distance has to be a multiple of 16 all the same. */
    const cuuint64_t pitch_bytes[2] = {
        row_bytes, width == matrix.columns ? row_bytes : (cuuint64_t)width * (cuuint64_t)element};
    const cuuint32_t box[3] = {(cuuint32_t)(box_bytes / element), (cuuint32_t)box_rows,
                               (cuuint32_t)box_slices};
    const cuuint32_t steps[3] = {1, 1, 1};
    CUresult result = CUDA_ERROR_INVALID_CONTEXT;

    for (int i = 0; i < 2 && result == CUDA_ERROR_INVALID_CONTEXT; i++) {
        if (i > 0) /* a thread that has not used the GPU yet */
            cudaSetDevice(device.index);
        result = device.encode(
            out, map_type(matrix.type), box_slices > 0 ? 3 : 2, const_cast<void *>(matrix.data),
            shape, pitch_bytes, box, steps, CU_TENSOR_MAP_INTERLEAVE_NONE, map_swizzle(box_bytes),
            CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
    }
    if (result != CUDA_SUCCESS)
        return tmsi_fail(TMS_ERR_DEVICE,
                         "the driver refused a tensor map of %lld rows of %lld elements, %lld "
                         "apart (CUresult %d)",
                         (long long)matrix.rows, (long long)matrix.columns, (long long)matrix.pitch,
                         (int)result);
    return TMS_OK;
}

tms_status tmsi_cuda_make_map(const tmsi_cuda_device &device, const tmsi_cuda_matrix &matrix,
                              int box_rows, int box_bytes, CUtensorMap *out) {
    return tmsi_cuda_make_map_3d(device, matrix, matrix.columns, box_rows, box_bytes, 0, out);
}

tmsi_epilogue tmsi_make_epilogue(const tmsi_spmm_run &run) {
    const tms_spmm_args &args = *run.args;
    tmsi_epilogue e = {};

    e.scale_n = args.scale_n;
    e.scale_t = args.scale_t;
    e.bias = args.bias;
    e.residual = args.residual;
    e.ldr = args.ldr;
    e.y = args.y;
    e.ldy = args.ldy;
    e.absmax = tmsi_spmm_has(run.problem, TMS_EPILOGUE_ABSMAX_T) ? (uint32_t *)args.absmax_t : NULL;
    e.scale_y = args.scale_y;
    e.inverse_y = 1.f / args.scale_y;
    e.is_gated = tmsi_spmm_has(run.problem, TMS_EPILOGUE_GATE);
    e.n = (int32_t)run.problem->n;
    e.t = (int32_t)args.t;
    e.y_type = run.problem->y_type;
    e.y_order = run.problem->y_order;
    set_activation(run.problem->activation, &e);
    return e;
}

bool tmsi_epilogue_has_pieces(const tmsi_epilogue &e) {
    const int count = e.is_gated ? 2 : 4, element = tmsi_cuda_element_bytes(e.y_type);
    const int added = element == 1 ? 4 : element; /* bytes of an element of the residual */
    const auto is_aligned = [=](const void *data, int64_t pitch, int bytes) {
        return (uintptr_t)data % (uintptr_t)(count * bytes) == 0 && pitch % count == 0;
    };

    return e.y_order == TMS_ORDER_TN && e.n % 4 == 0 && is_aligned(e.y, e.ldy, element) &&
           (e.residual == NULL || is_aligned(e.residual, e.ldr, added));
}

tms_status tmsi_clear_absmax(const tmsi_spmm_run &run) {
    if (!tmsi_spmm_has(run.problem, TMS_EPILOGUE_ABSMAX_T))
        return TMS_OK;
    return tmsi_cuda_check(
        "clearing absmax_t",
        cudaMemsetAsync(run.args->absmax_t, 0, (size_t)run.args->t * 4, (cudaStream_t)run.stream));
}

extern "C" {
#define TMS_DEVICE_KERNEL(name, needs, layout, format, fits, part, accepts, cost, work)            \
    tms_status tmsi_##name##_prepare(void);
#include "spmm/cuda/kernels.def"
#undef TMS_DEVICE_KERNEL
}

tms_status tmsi_spmm_cuda_prepare(const struct tmsi_cuda_device *device, uint32_t isa) {
    const tmsi_cuda_scope scope(device->index);
    tms_status status = TMS_OK;

#define TMS_DEVICE_KERNEL(name, needs, layout, format, fits, part, accepts, cost, work)            \
    if (((needs) & ~isa) == 0)                                                                     \
        TMS_TRY(tmsi_##name##_prepare());
#include "spmm/cuda/kernels.def"
#undef TMS_DEVICE_KERNEL
done:
    return status;
}
