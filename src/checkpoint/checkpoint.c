#include "checkpoint/checkpoint.h"

#include <inttypes.h>
#include <string.h>

#include "base/dtype.h"
#include "base/memory.h"
#include "checkpoint/packed.h"
#include "checkpoint/shards.h"
#include "format/format.h"

static const tmsi_json_bounds config_bounds = {JSON_OBJECT, 16 << 20, 64};
/* Depth: file, weight_map, and metadata of a writer we do not know. */
static const tmsi_json_bounds index_bounds = {JSON_OBJECT, TMSI_HEADER_BYTES_MAX, 3};

static tms_status open_one_file(tms_checkpoint *self, const char *path, const char *name) {
    tms_status status = TMS_OK;

    TMS_TRY(tmsi_alloc(self->context, 1, sizeof *self->shards, &self->shards));
    TMS_TRY(tmsi_text_copy(self->context, name, strlen(name), &self->shards[0].name));
    self->shard_count = 1;
    TMS_TRY(tmsi_safetensors_open(self->context, path, &self->shards[0].file));
done:
    return status;
}

static tms_status open_folder(tms_checkpoint *self) {
    tms_status status = TMS_OK;
    char *single = NULL;

    TMS_TRY(
        tmsi_json_read(self->context, self->path, "config.json", &config_bounds, &self->config));
    TMS_TRY(tmsi_path_join(self->context, self->path, TMSI_SINGLE_NAME, &single));
    if (tmsi_path_look(single) != TMSI_PATH_NONE) {
        TMS_TRY(open_one_file(self, single, TMSI_SINGLE_NAME));
        goto done;
    }
    TMS_TRY(
        tmsi_json_read(self->context, self->path, TMSI_INDEX_NAME, &index_bounds, &self->index));
    if (self->index == NULL) {
        status = tmsi_fail(TMS_ERR_IO, "folder \"%s\" has neither %s nor %s", self->path,
                           TMSI_SINGLE_NAME, TMSI_INDEX_NAME);
        goto done;
    }
    status = tmsi_shards_open(self);
    if (status != TMS_OK)
        status = tmsi_fail_in(status, "\"%s\"", self->path);
done:
    tmsi_free(self->context, single);
    return status;
}

/* Adds a shard's packed tensors to `packed`, and to owners, for each tensor of the file, which of
 * them it is a component of (-1: none). */
static tms_status find_packed(const tmsi_safetensors *file, tmsi_stored *packed, int64_t *owners) {
    int64_t count = 0;
    bool is_packed = false;
    tms_status status = tmsi_packed_check(file, &is_packed);

    for (int64_t j = 0; j < file->tensor_count; j++)
        owners[j] = -1;
    for (int64_t i = 0; status == TMS_OK && is_packed && i < file->metadata_count; i++) {
        const char *name = tmsi_packed_name(file->metadata[i].key);
        if (name == NULL)
            continue;
        status = tmsi_packed_read(file, name, file->metadata[i].value, &packed[count]);
        for (int32_t c = 0; status == TMS_OK && c < packed[count].matrix.component_count; c++)
            owners[packed[count].parts[c]] = count;
        count++;
    }
    return status;
}

/* Appends a shard's tensors; a packed one stands where its first component does. */
static tms_status list_shard(tms_checkpoint *self, int64_t shard) {
    const tmsi_safetensors *file = &self->shards[shard].file;
    tmsi_stored *packed = NULL, *stored;
    int64_t *owners = NULL;
    tms_status status = TMS_OK;

    TMS_TRY(tmsi_alloc(self->context, (size_t)file->metadata_count, sizeof *packed, &packed));
    TMS_TRY(tmsi_alloc(self->context, (size_t)file->tensor_count, sizeof *owners, &owners));
    TMS_TRY(find_packed(file, packed, owners));
    for (int64_t j = 0; j < file->tensor_count; j++) {
        if (owners[j] >= 0 && packed[owners[j]].tensor.name == NULL)
            continue; /* listed before */
        stored = &self->tensors[self->tensor_count++];
        if (owners[j] < 0) {
            stored->tensor = file->tensors[j];
        } else {
            *stored = packed[owners[j]];
            packed[owners[j]].tensor.name = NULL;
        }
        stored->shard = shard;
    }
done:
    tmsi_free(self->context, packed);
    tmsi_free(self->context, owners);
    return status == TMS_OK ? status : tmsi_fail_in(status, "\"%s\"", self->shards[shard].name);
}

