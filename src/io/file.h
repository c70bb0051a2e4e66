/* Files: read through a map, written so that they appear whole or not at all. */
#ifndef TAMIS_IO_FILE_H
#define TAMIS_IO_FILE_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

/* A regular file, mapped read-only; an empty one has data NULL. Whoever shortens the file meanwhile
 * pulls the ground away: writers must replace files by renaming, as ours does. */
typedef struct tmsi_mapping {
    const uint8_t *data;
    size_t bytes;
} tmsi_mapping;

tms_status tmsi_file_map(const char *path, tmsi_mapping *out);
void tmsi_file_unmap(tmsi_mapping *map); /* takes a zero-filled one */

typedef enum tmsi_path_kind {
    TMSI_PATH_NONE, /* nothing there */
    TMSI_PATH_FILE,
    TMSI_PATH_FOLDER,
    TMSI_PATH_OTHER /* device, pipe, socket, dangling link */
} tmsi_path_kind;

tmsi_path_kind tmsi_path_look(const char *path);

/* Of a path where nothing is: whether something could be. A name too long, a file where a folder
 * should be, or a folder without permission would else show when all the work is done. */
tms_status tmsi_path_check_new(const char *path);
/* Both exist and are one file, by device and inode: links do not hide it. */
bool tmsi_path_same(const char *a, const char *b);
/* The system's words for an errno value, in the caller's buffer. */
const char *tmsi_system_text(int number, char text[128]);
/* "cannot <verb> <path>: <the system's words for errno>". Inline, so that clang's analyser sees
 * that it is never TMS_OK. */
static inline tms_status tmsi_fail_system(const char *verb, const char *path) {
    char text[128];
    int number = errno;
    return tmsi_fail(TMS_ERR_IO, "cannot %s \"%s\": %s", verb, path,
                     tmsi_system_text(number, text));
}
/* "folder/name" or, with an empty folder, "name"; the caller frees it. */
tms_status tmsi_path_join(tms_context *context, const char *folder, const char *name, char **out);

/* A file being written: bytes go to a temporary file in the same folder, at any offset and in any
 * order, and take the path's name in one step at commit. */
typedef struct tmsi_writer tmsi_writer;

/* Refuses a path where something is, unless force; and even then what is no regular file. */
tms_status tmsi_writer_check(const char *path, bool force);

/* Checks the path. A size that is known (else 0) is reserved at once, so that a full disk shows
 * before the work. */
tms_status tmsi_writer_create(tms_context *context, const char *path, bool force, size_t bytes,
                              tmsi_writer **out);
tms_status tmsi_writer_write(tmsi_writer *writer, size_t offset, const void *data, size_t bytes);
/* Syncs the bytes, renames, syncs the folder. Afterwards only destroy may follow. */
tms_status tmsi_writer_commit(tmsi_writer *writer);
/* Removes the temporary file of a writer that was not committed. Takes NULL. */
void tmsi_writer_destroy(tmsi_writer *writer);

/* A whole file of these bytes, through a writer. */
tms_status tmsi_file_write(tms_context *context, const char *path, bool force, const void *data,
                           size_t bytes);

/* Removes a file; one that is not there is no failure. */
tms_status tmsi_file_remove(const char *path);

/* Makes the names in the folder that holds the path survive a power cut. */
tms_status tmsi_folder_sync(const char *path);

#endif
