/* JSON for machines: helpers around jansson. */
#ifndef TAMIS_CLI_JSON_H
#define TAMIS_CLI_JSON_H

#include <jansson.h>

#include "cli.h"

/* Prints the value, indented, and releases it. NULL (jansson found no memory) is a failure. */
cli_exit cli_json_print(json_t *value);

/* The same on one line. */
cli_exit cli_json_line(json_t *value);

/* A text from a path or file as a JSON string: bytes that are not UTF-8 become "?". */
json_t *cli_json_text(const char *text);

/* A number; null where it is not finite, as JSON has none such. */
json_t *cli_json_number(double value);

#endif
