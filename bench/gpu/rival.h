/* What the two rivals' files share. Neither library is linked: their headers need not be there
 * either, so the few types and constants that these calls take are written down, from the
 * libraries' documentation. Descriptors are opaque bytes. Column-major y^T [n, t] = w [n, k] x^T
 * [k, t] is row-major y = x w^T. */
#ifndef TAMIS_BENCH_GPU_RIVAL_H
#define TAMIS_BENCH_GPU_RIVAL_H

#include <dlfcn.h>

#include "rivals.h"

enum { BENCH_OP_T = 1, BENCH_R_32F = 0, BENCH_R_32I = 10 };

/* cudaDataType. */
static inline int bench_cuda_type(tms_dtype type) {
    switch (type) {
    case TMS_F16:
        return 2;
    case TMS_I8:
        return 3;
    case TMS_I32:
        return BENCH_R_32I;
    case TMS_E4M3:
        return 28;
    case TMS_F32:
        return BENCH_R_32F;
    default:
        return 14;
    }
}

/* Each rival's first fields. */
struct bench_rival {
    bench_product product;
    tms_dtype y_type;
    bool (*run)(bench_rival *self);
    void (*close)(bench_rival *self);
};

/* Functions are called through pointers of their own types; a union because ISO C has no cast from
 * void * to a function pointer. */
#define BENCH_FUNCTION(library, name, type)                                                        \
    (((union {                                                                                     \
         void *object;                                                                             \
         int(*function) type;                                                                      \
     }){dlsym(library, name)})                                                                     \
         .function)

/* Loads a library and makes its handle; adds "name version " to text. */
void bench_cublaslt_load(const char *path, char *text, size_t text_bytes);
void bench_cusparselt_load(const char *path, char *text, size_t text_bytes);

#endif
