/* safetensors files: a JSON header that names tensors and byte ranges, then the bytes. */
#ifndef TAMIS_IO_SAFETENSORS_H
#define TAMIS_IO_SAFETENSORS_H

#include "base/status.h"
#include "io/file.h"
#include "io/names.h"

enum {
    TMSI_HEADER_BYTES_MAX = 100000000, /* as the reference reader has it */
    TMSI_NAME_BYTES_MAX = 400,         /* of a tensor: keeps it whole in a sentence */
};

typedef struct tmsi_metadata {
    const char *key, *value;
} tmsi_metadata;

/* A checked file. Tensors stand in the order of their bytes; metadata in the header's order. */
typedef struct tmsi_safetensors {
    tms_context *context;
    tmsi_mapping map; /* empty where the bytes are the caller's */
    tms_tensor *tensors;
    int64_t tensor_count;
    tmsi_name *names; /* of the tensors, sorted */
    tmsi_metadata *metadata;
    int64_t metadata_count;
    char *texts; /* all names, keys and values, one behind the other */
} tmsi_safetensors;

/* Checks everything in docs/files.md's list of rules; TMS_ERR_FORMAT with a sentence names the rule
 * that fails, the tensor, its value and the limit. *out is untouched on failure. */
tms_status tmsi_safetensors_open(tms_context *context, const char *path, tmsi_safetensors *out);
/* The same on bytes in memory, which must outlive *out. */
tms_status tmsi_safetensors_parse(tms_context *context, const void *data, size_t bytes,
                                  tmsi_safetensors *out);
void tmsi_safetensors_close(tmsi_safetensors *self); /* takes a zero-filled one */

/* The tensor of that name, or NULL; the value of a metadata key, or NULL. */
const tms_tensor *tmsi_safetensors_find(const tmsi_safetensors *self, const char *name);
const char *tmsi_safetensors_metadata(const tmsi_safetensors *self, const char *key);

/* Not empty, not too long, not "__metadata__", no control characters: names go to terminals and
 * into sentences. */
tms_status tmsi_tensor_name_check(const char *name);

/* Bytes of a tensor of that type and shape; false where they overflow, or are no whole bytes. */
bool tmsi_tensor_bytes(tms_dtype dtype, int32_t rank, const int64_t *shape, size_t *out);

/* A file being written: first what it will hold, then the bytes in any order. */
typedef struct tmsi_safetensors_writer tmsi_safetensors_writer;

/* Lays out the tensors as the reference writer does: larger elements first, then by name; their
 * data pointers are not read. Tensors and metadata must live until commit, and metadata values may
 * change until then, but not their lengths. force as in tmsi_writer_create. */
tms_status tmsi_safetensors_create(tms_context *context, const char *path, bool force,
                                   const tms_tensor *tensors, int64_t tensor_count,
                                   const tmsi_metadata *metadata, int64_t metadata_count,
                                   tmsi_safetensors_writer **out);
/* Bytes [offset, offset + bytes) of tensor i, as numbered in create. */
tms_status tmsi_safetensors_write(tmsi_safetensors_writer *writer, int64_t i, size_t offset,
                                  const void *data, size_t bytes);
tms_status tmsi_safetensors_commit(tmsi_safetensors_writer *writer);
void tmsi_safetensors_writer_destroy(tmsi_safetensors_writer *writer); /* takes NULL */

#endif
