/* A checkpoint as the jobs and models see it: one list of tensors, wherever their bytes are. */
#ifndef TAMIS_CHECKPOINT_CHECKPOINT_H
#define TAMIS_CHECKPOINT_CHECKPOINT_H

#include <stdbool.h>

#include "io/json.h"
#include "io/safetensors.h"

/* One safetensors file of the checkpoint. */
typedef struct tmsi_shard {
    char *name; /* in its folder; the path itself for a checkpoint that is one file */
    tmsi_safetensors file;
} tmsi_shard;

/* One tensor of the checkpoint; a packed one is one tensor, not its components. */
typedef struct tmsi_stored {
    tms_tensor tensor;
    int64_t shard;
    tms_matrix matrix;                /* packed: the components, in the map, at any alignment */
    int64_t parts[TMS_COMPONENT_MAX]; /* packed: the components' numbers in the shard's file */
    uint64_t hash;                    /* packed: XXH3-64 of the components, as the file states it */
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

/* Tensor i, which must be a layer (2-D, f32, bf16 or f16), as a matrix in the format that the file
 * has it in. A packed one is validated and held against its hash. *out looks into the map, or,
 * where the map's alignment will not do, into *out_copy, which the caller frees. */
tms_status tmsi_checkpoint_matrix(const tms_checkpoint *checkpoint, int64_t i, tms_matrix *out,
                                  void **out_copy);
/* The same, made dense where it is not. */
tms_status tmsi_checkpoint_view(const tms_checkpoint *checkpoint, int64_t i, tms_matrix *out,
                                void **out_copy);
/* The same as a dense matrix in memory of its own, to be changed at will; the caller frees *out_
 * values. */
tms_status tmsi_checkpoint_dense(const tms_checkpoint *checkpoint, int64_t i, tms_matrix *out,
                                 void **out_values);

/* Memory for all components of a sized matrix, whose data pointers it sets; the caller frees it. */
tms_status tmsi_matrix_allocate(tms_context *context, tms_matrix *matrix, void **out_memory);

/* The value of a metadata key in the first shard that has it, or NULL. */
const char *tmsi_checkpoint_metadata(const tms_checkpoint *checkpoint, const char *key);

#endif
