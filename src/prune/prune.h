/* Pruning one weight: which stay (pattern room), by which score, and what it cost. A job over a
 * whole checkpoint streams its tensors through tmsi_prune_matrix; one that calibrates hands a
 * network to prune/calibrate.h, which calls this with what it measured. */
#ifndef TAMIS_PRUNE_PRUNE_H
#define TAMIS_PRUNE_PRUNE_H

#include <stdbool.h>

#include "base/status.h"

/* What the job must know of a method; indexed by tms_prune_method. */
typedef struct tmsi_method {
    const char *name; /* "magnitude" */
    bool needs_calibration;
    tms_scope scope; /* of a pattern that leaves its scope open */
} tmsi_method;

extern const tmsi_method tmsi_methods[TMS_METHOD_COUNT];

tms_status tmsi_method_parse(const char *text, tms_prune_method *out);

/* The pattern with its scope said: the method's, where the pattern leaves it open and its kind has
 * that scope. What a job records and checks. */
tms_pattern tmsi_method_pattern(tms_prune_method method, const tms_pattern *pattern);

typedef struct tmsi_prune_settings {
    tms_pattern pattern; /* valid; tmsi_method_pattern is applied to it here */
    tms_prune_method method;
    tms_norm block_norm;
} tmsi_prune_settings;

typedef struct tmsi_prune_result {
    int64_t zeros_before, zeros; /* of the values; -0.0 counts */
    double error;                /* relative, see the function; 0 where both norms are 0 */
    double seconds;              /* spent on this matrix, without the network's own runs */
} tmsi_prune_result;

/* Prunes a dense matrix in place: selects by |w|, times column_norms[k] where not NULL, and sets
 * what is dropped to +0.0. result->error is ||w - w'|| / ||w|| (Frobenius).
 * The matrix is untouched on failure. Returns TMS_OK, TMS_ERR_PATTERN (does not fit), TMS_ERR_VALUE
 * (NaN or Inf, with row and column) or TMS_ERR_MEMORY. */
tms_status tmsi_prune_matrix(tms_context *context, const tmsi_prune_settings *settings,
                             const float *column_norms, const tms_matrix *dense,
                             tmsi_prune_result *out_result);

#endif
