#include "io/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "io/file.h"

enum { STRING_BYTES_MAX = 16 << 20, VALUES_MAX = 4 << 20 };

/* What a text would ask of jansson: brackets open at a time, outside strings (it recurses on each,
 * 2048 deep); bytes of a string (it does not notice when the buffer for one cannot grow); and
 * values, each of which takes some 150 bytes where the text may need but two. */
typedef struct demands {
    int32_t depth;
    size_t string_bytes, values;
} demands;

static demands scan_text(const char *text, size_t bytes) {
    demands most = {0, 0, 1};
    int32_t depth = 0;
    bool in_string = false;
    size_t start = 0;

    for (size_t i = 0; i < bytes; i++) {
        char c = text[i];
        if (in_string && c == '\\') {
            i++; /* whatever is escaped, it closes nothing */
        } else if (c == '"') {
            if (in_string && i - start > most.string_bytes)
                most.string_bytes = i - start;
            start = i + 1;
            in_string = !in_string;
        } else if (!in_string && (c == '{' || c == '[') && depth < INT32_MAX) {
            most.depth = ++depth > most.depth ? depth : most.depth;
        } else if (!in_string && (c == '}' || c == ']')) {
            depth--;
        } else {
            most.values += !in_string && (c == ',' || c == ':');
        }
    }
    if (in_string && bytes - start > most.string_bytes)
        most.string_bytes = bytes - start;
    return most;
}

/* jansson quotes the text near an error as it stands: control bytes must not reach a terminal. */
static void mask_controls(char *text) {
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            *text = '?';
}

tms_status tmsi_json_parse(const char *text, size_t bytes, int32_t depth_max, json_t **out) {
    demands most = scan_text(text, bytes);
    json_error_t error;
    json_t *parsed;

    if (bytes == 0)
        return tmsi_fail(TMS_ERR_FORMAT, "JSON is malformed at line 1, column 0: it is empty");
    if (most.depth > depth_max)
        return tmsi_fail(TMS_ERR_FORMAT, "JSON nests %d deep, but at most %d is allowed",
                         most.depth, depth_max);
    if (most.string_bytes > STRING_BYTES_MAX)
        return tmsi_fail(TMS_ERR_FORMAT, "JSON has a string of %zu bytes, but at most %d are read",
                         most.string_bytes, STRING_BYTES_MAX);
    if (most.values > VALUES_MAX)
        return tmsi_fail(TMS_ERR_FORMAT, "JSON has about %zu values, but at most %d are read",
                         most.values, VALUES_MAX);
    parsed = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &error);
    if (parsed == NULL) {
        mask_controls(error.text);
        /* Some of jansson's own failed allocations leave no text at all. */
        if (error.text[0] == '\0' || json_error_code(&error) == json_error_out_of_memory)
            return tmsi_fail(TMS_ERR_MEMORY, "out of memory: JSON of %zu bytes", bytes);
        return tmsi_fail(TMS_ERR_FORMAT, "JSON is malformed at line %d, column %d: %s", error.line,
                         error.column, error.text);
    }
    *out = parsed;
    return TMS_OK;
}

/* A file of at most bytes_max bytes. */
static tms_status read_file(const char *path, size_t bytes_max, int32_t depth_max, json_t **out) {
    tmsi_mapping map = {0};
    tms_status status = tmsi_file_map(path, &map);

    if (status != TMS_OK)
        return status;
    if (map.bytes > bytes_max)
        status = tmsi_fail(TMS_ERR_FORMAT, "has %zu bytes, but at most %zu are read as JSON",
                           map.bytes, bytes_max);
    else
        status = tmsi_json_parse((const char *)map.data, map.bytes, depth_max, out);
    if (status != TMS_OK)
        status = tmsi_fail_in(status, "\"%s\"", path);
    tmsi_file_unmap(&map);
    return status;
}

