/* Launches of the nm24 kernels from Ampere on. Included by one file a type, whose kernels it makes
 * from that type's table. */
#ifndef TAMIS_SPMM_CUDA_NM24_SM80_LAUNCH_CUH
#define TAMIS_SPMM_CUDA_NM24_SM80_LAUNCH_CUH

#include "spmm/cuda/launch.cuh"
#include "spmm/cuda/nm24_sm80.h"
#include "spmm/cuda/nm24_sm80_few.cuh"
#include "spmm/cuda/nm24_sm80_many.cuh"

namespace nm24_sm80 {

/* Bytes that one copy of x may move: all rows begin at a multiple of it. */
inline int choose_width(const void *x, int64_t pitch_bytes) {
    if ((uintptr_t)x % 16 == 0 && pitch_bytes % 16 == 0)
        return 16;
    return (uintptr_t)x % 4 == 0 && pitch_bytes % 4 == 0 ? 4 : 0;
}

template <class T> Params make_params(const tmsi_spmm_run &run) {
    constexpr int ELEMENT = T::Type::ELEMENT;
    Params p = {};

    p.w = (const uint8_t *)run.weight;
    p.x = (const uint8_t *)run.args->x;
    p.x_pitch = run.args->ldx * ELEMENT;
    p.x_row_bytes = run.problem->k * ELEMENT;
    p.row_blocks = (int32_t)tmsi_div_up(run.problem->n, TMSI_NM24_MMA_BLOCK);
    p.k_blocks = (int32_t)tmsi_div_up(run.problem->k, tmsi_nm24_sm80_depth(ELEMENT));
    p.tiles_n = (int32_t)tmsi_div_up(run.problem->n, T::ROWS);
    p.tiles_t = (int32_t)tmsi_div_up(run.args->t, T::TOKENS);
    p.width = choose_width(p.x, p.x_pitch);
    p.splits = 1;
    p.epilogue = tmsi_make_epilogue(run);
    p.has_pieces = tmsi_epilogue_has_pieces(p.epilogue);
    return p;
}

/* is_early: the grid may begin before the one before it in the stream is complete. */
inline cudaError_t start(void (*kernel)(Params), dim3 grid, int threads, int shared_bytes,
                         cudaStream_t stream, bool is_early, const Params &p) {
    cudaLaunchConfig_t config = {};
    cudaLaunchAttribute early = {};

    early.id = cudaLaunchAttributeProgrammaticStreamSerialization;
    early.val.programmaticStreamSerializationAllowed = 1;
    config.gridDim = grid;
    config.blockDim = dim3((unsigned)threads);
    config.dynamicSmemBytes = (size_t)shared_bytes;
    config.stream = stream;
    config.attrs = &early;
    config.numAttrs = is_early ? 1 : 0;
    return cudaLaunchKernelEx(&config, kernel, p);
}

/* Whether CTAs should begin while those of the kernel before still run. A context with the bit runs
 * code of this chip, which has the instruction that waits. CTAs take what room is left, and not one
 * a multiprocessor: so all should fit beside the others without many on one, or most should have to
 * wait for room. Between the two they pile up (H100: 160 CTAs at 5120 x 5120 took 11.9 us for 7.4,
 * 128 of three a multiprocessor 9.5 for 5.7); elsewhere products take 5 to 25 % less. */
template <class T> bool is_better_early(const tms_context &context, int64_t ctas) {
    const int64_t processors = context.gpu.processors;
    const int64_t room = processors * T::RESIDENTS - ctas;
    const int64_t beside = T::RESIDENTS > 2 ? processors * 2 / 3 : processors;

    return (context.gpu.isa & TMS_ISA_SM90) != 0 && (ctas <= beside || 3 * room <= ctas);
}

/* What differs between the two kernels. */
template <class Type, int R, int C, int A, int B, int S>
tms_status enqueue(Many<Type, R, C, A, B, S>, const Params &p, const tmsi_spmm_run &run,
                   const char *name) {
    typedef Many<Type, R, C, A, B, S> T;

    return tmsi_cuda_check(name,
                           start(many<T>, (unsigned)p.tiles_n * (unsigned)p.tiles_t, T::THREADS,
                                 T::SHARED_BYTES, (cudaStream_t)run.stream, false, p));
}

template <class Type, int R, int C, int W, int S>
tms_status enqueue(Few<Type, R, C, W, S>, Params p, const tmsi_spmm_run &run, const char *name) {
    typedef Few<Type, R, C, W, S> T;
    const cudaStream_t stream = (cudaStream_t)run.stream;
    const unsigned tiles = (unsigned)p.tiles_n * (unsigned)p.tiles_t;
    cudaError_t error;

    p.splits = tmsi_nm24_sm80_splits(run.problem->n, run.args->t, p.k_blocks, R, C);
    p.partial = run.work;
    p.is_early = is_better_early<T>(*run.context, (int64_t)tiles * p.splits);
    error = start(few<T>, dim3(tiles, (unsigned)p.splits), T::THREADS, T::SHARED_BYTES, stream,
                  p.is_early, p);
    if (error == cudaSuccess && p.splits > 1)
        error = start(join<typename T::Sum>,
                      dim3((unsigned)tmsi_div_up(run.problem->n, JOIN_ROWS) *
                           (unsigned)tmsi_div_up(run.args->t, JOIN_TOKENS)),
                      JOIN_THREADS, 0, stream, p.is_early, p);
    return tmsi_cuda_check(name, error);
}

template <class T> tms_status launch(const tmsi_spmm_run &run, const char *name) {
    const tmsi_cuda_scope scope(run.context->cuda->index);
    const tms_status status = tmsi_clear_absmax(run);

    return status == TMS_OK ? enqueue(T(), make_params<T>(run), run, name) : status;
}

template <class Type, int R, int C, int A, int B, int S>
const void *function_of(Many<Type, R, C, A, B, S>) {
    return (const void *)many<Many<Type, R, C, A, B, S>>;
}

template <class Type, int R, int C, int W, int S> const void *function_of(Few<Type, R, C, W, S>) {
    return (const void *)few<Few<Type, R, C, W, S>>;
}

template <class T> tms_status prepare(const char *name) {
    return tmsi_cuda_check(name, cudaFuncSetAttribute(function_of(T()),
                                                      cudaFuncAttributeMaxDynamicSharedMemorySize,
                                                      T::SHARED_BYTES));
}

} // namespace nm24_sm80

