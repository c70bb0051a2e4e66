/* Launches of the nm24 kernels: parameters, tensor maps, grid. Included by one file a type, whose
 * kernels it makes from that type's table. */
#ifndef TAMIS_SPMM_CUDA_NM24_LAUNCH_CUH
#define TAMIS_SPMM_CUDA_NM24_LAUNCH_CUH

#include "spmm/cuda/launch.cuh"
#include "spmm/cuda/nm24.cuh"
#include "spmm/cuda/nm24.h"

namespace nm24 {

/* x that the copy engine cannot read: slower, never refused. */
tms_status launch_plain(const tmsi_spmm_run &run);

inline bool is_smooth(tms_activation activation) {
    return activation == TMS_ACT_GELU || activation == TMS_ACT_GELU_TANH ||
           activation == TMS_ACT_SILU;
}

/* Whether the copy engine writes such rows of y: it wants whole 16 bytes, since it writes them past
 * the end of a row too. */
inline bool is_storable(const tmsi_epilogue &e) {
    return tmsi_epilogue_columns(e) * tmsi_cuda_element_bytes(e.y_type) % 16 == 0 &&
           tmsi_is_copyable(e.y, e.ldy, e.y_type);
}

/* The epilogue that serves a call; own: the 16-bit y of those in registers. */
inline int choose_kind(const tmsi_epilogue &e, tms_dtype own) {
    const bool is_8_bit = tmsi_spmm_is_scaled(e.y_type);
    const bool is_linear = e.activation == TMS_ACT_NONE && e.residual == NULL;

    if (!tmsi_epilogue_has_pieces(e))
        return ANY;
    if (!is_storable(e) || e.is_gated || e.absmax != NULL || (!is_8_bit && e.y_type != own))
        return PIECES;
    if (is_8_bit)
        return is_linear ? LINEAR_8 : PIECES;
    if (is_linear)
        return e.scale_t != NULL ? SCALED : LINEAR;
    if (e.scale_t != NULL || e.activation == TMS_ACT_RELU2)
        return PIECES;
    if (e.residual != NULL)
        return e.activation == TMS_ACT_NONE && tmsi_is_copyable(e.residual, e.ldr, e.y_type)
                   ? RESIDUAL
                   : PIECES;
    return e.activation == TMS_ACT_RELU ? RELU : SMOOTH;
}

/* Rows of x that are loaded at once: all of a tile, or, where the last tile has fewer tokens, a
 * half or a quarter, whichever loads the least past t. */
inline int choose_box(int64_t t, int tokens) {
    int best = tokens;

    if (t <= tokens)
        return (int)tmsi_div_up(t, 8) * 8;
    for (int box = tokens; box >= tokens / 4; box /= 2)
        if (box % 8 == 0 &&
            tmsi_div_up(t % tokens, box) * box < tmsi_div_up(t % tokens, best) * best)
            best = box;
    return best;
}

inline tms_status make_maps(const tmsi_spmm_run &run, int chunk, Params *p) {
    const tmsi_cuda_device &device = *run.context->cuda;
    const tms_spmm_problem &problem = *run.problem;
    const tms_spmm_args &args = *run.args;
    const tmsi_cuda_matrix x = {problem.x_type, args.x, problem.k, args.t, args.ldx};
    const tmsi_cuda_matrix y = {problem.y_type, args.y, problem.n, args.t, args.ldy};
    const tmsi_cuda_matrix residual = {problem.y_type, args.residual, problem.n, args.t, args.ldr};
    tms_status status = TMS_OK;

    TMS_TRY(tmsi_cuda_make_map(device, x, p->box_rows, X_ROW_BYTES, &p->x_map));
    if (p->kind <= PIECES)
        return TMS_OK;
    TMS_TRY(tmsi_cuda_make_map(device, y, chunk, y_row_bytes(p->kind), &p->y_map));
    if (p->kind == RESIDUAL)
        TMS_TRY(tmsi_cuda_make_map(device, residual, chunk, 128, &p->residual_map));
done:
    return status;
}

template <class T> tms_status launch(const tmsi_spmm_run &run, const char *name) {
    const tmsi_cuda_device &device = *run.context->cuda;
    const cudaStream_t stream = (cudaStream_t)run.stream;
    const tmsi_cuda_scope scope(device.index);
    const tmsi_nm24_grid grid =
        tmsi_nm24_grid_of(run.problem->n, run.args->t, T::ROW_BLOCKS * 64, T::TOKENS);
    const int64_t clusters =
        tmsi_min(grid.clusters_n * grid.clusters_t, device.processors / CLUSTER);
    Params p = {};
    cudaLaunchConfig_t config = {};
    cudaLaunchAttribute cluster;
    tms_status status = TMS_OK;

    if (!tmsi_is_copyable(run.args->x, run.args->ldx, run.problem->x_type))
        return launch_plain(run);
    p.w = (const uint8_t *)run.weight;
    p.row_blocks = (int32_t)tmsi_div_up(run.problem->n, 64);
    p.k_blocks = (int32_t)tmsi_div_up(run.problem->k, T::DEPTH);
    p.clusters_n = (int32_t)grid.clusters_n;
    p.clusters_t = (int32_t)grid.clusters_t;
    p.share_x = grid.shares_x;
    p.box_rows = choose_box(run.args->t, T::TOKENS);
    p.epilogue = tmsi_make_epilogue(run);
    p.kind = choose_kind(p.epilogue, T::Element::Y_IS_BF16 ? TMS_BF16 : TMS_F16);
    TMS_TRY(make_maps(run, T::CHUNK, &p));
    TMS_TRY(tmsi_clear_absmax(run));
    cluster.id = cudaLaunchAttributeClusterDimension;
    cluster.val.clusterDim.x = CLUSTER;
    cluster.val.clusterDim.y = cluster.val.clusterDim.z = 1;
    config.gridDim = dim3((unsigned)(clusters * CLUSTER));
    config.blockDim = dim3(T::THREADS);
    config.dynamicSmemBytes = T::SHARED_BYTES;
    config.stream = stream;
    config.attrs = &cluster;
    config.numAttrs = 1;
    TMS_TRY(tmsi_cuda_check(name, cudaLaunchKernelEx(&config, kernel<T>, p)));
done:
    return status;
}

template <class T> tms_status prepare(const char *name) {
    return tmsi_cuda_check(name, cudaFuncSetAttribute(kernel<T>,
                                                      cudaFuncAttributeMaxDynamicSharedMemorySize,
                                                      T::SHARED_BYTES));
}

} // namespace nm24

/* A row's two functions. */
#define NM24_FUNCTIONS(name)                                                                       \
    extern "C" tms_status tmsi_##name(const tmsi_spmm_run *run) {                                  \
        return nm24::launch<name>(*run, "launching " #name);                                       \
    }                                                                                              \
    extern "C" tms_status tmsi_##name##_prepare(void) {                                            \
        return nm24::prepare<name>("readying " #name);                                             \
    }

#endif