static const char *name_type(int type) {
    switch (type) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "an array";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
        return "a whole number";
    case JSON_REAL:
        return "a number with a fraction or exponent";
    case JSON_TRUE:
    case JSON_FALSE:
        return "true or false";
    case JSON_NULL:
        return "null";
    default:
        return "missing";
    }
}

const char *tmsi_json_kind(const json_t *value) {
    return name_type(value == NULL ? -1 : (int)json_typeof(value));
}

tms_status tmsi_json_read(tms_context *context, const char *folder, const char *name,
                          const tmsi_json_bounds *bounds, json_t **out) {
    tms_status status = TMS_OK;
    json_t *read = NULL;
    char *path = NULL;

    TMS_TRY(tmsi_path_join(context, folder, name, &path));
    if (tmsi_path_look(path) == TMSI_PATH_NONE)
        goto done;
    TMS_TRY(read_file(path, bounds->bytes_max, bounds->depth_max, &read));
    if (json_typeof(read) != bounds->type)
        TMS_TRY(tmsi_fail(TMS_ERR_FORMAT, "\"%s\" is %s, but must be %s", path,
                          tmsi_json_kind(read), name_type((int)bounds->type)));
    *out = read;
    read = NULL;
done:
    json_decref(read);
    tmsi_free(context, path);
    return status;
}

static tms_status fail_kind(const char *key, const json_t *value, const char *wanted) {
    return tmsi_fail(TMS_ERR_FORMAT, "\"%s\" is %s, but must be %s", key, tmsi_json_kind(value),
                     wanted);
}

tms_status tmsi_json_int(const json_t *object, const char *key, int64_t min, int64_t max,
                         int64_t *out) {
    const json_t *value = json_object_get(object, key);
    int64_t number;

    if (!json_is_integer(value))
        return fail_kind(key, value, "a whole number");
    number = json_integer_value(value);
    if (number < min || number > max)
        return tmsi_fail(TMS_ERR_FORMAT,
                         "\"%s\" is %" PRId64 ", but must be %" PRId64 " to %" PRId64, key, number,
                         min, max);
    *out = number;
    return TMS_OK;
}

tms_status tmsi_json_real(const json_t *object, const char *key, double min, double max,
                          double *out) {
    const json_t *value = json_object_get(object, key);
    double number;

    if (!json_is_number(value))
        return fail_kind(key, value, "a number");
    number = json_number_value(value);
    if (!(number >= min && number <= max))
        return tmsi_fail(TMS_ERR_FORMAT, "\"%s\" is %g, but must be %g to %g", key, number, min,
                         max);
    *out = number;
    return TMS_OK;
}

tms_status tmsi_json_text(const json_t *object, const char *key, const char **out) {
    const json_t *value = json_object_get(object, key);

    if (!json_is_string(value))
        return fail_kind(key, value, "a string");
    *out = json_string_value(value);
    return TMS_OK;
}

tms_status tmsi_json_object(const json_t *object, const char *key, json_t **out) {
    json_t *value = json_object_get(object, key);

    if (!json_is_object(value))
        return fail_kind(key, value, "an object");
    *out = value;
    return TMS_OK;
}

tms_status tmsi_json_print(tms_context *context, const json_t *value, bool is_indented,
                           char **out) {
    size_t flags = is_indented ? JSON_INDENT(2) : JSON_COMPACT;
    size_t bytes = value == NULL ? 0 : json_dumpb(value, NULL, 0, flags);
    char *text = NULL;
    tms_status status;

    if (bytes == 0)
        return tmsi_fail(TMS_ERR_MEMORY, "out of memory: JSON to be written");
    status = tmsi_alloc(context, bytes + 1, 1, &text);
    if (status != TMS_OK)
        return status;
    if (json_dumpb(value, text, bytes, flags) != bytes) { /* it allocates, each time */
        tmsi_free(context, text);
        return tmsi_fail(TMS_ERR_MEMORY, "out of memory: JSON of %zu bytes to be written", bytes);
    }
    *out = text;
    return TMS_OK;
}