/* The tiles behind a table's names. Many: rows, tokens, warps along both, stages. Few: rows,
 * tokens, warps, stages, as many as 99 KiB hold with two CTAs or more on an A100's multiprocessor.
 */
#define NM24_SM80_TILES(type)                                                                      \
    typedef nm24_sm80::Many<nm24_sm80::type, 128, 128, 2, 4, 3> spmm_nm24_##type##_128x128_sm80;   \
    typedef nm24_sm80::Few<nm24_sm80::type, 64, 32, 5, 2> spmm_nm24_##type##_64x32_sm80;           \
    typedef nm24_sm80::Few<nm24_sm80::type, 32, 16, 6, 3> spmm_nm24_##type##_32x16_sm80;           \
    typedef nm24_sm80::Few<nm24_sm80::type, 32, 8, 8, 3> spmm_nm24_##type##_32x8_sm80;             \
    typedef nm24_sm80::Few<nm24_sm80::type, 16, 8, 8, 4> spmm_nm24_##type##_16x8_sm80;

/* A row's two functions. */
#define NM24_SM80_FUNCTIONS(name)                                                                  \
    extern "C" tms_status tmsi_##name(const tmsi_spmm_run *run) {                                  \
        return nm24_sm80::launch<name>(*run, "launching " #name);                                  \
    }                                                                                              \
    extern "C" tms_status tmsi_##name##_prepare(void) {                                            \
        return nm24_sm80::prepare<name>("readying " #name);                                        \
    }

#endif
