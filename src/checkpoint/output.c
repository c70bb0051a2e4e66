#include "checkpoint/output.h"

#include <stdio.h>
#include <string.h>

#include "base/dtype.h"
#include "base/memory.h"
#include "checkpoint/packed.h"
#include "checkpoint/shards.h"
#include "format/format.h"
#include "io/tree.h"

enum { WINDOW_BYTES = 16 << 20 /* written between two steps */ };

/* One file of the output. */
typedef struct part {
    tms_tensor *tensors;
    int64_t tensor_count;
    tmsi_metadata *metadata;
    int64_t metadata_count;
    tmsi_safetensors_writer *writer;
} part;

struct tmsi_output {
    tms_context *context;
    tmsi_output_desc desc;
    char *staging;  /* folder that becomes the output; NULL: the output is a file, or in place */
    part *parts;    /* one a shard */
    int64_t *slots; /* tensor i is tensors[slots[i]] of its part, or its components begin there */
    char **texts;   /* names and descriptions made here */
    int64_t text_count, text_room;
    char **descriptions; /* of tensor i, if packed; one of the texts */
    char *record;
};

/* ---- Where ---------------------------------------------------------------------------------- */

tms_status tmsi_output_check(const tmsi_output_desc *desc) {
    const tms_checkpoint *in = desc->in;
    tmsi_path_kind kind = tmsi_path_look(desc->path);

    if (tmsi_path_same(in->path, desc->path))
        return tmsi_fail(TMS_ERR_INVALID, "input \"%s\" and output \"%s\" are the same %s",
                         in->path, desc->path, in->is_folder ? "folder" : "file");
    if (!in->is_folder)
        return tmsi_writer_check(desc->path, desc->force);
    if (tmsi_path_is_below(desc->path, in->path))
        return tmsi_fail(TMS_ERR_INVALID, "output \"%s\" lies in the input folder \"%s\"",
                         desc->path, in->path);
    if (kind == TMSI_PATH_FILE || kind == TMSI_PATH_OTHER)
        return tmsi_fail(TMS_ERR_IO, "output \"%s\" is no folder, but the input \"%s\" is one",
                         desc->path, in->path);
    if (kind == TMSI_PATH_FOLDER && !desc->force)
        return tmsi_fail(TMS_ERR_IO,
                         "output folder \"%s\" exists: set force (--force) to replace its files",
                         desc->path);
    return kind == TMSI_PATH_NONE ? tmsi_path_check_new(desc->path) : TMS_OK;
}

/* ---- What ----------------------------------------------------------------------------------- */

static const tms_matrix *form_of(const tmsi_output *self, int64_t i) {
    const tms_matrix *forms = self->desc.forms;
    return forms != NULL && forms[i].format != TMS_FORMAT_DENSE ? &forms[i] : NULL;
}

static tms_status add_text(tmsi_output *self, size_t bytes, char **out) {
    char *text = NULL;
    tms_status status = tmsi_grow(self->context, &self->texts, &self->text_room,
                                  self->text_count + 1, sizeof *self->texts);

    if (status == TMS_OK)
        status = tmsi_alloc(self->context, bytes, 1, &text);
    if (status != TMS_OK)
        return status;
    self->texts[self->text_count++] = text;
    *out = text;
    return TMS_OK;
}

static tms_status add_component(tmsi_output *self, part *file, const char *name,
                                const tms_component *component) {
    tms_tensor *tensor = &file->tensors[file->tensor_count];
    size_t room = strlen(name) + strlen(component->name) + 2;
    char *whole;
    tms_status status = add_text(self, room, &whole);

    if (status != TMS_OK)
        return status;
    snprintf(whole, room, "%s.%s", name, component->name);
    tensor->name = whole;
    tensor->dtype = component->dtype;
    tensor->rank = component->rank;
    memcpy(tensor->shape, component->shape, sizeof component->shape);
    file->tensor_count++;
    return tmsi_tensor_name_check(whole);
}

