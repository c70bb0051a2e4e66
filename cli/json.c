#define _GNU_SOURCE
#include "json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static cli_exit print(json_t *value, size_t flags) {
    int failed;

    if (value == NULL)
        return cli_fail(CLI_FAILED, "out of memory while the JSON was built");
    failed = json_dumpf(value, stdout, flags | JSON_REAL_PRECISION(9));
    json_decref(value);
    putchar('\n');
    if (failed != 0 && !ferror(stdout)) /* else cli_end says it */
        return cli_fail(CLI_FAILED, "out of memory while the JSON was printed");
    return CLI_GOOD;
}

cli_exit cli_json_print(json_t *value) {
    return print(value, JSON_INDENT(2));
}

cli_exit cli_json_line(json_t *value) {
    return print(value, 0);
}

json_t *cli_json_text(const char *text) {
    json_t *value;
    char *copy;

    if (text == NULL)
        return json_null();
    value = json_string(text);
    if (value != NULL)
        return value;
    copy = strdup(text);
    if (copy == NULL)
        return NULL;
    for (char *c = copy; *c != '\0'; c++)
        if ((unsigned char)*c >= 0x80)
            *c = '?';
    value = json_string(copy);
    free(copy);
    return value;
}

json_t *cli_json_number(double value) {
    return isfinite(value) ? json_real(value) : json_null();
}
