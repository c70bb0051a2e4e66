/* model.safetensors.index.json: which tensor is in which of a folder's files. */
#ifndef TAMIS_CHECKPOINT_SHARDS_H
#define TAMIS_CHECKPOINT_SHARDS_H

#include "checkpoint/checkpoint.h"

#define TMSI_SINGLE_NAME "model.safetensors"
#define TMSI_INDEX_NAME  "model.safetensors.index.json"

/* Opens each file that the index's weight_map names, and holds map and files against each other. */
tms_status tmsi_shards_open(tms_checkpoint *checkpoint);

/* What a file of the output holds. */
typedef struct tmsi_shard_list {
    const char *name;
    const tms_tensor *tensors;
    int64_t tensor_count;
} tmsi_shard_list;

/* Writes an index for these files; what else the old index's metadata says goes over. */
tms_status tmsi_shards_write(tms_context *context, const json_t *old_index,
                             const tmsi_shard_list *lists, int64_t count, const char *path);

#endif