static tms_status list_tensors(tms_checkpoint *self) {
    int64_t count = 0;
    tms_status status;

    for (int64_t i = 0; i < self->shard_count; i++)
        count += self->shards[i].file.tensor_count;
    status = tmsi_alloc(self->context, (size_t)count, sizeof *self->tensors, &self->tensors);
    for (int64_t i = 0; status == TMS_OK && i < self->shard_count; i++)
        status = list_shard(self, i);
    return status;
}

static tms_status index_names(tms_checkpoint *self) {
    tms_status status =
        tmsi_alloc(self->context, (size_t)self->tensor_count, sizeof *self->names, &self->names);

    if (status != TMS_OK)
        return status;
    for (int64_t i = 0; i < self->tensor_count; i++)
        self->names[i] = (tmsi_name){self->tensors[i].tensor.name, i};
    tmsi_names_sort(self->names, self->tensor_count);
    for (int64_t i = 1; i < self->tensor_count; i++)
        if (strcmp(self->names[i - 1].text, self->names[i].text) == 0)
            return tmsi_fail(TMS_ERR_FORMAT, "\"%s\": tensor \"%s\" is stored twice", self->path,
                             self->names[i].text);
    return TMS_OK;
}

int64_t tmsi_checkpoint_find(const tms_checkpoint *self, const char *name) {
    return tmsi_names_find(self->names, self->tensor_count, name);
}

const char *tmsi_checkpoint_metadata(const tms_checkpoint *self, const char *key) {
    const char *value = NULL;

    for (int64_t i = 0; i < self->shard_count && value == NULL; i++)
        value = tmsi_safetensors_metadata(&self->shards[i].file, key);
    return value;
}

/* ---- Weights -------------------------------------------------------------------------------- */

/* Values may lie anywhere; only integers of more than a byte must be aligned. */
static bool is_aligned(const tms_matrix *matrix) {
    for (int32_t i = 0; i < matrix->component_count; i++) {
        const tms_component *component = &matrix->components[i];
        if (component->dtype != matrix->dtype &&
            (uintptr_t)component->data % tmsi_dtype_bytes(component->dtype) != 0)
            return false;
    }
    return true;
}

tms_status tmsi_matrix_allocate(tms_context *context, tms_matrix *matrix, void **out_memory) {
    size_t bytes = 0;
    char *memory = NULL;
    tms_status status;

    for (int32_t i = 0; i < matrix->component_count; i++)
        bytes += tmsi_round_up(matrix->components[i].bytes, TMSI_ALIGNMENT);
    status = tmsi_alloc(context, bytes, 1, &memory);
    if (status != TMS_OK)
        return status;
    *out_memory = memory;
    for (int32_t i = 0; i < matrix->component_count; i++) {
        matrix->components[i].data = memory;
        memory += tmsi_round_up(matrix->components[i].bytes, TMSI_ALIGNMENT);
    }
    return TMS_OK;
}

/* Moves a matrix's components to aligned memory. */
static tms_status copy_components(tms_context *context, tms_matrix *matrix, void **out_copy) {
    const tms_matrix source = *matrix;
    tms_status status = tmsi_matrix_allocate(context, matrix, out_copy);

    for (int32_t i = 0; status == TMS_OK && i < source.component_count; i++)
        memcpy(matrix->components[i].data, source.components[i].data, source.components[i].bytes);
    return status;
}

