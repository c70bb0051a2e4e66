/* Launches of the nm24 kernels for few tokens. Included by one file a type, whose kernels it makes
 * from that type's table. */
#ifndef TAMIS_SPMM_CUDA_NM24_FEW_LAUNCH_CUH
#define TAMIS_SPMM_CUDA_NM24_FEW_LAUNCH_CUH

#include "spmm/cuda/launch.cuh"
#include "spmm/cuda/nm24_few.cuh"
#include "spmm/cuda/nm24_few.h"
#include "spmm/cuda/nm24_launch.cuh"

namespace nm24_few {

/* Shared memory of a multiprocessor is 228 KiB, of which each CTA costs 1 KiB more than it asks
 * for, and may have 227. */
constexpr int SHARED_MAX = 227 * 1024, SHARED_HALF = 113 * 1024;

/* x as boxes of `tokens` rows of GROUP blocks; a rest of k, for which memory holds no whole block,
 * makes each block a box of its own. */
template <class T> tms_status make_map(const tmsi_spmm_run &run, Params *p) {
    const int64_t k = run.problem->k;
    const tmsi_cuda_matrix x = {run.problem->x_type, run.args->x, k, run.args->t, run.args->ldx};

    p->has_rest = k % T::DEPTH != 0;
    return tmsi_cuda_make_map_3d(*run.context->cuda, x, p->has_rest ? k : T::DEPTH, p->tokens,
                                 X_ROW_BYTES, p->has_rest ? 1 : T::GROUP, &p->x_map);
}

/* Whether y is rows of 16- or 8-bit values, of which a thread stores 16 bytes at once. */
inline bool has_rows(const tmsi_epilogue &e) {
    const int bytes = tmsi_cuda_element_bytes(e.y_type);

    return e.y_order == TMS_ORDER_TN && bytes < 4 && !e.is_gated && e.n % (16 / bytes) == 0 &&
           tmsi_is_copyable(e.y, e.ldy, e.y_type) &&
           (e.residual == NULL || (bytes == 2 && tmsi_is_copyable(e.residual, e.ldr, e.y_type)));
}

/* Divides shared memory: sums first, of all units that a CTA may have (none where the tile is its
 * own and rows are finished in registers), then as many stages as its blocks need or the rest
 * holds. Consumers give a stage back one stage later, so a ring of one would stand still: where
 * half of the memory holds no more, all of it is taken. */
template <class T> size_t divide_shared(int shared_bytes, Params *p) {
    constexpr int UNITS_MAX = T::TOKENS / 8 + TMSI_NM24_FEW_SPLIT_MAX - 1;
    static_assert(T::SUMS_AT + T::ROW_BLOCKS * UNITS_MAX * T::UNIT_BYTES + 1024 +
                          2 * T::STAGE_BYTES <=
                      SHARED_MAX,
                  "all of the memory holds two stages");
    const bool has_sums = p->split > 1 || !p->has_rows;
    const int units = has_sums ? (int)tmsi_div_up(p->tokens / 8, p->split) * p->split : 0;
    const int64_t needed = tmsi_div_up(tmsi_div_up(p->k_blocks, p->split), T::GROUP);

    p->sums_bytes = units * T::UNIT_BYTES;
    p->ring_at = (int32_t)tmsi_div_up(T::SUMS_AT + T::ROW_BLOCKS * p->sums_bytes, 1024) * 1024;
    p->stages = (int32_t)tmsi_min(needed, (shared_bytes - p->ring_at) / T::STAGE_BYTES);
    if (p->stages < tmsi_min(needed, 2) && shared_bytes < SHARED_MAX)
        return divide_shared<T>(SHARED_MAX, p);
    p->producers = (int32_t)tmsi_min(T::PRODUCERS, p->stages);
    return (size_t)(p->ring_at + p->stages * T::STAGE_BYTES);
}

/* On so many bytes of shared memory a CTA, at most. */
template <class T>
tms_status launch_grid(const tmsi_spmm_run &run, const tmsi_nm24_few_grid &grid, int shared_bytes,
                       const char *name) {
    const tmsi_cuda_scope scope(run.context->cuda->index);
    Params p = {};
    cudaLaunchConfig_t config = {};
    cudaLaunchAttribute attributes[2] = {};
    tms_status status = TMS_OK;

    p.w = (const uint8_t *)run.weight;
    p.row_blocks = (int32_t)tmsi_div_up(run.problem->n, 64);
    p.k_blocks = (int32_t)tmsi_div_up(run.problem->k, T::DEPTH);
    p.share = p.k_blocks / grid.split;
    p.more = p.k_blocks % grid.split;
    p.tokens = grid.tokens;
    p.split = grid.split;
    p.epilogue = tmsi_make_epilogue(run);
    p.has_pieces = tmsi_epilogue_has_pieces(p.epilogue);
    p.has_rows = has_rows(p.epilogue);
    TMS_TRY(make_map<T>(run, &p));
    TMS_TRY(tmsi_clear_absmax(run));
    /* The grid may begin before the one before it in the stream is complete, for which it waits. */
    attributes[0].id = cudaLaunchAttributeProgrammaticStreamSerialization;
    attributes[0].val.programmaticStreamSerializationAllowed = 1;
    attributes[1].id = cudaLaunchAttributeClusterDimension;
    attributes[1].val.clusterDim.x = (unsigned)grid.split;
    attributes[1].val.clusterDim.y = attributes[1].val.clusterDim.z = 1;
    config.gridDim = dim3((unsigned)grid.split, (unsigned)grid.tiles_n, (unsigned)grid.tiles_t);
    config.blockDim = dim3(T::THREADS);
    config.dynamicSmemBytes = divide_shared<T>(shared_bytes, &p);
    config.stream = (cudaStream_t)run.stream;
    config.attrs = attributes;
    config.numAttrs = grid.split > 1 ? 2 : 1;
    status = tmsi_cuda_check(name, cudaLaunchKernelEx(&config, kernel<T>, p));
done:
    return status;
}

template <class T> tms_status launch(const tmsi_spmm_run &run, const char *name) {
    static_assert(T::CTAS == (T::TOKENS >= 96 ? 1 : 2), "as tmsi_nm24_few_is_alone says");
    const tms_spmm_problem &problem = *run.problem;
    const int processors = run.context->cuda->processors;
    const int64_t blocks = tmsi_div_up(problem.k, T::DEPTH);
    tmsi_nm24_few_grid grid = tmsi_nm24_few_grid_of(problem.n, run.args->t, blocks,
                                                    T::ROW_BLOCKS * 64, T::TOKENS, processors);

    if (run.split > 0)
        grid.split = (int32_t)tmsi_min(tmsi_min(run.split, TMSI_NM24_FEW_SPLIT_MAX), blocks);
    /* All of a multiprocessor's memory where no CTA has to wait for another. */
    const bool is_alone = T::CTAS == 1 || tmsi_nm24_few_waves(grid.tiles_n * grid.tiles_t,
                                                              grid.split, processors) == 1;

    if (!tmsi_is_copyable(run.args->x, run.args->ldx, problem.x_type))
        return nm24::launch_plain(run);
    return launch_grid<T>(run, grid, is_alone ? SHARED_MAX : SHARED_HALF, name);
}

template <class T> tms_status prepare(const char *name) {
    return tmsi_cuda_check(
        name,
        cudaFuncSetAttribute(kernel<T>, cudaFuncAttributeMaxDynamicSharedMemorySize, SHARED_MAX));
}

} // namespace nm24_few

