/* The reader. Its rules are those of the reference implementation in its order, and a few more
 * where that one is lax (docs/files.md lists them with their sentences):
 * (1) 8 bytes at least, (2) header length <= 100,000,000, (3) and within the file, (4) valid JSON
 * of the right shape, (5) byte ranges that begin at 0 and follow each other without gap or overlap,
 * (6) sizes that do not overflow, (7) in whole bytes, (8) equal to the ranges, (9) nothing behind
 * the last one. Only then does anyone see a pointer. */
#include "io/safetensors.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/dtype.h"
#include "base/memory.h"
#include "io/json.h"

/* Metadata is text to text, so a header nests three deep: file, tensor, shape. */
enum { DEPTH_MAX = 3 };

#define INTEGER_MAX ((INT64_C(1) << 48) - 1) /* of a dimension or offset */

/* A tensor with its range, while the ranges are still being judged. */
typedef struct ranged_tensor {
    tms_tensor tensor;
    size_t begin, end;
} ranged_tensor;

typedef struct reader {
    const uint8_t *data;
    size_t bytes, header_bytes;
    ranged_tensor *ranged;
    tmsi_safetensors file;
    size_t texts_used;
} reader;

bool tmsi_tensor_bytes(tms_dtype dtype, int32_t rank, const int64_t *shape, size_t *out) {
    size_t elements = 1, bits;
    bool is_empty = false;

    /* A zero anywhere must not hide that the other dimensions overflow. */
    for (int32_t i = 0; i < rank; i++) {
        is_empty |= shape[i] == 0;
        if (!tmsi_mul_bytes(elements, shape[i] == 0 ? 1 : (size_t)shape[i], &elements))
            return false;
    }
    if (!tmsi_mul_bytes(elements, (size_t)tmsi_dtype_bits(dtype), &bits))
        return false;
    if (is_empty)
        bits = 0;
    *out = bits / 8;
    return bits % 8 == 0;
}

static bool has_control(const char *text) {
    const unsigned char *c = (const unsigned char *)text;

    for (; *c != '\0'; c++) /* C0, DEL, and C1 in UTF-8 */
        if (*c < 0x20 || *c == 0x7f || (*c == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0))
            return true;
    return false;
}

/* The header's texts, decoded, are never longer than the header: each loses its quotes and gains a
 * closing 0, and escapes shrink. */
static const char *keep_text(reader *self, const char *text) {
    size_t bytes = strlen(text) + 1;
    char *kept = self->file.texts + self->texts_used;

    TMS_ASSERT(self->texts_used + bytes <= self->header_bytes);
    memcpy(kept, text, bytes);
    self->texts_used += bytes;
    return kept;
}

static tms_status read_lengths(reader *self) {
    uint64_t header = 0;

    if (self->bytes < 8)
        return tmsi_fail(TMS_ERR_FORMAT, "has %zu bytes, but a safetensors file has at least 8",
                         self->bytes);
    for (int i = 7; i >= 0; i--)
        header = header << 8 | self->data[i];
    if (header > TMSI_HEADER_BYTES_MAX)
        return tmsi_fail(TMS_ERR_FORMAT, "header claims %" PRIu64 " bytes, but at most %d are read",
                         header, TMSI_HEADER_BYTES_MAX);
    if (header > self->bytes - 8)
        return tmsi_fail(TMS_ERR_FORMAT,
                         "header ends at byte %" PRIu64 ", but the file has %zu bytes", header + 8,
                         self->bytes);
    self->header_bytes = (size_t)header;
    return TMS_OK;
}

static tms_status read_integer(const json_t *value, const char *what, int64_t *out) {
    if (!json_is_integer(value))
        return tmsi_fail(TMS_ERR_FORMAT, "%s is %s, but must be a whole number", what,
                         tmsi_json_kind(value));
    *out = json_integer_value(value);
    if (*out < 0 || *out > INTEGER_MAX)
        return tmsi_fail(TMS_ERR_FORMAT, "%s is %" PRId64 ", but must be 0 to %" PRId64, what, *out,
                         (int64_t)INTEGER_MAX);
    return TMS_OK;
}

