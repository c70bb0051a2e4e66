/* A model's tensors out of a checkpoint: found, checked for shape, type and finite values. */
#ifndef TAMIS_MODEL_WEIGHTS_H
#define TAMIS_MODEL_WEIGHTS_H

#include "checkpoint/checkpoint.h"

/* How a linear layer's weight is to be multiplied. */
typedef struct tmsi_weight {
    const char *name;  /* the tensor's; lives as long as the checkpoint */
    tms_matrix matrix; /* a view of the checkpoint's map, or of `copy` */
    void *copy;
    tms_format format; /* its own where it is packed, else what pattern or zeros suggest */
    int32_t keep, group, block_rows, block_columns;
    double density; /* share that the format stores */
    int64_t zeros;
} tmsi_weight;

/* Each names a tensor by prefix and name. Failures: TMS_ERR_FORMAT (missing, another shape),
 * TMS_ERR_UNSUPPORTED (no float type), TMS_ERR_VALUE (NaN or Inf, where). */

/* A table whose rows are looked up: stays in the checkpoint's map. */
tms_status tmsi_weights_table(const tms_checkpoint *checkpoint, const char *prefix,
                              const char *name, int64_t rows, int64_t columns,
                              const tms_tensor **out);

/* f32 in memory of its own. */
tms_status tmsi_weights_vector(const tms_checkpoint *checkpoint, const char *prefix,
                               const char *name, int64_t count, float **out);

/* A weight n x k. A dense one is taken as nm where 2:4 holds; as bsr where the record (of pruning,
 * or NULL) says so, or most zeros lie in whole blocks; as csr where there are many; else as it is.
 */
tms_status tmsi_weights_matrix(const tms_checkpoint *checkpoint, const json_t *record,
                               const char *prefix, const char *name, int64_t n, int64_t k,
                               tmsi_weight *out);
void tmsi_weight_free(tms_context *context, tmsi_weight *weight); /* takes a zero-filled one */

/* The product with this weight alone; tokens and epilogue are for the caller to say. */
tms_spmm_problem tmsi_weight_problem(const tmsi_weight *weight);

/* Whether both are multiplied in the same format, so that they may be stacked in one image. */
bool tmsi_weights_alike(const tmsi_weight *a, const tmsi_weight *b);

#endif
