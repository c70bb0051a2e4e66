/* A linear layer on a plan: y = x w^T + bias, with what the epilogue fuses behind. */
#ifndef TAMIS_MODEL_LINEAR_H
#define TAMIS_MODEL_LINEAR_H

#include <stdbool.h>

#include "model/weights.h"
#include "spmm/plan.h"

enum { TMSI_LINEAR_WEIGHTS_MAX = 3 };

typedef struct tmsi_linear {
    const char *name; /* of the first weight's tensor */
    int64_t n, k;
    int64_t zeros; /* of n * k weights */
    tms_spmm_plan *plan;
    tms_image image;
    float *bias; /* [n], or NULL */
} tmsi_linear;

typedef struct tmsi_linear_desc {
    const tmsi_weight *weights; /* alike; stacked */
    const float *const *biases; /* one a weight, copied; NULL: none */
    int32_t count;
    tms_activation activation;
    bool has_residual;  /* y += what stands there */
    bool dense_kernels; /* a dense image, whatever the zeros */
    bool keep_dense;    /* a dense part beside a sparse one */
    int64_t t_max;
} tmsi_linear_desc;

tms_status tmsi_linear_create(tms_context *context, const tmsi_linear_desc *desc, tmsi_linear *out);
/* y = x w^T on f32 weights [n, k], dense: a product borrowed. */
tms_status tmsi_linear_create_plain(tms_context *context, const float *weights, int64_t n,
                                    int64_t k, int64_t t_max, tmsi_linear *out);
void tmsi_linear_free(tms_context *context, tmsi_linear *linear); /* takes a zero-filled one */

/* New weights [n, k] in the place of the old, in a layer made with dense_kernels. */
tms_status tmsi_linear_replace(tms_context *context, tmsi_linear *linear, const float *weights);

/* y [t, n], rows ldy apart; t >= 1. work holds plan->work_bytes. */
void tmsi_linear_run(const tmsi_linear *linear, const float *x, int64_t t, float *y, int64_t ldy,
                     void *work);

#endif
