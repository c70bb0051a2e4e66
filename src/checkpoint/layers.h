/* Which tensors a job works on: the linear layers of a known architecture, or those that globs
 * name. */
#ifndef TAMIS_CHECKPOINT_LAYERS_H
#define TAMIS_CHECKPOINT_LAYERS_H

#include "checkpoint/checkpoint.h"

/* "bert", or NULL where neither config.json nor the tensor names say. */
const char *tmsi_architecture_name(const tms_checkpoint *checkpoint);

/* A 2-D tensor of f32, bf16 or f16. */
bool tmsi_tensor_is_layer(const tms_tensor *tensor);

/* The numbers of the chosen tensors, in the checkpoint's order; the caller frees *out. Without
 * globs: the architecture's linear layers, or every 2-D float tensor of an unknown file. A glob
 * that names no such tensor is TMS_ERR_INVALID with some of the names there are. */
tms_status tmsi_layers_choose(const tms_checkpoint *checkpoint, const char *const *globs,
                              int32_t glob_count, int64_t **out, int64_t *out_count);

/* Whether the whole text matches: * any run, ? one byte, [a-z] one of, [!a-z] none of. */
bool tmsi_glob_matches(const char *glob, const char *text);

#endif
