/* Neither library is linked: their headers need not be there either, so the few types and constants
 * that these calls take are written down here, from the libraries' documentation. Descriptors are
 * opaque bytes. Column-major y^T [n, t] = w [n, k] x^T [k, t] is row-major y = x w^T. */
#include "rivals.h"

#include <cuda_runtime_api.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    R_32F = 0,
    R_16BF = 14, /* cudaDataType */
    COMPUTE_32F = 68,
    OP_T = 1, /* cublas and cusparse alike */
    DESC_TRANSA = 3,
    PREF_WORKSPACE = 1,
    SPARSE_COMPUTE_32F = 2,
    ORDER_COLUMN = 1,
    OPAQUE_BYTES = 16384,
    ALGORITHMS = 16
};

typedef struct algorithm { /* cublasLtMatmulHeuristicResult_t */
    uint64_t data[8];
    size_t workspace;
    int state;
    float waves;
    int reserved[4];
} algorithm;

struct bench_rival {
    bench_product product;
    void *description, *a, *b, *c; /* cublaslt */
    algorithm best;
    void *opaque[6]; /* cusparselt: a, b, c, matmul, algorithms, plan */
    void *compressed;
};

static struct {
    void *dense, *sparse, *dense_handle, *sparse_handle;
    char text[96];
} libraries;

static const float one = 1.0f, zero = 0.0f;

/* The functions are called through pointers of their own types; a union because ISO C has no cast
 * from void * to a function pointer. */
#define FUNCTION(library, name, type)                                                              \
    (((union {                                                                                     \
         void *object;                                                                             \
         int(*function) type;                                                                      \
     }){dlsym(library, name)})                                                                     \
         .function)
#define CALL(library, name, type, ...) FUNCTION(library, name, type)(__VA_ARGS__)

const char *bench_rivals_load(const char *cublaslt, const char *cusparselt) {
    int version = 0;

    libraries.dense = dlopen(cublaslt != NULL ? cublaslt : "libcublasLt.so.13", RTLD_NOW);
    libraries.sparse = dlopen(cusparselt != NULL ? cusparselt : "libcusparseLt.so.0", RTLD_NOW);
    libraries.text[0] = '\0';
    if (libraries.dense != NULL &&
        CALL(libraries.dense, "cublasLtCreate", (void **), &libraries.dense_handle) == 0)
        snprintf(libraries.text, sizeof libraries.text, "cublaslt %d ",
                 FUNCTION(libraries.dense, "cublasLtGetVersion", (void))());
    libraries.sparse_handle = aligned_alloc(64, OPAQUE_BYTES);
    if (libraries.sparse != NULL && libraries.sparse_handle != NULL &&
        CALL(libraries.sparse, "cusparseLtInit", (void *), libraries.sparse_handle) == 0 &&
        CALL(libraries.sparse, "cusparseLtGetVersion", (void *, int *), libraries.sparse_handle,
             &version) == 0) {
        size_t used = strlen(libraries.text);
        snprintf(libraries.text + used, sizeof libraries.text - used, "cusparselt %d ", version);
    }
    return libraries.text;
}

/* ---- cuBLASLt -------------------------------------------------------------------------------- */

static bool run_dense(bench_rival *self, const algorithm *how) {
    const bench_product *p = &self->product;

    return CALL(libraries.dense, "cublasLtMatmul",
                (void *, void *, const void *, const void *, void *, const void *, void *,
                 const void *, const void *, void *, void *, void *, const void *, void *, size_t,
                 void *),
                libraries.dense_handle, self->description, &one, p->w, self->a, p->x, self->b,
                &zero, p->y, self->c, p->y, self->c, how->data, p->work, BENCH_WORK_BYTES,
                p->stream) == 0;
}