static tms_status read_shape(const json_t *shape, tms_tensor *out) {
    size_t rank = json_array_size(shape);
    tms_status status = TMS_OK;

    if (!json_is_array(shape))
        return tmsi_fail(TMS_ERR_FORMAT, "shape is %s, but must be an array",
                         tmsi_json_kind(shape));
    if (rank > TMS_RANK_MAX)
        return tmsi_fail(TMS_ERR_FORMAT, "shape has %zu dimensions, but at most %d are read", rank,
                         TMS_RANK_MAX);
    for (size_t i = 0; i < rank; i++)
        TMS_TRY(read_integer(json_array_get(shape, i), "a dimension of shape", &out->shape[i]));
    out->rank = (int32_t)rank;
done:
    return status;
}

static tms_status read_offsets(const json_t *offsets, ranged_tensor *out) {
    tms_status status = TMS_OK;
    int64_t begin, end;

    if (!json_is_array(offsets) || json_array_size(offsets) != 2)
        return tmsi_fail(
            TMS_ERR_FORMAT, "data_offsets is %s, but must be an array of two whole numbers",
            json_is_array(offsets) ? "an array of another length" : tmsi_json_kind(offsets));
    TMS_TRY(read_integer(json_array_get(offsets, 0), "data_offsets' begin", &begin));
    TMS_TRY(read_integer(json_array_get(offsets, 1), "data_offsets' end", &end));
    out->begin = (size_t)begin;
    out->end = (size_t)end;
done:
    return status;
}

static tms_status read_entry(const json_t *entry, ranged_tensor *out) {
    const char *key, *dtype = NULL;
    tms_status status = TMS_OK;
    json_t *value;

    if (!json_is_object(entry))
        return tmsi_fail(TMS_ERR_FORMAT, "is %s, but must be an object", tmsi_json_kind(entry));
    json_object_foreach((json_t *)(uintptr_t)entry, key, value) {
        if (strcmp(key, "dtype") != 0 && strcmp(key, "shape") != 0 &&
            strcmp(key, "data_offsets") != 0)
            return tmsi_fail(TMS_ERR_FORMAT,
                             "has a key \"%.80s\" beside dtype, shape and data_offsets", key);
    }
    TMS_TRY(tmsi_json_text(entry, "dtype", &dtype));
    if (!tmsi_dtype_from_file_name(dtype, &out->tensor.dtype))
        return tmsi_fail(TMS_ERR_FORMAT, "dtype \"%.80s\" is not known", dtype);
    TMS_TRY(read_shape(json_object_get(entry, "shape"), &out->tensor));
    TMS_TRY(read_offsets(json_object_get(entry, "data_offsets"), out));
done:
    return status;
}

static tms_status read_metadata(reader *self, const json_t *metadata) {
    tmsi_safetensors *file = &self->file;
    const char *key;
    json_t *value;
    tms_status status;

    if (!json_is_object(metadata))
        return tmsi_fail(TMS_ERR_FORMAT, "__metadata__ is %s, but must be an object",
                         tmsi_json_kind(metadata));
    status = tmsi_alloc(file->context, json_object_size(metadata), sizeof *file->metadata,
                        &file->metadata);
    if (status != TMS_OK)
        return status;
    json_object_foreach((json_t *)(uintptr_t)metadata, key, value) {
        if (!json_is_string(value))
            return tmsi_fail(TMS_ERR_FORMAT,
                             "__metadata__ key \"%.80s\" is %s, but must be a string", key,
                             tmsi_json_kind(value));
        file->metadata[file->metadata_count].key = keep_text(self, key);
        file->metadata[file->metadata_count++].value = keep_text(self, json_string_value(value));
    }
    return TMS_OK;
}

