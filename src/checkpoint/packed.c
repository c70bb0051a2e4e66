#include "checkpoint/packed.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#define XXH_STATIC_LINKING_ONLY /* for a hash state on the stack */
#include <xxhash.h>

#include "base/dtype.h"
#include "format/format.h"

enum { DESCRIPTION_DEPTH_MAX = 1 };

#define COUNT_MAX ((INT64_C(1) << 48) - 1) /* of n, k and nnz, as of any dimension in a file */

const char *tmsi_packed_name(const char *key) {
    size_t prefix = strlen(TMSI_KEY_PREFIX);

    if (strncmp(key, TMSI_KEY_PREFIX, prefix) != 0 || strcmp(key, TMSI_PACKED_KEY) == 0 ||
        strcmp(key, TMSI_RECORD_KEY) == 0)
        return NULL;
    return key + prefix;
}

tms_status tmsi_packed_check(const tmsi_safetensors *file, bool *out_is_packed) {
    const char *value = tmsi_safetensors_metadata(file, TMSI_PACKED_KEY);

    if (value != NULL && strcmp(value, TMSI_PACKED_VALUE) != 0)
        return tmsi_fail(TMS_ERR_FORMAT,
                         "metadata key " TMSI_PACKED_KEY " is \"%.80s\", but this library reads "
                         "\"" TMSI_PACKED_VALUE "\"",
                         value);
    *out_is_packed = value != NULL;
    return TMS_OK;
}

/* ---- Description ---------------------------------------------------------------------------- */

void tmsi_packed_describe(const tms_matrix *matrix, uint64_t hash, char out[TMSI_DESCRIPTION_MAX]) {
    char parameters[96] = "";

    if (matrix->format == TMS_FORMAT_NM)
        snprintf(parameters, sizeof parameters, ",\"keep\":%d,\"group\":%d", matrix->keep,
                 matrix->group);
    if (matrix->format == TMS_FORMAT_BSR)
        snprintf(parameters, sizeof parameters, ",\"block_rows\":%d,\"block_columns\":%d",
                 matrix->block_rows, matrix->block_columns);
    snprintf(out, TMSI_DESCRIPTION_MAX,
             "{\"format\":\"%s\",\"dtype\":\"%s\",\"n\":%" PRId64 ",\"k\":%" PRId64
             ",\"nnz\":%" PRId64 "%s,\"hash\":\"%016" PRIx64 "\"}",
             tmsi_formats[matrix->format].name, tmsi_dtype_file_name(matrix->dtype), matrix->n,
             matrix->k, matrix->nnz, parameters, hash);
}

/* Every key of the description is one that the format has. */
static tms_status check_keys(const json_t *description, tms_format format) {
    static const char *const common[] = {"format", "dtype", "n", "k", "nnz", "hash"};
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)description, key, value) {
        bool is_known = false;
        for (size_t i = 0; i < sizeof common / sizeof *common; i++)
            is_known |= strcmp(key, common[i]) == 0;
        if (format == TMS_FORMAT_NM)
            is_known |= strcmp(key, "keep") == 0 || strcmp(key, "group") == 0;
        if (format == TMS_FORMAT_BSR)
            is_known |= strcmp(key, "block_rows") == 0 || strcmp(key, "block_columns") == 0;
        if (!is_known)
            return tmsi_fail(TMS_ERR_FORMAT, "has a key \"%.80s\", which %s has not", key,
                             tmsi_formats[format].name);
    }
    return TMS_OK;
}

static tms_status read_int32(const json_t *description, const char *key, int32_t *out) {
    int64_t value;
    tms_status status = tmsi_json_int(description, key, 1, INT32_MAX, &value);
    if (status == TMS_OK)
        *out = (int32_t)value;
    return status;
}

static tms_status read_types(const json_t *description, tms_matrix *matrix) {
    const char *format, *dtype;
    tms_status status = TMS_OK;

    TMS_TRY(tmsi_json_text(description, "format", &format));
    TMS_TRY(tmsi_json_text(description, "dtype", &dtype));
    TMS_TRY(tmsi_format_parse(format, &matrix->format));
    if (!tmsi_dtype_from_file_name(dtype, &matrix->dtype) || !tmsi_dtype_is_weight(matrix->dtype))
        status = tmsi_fail(TMS_ERR_FORMAT, "\"dtype\" is \"%.40s\", but must be F32, BF16 or F16",
                           dtype);
    else if (matrix->format == TMS_FORMAT_DENSE)
        status =
            tmsi_fail(TMS_ERR_FORMAT, "\"format\" is \"dense\", but such a tensor is not packed");
done:
    return status;
}

static tms_status read_hash(const json_t *description, uint64_t *out) {
    const char *text;
    tms_status status = tmsi_json_text(description, "hash", &text);
    uint64_t hash = 0;

    if (status != TMS_OK)
        return status;
    if (strlen(text) != 16 || strspn(text, "0123456789abcdef") != 16)
        return tmsi_fail(TMS_ERR_FORMAT, "\"hash\" is \"%.40s\", but must be 16 hexadecimal digits",
                         text);
    for (; *text != '\0'; text++)
        hash = hash << 4 | (uint64_t)(*text <= '9' ? *text - '0' : *text - 'a' + 10);
    *out = hash;
    return TMS_OK;
}

