/* cuSPARSELt, by the algorithm that its own search finds. Its t is rounded up to 16: it takes no
 * other. */
#include <cuda_runtime_api.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rival.h"

enum {
    COMPUTE_32I = 0,
    COMPUTE_32F = 2,
    ORDER_COLUMN = 1,
    PRUNE_STRIP = 1, /* by the magnitudes of each four */
    ATTRIBUTE_GELU = 3,
    ATTRIBUTE_BIAS_POINTER = 8,
    OPAQUE_BYTES = 16384
};

enum { A, B, C, MATMUL, SELECTION, PLAN, OPAQUE_COUNT };

typedef struct sparse_rival {
    bench_rival base;
    void *opaque[OPAQUE_COUNT];
    bool has_plan;
    void *compressed, *buffer;
} sparse_rival;

static void *library, *handle;

#define CALL(name, type, ...) BENCH_FUNCTION(library, name, type)(__VA_ARGS__)

void bench_cusparselt_load(const char *path, char *text, size_t text_bytes) {
    int version = 0;

    library = dlopen(path != NULL ? path : "libcusparseLt.so.0", RTLD_NOW);
    handle = aligned_alloc(64, OPAQUE_BYTES);
    text[0] = '\0';
    if (library != NULL && handle != NULL && CALL("cusparseLtInit", (void *), handle) == 0 &&
        CALL("cusparseLtGetVersion", (void *, int *), handle, &version) == 0)
        snprintf(text, text_bytes, "cusparselt %d ", version);
}

static int matmul(sparse_rival *self, const char *function) {
    static const float one = 1.0f, zero = 0.0f;
    const bench_product *p = &self->base.product;
    const bool adds = p->fused == BENCH_RESIDUAL || p->fused == BENCH_BIAS_RESIDUAL;
    void *stream = p->stream;

    return CALL(function,
                (void *, void *, const void *, const void *, const void *, const void *,
                 const void *, void *, void *, void **, int),
                handle, self->opaque[PLAN], &one, self->compressed, p->x, adds ? &one : &zero,
                adds ? p->residual : p->y, p->y, p->work, &stream, 1);
}

static bool run_sparse(bench_rival *self) {
    return matmul((sparse_rival *)self, "cusparseLtMatmul") == 0;
}

static void close_sparse(bench_rival *base) {
    sparse_rival *self = (sparse_rival *)base;

    if (self->has_plan)
        CALL("cusparseLtMatmulPlanDestroy", (void *), self->opaque[PLAN]);
    for (int i = 0; i < OPAQUE_COUNT; i++)
        free(self->opaque[i]);
    cudaFree(self->compressed);
    cudaFree(self->buffer);
    free(self);
}

static bool set(sparse_rival *self, int attribute, const void *value, size_t bytes) {
    return CALL("cusparseLtMatmulDescSetAttribute", (void *, void *, int, const void *, size_t),
                handle, self->opaque[MATMUL], attribute, value, bytes) == 0;
}

static bool describe(sparse_rival *self) {
    const bench_product *p = &self->base.product;
    const int type = bench_cuda_type(p->type), one = 1;
    void **o = self->opaque;
    bool is_good;

#define DENSE(out, rows, columns, type)                                                            \
    CALL("cusparseLtDenseDescriptorInit",                                                          \
         (void *, void *, int64_t, int64_t, int64_t, uint32_t, int, int), handle, out, rows,       \
         columns, rows, 16, type, ORDER_COLUMN)
    is_good = CALL("cusparseLtStructuredDescriptorInit",
                   (void *, void *, int64_t, int64_t, int64_t, uint32_t, int, int, int), handle,
                   o[A], p->k, p->n, p->k, 16, type, ORDER_COLUMN, 0) == 0 &&
              DENSE(o[B], p->k, p->t, type) == 0 &&
              DENSE(o[C], p->n, p->t, bench_cuda_type(self->base.y_type)) == 0 &&
              CALL("cusparseLtMatmulDescriptorInit",
                   (void *, void *, int, int, void *, void *, void *, void *, int), handle,
                   o[MATMUL], BENCH_OP_T, 0, o[A], o[B], o[C], o[C],
                   p->type == TMS_I8 ? COMPUTE_32I : COMPUTE_32F) == 0;
    if (is_good && p->fused != BENCH_PLAIN && p->fused != BENCH_RESIDUAL)
        is_good = set(self, ATTRIBUTE_BIAS_POINTER, &p->bias, sizeof p->bias);
    if (is_good && p->fused == BENCH_BIAS_GELU)
        is_good = set(self, ATTRIBUTE_GELU, &one, sizeof one);
    self->has_plan = is_good &&
                     CALL("cusparseLtMatmulAlgSelectionInit", (void *, void *, void *, int), handle,
                          o[SELECTION], o[MATMUL], 0) == 0 &&
                     CALL("cusparseLtMatmulPlanInit", (void *, void *, void *, void *), handle,
                          o[PLAN], o[MATMUL], o[SELECTION]) == 0;
    return self->has_plan;
}

static bool compress(sparse_rival *self) {
    const bench_product *p = &self->base.product;
    size_t bytes = 0, buffer_bytes = 0;

    return CALL("cusparseLtSpMMACompressedSize", (void *, void *, size_t *, size_t *), handle,
                self->opaque[PLAN], &bytes, &buffer_bytes) == 0 &&
           cudaMalloc(&self->compressed, bytes) == cudaSuccess &&
           cudaMalloc(&self->buffer, buffer_bytes + 256) == cudaSuccess &&
           CALL("cusparseLtSpMMACompress", (void *, void *, const void *, void *, void *, void *),
                handle, self->opaque[PLAN], p->w_24, self->compressed, self->buffer,
                p->stream) == 0 &&
           cudaStreamSynchronize(p->stream) == cudaSuccess;
}

bool bench_cusparselt_build(bench_rival *base, const void *w, void *pruned) {
    sparse_rival *self = (sparse_rival *)base;
    void *stream = base->product.stream;

    return CALL("cusparseLtSpMMAPrune", (void *, void *, const void *, void *, int, void *), handle,
                self->opaque[MATMUL], w, pruned, PRUNE_STRIP, stream) == 0 &&
           CALL("cusparseLtSpMMACompress", (void *, void *, const void *, void *, void *, void *),
                handle, self->opaque[PLAN], pruned, self->compressed, self->buffer, stream) == 0;
}

bench_rival *bench_cusparselt_open(const bench_product *product) {
    sparse_rival *self = calloc(1, sizeof *self);
    bool is_good = self != NULL && library != NULL;

    if (!is_good) {
        free(self);
        return NULL;
    }
    self->base.product = *product;
    self->base.product.t = (product->t + 15) / 16 * 16;
    self->base.y_type = product->type == TMS_F16 ? TMS_F16 : TMS_BF16;
    self->base.run = run_sparse;
    self->base.close = close_sparse;
    for (int i = 0; i < OPAQUE_COUNT && is_good; i++) {
        self->opaque[i] = aligned_alloc(64, OPAQUE_BYTES);
        is_good = self->opaque[i] != NULL;
        if (is_good)
            memset(self->opaque[i], 0, OPAQUE_BYTES);
    }
    if (is_good && describe(self) && compress(self) && matmul(self, "cusparseLtMatmulSearch") == 0)
        return &self->base;
    fprintf(stderr, "cusparselt refuses t %lld k %lld n %lld in %s, epilogue %d\n",
            (long long)product->t, (long long)product->k, (long long)product->n,
            tms_dtype_name(product->type), (int)product->fused);
    close_sparse(&self->base);
    return NULL;
}
