/* Random weights in a pattern, stored in the format that fits it. */
#ifndef TAMIS_MEASURE_WEIGHTS_H
#define TAMIS_MEASURE_WEIGHTS_H

#include "base/context.h"

/* Zeroes what the pattern drops of the dense n x k weight w, and encodes the rest: n:m as nm,
 * blocks as bsr, others as csr. *out_memory holds the components; the caller frees it. */
tms_status tmsi_weight_make(tms_context *context, const tms_pattern *pattern, float *w, int64_t n,
                            int64_t k, tms_matrix *out, void **out_memory);

#endif