static tms_status add_description(tmsi_output *self, part *file, int64_t i) {
    const char *name = self->desc.in->tensors[i].tensor.name;
    size_t room = strlen(TMSI_KEY_PREFIX) + strlen(name) + 1;
    tms_status status = TMS_OK;
    char *key, *description;

    TMS_TRY(add_text(self, room, &key));
    snprintf(key, room, TMSI_KEY_PREFIX "%s", name);
    if (tmsi_packed_name(key) == NULL) {
        status = tmsi_fail(TMS_ERR_INVALID,
                           "tensor \"%s\" cannot be packed: metadata key \"%s\" has another use",
                           name, key);
        goto done;
    }
    TMS_TRY(add_text(self, TMSI_DESCRIPTION_MAX, &description));
    tmsi_packed_describe(form_of(self, i), 0, description);
    self->descriptions[i] = description;
    file->metadata[file->metadata_count++] = (tmsi_metadata){key, description};
done:
    return status;
}

static tms_status add_tensor(tmsi_output *self, int64_t i) {
    const tms_tensor *tensor = &self->desc.in->tensors[i].tensor;
    part *file = &self->parts[self->desc.in->tensors[i].shard];
    const tms_matrix *form = form_of(self, i);
    tms_status status = TMS_OK;

    self->slots[i] = file->tensor_count;
    if (form == NULL) {
        file->tensors[file->tensor_count++] = *tensor;
        return TMS_OK;
    }
    for (int32_t c = 0; c < form->component_count; c++)
        TMS_TRY(add_component(self, file, tensor->name, &form->components[c]));
    TMS_TRY(add_description(self, file, i));
done:
    return status;
}

/* The input's metadata but for what speaks of packing and, where it is made anew, of pruning. */
static tms_status keep_metadata(tmsi_output *self, part *file, const tmsi_safetensors *input) {
    bool was_packed = false;
    tms_status status = tmsi_packed_check(input, &was_packed);

    for (int64_t i = 0; status == TMS_OK && i < input->metadata_count; i++) {
        const char *key = input->metadata[i].key;
        if (strcmp(key, TMSI_PACKED_KEY) == 0 || (was_packed && tmsi_packed_name(key) != NULL) ||
            (self->record != NULL && strcmp(key, TMSI_RECORD_KEY) == 0))
            continue;
        if (self->desc.forms != NULL && tmsi_packed_name(key) != NULL)
            return tmsi_fail(TMS_ERR_INVALID,
                             "metadata key \"%.200s\" is in the way: a packed file describes its "
                             "tensors under such keys",
                             key);
        file->metadata[file->metadata_count++] = input->metadata[i];
    }
    return status;
}

static tms_status allocate_part(tmsi_output *self, int64_t shard) {
    const tms_checkpoint *in = self->desc.in;
    part *file = &self->parts[shard];
    size_t tensors = 0, packed = 0;
    tms_status status = TMS_OK;

    for (int64_t i = 0; i < in->tensor_count; i++)
        if (in->tensors[i].shard == shard) {
            const tms_matrix *form = form_of(self, i);
            tensors += form != NULL ? (size_t)form->component_count : 1;
            packed += form != NULL;
        }
    TMS_TRY(tmsi_alloc(self->context, tensors, sizeof *file->tensors, &file->tensors));
    TMS_TRY(tmsi_alloc(self->context, (size_t)in->shards[shard].file.metadata_count + packed + 2,
                       sizeof *file->metadata, &file->metadata));
    TMS_TRY(keep_metadata(self, file, &in->shards[shard].file));
    if (self->record != NULL)
        file->metadata[file->metadata_count++] = (tmsi_metadata){TMSI_RECORD_KEY, self->record};
    if (packed > 0)
        file->metadata[file->metadata_count++] =
            (tmsi_metadata){TMSI_PACKED_KEY, TMSI_PACKED_VALUE};
done:
    return status;
}

static tms_status open_part(tmsi_output *self, int64_t shard) {
    const tmsi_output_desc *desc = &self->desc;
    part *file = &self->parts[shard];
    char *path = NULL;
    tms_status status = TMS_OK;

    if (self->staging != NULL)
        TMS_TRY(tmsi_path_join(self->context, self->staging, desc->in->shards[shard].name, &path));
    TMS_TRY(tmsi_safetensors_create(self->context, path != NULL ? path : desc->path,
                                    path == NULL && desc->force, file->tensors, file->tensor_count,
                                    file->metadata, file->metadata_count, &file->writer));
done:
    tmsi_free(self->context, path);
    return status;
}

