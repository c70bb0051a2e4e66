/* One product, without its weight: what it may be, and what follows from it. */
#ifndef TAMIS_SPMM_PROBLEM_H
#define TAMIS_SPMM_PROBLEM_H

#include <stdbool.h>

#include "base/dtype.h"

/* Checks every field but device, and sets those that follow from others (density of dense and nm).
 */
tms_status tmsi_spmm_problem_check(tms_spmm_problem *problem);

/* A product with 2:4 weights on a GPU: x of the weights' type, y in f16 where they are, else bf16.
 */
tms_spmm_problem tmsi_spmm_problem_24(tms_dtype type, int64_t n, int64_t k, int64_t t_max);

/* Checks that the context has the problem's device, and that the device has kernels for it. */
tms_status tmsi_spmm_device_check(const tms_context *context, const tms_spmm_problem *problem);

static inline bool tmsi_spmm_has(const tms_spmm_problem *problem, uint32_t epilogue_bit) {
    return (problem->epilogue & epilogue_bit) != 0;
}

/* Columns of y: pairs of weight rows with gate. */
static inline int64_t tmsi_spmm_columns(const tms_spmm_problem *problem) {
    return tmsi_spmm_has(problem, TMS_EPILOGUE_GATE) ? problem->n / 2 : problem->n;
}

/* Values stored, by the problem's density: what cost models count. */
static inline double tmsi_spmm_nnz(const tms_spmm_problem *problem) {
    return (double)problem->n * (double)problem->k * problem->density;
}

/* i8 and e4m3: y is divided by scale_y, and a residual comes as f32. */
static inline bool tmsi_spmm_is_scaled(tms_dtype y_type) {
    return y_type == TMS_I8 || y_type == TMS_E4M3;
}

static inline tms_dtype tmsi_spmm_residual_type(tms_dtype y_type) {
    return tmsi_spmm_is_scaled(y_type) ? TMS_F32 : y_type;
}

#endif
