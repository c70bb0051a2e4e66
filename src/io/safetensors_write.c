/* The writer: the header is laid out before any byte is written, and set down last, when the
 * metadata is final. A file that any writer of canonical order made is made again bit for bit. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/dtype.h"
#include "base/memory.h"
#include "io/safetensors.h"

struct tmsi_safetensors_writer {
    tms_context *context;
    tmsi_writer *file;
    const tms_tensor *tensors;
    const tmsi_metadata *metadata;
    int64_t tensor_count, metadata_count;
    int64_t *order; /* numbers of tensors as they stand in the file */
    size_t *begins; /* of each tensor, in the data */
    size_t *bytes;  /* of each tensor */
    size_t header_bytes, data_bytes;
};

/* The reference writer's order, by increasing alignment; it stores the last first. */
static const tms_dtype alignment_order[] = {
    TMS_E2M1, TMS_E2M3,     TMS_E3M2,     TMS_BOOL, TMS_U8,  TMS_I8,  TMS_E5M2, TMS_E4M3,
    TMS_E8M0, TMS_E4M3FNUZ, TMS_E5M2FNUZ, TMS_I16,  TMS_U16, TMS_F16, TMS_BF16, TMS_I32,
    TMS_U32,  TMS_F32,      TMS_F64,      TMS_I64,  TMS_U64, TMS_C64,
};

_Static_assert(sizeof alignment_order / sizeof *alignment_order == TMS_DTYPE_COUNT,
               "every type has its place");

static int alignment_rank(tms_dtype dtype) {
    int rank = 0;
    while (alignment_order[rank] != dtype)
        rank++;
    return rank;
}

/* ---- Header text ---------------------------------------------------------------------------- */

/* Text that is only counted where `text` is NULL: first for its size, then for good. */
typedef struct sink {
    char *text;
    size_t bytes;
} sink;

static void put(sink *self, const char *text, size_t bytes) {
    if (self->text != NULL)
        memcpy(self->text + self->bytes, text, bytes);
    self->bytes += bytes;
}

static void put_text(sink *self, const char *text) {
    put(self, text, strlen(text));
}

static void put_number(sink *self, uint64_t number) {
    char text[24];
    put(self, text, (size_t)snprintf(text, sizeof text, "%" PRIu64, number));
}

static void put_string(sink *self, const char *text) {
    static const char escapes[] = "btn\0fr"; /* of bytes 8 to 13 but 11 */
    char code[8];

    put(self, "\"", 1);
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\')
            snprintf(code, sizeof code, "\\%c", c);
        else if (c >= 8 && c <= 13 && c != 11)
            snprintf(code, sizeof code, "\\%c", escapes[c - 8]);
        else if (c < 0x20)
            snprintf(code, sizeof code, "\\u%04x", c);
        else
            snprintf(code, sizeof code, "%c", c);
        put_text(self, code);
    }
    put(self, "\"", 1);
}

static void put_tensor(sink *self, const tms_tensor *tensor, size_t begin, size_t bytes) {
    put_string(self, tensor->name);
    put_text(self, ":{\"dtype\":\"");
    put_text(self, tmsi_dtype_file_name(tensor->dtype));
    put_text(self, "\",\"shape\":[");
    for (int32_t i = 0; i < tensor->rank; i++) {
        put_text(self, i > 0 ? "," : "");
        put_number(self, (uint64_t)tensor->shape[i]);
    }
    put_text(self, "],\"data_offsets\":[");
    put_number(self, begin);
    put_text(self, ",");
    put_number(self, begin + bytes);
    put_text(self, "]}");
}

static void put_header(sink *out, const tmsi_safetensors_writer *self) {
    put_text(out, "{");
    if (self->metadata_count > 0) {
        put_text(out, "\"__metadata__\":{");
        for (int64_t i = 0; i < self->metadata_count; i++) {
            put_text(out, i > 0 ? "," : "");
            put_string(out, self->metadata[i].key);
            put_text(out, ":");
            put_string(out, self->metadata[i].value);
        }
        put_text(out, self->tensor_count > 0 ? "}," : "}");
    }
    for (int64_t i = 0; i < self->tensor_count; i++) {
        int64_t t = self->order[i];
        put_text(out, i > 0 ? "," : "");
        put_tensor(out, &self->tensors[t], self->begins[t], self->bytes[t]);
    }
    put_text(out, "}");
    while (out->bytes % 8 != 0) /* so that the data begin at a multiple of 8 */
        put_text(out, " ");
}

/* ---- Layout --------------------------------------------------------------------------------- */

typedef struct place {
    int rank;
    const char *name;
    int64_t number;
} place;

static int compare_places(const void *a, const void *b) {
    const place *x = a, *y = b;
    return x->rank != y->rank ? y->rank - x->rank : strcmp(x->name, y->name);
}

