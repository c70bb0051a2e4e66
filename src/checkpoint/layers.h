/* Which tensors a job works on: the linear layers of a known architecture, or those that globs
 * name. */
#ifndef TAMIS_CHECKPOINT_LAYERS_H
#define TAMIS_CHECKPOINT_LAYERS_H

#include "checkpoint/checkpoint.h"

typedef struct tmsi_architecture {
    const char *name; /* model_type in config.json */
    int32_t layer_count;
    const char *const *layers; /* forms of a block's weights' names, # for the block's number */
} tmsi_architecture;

enum {
#define TMSI_ARCHITECTURE(word, ...) TMSI_ARCHITECTURE_##word,
#include "checkpoint/architecture.def"
#undef TMSI_ARCHITECTURE
    TMSI_ARCHITECTURE_COUNT
};

extern const tmsi_architecture tmsi_architectures[TMSI_ARCHITECTURE_COUNT];

/* The row of the checkpoint; NULL where neither config.json nor the tensor names say. */
const tmsi_architecture *tmsi_architecture_find(const tms_checkpoint *checkpoint);

/* The form with the block's number in it; cut where it would not fit. */
enum { TMSI_LAYER_NAME_MAX = 128 };
void tmsi_layer_name(const char *form, int64_t block, char out[TMSI_LAYER_NAME_MAX]);

/* A 2-D tensor of f32, bf16 or f16. */
bool tmsi_tensor_is_layer(const tms_tensor *tensor);

/* The numbers of the chosen tensors, in the checkpoint's order; the caller frees *out. Without
 * globs: the architecture's linear layers, or every 2-D float tensor of an unknown file. A glob
 * that names no such tensor is TMS_ERR_INVALID with some of the names there are. */
tms_status tmsi_layers_choose(const tms_checkpoint *checkpoint, const char *const *globs,
                              int32_t glob_count, int64_t **out, int64_t *out_count);

/* The sentence for a job that needs a layer and was chosen none. */
tms_status tmsi_layers_fail_none(const tms_checkpoint *checkpoint);

/* Whether the whole text matches: * any run, ? one byte, [a-z] one of, [!a-z] none of. */
bool tmsi_glob_matches(const char *glob, const char *text);

#endif
