/* cuBLASLt, NVIDIA's library of dense products, found at run time: nothing is linked, and without
 * it there is one candidate less. */
#ifndef TAMIS_CUDA_CUBLASLT_H
#define TAMIS_CUDA_CUBLASLT_H

#include <stdbool.h>

#include "tamis.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tmsi_cublaslt tmsi_cublaslt;

/* What of its epilogues a product takes; their bits are the library's. */
enum {
    TMSI_LT_PLAIN = 1,
    TMSI_LT_RELU = 2,
    TMSI_LT_BIAS = 4,  /* f32, an element for each i */
    TMSI_LT_GELU = 32, /* the tanh form */
};

/* The status of a product that an algorithm does not compute. */
enum { TMSI_LT_NOT_SUPPORTED = 15 };

/* d[j, i] = epilogue(sum over k of a[i, k] b[j, k] + beta c[j, i]), rows i < m within j < n: sums
 * in f32, of i8 in i32. Arrays are row-major, rows ld elements apart. */
typedef struct tmsi_lt_product {
    tms_dtype type;   /* of a and b */
    tms_dtype d_type; /* of d and c: f32, bf16, f16; i32 where type is i8 */
    int32_t epilogue;
    float beta; /* 0: c is not read */
    int64_t m, n, k, lda, ldb, ldc, ldd;
} tmsi_lt_product;

/* A way to compute products like the one it was found for; bytes of the library's own. */
typedef struct tmsi_lt_algorithm {
    uint64_t data[8];
    size_t work_bytes;
} tmsi_lt_algorithm;

/* The arrays of one call, in the GPU's memory; work is 256-byte aligned. */
typedef struct tmsi_lt_arrays {
    const void *a, *b, *c;
    void *d;
    const float *bias;
    void *work, *stream;
} tmsi_lt_arrays;

/* Makes context->cublaslt from the library at `path`, or where that is NULL the one that the
 * process has loaded or the system finds by name. Where there is none by name, context->cublaslt
 * stays NULL and context->cublaslt_text says why; a path that is of no use is TMS_ERR_INVALID. The
 * GPU must be the current one. */
tms_status tmsi_cublaslt_open(tms_context *context, const char *path);
void tmsi_cublaslt_close(tms_context *context);

/* The library's first choice among its deterministic algorithms, for arrays and rows aligned to so
 * many bytes, with at most work_max bytes of work; false where it has none. */
bool tmsi_cublaslt_find(const tmsi_cublaslt *self, const tmsi_lt_product *product,
                        uint32_t alignment, size_t work_max, tmsi_lt_algorithm *out);

/* Enqueues the product; the library's status, 0 being success. Allocates nothing and takes no lock
 * of ours. */
int tmsi_cublaslt_run(const tmsi_cublaslt *self, const tmsi_lt_product *product,
                      const tmsi_lt_algorithm *algorithm, const tmsi_lt_arrays *arrays);

#ifdef __cplusplus
}
#endif

#endif
