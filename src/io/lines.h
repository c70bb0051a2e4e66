/* Text files, a text a line. */
#ifndef TAMIS_IO_LINES_H
#define TAMIS_IO_LINES_H

#include "io/file.h"

typedef struct tmsi_lines {
    tms_context *context;
    tmsi_mapping map;
    const char **texts; /* in the map, no closing 0 */
    size_t *lengths;
    int64_t count;
} tmsi_lines;

/* A line ends at a line feed, before which a carriage return is dropped, or at the end of the file;
 * empty lines count. Bytes are not judged. *out is untouched on failure. */
tms_status tmsi_lines_open(tms_context *context, const char *path, tmsi_lines *out);
void tmsi_lines_close(tmsi_lines *lines); /* takes a zero-filled one */

#endif
