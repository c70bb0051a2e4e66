/* A checkpoint as the jobs and models see it: one list of tensors, wherever their bytes are. */
#ifndef TAMIS_CHECKPOINT_CHECKPOINT_H
#define TAMIS_CHECKPOINT_CHECKPOINT_H

#include <stdbool.h>

#include "io/json.h"
#include "io/safetensors.h"

#define TMSI_INDEX_NAME "model.safetensors.index.json"

/* One safetensors file of the checkpoint. */
typedef struct tmsi_shard {
    char *name; /* in its folder; the path itself for a checkpoint that is one file */
    tmsi_safetensors file;
} tmsi_shard;

/* One tensor of the checkpoint; a packed one is one tensor, not its components. */
typedef struct tmsi_stored {
    tms_tensor tensor;
    int64_t shard;
    tms_matrix matrix; /* packed: the components, in the map, at any alignment */
    uint64_t hash;     /* packed: XXH3-64 of the components, as the file states it */
} tmsi_stored;

struct tms_checkpoint {
    tms_context *context;
    char *path;
    bool is_folder;
    json_t *config; /* config.json; NULL: none */
    json_t *index;  /* model.safetensors.index.json; NULL: one shard */
    tmsi_shard *shards;
    int64_t shard_count;
    tmsi_stored *tensors; /* shard by shard, in the order of their bytes */
    int64_t tensor_count;
    tmsi_name *names; /* of the tensors, sorted */
};

tms_status tmsi_checkpoint_open(tms_context *context, const char *path, tms_checkpoint **out);
void tmsi_checkpoint_close(tms_checkpoint *checkpoint);

/* The number of the tensor of that name, or -1. */
int64_t tmsi_checkpoint_find(const tms_checkpoint *checkpoint, const char *name);

/* The value of a metadata key in the first shard that has it, or NULL. */
const char *tmsi_checkpoint_metadata(const tms_checkpoint *checkpoint, const char *key);

/* Shards of a folder by its model.safetensors.index.json: opens each file that the weight_map names
 * and holds map and files against each other. */
tms_status tmsi_shards_open(tms_checkpoint *checkpoint);

#endif
