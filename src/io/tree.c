#define _GNU_SOURCE
#include "io/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"

enum {
    DEPTH_MAX = 16, /* of folders: links may go in circles */
    STAGING_TRIES = 100,
    COPY_BYTES = 16 << 20, /* between two questions whether to go on */
};

/* The next entry but "." and ".."; NULL at the end. */
static const char *next_name(DIR *folder) {
    struct dirent *entry;

    do
        entry = readdir(folder);
    while (entry != NULL && (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0));
    return entry == NULL ? NULL : entry->d_name;
}

static tms_status copy_file(tms_context *context, const char *from, const char *to,
                            const tmsi_tree_visitor *visitor) {
    tms_status status = TMS_OK;
    tmsi_mapping map = {0};
    tmsi_writer *writer = NULL;

    TMS_TRY(tmsi_file_map(from, &map));
    TMS_TRY(tmsi_writer_create(context, to, false, map.bytes, &writer));
    for (size_t done = 0; done < map.bytes; done += COPY_BYTES) {
        size_t bytes = map.bytes - done < COPY_BYTES ? map.bytes - done : COPY_BYTES;
        TMS_TRY(visitor->step(visitor->user, from));
        TMS_TRY(tmsi_writer_write(writer, done, map.data + done, bytes));
    }
    TMS_TRY(tmsi_writer_commit(writer));
done:
    tmsi_writer_destroy(writer);
    tmsi_file_unmap(&map);
    return status;
}

/* A folder on the way down to where the copy is. A link back to one would never end. */
typedef struct way {
    const struct way *above;
    dev_t device;
    ino_t inode;
} way;

static tms_status step_into(const char *path, const way *above, way *out) {
    struct stat info;

    if (stat(path, &info) != 0)
        return tmsi_fail_system("look at", path);
    for (const way *w = above; w != NULL; w = w->above)
        if (w->device == info.st_dev && w->inode == info.st_ino)
            return tmsi_fail(TMS_ERR_IO,
                             "\"%s\" links back to a folder that it lies in: copying it would "
                             "never end",
                             path);
    *out = (way){above, info.st_dev, info.st_ino};
    return TMS_OK;
}

/* What is done with an entry of a folder: its path, and where it is to be. */
typedef struct entry_work {
    tms_status (*work)(const struct entry_work *self, const char *from, const char *to);
    tms_context *context;
    const tmsi_tree_visitor *visitor; /* NULL: no entry is skipped */
    int depth;                        /* of the folder, below the first */
    const way *above;                 /* that folder, while a tree is copied */
} entry_work;

/* Each entry of the folder `from`, in the folder `to` under the same name. */
static tms_status each_entry(const entry_work *self, const char *from, const char *to) {
    tms_status status = TMS_OK;
    char *source = NULL, *target = NULL;
    const char *name;
    DIR *folder = opendir(from);

    if (folder == NULL)
        return tmsi_fail_system("open the folder", from);
    while ((name = next_name(folder)) != NULL) {
        if (self->visitor != NULL && self->depth == 0 &&
            self->visitor->skips(self->visitor->user, name))
            continue;
        TMS_TRY(tmsi_path_join(self->context, from, name, &source));
        TMS_TRY(tmsi_path_join(self->context, to, name, &target));
        TMS_TRY(self->work(self, source, target));
        tmsi_free(self->context, source);
        tmsi_free(self->context, target);
        source = target = NULL;
    }
done:
    closedir(folder);
    tmsi_free(self->context, source);
    tmsi_free(self->context, target);
    return status;
}

static tms_status copy_entry(const entry_work *self, const char *from, const char *to) {
    entry_work below = *self;
    tms_status status;
    way here = {0};

    below.depth++;
    below.above = &here;
    switch (tmsi_path_look(from)) {
    case TMSI_PATH_FILE:
        return copy_file(self->context, from, to, self->visitor);
    case TMSI_PATH_FOLDER:
        if (self->depth == DEPTH_MAX)
            return tmsi_fail(TMS_ERR_IO, "folders nest more than %d deep at \"%s\"", DEPTH_MAX,
                             from);
        status = step_into(from, self->above, &here);
        if (status != TMS_OK)
            return status;
        if (mkdir(to, 0777) != 0)
            return tmsi_fail_system("make the folder", to);
        return each_entry(&below, from, to);
    default:
        return TMS_OK;
    }
}

tms_status tmsi_tree_copy(tms_context *context, const char *from, const char *to,
                          const tmsi_tree_visitor *visitor) {
    way target = {0}, source = {0}; /* the copy must not be copied either */
    const entry_work copying = {copy_entry, context, visitor, 0, &source};
    tms_status status = step_into(to, NULL, &target);

    if (status == TMS_OK)
        status = step_into(from, &target, &source);
    return status == TMS_OK ? each_entry(&copying, from, to) : status;
}