static tms_status read_description(const json_t *description, tmsi_stored *out) {
    tms_matrix *matrix = &out->matrix;
    tms_status status = TMS_OK;

    TMS_TRY(read_types(description, matrix));
    TMS_TRY(check_keys(description, matrix->format));
    TMS_TRY(tmsi_json_int(description, "n", 0, COUNT_MAX, &matrix->n));
    TMS_TRY(tmsi_json_int(description, "k", 0, COUNT_MAX, &matrix->k));
    TMS_TRY(tmsi_json_int(description, "nnz", 0, COUNT_MAX, &matrix->nnz));
    if (matrix->format == TMS_FORMAT_NM) {
        TMS_TRY(read_int32(description, "keep", &matrix->keep));
        TMS_TRY(read_int32(description, "group", &matrix->group));
    }
    if (matrix->format == TMS_FORMAT_BSR) {
        TMS_TRY(read_int32(description, "block_rows", &matrix->block_rows));
        TMS_TRY(read_int32(description, "block_columns", &matrix->block_columns));
    }
    TMS_TRY(read_hash(description, &out->hash));
done:
    return status;
}

/* ---- Components ----------------------------------------------------------------------------- */

static tms_status find_component(const tmsi_safetensors *file, const char *name,
                                 tms_component *component, int64_t *out_number) {
    char whole[TMSI_NAME_BYTES_MAX + 32];
    const tms_tensor *tensor;
    bool is_same;

    snprintf(whole, sizeof whole, "%s.%s", name, component->name);
    tensor = tmsi_safetensors_find(file, whole);
    if (tensor == NULL)
        return tmsi_fail(TMS_ERR_FORMAT, "its component \"%s\" is missing", whole);
    is_same = tensor->dtype == component->dtype && tensor->rank == component->rank;
    for (int32_t i = 0; is_same && i < component->rank; i++)
        is_same = tensor->shape[i] == component->shape[i];
    if (!is_same)
        return tmsi_fail(TMS_ERR_FORMAT,
                         "its component \"%s\" is %s of %zu bytes, but the description asks for %s "
                         "of %zu bytes in another shape",
                         whole, tms_dtype_name(tensor->dtype), tensor->bytes,
                         tms_dtype_name(component->dtype), component->bytes);
    component->data = (void *)(uintptr_t)tensor->data; /* mapped read-only: nobody writes to it */
    *out_number = tensor - file->tensors;
    return TMS_OK;
}

static void set_tensor(tmsi_stored *stored, const char *name) {
    const tms_matrix *matrix = &stored->matrix;

    stored->tensor.name = name;
    stored->tensor.dtype = matrix->dtype;
    stored->tensor.rank = 2;
    stored->tensor.shape[0] = matrix->n;
    stored->tensor.shape[1] = matrix->k;
    stored->tensor.format = matrix->format;
    stored->tensor.bytes = (size_t)matrix->n * (size_t)matrix->k * tmsi_dtype_bytes(matrix->dtype);
}

tms_status tmsi_packed_read(const tmsi_safetensors *file, const char *name, const char *description,
                            tmsi_stored *out) {
    tmsi_stored stored = {.matrix = {.struct_size = sizeof(tms_matrix)}};
    int64_t nnz;
    json_t *json = NULL;
    tms_status status = tmsi_tensor_name_check(name);

    if (status != TMS_OK)
        return status;
    TMS_TRY(tmsi_json_parse(description, strlen(description), DESCRIPTION_DEPTH_MAX, &json));
    if (!json_is_object(json)) {
        status = tmsi_fail(TMS_ERR_FORMAT, "is %s, but must be an object", tmsi_json_kind(json));
        goto done;
    }
    TMS_TRY(read_description(json, &stored));
    nnz = stored.matrix.nnz;
    TMS_TRY(tmsi_matrix_describe(&stored.matrix));
    if (stored.matrix.nnz != nnz) {
        status = tmsi_fail(TMS_ERR_FORMAT, "\"nnz\" is %" PRId64 ", but must be %" PRId64, nnz,
                           stored.matrix.nnz);
        goto done;
    }
    for (int32_t i = 0; i < stored.matrix.component_count; i++)
        TMS_TRY(find_component(file, name, &stored.matrix.components[i], &stored.parts[i]));
    set_tensor(&stored, name);
    *out = stored;
done:
    json_decref(json);
    /* What the format room calls a wrong argument is a malformed file here. */
    return status == TMS_OK || status == TMS_ERR_MEMORY
               ? status
               : tmsi_fail_in(TMS_ERR_FORMAT, "description of packed tensor \"%s\"", name);
}

uint64_t tmsi_packed_hash(const tms_matrix *matrix) {
    XXH3_state_t state;

    XXH3_64bits_reset(&state);
    for (int32_t i = 0; i < matrix->component_count; i++)
        XXH3_64bits_update(&state, matrix->components[i].data, matrix->components[i].bytes);
    return XXH3_64bits_digest(&state);
}
