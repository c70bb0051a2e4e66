/* What others compute the same product with: loaded at run time, so that nothing here depends on
 * it, and absent rows are all that a machine without it notices. */
#ifndef TAMIS_MEASURE_RIVALS_H
#define TAMIS_MEASURE_RIVALS_H

#include <stdbool.h>

#include "base/context.h"

/* OpenBLAS by its C interface; ints are 32 bits wide in the distributions' builds. */
typedef struct tmsi_openblas {
    bool is_there;    /* and comparable */
    char version[64]; /* "OpenBLAS 0.3.21 Haswell" */
    void (*sgemm)(int order, int trans_a, int trans_b, int m, int n, int k, float alpha,
                  const float *a, int lda, const float *b, int ldb, float beta, float *c, int ldc);
    void (*sgemv)(int order, int trans, int m, int n, float alpha, const float *a, int lda,
                  const float *x, int incx, float beta, float *y, int incy);
} tmsi_openblas;

/* Loads it and gives it the context's number of threads. It is left out where its kernels use
 * instruction sets that the context must not: it reads OPENBLAS_CORETYPE when it is loaded, and
 * setting that is the caller's business, since a library leaves the environment alone. Once loaded
 * it stays: its threads would not survive that the code under them went away. */
void tmsi_openblas_open(const tms_context *context, tmsi_openblas *out);

/* y[t,n] = x[t,k] w[n,k]^T, by sgemv for one token: sgemm is several times slower there. */
void tmsi_openblas_run(const tmsi_openblas *self, const float *x, const float *w, float *y,
                       int64_t t, int64_t k, int64_t n);

#endif
