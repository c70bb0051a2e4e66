/* Where the command finds its tuning table (docs/tuning.md). */
#ifndef TAMIS_CLI_TUNING_H
#define TAMIS_CLI_TUNING_H

#include "cli.h"

enum { CLI_PATH_MAX = 4096 };

/* The default file, in the user's cache folder; false where the environment names none. */
bool cli_tuning_path(char *path, size_t path_bytes);

/* Reads the table that TMS_TUNING names, else the default file where it is there: its text, NULL
 * where there is none, and the path. CLI_GO_ON, or the code to exit with. The caller frees the
 * text. */
cli_exit cli_tuning_load(char **out_text, size_t *out_bytes, char *path, size_t path_bytes);

#endif
