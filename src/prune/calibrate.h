/* Pruning by what really flows through a network. Block by block: the inputs of its linear layers
 * are watched and their column norms ||x_j|| summed up; each chosen layer is pruned by them; the
 * inputs are watched once more for the layers' errors; then the block runs with its pruned weights,
 * so that later blocks see what they will see in use. */
#ifndef TAMIS_PRUNE_CALIBRATE_H
#define TAMIS_PRUNE_CALIBRATE_H

#include "prune/network.h"
#include "prune/prune.h"

/* Where the weights are: the caller's files. Layers of a block are all opened, in order, before the
 * first of them is closed; memory that open gives stays the caller's, who also releases what is
 * still open when the job fails. */
typedef struct tmsi_layer_store {
    void *self;
    /* out_dense: the layer's weight [n, k], f32, bf16 or f16, in writable memory; untouched (so
     * that its component_count stays 0) for a layer that is to stay dense. */
    tms_status (*open)(void *self, const char *name, tms_matrix *out_dense);
    /* The weight as pruned, in that memory. result->error is ||X (W - W')^T|| / ||X W^T|| over the
     * calibration inputs X. */
    tms_status (*close)(void *self, const char *name, const tms_matrix *dense,
                        const tmsi_prune_result *result);
} tmsi_layer_store;

/* progress (may be NULL) is called before each step with the name of a layer of the block at hand;
 * three steps a block. Returns TMS_OK, TMS_ERR_CANCELLED, what tmsi_prune_matrix and the callbacks
 * return, or TMS_ERR_VALUE where a layer's inputs are not finite. */
tms_status tmsi_prune_calibrated(tms_context *context, const tmsi_network *network,
                                 const tmsi_prune_settings *settings, const tmsi_layer_store *store,
                                 tms_progress progress, void *progress_user);

#endif
