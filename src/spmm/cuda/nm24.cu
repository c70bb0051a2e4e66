/* Launches of the nm24 kernels: parameters, tensor maps, grid. */
#include "spmm/cuda/nm24.cuh"

#include "cuda/device.cuh"
#include "spmm/cuda/launch.h"
#include "spmm/cuda/nm24.h"
#include "spmm/cuda/nm24_plain.cuh"

extern "C" {
#include "base/context.h"
#include "base/memory.h"
#include "spmm/kernel.h"
}

namespace {

using nm24::CLUSTER;

/* A row-major matrix as boxes of box_rows rows by 128 bytes of 16-bit elements. */
tms_status make_map(const tmsi_cuda_device &device, tms_dtype type, const void *data,
                    int64_t columns, int64_t rows, int64_t pitch, int box_rows, CUtensorMap *out) {
    const cuuint64_t shape[2] = {(cuuint64_t)columns, (cuuint64_t)rows};
    const cuuint64_t pitch_bytes[1] = {(cuuint64_t)pitch * 2};
    const cuuint32_t box[2] = {64, (cuuint32_t)box_rows}, steps[2] = {1, 1};
    const CUtensorMapDataType map_type =
        type == TMS_BF16 ? CU_TENSOR_MAP_DATA_TYPE_BFLOAT16 : CU_TENSOR_MAP_DATA_TYPE_FLOAT16;
    CUresult result = CUDA_ERROR_INVALID_CONTEXT;

    for (int i = 0; i < 2 && result == CUDA_ERROR_INVALID_CONTEXT; i++) {
        if (i > 0) /* a thread that has not used the GPU yet */
            cudaSetDevice(device.index);
        result =
            device.encode(out, map_type, 2, const_cast<void *>(data), shape, pitch_bytes, box,
                          steps, CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
                          CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
    }

    if (result != CUDA_SUCCESS)
        return tmsi_fail(TMS_ERR_DEVICE,
                         "the driver refused a tensor map of %lld rows of %lld elements, %lld "
                         "apart (CUresult %d)",
                         (long long)rows, (long long)columns, (long long)pitch, (int)result);
    return TMS_OK;
}

/* Whether the copy engine reads or writes such rows of 16-bit elements. */
bool is_copyable(const void *data, int64_t pitch) {
    return (uintptr_t)data % 16 == 0 && pitch % 8 == 0 && pitch < (int64_t)1 << 39;
}

/* The smooth activations as one formula, for 16-bit y: see epilogue.cuh. */
void set_activation(tms_activation activation, tmsi_epilogue *e) {
    e->activation = activation;
    e->is_squared = activation == TMS_ACT_RELU2;
    if (activation == TMS_ACT_SILU) {
        e->is_smooth = 1;
        e->s0 = 0.5f;
    } else if (activation == TMS_ACT_GELU_TANH) {
        e->is_smooth = 1;
        e->s0 = 0.79788456f; /* sqrt(2/pi), and 0.044715 times that */
        e->s1 = 0.035677408f;
    } else if (activation == TMS_ACT_GELU) {
        /* The best fit of two terms to the normal distribution: off by at most 1.4e-4. With the
         * 2^-12 of the instruction that stays within the 2^-11 |z| that 16-bit results may be off.
         */
        e->is_smooth = 1;
        e->s0 = 0.79880143f;
        e->s1 = 0.035282037f;
    }
}

tmsi_epilogue make_epilogue(const tmsi_spmm_run &run) {
    const tms_spmm_args &args = *run.args;
    tmsi_epilogue e = {};

    e.scale_n = args.scale_n;
    e.scale_t = args.scale_t;
    e.bias = args.bias;
    e.residual = args.residual;
    e.ldr = args.ldr;
    e.y = args.y;
    e.ldy = args.ldy;
    e.n = (int32_t)run.problem->n;
    e.t = (int32_t)args.t;
    e.y_type = run.problem->y_type;
    e.y_order = run.problem->y_order;
    set_activation(run.problem->activation, &e);
    return e;
}

/* The fused epilogue that serves a call; TMSI_EPILOGUE_ANY where y or the residual is not made of
 * aligned rows of 16-bit elements, or its rows do not end on 16 bytes: the copy engine writes whole
 * 16 bytes, past the end of a row too. */
int choose_kind(const tmsi_epilogue &e) {
    if (e.y_order != TMS_ORDER_TN || e.y_type == TMS_F32 || e.n % 8 != 0 ||
        !is_copyable(e.y, e.ldy) || (e.residual != NULL && !is_copyable(e.residual, e.ldr)))
        return TMSI_EPILOGUE_ANY;
    if (e.scale_t != NULL || (e.residual != NULL && e.activation != TMS_ACT_NONE))
        return TMSI_EPILOGUE_MIXED;
    if (e.residual != NULL)
        return TMSI_EPILOGUE_RESIDUAL;
    if (e.activation == TMS_ACT_NONE)
        return TMSI_EPILOGUE_LINEAR;
    return e.is_smooth ? TMSI_EPILOGUE_SMOOTH : TMSI_EPILOGUE_CLAMP;
}

/* Rows of x that are loaded at once: all of a tile, or, where the last tile has fewer tokens, a
 * half or a quarter, whichever loads the least past t. */
int choose_box(int64_t t, int tokens) {
    int best = tokens;

    if (t <= tokens)
        return (int)tmsi_div_up(t, 8) * 8;
    for (int box = tokens; box >= tokens / 4; box /= 2)
        if (box % 8 == 0 &&
            tmsi_div_up(t % tokens, box) * box < tmsi_div_up(t % tokens, best) * best)
            best = box;
    return best;
}

tms_status make_maps(const tmsi_spmm_run &run, int chunk, nm24::Params *p) {
    const tmsi_cuda_device &device = *run.context->cuda;
    const tms_spmm_problem &problem = *run.problem;
    const tms_spmm_args &args = *run.args;
    tms_status status = TMS_OK;

    TMS_TRY(make_map(device, problem.x_type, args.x, problem.k, args.t, args.ldx, p->box_rows,
                     &p->x_map));
    if (p->kind == TMSI_EPILOGUE_ANY)
        return TMS_OK;
    TMS_TRY(
        make_map(device, problem.y_type, args.y, problem.n, args.t, args.ldy, chunk, &p->y_map));
    if (args.residual != NULL)
        TMS_TRY(make_map(device, problem.y_type, args.residual, problem.n, args.t, args.ldr, chunk,
                         &p->residual_map));
done:
    return status;
}

/* x that the copy engine cannot read: slower, never refused. */
tms_status launch_plain(const tmsi_spmm_run &run, cudaStream_t stream) {
    constexpr int THREADS = 128;
    const tms_spmm_problem &problem = *run.problem;
    const dim3 grid((unsigned)tmsi_div_up(problem.n, THREADS),
                    (unsigned)tmsi_min(run.args->t, 65535));
    cudaError_t error;

    nm24::plain<<<grid, THREADS, 0, stream>>>((const uint8_t *)run.weight, run.args->x,
                                              run.args->ldx, problem.k, problem.x_type == TMS_BF16,
                                              make_epilogue(run));
    error = cudaGetLastError();
    return error == cudaSuccess ? TMS_OK : tmsi_cuda_fail("launching nm24's plain kernel", error);
}

template <class T> tms_status launch(const tmsi_spmm_run &run, const char *name) {
    const tmsi_cuda_device &device = *run.context->cuda;
    const cudaStream_t stream = (cudaStream_t)run.stream;
    const tmsi_cuda_scope scope(device.index);
    const tmsi_nm24_grid grid =
        tmsi_nm24_grid_of(run.problem->n, run.args->t, T::ROW_BLOCKS * 64, T::TOKENS);
    const int64_t clusters =
        tmsi_min(grid.clusters_n * grid.clusters_t, device.processors / CLUSTER);
    nm24::Params p = {};
    cudaLaunchConfig_t config = {};
    cudaLaunchAttribute cluster;
    cudaError_t error;
    tms_status status;

    if (!is_copyable(run.args->x, run.args->ldx))
        return launch_plain(run, stream);
    p.w = (const uint8_t *)run.weight;
    p.row_blocks = (int32_t)tmsi_div_up(run.problem->n, 64);
    p.k_blocks = (int32_t)tmsi_div_up(run.problem->k, nm24::DEPTH);
    p.clusters_n = (int32_t)grid.clusters_n;
    p.clusters_t = (int32_t)grid.clusters_t;
    p.share_x = grid.shares_x;
    p.box_rows = choose_box(run.args->t, T::TOKENS);
    p.epilogue = make_epilogue(run);
    p.kind = choose_kind(p.epilogue);
    status = make_maps(run, T::CHUNK, &p);
    if (status != TMS_OK)
        return status;
    cluster.id = cudaLaunchAttributeClusterDimension;
    cluster.val.clusterDim.x = CLUSTER;
    cluster.val.clusterDim.y = cluster.val.clusterDim.z = 1;
    config.gridDim = dim3((unsigned)(clusters * CLUSTER));
    config.blockDim = dim3(T::THREADS);
    config.dynamicSmemBytes = T::SHARED_BYTES;
    config.stream = stream;
    config.attrs = &cluster;
    config.numAttrs = 1;
    error = cudaLaunchKernelEx(&config, nm24::kernel<T>, p);
    return error == cudaSuccess ? TMS_OK : tmsi_cuda_fail(name, error);
}

template <class T> tms_status prepare(const char *name) {
    const cudaError_t error = cudaFuncSetAttribute(
        nm24::kernel<T>, cudaFuncAttributeMaxDynamicSharedMemorySize, T::SHARED_BYTES);

    return error == cudaSuccess ? TMS_OK : tmsi_cuda_fail(name, error);
}

/* The tiles behind the table's names: consumers, blocks, tokens, stages, chunk, buffers. Stages
 * take what shared memory the buffers of y leave. */
#define NM24_TILES(type)                                                                           \
    typedef nm24::Tile<nm24::type, 2, 2, 192, 4, 96, 2> spmm_nm24_##type##_256x192_sm90;           \
    typedef nm24::Tile<nm24::type, 2, 2, 160, 4, 80, 2> spmm_nm24_##type##_256x160_sm90;           \
    typedef nm24::Tile<nm24::type, 2, 1, 256, 4, 64, 3> spmm_nm24_##type##_128x256_sm90;           \
    typedef nm24::Tile<nm24::type, 2, 1, 128, 7, 64, 2> spmm_nm24_##type##_128x128_sm90;           \
    typedef nm24::Tile<nm24::type, 1, 1, 64, 14, 64, 1> spmm_nm24_##type##_64x64_sm90;
NM24_TILES(bf16)
NM24_TILES(f16)

} // namespace

extern "C" {
#define TMS_DEVICE_KERNEL(name, needs, layout, format, fits, part, accepts, cost, work)            \
    tms_status tmsi_##name(const tmsi_spmm_run *run) {                                             \
        return launch<name>(*run, "launching " #name);                                             \
    }
#include "spmm/cuda/kernels.def"
#undef TMS_DEVICE_KERNEL
}

tms_status tmsi_spmm_cuda_prepare(const struct tmsi_cuda_device *device) {
    const tmsi_cuda_scope scope(device->index);
    tms_status status = TMS_OK;

#define TMS_DEVICE_KERNEL(name, needs, layout, format, fits, part, accepts, cost, work)            \
    TMS_TRY(prepare<name>("readying " #name));
#include "spmm/cuda/kernels.def"
#undef TMS_DEVICE_KERNEL
done:
    return status;
}