static tms_status begin_output(tmsi_output *self) {
    const tms_checkpoint *in = self->desc.in;
    size_t count = (size_t)in->tensor_count;
    tms_status status = TMS_OK;

    if (self->desc.record != NULL)
        TMS_TRY(tmsi_text_copy(self->context, self->desc.record, strlen(self->desc.record),
                               &self->record));
    TMS_TRY(tmsi_alloc(self->context, count, sizeof *self->slots, &self->slots));
    TMS_TRY(tmsi_alloc(self->context, count, sizeof *self->descriptions, &self->descriptions));
    TMS_TRY(tmsi_alloc(self->context, (size_t)in->shard_count, sizeof *self->parts, &self->parts));
    for (int64_t i = 0; i < in->shard_count; i++)
        TMS_TRY(allocate_part(self, i));
    for (int64_t i = 0; i < in->tensor_count; i++)
        TMS_TRY(add_tensor(self, i));
    if (in->is_folder)
        TMS_TRY(tmsi_tree_stage(self->context, self->desc.path, &self->staging));
    for (int64_t i = 0; i < in->shard_count; i++)
        TMS_TRY(open_part(self, i));
done:
    return status;
}

tms_status tmsi_output_create(const tmsi_output_desc *desc, tmsi_output **out) {
    tms_context *context = desc->in->context;
    tmsi_output *self = NULL;
    tms_status status = TMS_OK;

    TMS_TRY(tmsi_output_check(desc));
    TMS_TRY(tmsi_alloc(context, 1, sizeof *self, &self));
    self->context = context;
    self->desc = *desc;
    TMS_TRY(begin_output(self));
    *out = self;
    self = NULL;
done:
    tmsi_output_destroy(self);
    return status;
}

/* ---- Bytes ---------------------------------------------------------------------------------- */

/* Bytes [offset, offset + bytes) of a tensor of the part, in windows. Each window counts `share` of
 * its bytes as progress: 1 or 0. */
static tms_status write_windows(tmsi_output *self, int64_t i, int64_t slot, size_t offset,
                                const uint8_t *data, size_t bytes, size_t share) {
    const tmsi_stored *stored = &self->desc.in->tensors[i];
    tms_status status = TMS_OK;

    for (size_t done = 0; done < bytes; done += WINDOW_BYTES) {
        size_t window = bytes - done < WINDOW_BYTES ? bytes - done : WINDOW_BYTES;
        TMS_TRY(tmsi_safetensors_write(self->parts[stored->shard].writer, slot, offset + done,
                                       data + done, window));
        TMS_TRY(self->desc.step(self->desc.user, stored->tensor.name, window * share));
    }
done:
    return status;
}

tms_status tmsi_output_write(tmsi_output *self, int64_t i, const tms_matrix *matrix) {
    tms_status status = TMS_OK;

    for (int32_t c = 0; c < matrix->component_count; c++)
        TMS_TRY(write_windows(self, i, self->slots[i] + c, 0, matrix->components[c].data,
                              matrix->components[c].bytes, 0));
    if (self->descriptions[i] != NULL)
        tmsi_packed_describe(matrix, tmsi_packed_hash(matrix), self->descriptions[i]);
done:
    return status;
}

/* A packed tensor may be far larger than its components: only some rows are dense at a time. */
static tms_status copy_rows(tmsi_output *self, int64_t i) {
    const tms_tensor *tensor = &self->desc.in->tensors[i].tensor;
    int64_t n = tensor->shape[0], rows;
    size_t row_bytes = (size_t)tensor->shape[1] * tmsi_dtype_bytes(tensor->dtype);
    void *copy = NULL, *window = NULL;
    tms_matrix matrix;
    tms_status status = TMS_OK;

    rows = row_bytes == 0 ? n : tmsi_max(1, WINDOW_BYTES / (int64_t)row_bytes);
    TMS_TRY(tmsi_checkpoint_matrix(self->desc.in, i, &matrix, &copy));
    TMS_TRY(tmsi_alloc(self->context, (size_t)tmsi_min(rows, n), row_bytes, &window));
    for (int64_t row = 0; row < n && row_bytes > 0; row += rows) {
        int64_t count = tmsi_min(rows, n - row);
        tmsi_formats[matrix.format].decode_rows(&matrix, row, count, window);
        TMS_TRY(write_windows(self, i, self->slots[i], (size_t)row * row_bytes, window,
                              (size_t)count * row_bytes, 1));
    }
done:
    tmsi_free(self->context, window);
    tmsi_free(self->context, copy);
    return status;
}

