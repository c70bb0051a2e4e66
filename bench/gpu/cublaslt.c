/* cuBLASLt: of the algorithms that its heuristic names, the fastest of a few runs each. */
#include <cuda_runtime_api.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rival.h"

enum {
    COMPUTE_32F = 68,
    COMPUTE_32I = 72,
    DESC_TRANSA = 3,
    DESC_EPILOGUE = 7,
    DESC_BIAS_POINTER = 8,
    DESC_FAST_ACCUM = 25,
    PREF_WORKSPACE = 1,
    EPILOGUE_BIAS = 4,
    EPILOGUE_GELU_BIAS = 36,
    ALGORITHMS = 16
};

typedef struct algorithm { /* cublasLtMatmulHeuristicResult_t */
    uint64_t data[8];
    size_t workspace;
    int state;
    float waves;
    int reserved[4];
} algorithm;

typedef struct dense_rival {
    bench_rival base;
    void *description, *a, *b, *c;
    const void *alpha, *beta;
    algorithm best;
} dense_rival;

static void *library, *handle;

#define CALL(name, type, ...) BENCH_FUNCTION(library, name, type)(__VA_ARGS__)

void bench_cublaslt_load(const char *path, char *text, size_t text_bytes) {
    library = dlopen(path != NULL ? path : "libcublasLt.so.13", RTLD_NOW);
    text[0] = '\0';
    if (library != NULL && CALL("cublasLtCreate", (void **), &handle) == 0)
        snprintf(text, text_bytes, "cublaslt %d ",
                 BENCH_FUNCTION(library, "cublasLtGetVersion", (void))());
}

static bool run_algorithm(dense_rival *self, const algorithm *how) {
    const bench_product *p = &self->base.product;
    const bool adds = p->fused == BENCH_RESIDUAL || p->fused == BENCH_BIAS_RESIDUAL;

    return CALL("cublasLtMatmul",
                (void *, void *, const void *, const void *, void *, const void *, void *,
                 const void *, const void *, void *, void *, void *, const void *, void *, size_t,
                 void *),
                handle, self->description, self->alpha, p->w, self->a, p->x, self->b, self->beta,
                adds ? p->residual : p->y, self->c, p->y, self->c, how->data, p->work,
                BENCH_WORK_BYTES, p->stream) == 0;
}

static bool run_best(bench_rival *self) {
    dense_rival *dense = (dense_rival *)self;

    return run_algorithm(dense, &dense->best);
}

/* Milliseconds of a few runs, or a negative number. */
static float try_algorithm(dense_rival *self, const algorithm *how) {
    cudaStream_t stream = self->base.product.stream;
    cudaEvent_t first, last;
    float ms = -1.0f;
    bool is_good = true;

    cudaEventCreate(&first);
    cudaEventCreate(&last);
    is_good = run_algorithm(self, how);
    cudaEventRecord(first, stream);
    for (int i = 0; i < 4 && is_good; i++)
        is_good = run_algorithm(self, how);
    cudaEventRecord(last, stream);
    if (cudaEventSynchronize(last) == cudaSuccess && is_good)
        cudaEventElapsedTime(&ms, first, last);
    cudaEventDestroy(first);
    cudaEventDestroy(last);
    return ms;
}

static void set(dense_rival *self, int attribute, const void *value, size_t bytes) {
    CALL("cublasLtMatmulDescSetAttribute", (void *, int, const void *, size_t), self->description,
         attribute, value, bytes);
}

