/* cuBLASLt (dense) and cuSPARSELt (2:4), loaded at run time: y = x w^T with what their epilogues
 * have. */
#ifndef TAMIS_BENCH_GPU_RIVALS_H
#define TAMIS_BENCH_GPU_RIVALS_H

#include <stdbool.h>

#include "tamis.h"

/* What rivals can fuse. */
typedef enum bench_fused {
    BENCH_PLAIN,
    BENCH_BIAS,
    BENCH_BIAS_GELU,
    BENCH_RESIDUAL, /* y = x w^T + residual */
    BENCH_BIAS_RESIDUAL
} bench_fused;

typedef struct bench_product {
    int64_t t, k, n;
    tms_dtype type; /* of w and x; y is bf16, but f16 where they are */
    bench_fused fused;
    const void *w, *w_24; /* [n, k]: dense, and 2:4 */
    const void *x;        /* [t, k] */
    void *y;              /* [t, n], room for 4 bytes an element */
    const void *bias;     /* [n], in y's type */
    const void *residual; /* as y */
    void *work;           /* BENCH_WORK_BYTES */
    void *stream;
} bench_product;

enum { BENCH_WORK_BYTES = 64 << 20 };

/* A rival's product, ready to run; NULL where the library is not there or refuses. Each takes the
 * fastest algorithm by its own search. */
typedef struct bench_rival bench_rival;
bench_rival *bench_cublaslt_open(const bench_product *product);
bench_rival *bench_cusparselt_open(const bench_product *product);
bool bench_rival_run(bench_rival *rival);
/* Of cuSPARSELt: prunes w [n, k] to 2:4 in `pruned`, and compresses that. Only enqueues. */
bool bench_cusparselt_build(bench_rival *rival, const void *w, void *pruned);
/* The type y has: cuBLASLt's dense i8 gives i8 or i32. */
tms_dtype bench_rival_y_type(const bench_rival *rival);
void bench_rival_close(bench_rival *rival);

/* "cublaslt 130100 cusparselt 800", of those found. Paths, or NULL: by their names. */
const char *bench_rivals_load(const char *cublaslt, const char *cusparselt);

#endif