/* The tiles behind a table's names: blocks, tokens, blocks of k a stage, CTAs a multiprocessor. A
 * stage has some 20 KB, so that a copy is worth its issue and half a multiprocessor's shared memory
 * holds four or five. */
#define NM24_FEW_TILES(type)                                                                       \
    typedef nm24_few::Tile<nm24::type, 1, 8, 4, 2> spmm_nm24_##type##_few_64x8_sm90;               \
    typedef nm24_few::Tile<nm24::type, 1, 16, 4, 2> spmm_nm24_##type##_few_64x16_sm90;             \
    typedef nm24_few::Tile<nm24::type, 1, 32, 4, 2> spmm_nm24_##type##_few_64x32_sm90;             \
    typedef nm24_few::Tile<nm24::type, 1, 64, 2, 2> spmm_nm24_##type##_few_64x64_sm90;             \
    typedef nm24_few::Tile<nm24::type, 2, 96, 1, 1> spmm_nm24_##type##_few_128x96_sm90;            \
    typedef nm24_few::Tile<nm24::type, 2, 128, 1, 1> spmm_nm24_##type##_few_128x128_sm90;          \
    typedef nm24_few::Tile<nm24::type, 2, 192, 1, 1> spmm_nm24_##type##_few_128x192_sm90;

/* A row's two functions. */
#define NM24_FEW_FUNCTIONS(name)                                                                   \
    extern "C" tms_status tmsi_##name(const tmsi_spmm_run *run) {                                  \
        return nm24_few::launch<name>(*run, "launching " #name);                                   \
    }                                                                                              \
    extern "C" tms_status tmsi_##name##_prepare(void) {                                            \
        return nm24_few::prepare<name>("readying " #name);                                         \
    }

#endif
