/* Kinds: what a product must know of an image besides its bytes. A kind's number is a hash of its
 * content, so a compiled graph that holds the number finds the kind in another process too, once a
 * weight of that kind was made there. Kinds and their plans live as long as the process. All calls
 * are made with the interpreter's lock held. */
#ifndef TAMIS_KINDS_H
#define TAMIS_KINDS_H

#include "core.h"

/* Plans for up to 1, 2, 4 ... tokens; and, since a plan chooses for the last of a range of tokens,
 * which for many is not the best for all of them, for the first so many numbers beyond. */
enum { KIND_BUCKETS = 32, KIND_EXACT_BEYOND = 512, KIND_EXACT = 64 };

typedef struct kind_exact {
    int64_t t;
    tms_spmm_plan *plan;
} kind_exact;

/* One problem but for its number of tokens. */
typedef struct kind_plans {
    int32_t context;
    tms_dtype x_type;
    uint32_t epilogue;
    tms_activation activation;
    tms_spmm_plan *plans[KIND_BUCKETS];
    kind_exact exact[KIND_EXACT];
    int32_t exact_count;
} kind_plans;

typedef struct core_kind {
    int64_t id;
    tms_image image; /* data is NULL */
    double density;
    int32_t format, keep, group, block_rows, block_columns;
    int32_t w_type;
    kind_plans *plans;
    int32_t plan_count;
} core_kind;

/* NULL and an exception where nothing has that number. */
core_kind *core_kind_find(int64_t id);
/* The same of a Python number. */
core_kind *core_kind_of(PyObject *number);
/* The plan for t tokens, made where it is not there; NULL and the library's status in *out_status
 * where it cannot be made. No exception. */
tms_spmm_plan *core_kind_plan(core_kind *kind, int32_t context, tms_device device, tms_dtype x_type,
                              uint32_t epilogue, tms_activation activation, int64_t t,
                              tms_status *out_status);

extern PyMethodDef core_kind_methods[];

#endif
