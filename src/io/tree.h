/* Folders: copied whole, put in place in one step, removed. */
#ifndef TAMIS_IO_TREE_H
#define TAMIS_IO_TREE_H

#include "io/file.h"

/* What a copy asks: whether to leave an entry out, and, every few megabytes, whether to go on. */
typedef struct tmsi_tree_visitor {
    bool (*skips)(void *user, const char *name); /* of an entry right below the folder */
    tms_status (*step)(void *user, const char *name);
    void *user;
} tmsi_tree_visitor;

/* Copies what is in the folder `from` into the folder `to`, following links; pipes, sockets and
 * devices are left out. A link back to a folder above it is refused. */
tms_status tmsi_tree_copy(tms_context *context, const char *from, const char *to,
                          const tmsi_tree_visitor *visitor);

/* Makes a new folder beside the path, to be filled and then moved there; the caller frees the
 * name. */
tms_status tmsi_tree_stage(tms_context *context, const char *path, char **out_staging);

/* Gives a staged folder its place: in one step where nothing is there; where a folder is, its
 * files move in one by one, each whole, and what else is there stays; what is in the way of one is
 * found before the first moves. */
tms_status tmsi_tree_place(tms_context *context, const char *staging, const char *path);

/* Removes a folder with all in it, as far as the system lets it; allocates nothing of ours. */
void tmsi_tree_remove(const char *path);

/* Whether `path`, which need not exist, would lie in the folder. */
bool tmsi_path_is_below(const char *path, const char *folder);

#endif