/* Length of a path without the slashes at its end. */
static size_t trimmed_bytes(const char *path) {
    size_t bytes = strlen(path);
    while (bytes > 1 && path[bytes - 1] == '/')
        bytes--;
    return bytes;
}

/* Of a trimmed path: where its last name begins. */
static size_t parent_bytes(const char *path, size_t bytes) {
    while (bytes > 0 && path[bytes - 1] != '/')
        bytes--;
    return bytes;
}

tms_status tmsi_tree_stage(tms_context *context, const char *path, char **out_staging) {
    size_t parent = parent_bytes(path, trimmed_bytes(path)), room = parent + 48;
    char *staging = NULL;
    tms_status status = tmsi_alloc(context, room, 1, &staging);
    int result = -1;

    if (status != TMS_OK)
        return status;
    for (int i = 0; i < STAGING_TRIES && result != 0; i++) {
        snprintf(staging, room, "%.*s.tamis-%ld-%d.tmp", (int)parent, path, (long)getpid(), i);
        result = mkdir(staging, 0777);
        if (result != 0 && errno != EEXIST)
            break;
    }
    if (result != 0) {
        status = tmsi_fail_system("make a temporary folder for", path);
        tmsi_free(context, staging);
        return status;
    }
    *out_staging = staging;
    return TMS_OK;
}

static bool are_folders(const char *from, const char *to) {
    return tmsi_path_look(from) == TMSI_PATH_FOLDER && tmsi_path_look(to) == TMSI_PATH_FOLDER;
}

/* Asked of every entry before the first is moved, so that a refusal has changed nothing. */
static tms_status refuse_clash(const entry_work *self, const char *from, const char *to) {
    tmsi_path_kind source = tmsi_path_look(from), target = tmsi_path_look(to);

    if (are_folders(from, to))
        return each_entry(self, from, to);
    if (target == TMSI_PATH_NONE || target == source)
        return TMS_OK;
    return tmsi_fail(TMS_ERR_IO, "\"%s\" is in the way of a %s of that name", to,
                     source == TMSI_PATH_FOLDER ? "folder" : "file");
}

static tms_status move_entry(const entry_work *self, const char *from, const char *to) {
    if (are_folders(from, to))
        return each_entry(self, from, to);
    return rename(from, to) == 0 ? TMS_OK : tmsi_fail_system("put in place", to);
}

/* rename alone would take the place of an empty folder that came into being since we looked. */
static int rename_new(const char *from, const char *to) {
    int result = renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE);
    return result == 0 || (errno != EINVAL && errno != ENOSYS) ? result : rename(from, to);
}

tms_status tmsi_tree_place(tms_context *context, const char *staging, const char *path) {
    const entry_work judging = {refuse_clash, context, NULL, 0, NULL};
    const entry_work moving = {move_entry, context, NULL, 0, NULL};
    tms_status status = TMS_OK;

    if (tmsi_path_look(path) == TMSI_PATH_FOLDER) {
        TMS_TRY(each_entry(&judging, staging, path));
        TMS_TRY(each_entry(&moving, staging, path));
    } else if (rename_new(staging, path) != 0) {
        return tmsi_fail_system("give its name to", path);
    }
    TMS_TRY(tmsi_folder_sync(path));
done:
    return status;
}

/* By handles and names as the system gives them: a cancelled job must clean up even when memory is
 * what it ran out of. */
static void remove_at(int parent, const char *name, int depth) {
    int handle = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *folder = handle < 0 ? NULL : fdopendir(handle);
    const char *entry;

    if (folder != NULL && depth <= DEPTH_MAX)
        while ((entry = next_name(folder)) != NULL)
            if (unlinkat(handle, entry, 0) != 0)
                remove_at(handle, entry, depth + 1);
    if (folder != NULL)
        closedir(folder);
    else if (handle >= 0)
        close(handle);
    unlinkat(parent, name, AT_REMOVEDIR);
}

void tmsi_tree_remove(const char *path) {
    remove_at(AT_FDCWD, path, 0);
}

bool tmsi_path_is_below(const char *path, const char *folder) {
    char parent[PATH_MAX], whole[PATH_MAX], real[PATH_MAX];
    size_t bytes = parent_bytes(path, trimmed_bytes(path)), length;

    if (bytes >= sizeof parent)
        return false;
    memcpy(parent, bytes > 0 ? path : ".", bytes > 0 ? bytes : 1);
    parent[bytes > 0 ? bytes : 1] = '\0';
    if (realpath(parent, whole) == NULL || realpath(folder, real) == NULL)
        return false;
    length = trimmed_bytes(real);
    return strncmp(whole, real, length) == 0 &&
           (real[length - 1] == '/' || whole[length] == '/' || whole[length] == '\0');
}