static tms_matrix dense_view(const tms_tensor *tensor, const void *values) {
    return tms_matrix_dense(tensor->dtype, tensor->shape[0], tensor->shape[1], values);
}

tms_status tmsi_checkpoint_matrix(const tms_checkpoint *self, int64_t i, tms_matrix *out,
                                  void **out_copy) {
    const tmsi_stored *stored = &self->tensors[i];
    bool is_packed = stored->tensor.format != TMS_FORMAT_DENSE;
    tms_matrix matrix =
        is_packed ? stored->matrix : dense_view(&stored->tensor, stored->tensor.data);
    void *copy = NULL;
    uint64_t hash;
    tms_status status = TMS_OK;

    if (!is_aligned(&matrix))
        TMS_TRY(copy_components(self->context, &matrix, &copy));
    if (is_packed) {
        hash = tmsi_packed_hash(&matrix);
        if (hash != stored->hash) {
            status = tmsi_fail(TMS_ERR_FORMAT,
                               "its components hash to %016" PRIx64
                               ", but the file says %016" PRIx64 ": they were damaged",
                               hash, stored->hash);
            goto done;
        }
        TMS_TRY(tmsi_matrix_validate(self->context, &matrix));
    }
    *out = matrix;
    *out_copy = copy;
    copy = NULL;
done:
    tmsi_free(self->context, copy);
    return status == TMS_OK ? status : tmsi_fail_in(status, "tensor \"%s\"", stored->tensor.name);
}

tms_status tmsi_checkpoint_dense(const tms_checkpoint *self, int64_t i, tms_matrix *out,
                                 void **out_values) {
    const tms_tensor *tensor = &self->tensors[i].tensor;
    tms_matrix matrix;
    void *copy = NULL, *values = NULL;
    tms_status status = TMS_OK;

    TMS_TRY(tmsi_checkpoint_matrix(self, i, &matrix, &copy));
    TMS_TRY(tmsi_alloc(self->context, tensor->bytes, 1, &values));
    TMS_TRY(tmsi_matrix_decode(self->context, &matrix, values));
    *out = dense_view(tensor, values);
    *out_values = values;
    values = NULL;
done:
    tmsi_free(self->context, values);
    tmsi_free(self->context, copy);
    return status;
}

tms_status tmsi_checkpoint_view(const tms_checkpoint *self, int64_t i, tms_matrix *out,
                                void **out_copy) {
    return self->tensors[i].tensor.format == TMS_FORMAT_DENSE
               ? tmsi_checkpoint_matrix(self, i, out, out_copy)
               : tmsi_checkpoint_dense(self, i, out, out_copy);
}

tms_status tmsi_checkpoint_open(tms_context *context, const char *path, tms_checkpoint **out) {
    tms_status status = TMS_OK;
    tms_checkpoint *self = NULL;

    TMS_TRY(tmsi_alloc(context, 1, sizeof *self, &self));
    self->context = context;
    TMS_TRY(tmsi_text_copy(context, path, strlen(path), &self->path));
    self->is_folder = tmsi_path_look(path) == TMSI_PATH_FOLDER;
    TMS_TRY(self->is_folder ? open_folder(self) : open_one_file(self, path, path));
    TMS_TRY(list_tensors(self));
    TMS_TRY(index_names(self));
    *out = self;
    self = NULL;
done:
    tmsi_checkpoint_close(self);
    return status;
}

void tmsi_checkpoint_close(tms_checkpoint *self) {
    if (self == NULL)
        return;
    for (int64_t i = 0; i < self->shard_count; i++) {
        tmsi_safetensors_close(&self->shards[i].file);
        tmsi_free(self->context, self->shards[i].name);
    }
    json_decref(self->config);
    json_decref(self->index);
    tmsi_free(self->context, self->shards);
    tmsi_free(self->context, self->tensors);
    tmsi_free(self->context, self->names);
    tmsi_free(self->context, self->path);
    tmsi_free(self->context, self);
}
