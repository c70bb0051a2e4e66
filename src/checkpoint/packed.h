/* The packed file: tensors as components of a sparse format, each `<tensor>.<component>`, described
 * by JSON under the metadata key `tamis.<tensor>`. docs/formats.md specifies it. */
#ifndef TAMIS_CHECKPOINT_PACKED_H
#define TAMIS_CHECKPOINT_PACKED_H

#include "checkpoint/checkpoint.h"

/* A file that has this key with this value is packed; our keys all begin with the prefix. */
#define TMSI_KEY_PREFIX   "tamis."
#define TMSI_RECORD_KEY   "tamis.prune"
#define TMSI_PACKED_KEY   "tamis.packed"
#define TMSI_PACKED_VALUE "tamis-packed 1"

/* Longest description with its 0. */
enum { TMSI_DESCRIPTION_MAX = 320 };

/* The name of a packed tensor by a metadata key, or NULL for a key that describes none. */
const char *tmsi_packed_name(const char *key);

/* Whether the file says it is packed; a version other than ours is TMS_ERR_FORMAT. */
tms_status tmsi_packed_check(const tmsi_safetensors *file, bool *out_is_packed);

/* Reads a description and finds its components, which must have exactly the types and shapes that
 * the format asks for. Their entries are judged when they are used. */
tms_status tmsi_packed_read(const tmsi_safetensors *file, const char *name, const char *description,
                            tmsi_stored *out);

/* The description of a matrix. Its length does not depend on the hash. */
void tmsi_packed_describe(const tms_matrix *matrix, uint64_t hash, char out[TMSI_DESCRIPTION_MAX]);

/* XXH3-64 of all components, one behind the other. */
uint64_t tmsi_packed_hash(const tms_matrix *matrix);

#endif