/* Milliseconds of a few runs, or a negative number. */
static float try_algorithm(bench_rival *self, const algorithm *how) {
    cudaStream_t stream = self->product.stream;
    cudaEvent_t first, last;
    float ms = -1.0f;
    bool is_good = true;

    cudaEventCreate(&first);
    cudaEventCreate(&last);
    is_good = run_dense(self, how);
    cudaEventRecord(first, stream);
    for (int i = 0; i < 4 && is_good; i++)
        is_good = run_dense(self, how);
    cudaEventRecord(last, stream);
    if (cudaEventSynchronize(last) == cudaSuccess && is_good)
        cudaEventElapsedTime(&ms, first, last);
    cudaEventDestroy(first);
    cudaEventDestroy(last);
    return ms;
}

bench_rival *bench_cublaslt_open(const bench_product *product) {
    bench_rival *self = calloc(1, sizeof *self);
    algorithm found[ALGORITHMS];
    size_t work_bytes = BENCH_WORK_BYTES;
    void *preference = NULL;
    int count = 0, operation = OP_T;
    float best = -1.0f;

    if (self == NULL || libraries.dense_handle == NULL) {
        free(self);
        return NULL;
    }
    self->product = *product;
    CALL(libraries.dense, "cublasLtMatmulDescCreate", (void **, int, int), &self->description,
         COMPUTE_32F, R_32F);
    CALL(libraries.dense, "cublasLtMatmulDescSetAttribute", (void *, int, const void *, size_t),
         self->description, DESC_TRANSA, &operation, sizeof operation);
#define LAYOUT(out, rows, columns)                                                                 \
    CALL(libraries.dense, "cublasLtMatrixLayoutCreate",                                            \
         (void **, int, uint64_t, uint64_t, int64_t), out, R_16BF, (uint64_t)(rows),               \
         (uint64_t)(columns), rows)
    LAYOUT(&self->a, product->k, product->n);
    LAYOUT(&self->b, product->k, product->t);
    LAYOUT(&self->c, product->n, product->t);
    CALL(libraries.dense, "cublasLtMatmulPreferenceCreate", (void **), &preference);
    CALL(libraries.dense, "cublasLtMatmulPreferenceSetAttribute",
         (void *, int, const void *, size_t), preference, PREF_WORKSPACE, &work_bytes,
         sizeof work_bytes);
    CALL(libraries.dense, "cublasLtMatmulAlgoGetHeuristic",
         (void *, void *, void *, void *, void *, void *, void *, int, algorithm *, int *),
         libraries.dense_handle, self->description, self->a, self->b, self->c, self->c, preference,
         ALGORITHMS, found, &count);
    CALL(libraries.dense, "cublasLtMatmulPreferenceDestroy", (void *), preference);
    for (int i = 0; i < count; i++) {
        float ms = try_algorithm(self, &found[i]);
        if (ms >= 0.0f && (best < 0.0f || ms < best)) {
            best = ms;
            self->best = found[i];
        }
    }
    if (best < 0.0f) {
        fprintf(stderr, "cublaslt has no algorithm for t %lld k %lld n %lld\n",
                (long long)product->t, (long long)product->k, (long long)product->n);
        bench_rival_close(self);
        self = NULL;
    }
    return self;
}

/* ---- cuSPARSELt ------------------------------------------------------------------------------ */

enum { A, B, C, MATMUL, SELECTION, PLAN };

static int matmul(bench_rival *self, const char *function) {
    const bench_product *p = &self->product;
    void *stream = p->stream;

    return CALL(libraries.sparse, function,
                (void *, void *, const void *, const void *, const void *, const void *,
                 const void *, void *, void *, void **, int),
                libraries.sparse_handle, self->opaque[PLAN], &one, self->compressed, p->x, &zero,
                p->y, p->y, p->work, &stream, 1);
}

