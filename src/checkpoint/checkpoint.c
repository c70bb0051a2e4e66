#include "checkpoint/checkpoint.h"

#include <string.h>

#include "base/memory.h"

enum {
    CONFIG_BYTES_MAX = 16 << 20,
    CONFIG_DEPTH_MAX = 64,
    INDEX_DEPTH_MAX = 3, /* file, weight_map, and metadata of a writer we do not know */
};

/* Reads a JSON object that a folder may have; leaves *out NULL where there is none. */
static tms_status read_optional(tms_checkpoint *self, const char *name, size_t bytes_max,
                                int32_t depth_max, json_t **out) {
    char *path = NULL;
    tms_status status = tmsi_path_join(self->context, self->path, name, &path);

    if (status == TMS_OK && tmsi_path_look(path) != TMSI_PATH_NONE) {
        status = tmsi_json_read(path, bytes_max, depth_max, out);
        if (status == TMS_OK && !json_is_object(*out))
            status = tmsi_fail(TMS_ERR_FORMAT, "\"%s\" is %s, but must be an object", path,
                               tmsi_json_kind(*out));
    }
    tmsi_free(self->context, path);
    return status;
}

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

    TMS_TRY(read_optional(self, "config.json", CONFIG_BYTES_MAX, CONFIG_DEPTH_MAX, &self->config));
    TMS_TRY(tmsi_path_join(self->context, self->path, "model.safetensors", &single));
    if (tmsi_path_look(single) != TMSI_PATH_NONE) {
        TMS_TRY(open_one_file(self, single, "model.safetensors"));
        goto done;
    }
    TMS_TRY(
        read_optional(self, TMSI_INDEX_NAME, TMSI_HEADER_BYTES_MAX, INDEX_DEPTH_MAX, &self->index));
    if (self->index == NULL) {
        status = tmsi_fail(TMS_ERR_IO, "folder \"%s\" has neither model.safetensors nor %s",
                           self->path, TMSI_INDEX_NAME);
        goto done;
    }
    status = tmsi_shards_open(self);
    if (status != TMS_OK)
        status = tmsi_fail_in(status, "\"%s\"", self->path);
done:
    tmsi_free(self->context, single);
    return status;
}

static tms_status list_tensors(tms_checkpoint *self) {
    int64_t count = 0;
    tms_status status;

    for (int64_t i = 0; i < self->shard_count; i++)
        count += self->shards[i].file.tensor_count;
    status = tmsi_alloc(self->context, (size_t)count, sizeof *self->tensors, &self->tensors);
    if (status != TMS_OK)
        return status;
    for (int64_t i = 0; i < self->shard_count; i++)
        for (int64_t j = 0; j < self->shards[i].file.tensor_count; j++) {
            tmsi_stored *stored = &self->tensors[self->tensor_count++];
            stored->tensor = self->shards[i].file.tensors[j];
            stored->shard = i;
        }
    return TMS_OK;
}

static tms_status index_names(tms_checkpoint *self) {
    tms_status status =
        tmsi_alloc(self->context, (size_t)self->tensor_count, sizeof *self->names, &self->names);

    if (status != TMS_OK)
        return status;
    for (int64_t i = 0; i < self->tensor_count; i++)
        self->names[i] = (tmsi_name){self->tensors[i].tensor.name, i};
    tmsi_names_sort(self->names, self->tensor_count);
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
