/* {"metadata": {"total_size": bytes}, "weight_map": {tensor: file}}. File names in it come from
 * strangers, so only plain names are followed; and map and files must agree on every tensor, so
 * that none is read from the wrong place or dropped by a job. */
#include "checkpoint/shards.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

static bool is_plain_name(const char *name) {
    return name[0] != '\0' && name[0] != '.' && strchr(name, '/') == NULL;
}

static int64_t find_shard(const tms_checkpoint *self, const char *name) {
    for (int64_t i = 0; i < self->shard_count; i++)
        if (strcmp(self->shards[i].name, name) == 0)
            return i;
    return -1;
}

static tms_status open_shard(tms_checkpoint *self, const char *name) {
    tmsi_shard *shard = &self->shards[self->shard_count];
    char *path = NULL;
    tms_status status = TMS_OK;

    TMS_TRY(tmsi_path_join(self->context, self->path, name, &path));
    TMS_TRY(tmsi_text_copy(self->context, name, strlen(name), &shard->name));
    self->shard_count++;
    TMS_TRY(tmsi_safetensors_open(self->context, path, &shard->file));
done:
    tmsi_free(self->context, path);
    return status;
}

static int compare_texts(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The distinct file names of the map, sorted: names[0 .. *out_count). */
static tms_status list_files(const json_t *map, const char **names, size_t *out_count) {
    size_t count = 0, kept = 0;
    const char *tensor;
    json_t *file;

    json_object_foreach((json_t *)(uintptr_t)map, tensor, file) {
        if (!json_is_string(file))
            return tmsi_fail(TMS_ERR_FORMAT,
                             "weight_map gives tensor \"%.400s\" %s, but must give a file's name",
                             tensor, tmsi_json_kind(file));
        names[count++] = json_string_value(file);
        if (!is_plain_name(names[count - 1]))
            return tmsi_fail(
                TMS_ERR_FORMAT,
                "weight_map puts tensor \"%.400s\" in \"%.80s\", but a shard must be a "
                "plain file name: no '/', no leading '.'",
                tensor, names[count - 1]);
    }
    qsort(names, count, sizeof *names, compare_texts);
    for (size_t i = 0; i < count; i++)
        if (kept == 0 || strcmp(names[kept - 1], names[i]) != 0)
            names[kept++] = names[i];
    *out_count = kept;
    return TMS_OK;
}

/* Every tensor that the map names is in that file, and no file has another. */
static tms_status match_map(const tms_checkpoint *self, const json_t *map) {
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)map, name, value) {
        const tmsi_shard *shard = &self->shards[find_shard(self, json_string_value(value))];
        if (tmsi_safetensors_find(&shard->file, name) == NULL)
            return tmsi_fail(
                TMS_ERR_FORMAT,
                "weight_map puts tensor \"%.400s\" in \"%s\", which has no such tensor", name,
                shard->name);
    }
    for (int64_t i = 0; i < self->shard_count; i++)
        for (int64_t j = 0; j < self->shards[i].file.tensor_count; j++) {
            name = self->shards[i].file.tensors[j].name;
            value = json_object_get(map, name);
            if (value == NULL)
                return tmsi_fail(TMS_ERR_FORMAT,
                                 "\"%s\" has a tensor \"%s\", which weight_map does not name",
                                 self->shards[i].name, name);
            if (strcmp(json_string_value(value), self->shards[i].name) != 0)
                return tmsi_fail(TMS_ERR_FORMAT,
                                 "\"%s\" has a tensor \"%s\", which weight_map puts in \"%s\"",
                                 self->shards[i].name, name, json_string_value(value));
        }
    return TMS_OK;
}

tms_status tmsi_shards_open(tms_checkpoint *self) {
    tms_status status = TMS_OK;
    const char **names = NULL;
    size_t count = 0;
    json_t *map;

    TMS_TRY(tmsi_json_object(self->index, "weight_map", &map));
    TMS_TRY(tmsi_alloc(self->context, json_object_size(map), sizeof *names, &names));
    TMS_TRY(list_files(map, names, &count));
    TMS_TRY(tmsi_alloc(self->context, count, sizeof *self->shards, &self->shards));
    for (size_t i = 0; i < count; i++)
        TMS_TRY(open_shard(self, names[i]));
    TMS_TRY(match_map(self, map));
done:
    tmsi_free(self->context, names);
    return status;
}

static json_t *make_index(const json_t *old_index, const tmsi_shard_list *lists, int64_t count) {
    json_t *map = json_object(), *index = json_object();
    json_t *metadata = json_deep_copy(json_object_get(old_index, "metadata"));
    size_t total = 0, bytes;
    bool is_whole = map != NULL && index != NULL;

    if (!json_is_object(metadata)) {
        json_decref(metadata);
        metadata = json_object();
    }
    for (int64_t i = 0; is_whole && i < count; i++)
        for (int64_t j = 0; is_whole && j < lists[i].tensor_count; j++) {
            const tms_tensor *tensor = &lists[i].tensors[j];
            is_whole = json_object_set_new(map, tensor->name, json_string(lists[i].name)) == 0 &&
                       tmsi_tensor_bytes(tensor->dtype, tensor->rank, tensor->shape, &bytes);
            total += is_whole ? bytes : 0;
        }
    is_whole = is_whole &&
               json_object_set_new(metadata, "total_size", json_integer((json_int_t)total)) == 0 &&
               json_object_set(index, "metadata", metadata) == 0 &&
               json_object_set(index, "weight_map", map) == 0;
    json_decref(map);
    json_decref(metadata);
    if (!is_whole) {
        json_decref(index);
        index = NULL;
    }
    return index;
}

tms_status tmsi_shards_write(tms_context *context, const json_t *old_index,
                             const tmsi_shard_list *lists, int64_t count, const char *path) {
    json_t *index = make_index(old_index, lists, count);
    char *text = NULL;
    tms_status status = TMS_OK;

    TMS_TRY(tmsi_json_print(context, index, true, &text));
    TMS_TRY(tmsi_file_write(context, path, false, text, strlen(text)));
done:
    tmsi_free(context, text);
    json_decref(index);
    return status;
}
