/* One weight, ready to be multiplied again and again by the kernel that a plan chose. */
#ifndef TAMIS_MEASURE_PRODUCT_H
#define TAMIS_MEASURE_PRODUCT_H

#include "spmm/plan.h"

typedef struct tmsi_product_copies {
    int64_t count, next; /* runs go round the copies, so that a weight has left the caches */
    size_t stride;       /* bytes from one to the next */
} tmsi_product_copies;

/* Copies of `bytes` bytes that are 4 times the last-level cache; 1 where not is_cold. */
tmsi_product_copies tmsi_copies_plan(const tms_context *context, size_t bytes, bool is_cold);

typedef struct tmsi_product {
    tms_context *context;
    tms_spmm_plan *plan;
    tms_image image;
    tms_spmm_args args;
    tmsi_product_copies copies;
    uint8_t *data; /* the copies of the image */
    void *work;
} tmsi_product;

/* The problem that the matrix by itself suggests: its format and the values it stores. */
tms_spmm_problem tmsi_product_problem(const tms_matrix *matrix);

/* The matrix, multiplied as the problem says (its t_max tokens): x is [t_max, k], y [t_max, n],
 * both f32. *out is zero-filled before; destroy it after failure too. */
tms_status tmsi_product_create(tms_context *context, const tms_matrix *matrix,
                               const tms_spmm_problem *problem, const float *x, float *y,
                               bool is_cold, tmsi_product *out);
/* The same by a kernel that fits the problem, warm. */
tms_status tmsi_product_force(tms_context *context, const tms_matrix *matrix,
                              const tms_spmm_problem *problem, const tmsi_spmm_kernel *kernel,
                              const float *x, float *y, tmsi_product *out);
void tmsi_product_destroy(tmsi_product *product);

/* A tmsi_candidate's run. */
tms_status tmsi_product_run(void *self);

const char *tmsi_product_kernel(const tmsi_product *product);

#endif