static void describe(dense_rival *self) {
    static const float one = 1.0f, zero = 0.0f;
    static const int whole_one = 1, whole_zero = 0;
    const bench_product *p = &self->base.product;
    const bool is_whole = self->base.y_type == TMS_I32;
    const bool adds = p->fused == BENCH_RESIDUAL || p->fused == BENCH_BIAS_RESIDUAL;
    const int transposed = BENCH_OP_T;
    const int epilogue = p->fused == BENCH_BIAS_GELU ? EPILOGUE_GELU_BIAS : EPILOGUE_BIAS;
    const int8_t is_fast = 1;

    self->alpha = is_whole ? (const void *)&whole_one : &one;
    self->beta = is_whole ? (const void *)&whole_zero : adds ? &one : &zero;
    CALL("cublasLtMatmulDescCreate", (void **, int, int), &self->description,
         p->type == TMS_I8 ? COMPUTE_32I : COMPUTE_32F, is_whole ? BENCH_R_32I : BENCH_R_32F);
    set(self, DESC_TRANSA, &transposed, sizeof transposed);
    if (p->type == TMS_E4M3)
        set(self, DESC_FAST_ACCUM, &is_fast, sizeof is_fast);
    if (p->fused != BENCH_PLAIN && p->fused != BENCH_RESIDUAL) {
        set(self, DESC_EPILOGUE, &epilogue, sizeof epilogue);
        set(self, DESC_BIAS_POINTER, &p->bias, sizeof p->bias);
    }
#define LAYOUT(out, type, rows, columns)                                                           \
    CALL("cublasLtMatrixLayoutCreate", (void **, int, uint64_t, uint64_t, int64_t), out,           \
         bench_cuda_type(type), (uint64_t)(rows), (uint64_t)(columns), rows)
    LAYOUT(&self->a, p->type, p->k, p->n);
    LAYOUT(&self->b, p->type, p->k, p->t);
    LAYOUT(&self->c, self->base.y_type, p->n, p->t);
}

static void undescribe(dense_rival *self) {
    void *const layouts[] = {self->a, self->b, self->c};

    for (int i = 0; i < 3; i++)
        if (layouts[i] != NULL)
            CALL("cublasLtMatrixLayoutDestroy", (void *), layouts[i]);
    if (self->description != NULL)
        CALL("cublasLtMatmulDescDestroy", (void *), self->description);
    self->description = self->a = self->b = self->c = NULL;
}

static void close_dense(bench_rival *self) {
    undescribe((dense_rival *)self);
    free(self);
}

/* Finds the fastest algorithm; false where there is none. */
static bool search(dense_rival *self) {
    const size_t work_bytes = BENCH_WORK_BYTES;
    algorithm found[ALGORITHMS];
    void *preference = NULL;
    float best = -1.0f;
    int count = 0;

    CALL("cublasLtMatmulPreferenceCreate", (void **), &preference);
    CALL("cublasLtMatmulPreferenceSetAttribute", (void *, int, const void *, size_t), preference,
         PREF_WORKSPACE, &work_bytes, sizeof work_bytes);
    CALL("cublasLtMatmulAlgoGetHeuristic",
         (void *, void *, void *, void *, void *, void *, void *, int, algorithm *, int *), handle,
         self->description, self->a, self->b, self->c, self->c, preference, ALGORITHMS, found,
         &count);
    CALL("cublasLtMatmulPreferenceDestroy", (void *), preference);
    for (int i = 0; i < count; i++) {
        float ms = try_algorithm(self, &found[i]);
        if (ms >= 0.0f && (best < 0.0f || ms < best)) {
            best = ms;
            self->best = found[i];
        }
    }
    return best >= 0.0f;
}

bench_rival *bench_cublaslt_open(const bench_product *product) {
    const tms_dtype float_type = product->type == TMS_F16 ? TMS_F16 : TMS_BF16;
    const tms_dtype y_types[] = {product->type == TMS_I8 ? TMS_I8 : float_type, TMS_I32};
    dense_rival *self = calloc(1, sizeof *self);

    if (self == NULL || handle == NULL) {
        free(self);
        return NULL;
    }
    self->base.product = *product;
    self->base.run = run_best;
    self->base.close = close_dense;
    for (int i = 0; i < (product->type == TMS_I8 ? 2 : 1); i++) {
        self->base.y_type = y_types[i];
        describe(self);
        if (search(self))
            return &self->base;
        undescribe(self);
    }
    fprintf(stderr, "cublaslt has no algorithm for t %lld k %lld n %lld in %s\n",
            (long long)product->t, (long long)product->k, (long long)product->n,
            tms_dtype_name(product->type));
    free(self);
    return NULL;
}