tms_status tmsi_tensor_name_check(const char *name) {
    size_t bytes = strlen(name);

    if (bytes == 0)
        return tmsi_fail(TMS_ERR_FORMAT, "a tensor's name is empty");
    if (bytes > TMSI_NAME_BYTES_MAX)
        return tmsi_fail(TMS_ERR_FORMAT,
                         "tensor \"%.80s...\" has a name of %zu bytes, but at most %d are read",
                         name, bytes, TMSI_NAME_BYTES_MAX);
    if (strcmp(name, "__metadata__") == 0)
        return tmsi_fail(TMS_ERR_FORMAT, "a tensor is named \"__metadata__\", a key of the header");
    if (has_control(name))
        return tmsi_fail(TMS_ERR_FORMAT, "a tensor's name of %zu bytes has a control character",
                         bytes);
    return TMS_OK;
}

/* Rule 4: from text to tensors, whose ranges may still be anything. */
static tms_status read_header(reader *self) {
    tmsi_safetensors *file = &self->file;
    tms_status status = TMS_OK;
    json_t *root = NULL, *value;
    const char *name;

    TMS_TRY(tmsi_json_parse((const char *)self->data + 8, self->header_bytes, DEPTH_MAX, &root));
    if (!json_is_object(root)) {
        status =
            tmsi_fail(TMS_ERR_FORMAT, "header is %s, but must be an object", tmsi_json_kind(root));
        goto done;
    }
    TMS_TRY(tmsi_alloc(file->context, self->header_bytes, 1, &file->texts));
    TMS_TRY(tmsi_alloc(file->context, json_object_size(root), sizeof *self->ranged, &self->ranged));
    json_object_foreach(root, name, value) {
        ranged_tensor *ranged = &self->ranged[file->tensor_count];
        if (strcmp(name, "__metadata__") == 0) {
            TMS_TRY(read_metadata(self, value));
            continue;
        }
        TMS_TRY(tmsi_tensor_name_check(name));
        status = read_entry(value, ranged);
        if (status != TMS_OK) {
            status = tmsi_fail_in(status, "tensor \"%s\"", name);
            goto done;
        }
        ranged->tensor.name = keep_text(self, name);
        file->tensor_count++;
    }
done:
    json_decref(root);
    return status;
}

static int compare_ranges(const void *a, const void *b) {
    const ranged_tensor *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    if (x->end != y->end)
        return x->end < y->end ? -1 : 1;
    return strcmp(x->tensor.name, y->tensor.name);
}

/* "[d, d, ...]"; the largest dimension has 15 digits. */
static void print_shape(const tms_tensor *tensor, char out[TMS_RANK_MAX * 17 + 3]) {
    size_t used = 0;

    for (int32_t i = 0; i < tensor->rank; i++)
        used += (size_t)sprintf(out + used, "%s%" PRId64, i > 0 ? ", " : "[", tensor->shape[i]);
    sprintf(out + used, tensor->rank > 0 ? "]" : "[]");
}

/* Rules 5 to 8 for one tensor; `previous` is where the one before it ended. */
static tms_status check_range(const ranged_tensor *self, size_t previous) {
    const char *name = self->tensor.name;
    char shape[TMS_RANK_MAX * 17 + 3];
    size_t bytes;

    if (self->end < self->begin)
        return tmsi_fail(TMS_ERR_FORMAT, "tensor \"%s\" ends at byte %zu, before its begin %zu",
                         name, self->end, self->begin);
    if (self->begin != previous)
        return tmsi_fail(TMS_ERR_FORMAT,
                         "tensor \"%s\" begins at byte %zu of the data, but must at %zu, where the "
                         "tensor before it ends: ranges leave no gap and share no byte",
                         name, self->begin, previous);
    if (!tmsi_tensor_bytes(self->tensor.dtype, self->tensor.rank, self->tensor.shape, &bytes)) {
        print_shape(&self->tensor, shape);
        return tmsi_fail(TMS_ERR_FORMAT,
                         "tensor \"%s\" has a shape, %s, whose size in %s overflows or is not a "
                         "whole number of bytes",
                         name, shape, tms_dtype_name(self->tensor.dtype));
    }
    if (self->end - self->begin != bytes)
        return tmsi_fail(TMS_ERR_FORMAT,
                         "tensor \"%s\" has %zu bytes by its shape, but %zu by its data_offsets",
                         name, bytes, self->end - self->begin);
    return TMS_OK;
}

