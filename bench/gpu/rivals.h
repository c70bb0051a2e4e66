/* cuBLASLt (dense) and cuSPARSELt (2:4), loaded at run time: y = x w^T in bf16, plain or with bias.
 */
#ifndef TAMIS_BENCH_GPU_RIVALS_H
#define TAMIS_BENCH_GPU_RIVALS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct bench_product {
    int64_t t, k, n;
    const void *w, *w_24; /* [n, k]: dense, and 2:4 */
    const void *x;        /* [t, k] */
    void *y;              /* [t, n] */
    void *work;           /* BENCH_WORK_BYTES */
    void *stream;
} bench_product;

enum { BENCH_WORK_BYTES = 64 << 20 };

/* A rival's product, ready to run; NULL where the library is not there or refuses, having said so
 * to stderr. Each takes the fastest algorithm by its own search. */
typedef struct bench_rival bench_rival;
bench_rival *bench_cublaslt_open(const bench_product *product);
bench_rival *bench_cusparselt_open(const bench_product *product);
bool bench_rival_run(bench_rival *rival);
void bench_rival_close(bench_rival *rival);

/* "cublaslt 130100 cusparselt 800", of those found. `cusparselt` is a path or NULL: by its name. */
const char *bench_rivals_load(const char *cublaslt, const char *cusparselt);

#endif