/* A component of one tensor could bear the name of another tensor. */
static tms_status check_names(tmsi_safetensors_writer *self) {
    tmsi_name *names = NULL;
    tms_status status =
        tmsi_alloc(self->context, (size_t)self->tensor_count, sizeof *names, &names);

    if (status != TMS_OK)
        return status;
    for (int64_t i = 0; i < self->tensor_count; i++)
        names[i] = (tmsi_name){self->tensors[i].name, i};
    tmsi_names_sort(names, self->tensor_count);
    for (int64_t i = 1; i < self->tensor_count && status == TMS_OK; i++)
        if (strcmp(names[i - 1].text, names[i].text) == 0)
            status = tmsi_fail(TMS_ERR_INVALID, "the output would have two tensors \"%s\"",
                               names[i].text);
    tmsi_free(self->context, names);
    return status;
}

static tms_status lay_out(tmsi_safetensors_writer *self) {
    size_t count = (size_t)self->tensor_count;
    tms_status status = TMS_OK;
    place *places = NULL;

    TMS_TRY(check_names(self));
    TMS_TRY(tmsi_alloc(self->context, count, sizeof *places, &places));
    TMS_TRY(tmsi_alloc(self->context, count, sizeof *self->order, &self->order));
    TMS_TRY(tmsi_alloc(self->context, count, sizeof *self->begins, &self->begins));
    TMS_TRY(tmsi_alloc(self->context, count, sizeof *self->bytes, &self->bytes));
    for (size_t i = 0; i < count; i++)
        places[i] =
            (place){alignment_rank(self->tensors[i].dtype), self->tensors[i].name, (int64_t)i};
    qsort(places, count, sizeof *places, compare_places);
    for (size_t i = 0; i < count; i++) {
        int64_t t = self->order[i] = places[i].number;
        const tms_tensor *tensor = &self->tensors[t];
        self->begins[t] = self->data_bytes;
        if (!tmsi_tensor_bytes(tensor->dtype, tensor->rank, tensor->shape, &self->bytes[t]) ||
            !tmsi_add_bytes(self->data_bytes, self->bytes[t], &self->data_bytes)) {
            status =
                tmsi_fail(TMS_ERR_INVALID, "tensor \"%s\" has a size that overflows", tensor->name);
            goto done;
        }
    }
done:
    tmsi_free(self->context, places);
    return status;
}

/* ---- Writing -------------------------------------------------------------------------------- */

tms_status tmsi_safetensors_create(tms_context *context, const char *path, bool force,
                                   const tms_tensor *tensors, int64_t tensor_count,
                                   const tmsi_metadata *metadata, int64_t metadata_count,
                                   tmsi_safetensors_writer **out) {
    tmsi_safetensors_writer *self = NULL;
    tms_status status = TMS_OK;
    sink header = {0};

    TMS_TRY(tmsi_alloc(context, 1, sizeof *self, &self));
    self->context = context;
    self->tensors = tensors;
    self->tensor_count = tensor_count;
    self->metadata = metadata;
    self->metadata_count = metadata_count;
    TMS_TRY(lay_out(self));
    put_header(&header, self);
    self->header_bytes = header.bytes;
    if (header.bytes > TMSI_HEADER_BYTES_MAX) {
        status = tmsi_fail(TMS_ERR_INVALID,
                           "the output's header would have %zu bytes, but at most %d are read",
                           header.bytes, TMSI_HEADER_BYTES_MAX);
        goto done;
    }
    TMS_TRY(tmsi_writer_create(context, path, force, 8 + self->header_bytes + self->data_bytes,
                               &self->file));
    *out = self;
    self = NULL;
done:
    tmsi_safetensors_writer_destroy(self);
    return status;
}

tms_status tmsi_safetensors_write(tmsi_safetensors_writer *self, int64_t i, size_t offset,
                                  const void *data, size_t bytes) {
    TMS_ASSERT(offset + bytes <= self->bytes[i]);
    return tmsi_writer_write(self->file, 8 + self->header_bytes + self->begins[i] + offset, data,
                             bytes);
}

tms_status tmsi_safetensors_commit(tmsi_safetensors_writer *self) {
    tms_status status = TMS_OK;
    sink header = {0};
    size_t room = 8 + self->header_bytes;

    TMS_TRY(tmsi_alloc(self->context, room, 1, &header.text));
    for (int i = 0; i < 8; i++)
        header.text[header.bytes++] = (char)(self->header_bytes >> 8 * i & 0xff);
    put_header(&header, self);
    TMS_ASSERT(header.bytes == room);
    TMS_TRY(tmsi_writer_write(self->file, 0, header.text, header.bytes));
    TMS_TRY(tmsi_writer_commit(self->file));
done:
    tmsi_free(self->context, header.text);
    return status;
}

void tmsi_safetensors_writer_destroy(tmsi_safetensors_writer *self) {
    if (self == NULL)
        return;
    tmsi_writer_destroy(self->file);
    tmsi_free(self->context, self->order);
    tmsi_free(self->context, self->begins);
    tmsi_free(self->context, self->bytes);
    tmsi_free(self->context, self);
}
