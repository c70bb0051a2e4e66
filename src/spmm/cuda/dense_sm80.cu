/* Dense products: cuBLASLt, then where its epilogue is not ours a pass over its sums.
 *
 * A plan keeps the library's algorithm for t = 1, 2, 3, 4, 6, 8 ... tokens, for arrays that lie on
 * 16 bytes and for any other: looking for them takes the library long, and a run must not. */
#include "cuda/cublaslt.h"
#include "spmm/cuda/dense.h"
#include "spmm/cuda/dense_finish.cuh"

namespace {

enum { ALIGNED, ANY, ALIGNMENTS, STEPS_MAX = 64, WORK_ALIGNMENT = 256 };
constexpr size_t LIBRARY_WORK_MAX = (size_t)32 << 20; /* what its guide advises for Hopper */

struct Step {
    int64_t last; /* most tokens */
    bool has[ALIGNMENTS];
    tmsi_lt_algorithm algorithm[ALIGNMENTS];
};

struct State {
    bool is_direct;
    size_t sum_bytes; /* at the head of work, rounded up */
    int32_t count;
    Step steps[STEPS_MAX];
};

/* 1, 2, 3, 4, 6, 8, 12 ... */
int64_t next_tokens(int64_t t) {
    int64_t power = 1;

    while (power * 2 <= t)
        power *= 2;
    return t < 2 ? t + 1 : t < power + power / 2 ? power + power / 2 : power * 2;
}

int32_t library_epilogue(const tms_spmm_problem &problem) {
    const int32_t bias = tmsi_spmm_has(&problem, TMS_EPILOGUE_BIAS) ? TMSI_LT_BIAS : 0;

    if (problem.activation == TMS_ACT_RELU)
        return TMSI_LT_RELU | bias;
    if (problem.activation == TMS_ACT_GELU_TANH)
        return TMSI_LT_GELU | bias;
    return bias != 0 ? bias : TMSI_LT_PLAIN;
}

/* The product as the library sees it; rows of w along y's rows, or, where y is transposed, rows of
 * x. Sums lie like y, without gaps. */
tmsi_lt_product describe(const tms_spmm_problem &problem, int64_t t, bool is_direct, int64_t ldx,
                         int64_t ldy, int64_t ldr) {
    const bool is_transposed = problem.y_order == TMS_ORDER_NT;
    tmsi_lt_product p = {};

    p.type = problem.x_type;
    p.d_type = is_direct ? problem.y_type : problem.x_type == TMS_I8 ? TMS_I32 : TMS_F32;
    p.epilogue = is_direct ? library_epilogue(problem) : TMSI_LT_PLAIN;
    p.beta = is_direct && tmsi_spmm_has(&problem, TMS_EPILOGUE_RESIDUAL) ? 1.f : 0.f;
    p.m = is_transposed ? t : problem.n;
    p.n = is_transposed ? problem.n : t;
    p.k = problem.k;
    p.lda = is_transposed ? ldx : problem.k;
    p.ldb = is_transposed ? problem.k : ldx;
    p.ldc = ldr;
    p.ldd = is_direct ? ldy : p.m;
    return p;
}

tms_status open_plan(tms_context *context, const tms_spmm_problem *problem, int64_t first,
                     int64_t last, void **out_state, size_t *work_bytes) {
    const tmsi_cuda_scope scope(context->cuda->index);
    const uint32_t alignments[ALIGNMENTS] = {16,
                                             (uint32_t)tmsi_cuda_element_bytes(problem->x_type)};
    const int64_t y_width = problem->y_order == TMS_ORDER_NT ? 0 : problem->n; /* 0: t */
    size_t library_bytes = 0;
    State *state = NULL;
    tms_status status = TMS_OK;

    TMS_TRY(tmsi_alloc(context, 1, sizeof *state, &state));
    state->is_direct = tmsi_dense_is_direct(problem);
    for (int64_t t = first; state->count < STEPS_MAX; t = tmsi_min(next_tokens(t), last)) {
        Step *step = &state->steps[state->count++];
        const int64_t width = y_width > 0 ? y_width : t;
        const tmsi_lt_product product =
            describe(*problem, t, state->is_direct, problem->k, width, width);

        step->last = state->count < STEPS_MAX ? t : last;
        for (int i = 0; i < ALIGNMENTS; i++) {
            step->has[i] = tmsi_cublaslt_find(context->cublaslt, &product, alignments[i],
                                              LIBRARY_WORK_MAX, &step->algorithm[i]);
            if (step->has[i] && step->algorithm[i].work_bytes > library_bytes)
                library_bytes = step->algorithm[i].work_bytes;
        }
        if (t >= last)
            break;
    }
    state->sum_bytes = tmsi_round_up(tmsi_dense_sum_bytes(problem, last), WORK_ALIGNMENT);
    if (state->sum_bytes + library_bytes > 0)
        *work_bytes = WORK_ALIGNMENT + state->sum_bytes + library_bytes;
    *out_state = state;
done:
    return status;
}

void close_plan(tms_context *context, void *state) {
    tmsi_free(context, state);
}

dense::Finish make_finish(const tmsi_spmm_run &run) {
    const tms_spmm_problem &problem = *run.problem;
    const tms_spmm_args &args = *run.args;
    const bool is_transposed = problem.y_order == TMS_ORDER_NT;
    dense::Finish f = {};

    f.scale_n = args.scale_n;
    f.scale_t = args.scale_t;
    f.bias = args.bias;
    f.residual = args.residual;
    f.y = args.y;
    f.absmax_t = args.absmax_t;
    f.t = args.t;
    f.columns = tmsi_spmm_columns(&problem);
    f.y_t = is_transposed ? 1 : args.ldy;
    f.y_n = is_transposed ? args.ldy : 1;
    f.r_t = is_transposed ? 1 : args.ldr;
    f.r_n = is_transposed ? args.ldr : 1;
    f.scale_y = args.scale_y;
    f.y_type = problem.y_type;
    f.r_type = tmsi_spmm_residual_type(problem.y_type);
    f.activation = problem.activation;
    f.has_gate = tmsi_spmm_has(&problem, TMS_EPILOGUE_GATE);
    return f;
}

template <class Source>
tms_status finish(const tmsi_spmm_run &run, const Source &source, const char *what) {
    const dense::Finish f = make_finish(run);
    const bool along_t = run.problem->y_order == TMS_ORDER_NT;
    const int64_t lines = along_t ? f.columns : f.t, width = along_t ? f.t : f.columns;
    const dim3 grid((unsigned)tmsi_min(tmsi_div_up(width, dense::THREADS), 64),
                    (unsigned)tmsi_min(lines, 65535));
    const cudaStream_t stream = (cudaStream_t)run.stream;

    if (f.absmax_t != NULL)
        dense::finish_rows<<<(unsigned)tmsi_min(f.t, 65535), dense::ROW_THREADS, 0, stream>>>(
            source, f);
    else if (along_t)
        dense::finish<Source, true><<<grid, dense::THREADS, 0, stream>>>(source, f);
    else
        dense::finish<Source, false><<<grid, dense::THREADS, 0, stream>>>(source, f);
    return tmsi_cuda_check(what, cudaGetLastError());
}

const void *values_of(const tmsi_spmm_run &run) {
    return (const char *)run.weight + TMSI_DENSE_VALUES_OFFSET;
}

tms_status run_looped(const tmsi_spmm_run &run) {
    const dense::Looped source = {run.args->x, values_of(run), run.args->ldx, run.problem->k,
                                  run.problem->x_type};

    return finish(run, source, "launching the plain dense kernel");
}

/* Whether all that the library reads and writes lies on 16 bytes. */
bool is_aligned(const tmsi_spmm_run &run, bool is_direct) {
    const tms_spmm_problem &problem = *run.problem;
    const tms_spmm_args &args = *run.args;
    const int64_t x_bytes = tmsi_cuda_element_bytes(problem.x_type);
    const int64_t y_bytes = tmsi_cuda_element_bytes(problem.y_type);
    uintptr_t bits = (uintptr_t)args.x | (uintptr_t)values_of(run) |
                     (uintptr_t)(args.ldx * x_bytes) | (uintptr_t)(problem.k * x_bytes);

    if (problem.y_order == TMS_ORDER_NT) /* its rows are t long */
        bits |= (uintptr_t)(args.t * (is_direct ? y_bytes : 4));
    if (is_direct)
        bits |= (uintptr_t)args.y | (uintptr_t)(args.ldy * y_bytes) | (uintptr_t)args.residual |
                (args.residual != NULL ? (uintptr_t)(args.ldr * y_bytes) : 0);
    else
        bits |= (uintptr_t)(4 * (problem.y_order == TMS_ORDER_NT ? args.t : problem.n));
    return bits % 16 == 0;
}

template <class Sum> tms_status finish_stored(const tmsi_spmm_run &run, const void *sums) {
    const bool is_transposed = run.problem->y_order == TMS_ORDER_NT;
    const dense::Stored<Sum> source = {(const Sum *)sums, is_transposed ? 1 : run.problem->n,
                                       is_transposed ? run.args->t : 1};
    const char *what = "launching what follows a dense product";
    const dense::Finish f = make_finish(run);
    const int64_t blocks = tmsi_div_up(f.t * f.columns / dense::WIDTH, dense::THREADS);

    if (!dense::is_wide(f, source))
        return finish(run, source, what);
    dense::finish_wide<<<(unsigned)tmsi_min(blocks, 8192), dense::THREADS, 0,
                         (cudaStream_t)run.stream>>>(source, f);
    return tmsi_cuda_check(what, cudaGetLastError());
}

tmsi_lt_arrays arrays_of(const tmsi_spmm_run &run, const State &state, char *work) {
    const bool is_transposed = run.problem->y_order == TMS_ORDER_NT;
    tmsi_lt_arrays arrays = {};

    arrays.a = is_transposed ? run.args->x : values_of(run);
    arrays.b = is_transposed ? values_of(run) : run.args->x;
    arrays.c = run.args->residual;
    arrays.d = state.is_direct ? run.args->y : work;
    arrays.bias = run.args->bias;
    arrays.work = work + state.sum_bytes;
    arrays.stream = run.stream;
    return arrays;
}

/* An algorithm is one for the step's tokens and rows without gaps; where the library does not take
 * it for what the call brings, the one for any alignment is tried, then the plain loop. */
tms_status launch(const tmsi_spmm_run &run) {
    const tmsi_cuda_scope scope(run.context->cuda->index);
    const tms_spmm_args &args = *run.args;
    const State &state = *(const State *)run.state;
    const Step *step = state.steps;
    char *work =
        (char *)(((uintptr_t)args.work + WORK_ALIGNMENT - 1) / WORK_ALIGNMENT * WORK_ALIGNMENT);
    const tmsi_lt_arrays arrays = arrays_of(run, state, work);
    const tmsi_lt_product product =
        describe(*run.problem, args.t, state.is_direct, args.ldx, args.ldy, args.ldr);

    while (step->last < args.t)
        step++;
    for (int i = is_aligned(run, state.is_direct) ? ALIGNED : ANY; i < ALIGNMENTS; i++) {
        int status;

        if (!step->has[i])
            continue;
        status = tmsi_cublaslt_run(run.context->cublaslt, &product, &step->algorithm[i], &arrays);
        if (status == TMSI_LT_NOT_SUPPORTED)
            continue;
        if (status != 0)
            return tmsi_fail(TMS_ERR_DEVICE, "cublasLtMatmul failed with status %d at t = %lld",
                             status, (long long)args.t);
        if (state.is_direct)
            return TMS_OK;
        return run.problem->x_type == TMS_I8 ? finish_stored<int32_t>(run, work)
                                             : finish_stored<float>(run, work);
    }
    return run_looped(run);
}

/* Loads the kernels: a first launch under capture of a graph could not. */
tms_status prepare() {
    const void *const kernels[] = {
        (const void *)dense::finish<dense::Looped, false>,
        (const void *)dense::finish<dense::Looped, true>,
        (const void *)dense::finish<dense::Stored<float>, false>,
        (const void *)dense::finish<dense::Stored<float>, true>,
        (const void *)dense::finish<dense::Stored<int32_t>, false>,
        (const void *)dense::finish<dense::Stored<int32_t>, true>,
        (const void *)dense::finish_wide<float>,
        (const void *)dense::finish_wide<int32_t>,
        (const void *)dense::finish_rows<dense::Looped>,
        (const void *)dense::finish_rows<dense::Stored<float>>,
        (const void *)dense::finish_rows<dense::Stored<int32_t>>,
    };
    cudaFuncAttributes attributes;
    tms_status status = TMS_OK;

    for (size_t i = 0; i < sizeof kernels / sizeof kernels[0]; i++)
        TMS_TRY(tmsi_cuda_check("loading what follows a dense product",
                                cudaFuncGetAttributes(&attributes, kernels[i])));
done:
    return status;
}

} // namespace

extern "C" {
#define TMS_PLANNED_KERNEL(name, needs, layout, format, fits, part, accepts, cost, work)           \
    tms_status tmsi_##name(const tmsi_spmm_run *run) {                                             \
        return launch(*run);                                                                       \
    }                                                                                              \
    tms_status tmsi_##name##_open(tms_context *context, const tms_spmm_problem *problem,           \
                                  int64_t first, int64_t last, void **out_state,                   \
                                  size_t *work_bytes) {                                            \
        return open_plan(context, problem, first, last, out_state, work_bytes);                    \
    }                                                                                              \
    void tmsi_##name##_close(tms_context *context, void *state) {                                  \
        close_plan(context, state);                                                                \
    }                                                                                              \
    tms_status tmsi_##name##_prepare(void) {                                                       \
        return prepare();                                                                          \
    }
#include "spmm/cuda/dense.def"
#undef TMS_PLANNED_KERNEL
}