static tms_status place_tensors(reader *self) {
    tmsi_safetensors *file = &self->file;
    size_t begin = 8 + self->header_bytes, end = 0;
    tms_status status = TMS_OK;

    qsort(self->ranged, (size_t)file->tensor_count, sizeof *self->ranged, compare_ranges);
    for (int64_t i = 0; i < file->tensor_count; i++) {
        TMS_TRY(check_range(&self->ranged[i], end));
        end = self->ranged[i].end;
    }
    if (end != self->bytes - begin) {
        status =
            tmsi_fail(TMS_ERR_FORMAT, "the tensors end at byte %zu, but the file has %zu bytes",
                      begin + end, self->bytes);
        goto done;
    }
    TMS_TRY(tmsi_alloc(file->context, (size_t)file->tensor_count, sizeof *file->tensors,
                       &file->tensors));
    for (int64_t i = 0; i < file->tensor_count; i++) {
        file->tensors[i] = self->ranged[i].tensor;
        file->tensors[i].data = self->data + begin + self->ranged[i].begin;
        file->tensors[i].bytes = self->ranged[i].end - self->ranged[i].begin;
    }
done:
    return status;
}

static tms_status index_names(tmsi_safetensors *self) {
    tms_status status =
        tmsi_alloc(self->context, (size_t)self->tensor_count, sizeof *self->names, &self->names);

    if (status != TMS_OK)
        return status;
    for (int64_t i = 0; i < self->tensor_count; i++)
        self->names[i] = (tmsi_name){self->tensors[i].name, i};
    tmsi_names_sort(self->names, self->tensor_count);
    return TMS_OK;
}

const tms_tensor *tmsi_safetensors_find(const tmsi_safetensors *self, const char *name) {
    int64_t i = tmsi_names_find(self->names, self->tensor_count, name);
    return i < 0 ? NULL : &self->tensors[i];
}

const char *tmsi_safetensors_metadata(const tmsi_safetensors *self, const char *key) {
    for (int64_t i = 0; i < self->metadata_count; i++)
        if (strcmp(self->metadata[i].key, key) == 0)
            return self->metadata[i].value;
    return NULL;
}

tms_status tmsi_safetensors_parse(tms_context *context, const void *data, size_t bytes,
                                  tmsi_safetensors *out) {
    reader self = {.data = data, .bytes = bytes, .file = {.context = context}};
    tms_status status;

    TMS_TRY(read_lengths(&self));
    TMS_TRY(read_header(&self));
    TMS_TRY(place_tensors(&self));
    TMS_TRY(index_names(&self.file));
    *out = self.file;
done:
    tmsi_free(context, self.ranged);
    if (status != TMS_OK)
        tmsi_safetensors_close(&self.file);
    return status;
}

tms_status tmsi_safetensors_open(tms_context *context, const char *path, tmsi_safetensors *out) {
    tmsi_mapping map = {0};
    tms_status status = tmsi_file_map(path, &map);

    if (status != TMS_OK)
        return status;
    status = tmsi_safetensors_parse(context, map.data, map.bytes, out);
    if (status != TMS_OK) {
        tmsi_file_unmap(&map);
        return tmsi_fail_in(status, "\"%s\"", path);
    }
    out->map = map;
    return TMS_OK;
}

void tmsi_safetensors_close(tmsi_safetensors *self) {
    if (self->context == NULL)
        return;
    tmsi_free(self->context, self->tensors);
    tmsi_free(self->context, self->names);
    tmsi_free(self->context, self->metadata);
    tmsi_free(self->context, self->texts);
    tmsi_file_unmap(&self->map);
    self->context = NULL;
}