static bool describe_sparse(bench_rival *self) {
    const bench_product *p = &self->product;
    void *handle = libraries.sparse_handle, **o = self->opaque;

#define DENSE(out, rows, columns)                                                                  \
    CALL(libraries.sparse, "cusparseLtDenseDescriptorInit",                                        \
         (void *, void *, int64_t, int64_t, int64_t, uint32_t, int, int), handle, out, rows,       \
         columns, rows, 16, R_16BF, ORDER_COLUMN)
    return CALL(libraries.sparse, "cusparseLtStructuredDescriptorInit",
                (void *, void *, int64_t, int64_t, int64_t, uint32_t, int, int, int), handle, o[A],
                p->k, p->n, p->k, 16, R_16BF, ORDER_COLUMN, 0) == 0 &&
           DENSE(o[B], p->k, p->t) == 0 && DENSE(o[C], p->n, p->t) == 0 &&
           CALL(libraries.sparse, "cusparseLtMatmulDescriptorInit",
                (void *, void *, int, int, void *, void *, void *, void *, int), handle, o[MATMUL],
                OP_T, 0, o[A], o[B], o[C], o[C], SPARSE_COMPUTE_32F) == 0 &&
           CALL(libraries.sparse, "cusparseLtMatmulAlgSelectionInit", (void *, void *, void *, int),
                handle, o[SELECTION], o[MATMUL], 0) == 0 &&
           CALL(libraries.sparse, "cusparseLtMatmulPlanInit", (void *, void *, void *, void *),
                handle, o[PLAN], o[MATMUL], o[SELECTION]) == 0;
}

static bool compress(bench_rival *self) {
    const bench_product *p = &self->product;
    size_t bytes = 0, buffer_bytes = 0;
    void *buffer = NULL;
    bool is_good =
        CALL(libraries.sparse, "cusparseLtSpMMACompressedSize",
             (void *, void *, size_t *, size_t *), libraries.sparse_handle, self->opaque[PLAN],
             &bytes, &buffer_bytes) == 0 &&
        cudaMalloc(&self->compressed, bytes) == cudaSuccess &&
        cudaMalloc(&buffer, buffer_bytes + 256) == cudaSuccess &&
        CALL(libraries.sparse, "cusparseLtSpMMACompress",
             (void *, void *, const void *, void *, void *, void *), libraries.sparse_handle,
             self->opaque[PLAN], p->w_24, self->compressed, buffer, p->stream) == 0 &&
        cudaStreamSynchronize(p->stream) == cudaSuccess;

    cudaFree(buffer);
    return is_good;
}

bench_rival *bench_cusparselt_open(const bench_product *product) {
    bench_rival *self = calloc(1, sizeof *self);
    bool is_good = self != NULL && libraries.sparse != NULL;

    if (!is_good) {
        free(self);
        return NULL;
    }
    self->product = *product;
    for (int i = 0; i < 6 && is_good; i++) {
        self->opaque[i] = aligned_alloc(64, OPAQUE_BYTES);
        is_good = self->opaque[i] != NULL;
        if (is_good)
            memset(self->opaque[i], 0, OPAQUE_BYTES);
    }
    if (!is_good || !describe_sparse(self) || !compress(self) ||
        matmul(self, "cusparseLtMatmulSearch") != 0) {
        fprintf(stderr, "cusparselt refuses t %lld k %lld n %lld\n", (long long)product->t,
                (long long)product->k, (long long)product->n);
        bench_rival_close(self);
        self = NULL;
    }
    return self;
}

/* ---- Both ------------------------------------------------------------------------------------ */

bool bench_rival_run(bench_rival *self) {
    if (self->description != NULL)
        return run_dense(self, &self->best);
    return matmul(self, "cusparseLtMatmul") == 0;
}

void bench_rival_close(bench_rival *self) {
    void *const layouts[] = {self->a, self->b, self->c};

    for (int i = 0; i < 3; i++)
        if (layouts[i] != NULL)
            CALL(libraries.dense, "cublasLtMatrixLayoutDestroy", (void *), layouts[i]);
    if (self->description != NULL)
        CALL(libraries.dense, "cublasLtMatmulDescDestroy", (void *), self->description);
    if (self->opaque[PLAN] != NULL)
        CALL(libraries.sparse, "cusparseLtMatmulPlanDestroy", (void *), self->opaque[PLAN]);
    for (int i = 0; i < 6; i++)
        free(self->opaque[i]);
    cudaFree(self->compressed);
    free(self);
}
