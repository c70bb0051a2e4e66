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

/* Whether the copy engine writes such rows of y: it wants whole 16 bytes, since it writes them past
 * the end of a row too. */
inline bool is_storable(const tmsi_epilogue &e) {
    const int columns = e.y_order == TMS_ORDER_NT ? e.t : tmsi_epilogue_columns(e);

    return columns * tmsi_cuda_element_bytes(e.y_type) % 16 == 0 &&
           tmsi_is_copyable(e.y, e.ldy, e.y_type);
}

/* The epilogue in registers that would serve a call, were y storable. own: the 16-bit y of most;
 * is_scaled: whether they all apply scale_t. */
inline int choose_registers(const tmsi_epilogue &e, tms_dtype own, bool is_scaled) {
    const bool is_8_bit = tmsi_spmm_is_scaled(e.y_type);
    const bool is_bare = e.scale_t == NULL || is_scaled; /* of what a kind does not apply */
    const bool is_linear = e.activation == TMS_ACT_NONE && e.absmax == NULL;

    if (e.y_type == TMS_F32)
        return ANY;
    if (e.y_order == TMS_ORDER_NT || e.residual != NULL) {
        if (!is_linear || !is_bare || e.is_gated || e.y_type != own ||
            (e.y_order == TMS_ORDER_NT && e.residual != NULL))
            return ANY;
        if (e.residual == NULL)
            return TURNED;
        return tmsi_is_copyable(e.residual, e.ldr, e.y_type) ? RESIDUAL : ANY;
    }
    if (e.is_gated)
        return is_8_bit ? GATED_8 : GATED;
    if (is_8_bit)
        return !is_linear || !is_bare ? MIXED_8 : e.y_type == TMS_I8 ? LINEAR_I8 : LINEAR_E4M3;
    if (e.absmax != NULL || e.y_type != own || e.activation == TMS_ACT_RELU2)
        return MIXED;
    if (is_linear)
        return e.scale_t != NULL ? SCALED : LINEAR;
    if (!is_bare)
        return MIXED;
    return e.activation == TMS_ACT_RELU ? RELU : SMOOTH;
}

/* The epilogue that serves a call of a kernel of that type. */
template <class Element> int choose_kind(const tmsi_epilogue &e) {
    const int kind = is_storable(e) ? choose_registers(e, Element::Y_IS_BF16 ? TMS_BF16 : TMS_F16,
                                                       Element::BYTES == 1)
                                    : ANY;

    return kind == ANY && tmsi_epilogue_has_pieces(e) ? PIECES : kind;
}

