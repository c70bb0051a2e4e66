#include "io/json.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "io/file.h"

/* Deepest nesting of brackets outside strings; jansson itself would recurse to 2048. */
static int32_t nesting_depth(const char *text, size_t bytes) {
    int32_t depth = 0, deepest = 0;
    bool in_string = false;

    for (size_t i = 0; i < bytes; i++) {
        char c = text[i];
        if (in_string && c == '\\')
            i++; /* whatever is escaped, it closes nothing */
        else if (c == '"')
            in_string = !in_string;
        else if (!in_string && (c == '{' || c == '[') && depth < INT32_MAX)
            deepest = ++depth > deepest ? depth : deepest;
        else if (!in_string && (c == '}' || c == ']'))
            depth--;
    }
    return deepest;
}

/* jansson quotes the text near an error as it stands: control bytes must not reach a terminal. */
static void mask_controls(char *text) {
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            *text = '?';
}

tms_status tmsi_json_parse(const char *text, size_t bytes, int32_t depth_max, json_t **out) {
    int32_t depth = nesting_depth(text, bytes);
    json_error_t error;
    json_t *parsed;

    if (depth > depth_max)
        return tmsi_fail(TMS_ERR_FORMAT, "JSON nests %d deep, but at most %d is allowed", depth,
                         depth_max);
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

tms_status tmsi_json_read(const char *path, size_t bytes_max, int32_t depth_max, json_t **out) {
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

const char *tmsi_json_kind(const json_t *value) {
    switch (value == NULL ? -1 : (int)json_typeof(value)) {
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
