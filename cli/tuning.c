/* The tuning table of a session: found, read whole, handed to the context as text. */
#include "tuning.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TUNING_BYTES_MAX = 1 << 20 }; /* the library's limit: longer files are none */

bool cli_tuning_path(char *path, size_t path_bytes) {
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    int length = -1;

    if (cache != NULL && *cache == '/') /* a relative one is to be ignored, says its standard */
        length = snprintf(path, path_bytes, "%s/tamis/tuning.txt", cache);
    else if (home != NULL && *home != '\0')
        length = snprintf(path, path_bytes, "%s/.cache/tamis/tuning.txt", home);
    return length > 0 && (size_t)length < path_bytes;
}

/* The file's text, or NULL after a sentence; *out_is_missing where there is none of that name. */
static char *read_file(const char *path, size_t *out_bytes, bool *out_is_missing) {
    FILE *file = fopen(path, "rb");
    char *text;

    *out_is_missing = file == NULL && errno == ENOENT;
    if (file == NULL) {
        if (!*out_is_missing)
            cli_fail(CLI_FAILED, "cannot open \"%s\": %s", path, strerror(errno));
        return NULL;
    }
    text = malloc(TUNING_BYTES_MAX + 2);
    if (text == NULL) {
        cli_fail(CLI_FAILED, "out of memory: %d bytes were not to be had", TUNING_BYTES_MAX + 2);
    } else {
        *out_bytes = fread(text, 1, TUNING_BYTES_MAX + 1, file);
        text[*out_bytes] = '\0';
        if (ferror(file)) {
            cli_fail(CLI_FAILED, "cannot read \"%s\": %s", path, strerror(errno));
            free(text);
            text = NULL;
        }
    }
    fclose(file);
    return text;
}

cli_exit cli_tuning_load(char **out_text, size_t *out_bytes, char *path, size_t path_bytes) {
    const char *given = getenv("TMS_TUNING");
    bool is_missing = false;

    if (given != NULL && *given == '\0')
        return CLI_GO_ON; /* none is wanted */
    if (given != NULL)
        snprintf(path, path_bytes, "%s", given);
    else if (!cli_tuning_path(path, path_bytes))
        return CLI_GO_ON;
    *out_text = read_file(path, out_bytes, &is_missing);
    if (*out_text != NULL || (is_missing && given == NULL))
        return CLI_GO_ON;
    if (is_missing)
        cli_fail(CLI_FAILED, "TMS_TUNING is \"%s\", but there is no such file", given);
    return CLI_FAILED;
}