tms_status tmsi_output_copy(tmsi_output *self, int64_t i) {
    const tms_tensor *tensor = &self->desc.in->tensors[i].tensor;

    TMS_ASSERT(self->descriptions[i] == NULL);
    if (tensor->format != TMS_FORMAT_DENSE)
        return copy_rows(self, i);
    return write_windows(self, i, self->slots[i], 0, tensor->data, tensor->bytes, 1);
}

void tmsi_output_record(tmsi_output *self, const char *record) {
    size_t room = strlen(self->record), bytes = strlen(record);

    TMS_ASSERT(bytes <= room);
    memset(self->record, ' ', room); /* white space behind JSON is JSON */
    memcpy(self->record, record, bytes);
}

/* ---- The end -------------------------------------------------------------------------------- */

/* Weights are written anew; an index too, or there is none. */
static bool skips_weights(void *user, const char *name) {
    const tms_checkpoint *in = ((const tmsi_output *)user)->desc.in;

    for (int64_t i = 0; i < in->shard_count; i++)
        if (strcmp(in->shards[i].name, name) == 0)
            return true;
    return strcmp(name, TMSI_INDEX_NAME) == 0;
}

static tms_status step_copy(void *user, const char *name) {
    const tmsi_output *self = user;
    return self->desc.step(self->desc.user, name, 0);
}

static tms_status write_index(tmsi_output *self) {
    const tms_checkpoint *in = self->desc.in;
    tmsi_shard_list *lists = NULL;
    char *path = NULL;
    tms_status status = TMS_OK;

    TMS_TRY(tmsi_alloc(self->context, (size_t)in->shard_count, sizeof *lists, &lists));
    for (int64_t i = 0; i < in->shard_count; i++)
        lists[i] = (tmsi_shard_list){in->shards[i].name, self->parts[i].tensors,
                                     self->parts[i].tensor_count};
    TMS_TRY(tmsi_path_join(self->context, self->staging, TMSI_INDEX_NAME, &path));
    TMS_TRY(tmsi_shards_write(self->context, in->index, lists, in->shard_count, path));
done:
    tmsi_free(self->context, lists);
    tmsi_free(self->context, path);
    return status;
}

/* Where a folder is replaced, weights under the other of the two names would be read as well as
 * ours, or in their stead. */
static tms_status join_stale(const tmsi_output *self, char **out) {
    const char *stale = self->desc.in->index != NULL ? TMSI_SINGLE_NAME : TMSI_INDEX_NAME;
    return tmsi_path_join(self->context, self->desc.path, stale, out);
}

tms_status tmsi_output_commit(tmsi_output *self) {
    const tms_checkpoint *in = self->desc.in;
    const tmsi_tree_visitor visitor = {skips_weights, step_copy, self};
    char *stale = NULL;
    tms_status status = TMS_OK;

    if (in->is_folder)
        TMS_TRY(tmsi_tree_copy(self->context, in->path, self->staging, &visitor));
    for (int64_t i = 0; i < in->shard_count; i++) {
        TMS_TRY(self->desc.step(self->desc.user, in->shards[i].name, 0));
        TMS_TRY(tmsi_safetensors_commit(self->parts[i].writer));
    }
    if (!in->is_folder)
        goto done;
    if (in->index != NULL)
        TMS_TRY(write_index(self));
    TMS_TRY(join_stale(self, &stale));
    TMS_TRY(tmsi_tree_place(self->context, self->staging, self->desc.path));
    TMS_TRY(tmsi_file_remove(stale)); /* last: nothing is lost where the place was refused */
done:
    tmsi_free(self->context, stale);
    return status;
}

void tmsi_output_destroy(tmsi_output *self) {
    if (self == NULL)
        return;
    for (int64_t i = 0; self->parts != NULL && i < self->desc.in->shard_count; i++) {
        tmsi_safetensors_writer_destroy(self->parts[i].writer);
        tmsi_free(self->context, self->parts[i].tensors);
        tmsi_free(self->context, self->parts[i].metadata);
    }
    if (self->staging != NULL)
        tmsi_tree_remove(self->staging); /* renamed away or emptied if all went well */
    for (int64_t i = 0; i < self->text_count; i++)
        tmsi_free(self->context, self->texts[i]);
    tmsi_free(self->context, self->texts);
    tmsi_free(self->context, self->descriptions);
    tmsi_free(self->context, self->slots);
    tmsi_free(self->context, self->parts);
    tmsi_free(self->context, self->staging);
    tmsi_free(self->context, self->record);
    tmsi_free(self->context, self);
}
