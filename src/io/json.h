/* JSON from files that nobody vouches for: jansson behind checks. Duplicate keys, NUL in strings,
 * malformed UTF-8 and deep nesting are refused; whole numbers are never taken from fractions. */
#ifndef TAMIS_IO_JSON_H
#define TAMIS_IO_JSON_H

#include <jansson.h>
#include <stdbool.h>

#include "base/status.h"

/* Parses a whole text with at most depth_max brackets open at a time. The caller owns *out
 * (json_decref). Sentences say where in the text. */
tms_status tmsi_json_parse(const char *text, size_t bytes, int32_t depth_max, json_t **out);

/* What is asked of a file: the kind of its outermost value, and how much is read. */
typedef struct tmsi_json_bounds {
    json_type type;
    size_t bytes_max;
    int32_t depth_max;
} tmsi_json_bounds;

/* Parses a file of the folder; where there is none, *out is left alone. Sentences name the file. */
tms_status tmsi_json_read(tms_context *context, const char *folder, const char *name,
                          const tmsi_json_bounds *bounds, json_t **out);

/* Fields of an object; one that is missing, of another type or out of range is TMS_ERR_FORMAT with
 * a sentence naming the key, its value and what is allowed. Texts live as long as the object. */
tms_status tmsi_json_int(const json_t *object, const char *key, int64_t min, int64_t max,
                         int64_t *out);
tms_status tmsi_json_real(const json_t *object, const char *key, double min, double max,
                          double *out);
tms_status tmsi_json_text(const json_t *object, const char *key, const char **out);
tms_status tmsi_json_object(const json_t *object, const char *key, json_t **out);

/* The value as text, in one line or indented, with a closing 0; the caller frees it. NULL for a
 * value that could not be made is out of memory. */
tms_status tmsi_json_print(tms_context *context, const json_t *value, bool is_indented, char **out);

/* "a string", "an object" ...: how sentences call a value that should be something else. */
const char *tmsi_json_kind(const json_t *value);

#endif