inline uint32_t make_flags(const tmsi_epilogue &e) {
    const bool is_relu = e.activation == TMS_ACT_RELU || e.activation == TMS_ACT_RELU2;

    return (e.absmax != NULL ? HAS_ABSMAX : 0) | (is_relu ? HAS_RELU : 0) |
           (e.activation == TMS_ACT_RELU2 ? IS_SQUARED : 0) |
           (e.activation != TMS_ACT_NONE && !is_relu ? IS_SMOOTH : 0) |
           (e.y_type == TMS_BF16 ? Y_IS_BF16 : 0) | (e.y_type == TMS_I8 ? Y_IS_I8 : 0);
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

template <class T> tms_status make_maps(const tmsi_spmm_run &run, Params *p) {
    const tmsi_cuda_device &device = *run.context->cuda;
    const tms_spmm_problem &problem = *run.problem;
    const tms_spmm_args &args = *run.args;
    const tmsi_cuda_matrix x = {problem.x_type, args.x, problem.k, args.t, args.ldx};
    const tmsi_cuda_matrix y = {problem.y_type, args.y, tmsi_spmm_columns(&problem), args.t,
                                args.ldy};
    const tmsi_cuda_matrix turned = {problem.y_type, args.y, args.t, problem.n, args.ldy};
    const tmsi_cuda_matrix residual = {problem.y_type, args.residual, problem.n, args.t, args.ldr};
    tms_status status = TMS_OK;

    TMS_TRY(tmsi_cuda_make_map(device, x, p->box_rows, X_ROW_BYTES, &p->x_map));
    if (p->kind <= PIECES)
        return TMS_OK;
    if (p->kind == TURNED)
        TMS_TRY(tmsi_cuda_make_map(device, turned, 64, T::TURNED_TOKENS * 2, &p->y_map));
    else
        TMS_TRY(tmsi_cuda_make_map(device, y, T::CHUNK, y_row_bytes(p->kind), &p->y_map));
    if (p->kind == RESIDUAL)
        TMS_TRY(tmsi_cuda_make_map(device, residual, T::CHUNK, 128, &p->residual_map));
done:
    return status;
}

/* Pairs of tiles along n that run side by side before t advances: their rows of w stay in the L2
 * cache. All of a small w, so that x is read once; else 8, where 4, 6 and 16 take up to 3 % longer
 * in as many cycles (8192^3, H100 at its power cap). */
inline int32_t choose_raster(int64_t w_bytes, int32_t pairs_n) {
    constexpr int64_t SMALL_BYTES = 12 << 20, WIDTH = 8;

    return (int32_t)(w_bytes <= SMALL_BYTES ? tmsi_max(pairs_n, WIDTH) : WIDTH);
}

template <class T> tms_status launch(const tmsi_spmm_run &run, const char *name) {
    const tmsi_cuda_device &device = *run.context->cuda;
    const cudaStream_t stream = (cudaStream_t)run.stream;
    const tmsi_cuda_scope scope(device.index);
    const int64_t pairs = tmsi_max(device.processors / CLUSTER, 1);
    const tmsi_nm24_grid grid =
        tmsi_nm24_grid_of(run.problem->n, run.args->t, T::ROW_BLOCKS * 64, T::TOKENS);
    /* As many as take the fewest waves, not more: at the power cap equal work for all of them, over
     * all of the time, runs at a higher clock (1 to 3 %) than a last wave of a few. */
    const int64_t waves = tmsi_max(tmsi_div_up(grid.clusters, pairs), 1);
    const int64_t clusters = tmsi_div_up(grid.clusters, waves);
    Params p = {};
    cudaLaunchConfig_t config = {};
    cudaLaunchAttribute attributes[2] = {};
    tms_status status = TMS_OK;

    if (!tmsi_is_copyable(run.args->x, run.args->ldx, run.problem->x_type))
        return launch_plain(run);
    p.w = (const uint8_t *)run.weight;
    p.row_blocks = (int32_t)tmsi_div_up(run.problem->n, 64);
    p.k_blocks = (int32_t)tmsi_div_up(run.problem->k, T::DEPTH);
    p.grid = grid;
    p.raster = choose_raster((int64_t)p.row_blocks * p.k_blocks * T::BLOCK_BYTES, grid.pairs_n);
    p.box_rows = choose_box(run.args->t, T::TOKENS);
    p.epilogue = tmsi_make_epilogue(run);
    p.kind = choose_kind<typename T::Element>(p.epilogue);
    p.flags = make_flags(p.epilogue);
    TMS_TRY(make_maps<T>(run, &p));
    TMS_TRY(tmsi_clear_absmax(run));
    /* The grid may begin before the one before it in the stream is complete, for which it waits. */
    attributes[0].id = cudaLaunchAttributeProgrammaticStreamSerialization;
    attributes[0].val.programmaticStreamSerializationAllowed = 1;
    attributes[1].id = cudaLaunchAttributeClusterDimension;
    attributes[1].val.clusterDim.x = CLUSTER;
    attributes[1].val.clusterDim.y = attributes[1].val.clusterDim.z = 1;
    config.gridDim = dim3((unsigned)(clusters * CLUSTER));
    config.blockDim = dim3(T::THREADS);
    config.dynamicSmemBytes = T::SHARED_BYTES;
    config.stream = stream;
    config.attrs = attributes;
    config.numAttrs = 2;
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
