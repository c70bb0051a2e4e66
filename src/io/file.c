#define _GNU_SOURCE
#include "io/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"

const char *tmsi_system_text(int number, char text[128]) {
    return strerror_r(number, text, 128); /* GNU's form: it may answer with a static text */
}

tms_status tmsi_file_map(const char *path, tmsi_mapping *out) {
    tms_status status = TMS_OK;
    struct stat info;
    void *data = NULL;
    /* Without O_NONBLOCK a pipe would wait for its writer before we can see that it is one. */
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (file < 0)
        return tmsi_fail_system("open", path);
    if (fstat(file, &info) != 0) {
        status = tmsi_fail_system("look at", path);
    } else if (!S_ISREG(info.st_mode)) {
        status = tmsi_fail(TMS_ERR_IO, "\"%s\" is %s, but must be a regular file", path,
                           S_ISDIR(info.st_mode) ? "a folder" : "a device or pipe");
    } else if (info.st_size > 0) {
        data = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, file, 0);
        if (data == MAP_FAILED)
            status = tmsi_fail_system("map", path);
    }
    close(file);
    if (status == TMS_OK) {
        out->data = data;
        out->bytes = (size_t)info.st_size;
    }
    return status;
}

void tmsi_file_unmap(tmsi_mapping *map) {
    if (map->data != NULL)
        munmap((void *)(uintptr_t)map->data, map->bytes);
    map->data = NULL;
    map->bytes = 0;
}

tmsi_path_kind tmsi_path_look(const char *path) {
    struct stat info;

    if (stat(path, &info) == 0)
        return S_ISREG(info.st_mode)   ? TMSI_PATH_FILE
               : S_ISDIR(info.st_mode) ? TMSI_PATH_FOLDER
                                       : TMSI_PATH_OTHER;
    return lstat(path, &info) == 0 ? TMSI_PATH_OTHER : TMSI_PATH_NONE;
}

tms_status tmsi_path_check_new(const char *path) {
    struct stat info;

    return lstat(path, &info) == 0 || errno == ENOENT ? TMS_OK : tmsi_fail_system("reach", path);
}

bool tmsi_path_same(const char *a, const char *b) {
    struct stat first, second;
    return stat(a, &first) == 0 && stat(b, &second) == 0 && first.st_dev == second.st_dev &&
           first.st_ino == second.st_ino;
}

tms_status tmsi_path_join(tms_context *context, const char *folder, const char *name, char **out) {
    size_t folder_bytes = strlen(folder), name_bytes = strlen(name);
    bool needs_slash = folder_bytes > 0 && folder[folder_bytes - 1] != '/';
    char *path = NULL;
    tms_status status = tmsi_alloc(context, folder_bytes + name_bytes + 2, 1, &path);

    if (status != TMS_OK)
        return status;
    memcpy(path, folder, folder_bytes);
    if (needs_slash)
        path[folder_bytes++] = '/';
    memcpy(path + folder_bytes, name, name_bytes + 1);
    *out = path;
    return TMS_OK;
}

/* ---- Writing -------------------------------------------------------------------------------- */

struct tmsi_writer {
    tms_context *context;
    char *path;      /* what the file will be called */
    char *temporary; /* what it is called until then; NULL once renamed */
    int file;        /* -1: closed */
    bool force;
    size_t end; /* bytes written or reserved so far: the largest offset */
};

enum { TEMPORARY_TRIES = 100 };

/* The part of a path before its last name: "" for a plain name. */
static size_t folder_bytes(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash == NULL ? 0 : (size_t)(slash - path) + 1;
}

/* Makes a new file beside the path, with the permissions that the user's umask gives: mkstemp
 * would make it private, and the umask cannot be read without changing it for all threads. */
static tms_status open_temporary(tmsi_writer *self) {
    size_t folder = folder_bytes(self->path), room = folder + 48;
    tms_status status = tmsi_alloc(self->context, room, 1, &self->temporary);

    if (status != TMS_OK)
        return status;
    for (int i = 0; i < TEMPORARY_TRIES; i++) {
        snprintf(self->temporary, room, "%.*s.tamis-%ld-%d.tmp", (int)folder, self->path,
                 (long)getpid(), i);
        self->file = open(self->temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (self->file >= 0 || errno != EEXIST)
            break;
    }
    if (self->file < 0) {
        status = tmsi_fail_system("make a temporary file for", self->path);
        tmsi_free(self->context, self->temporary);
        self->temporary = NULL;
    }
    return status;
}

static tms_status fail_write(const tmsi_writer *self, size_t offset, size_t bytes) {
    char text[128];
    int number = errno;
    return tmsi_fail(TMS_ERR_IO, "cannot write \"%s\": %s (%zu bytes at byte %zu)", self->path,
                     tmsi_system_text(number, text), bytes, offset);
}

tms_status tmsi_writer_check(const char *path, bool force) {
    tmsi_path_kind kind = tmsi_path_look(path);

    if (path[folder_bytes(path)] == '\0')
        return tmsi_fail(TMS_ERR_INVALID, "output \"%s\" names no file", path);
    if (strlen(path) > PATH_MAX)
        return tmsi_fail(TMS_ERR_INVALID, "output path has %zu bytes, but at most %d are allowed",
                         strlen(path), PATH_MAX);
    if (kind == TMSI_PATH_NONE)
        return tmsi_path_check_new(path);
    if (kind == TMSI_PATH_FILE && force)
        return TMS_OK;
    if (kind == TMSI_PATH_FILE)
        return tmsi_fail(TMS_ERR_IO, "output \"%s\" exists: set force (--force) to replace it",
                         path);
    return tmsi_fail(TMS_ERR_IO, "output \"%s\" is %s, which is not replaced by a file", path,
                     kind == TMSI_PATH_FOLDER ? "a folder" : "a device, pipe or broken link");
}

tms_status tmsi_writer_create(tms_context *context, const char *path, bool force, size_t bytes,
                              tmsi_writer **out) {
    tms_status status = tmsi_writer_check(path, force);
    tmsi_writer *self = NULL;

    if (status != TMS_OK)
        return status;
    TMS_TRY(tmsi_alloc(context, 1, sizeof *self, &self));
    self->context = context;
    self->file = -1;
    self->force = force;
    TMS_TRY(tmsi_text_copy(context, path, strlen(path), &self->path));
    TMS_TRY(open_temporary(self));
    /* Where the file system cannot reserve, a full disk shows while writing. */
    if (bytes > 0 && fallocate(self->file, 0, 0, (off_t)bytes) != 0 && errno != EOPNOTSUPP &&
        errno != ENOSYS && errno != EINTR) {
        status = fail_write(self, 0, bytes);
        goto done;
    }
    self->end = bytes;
    *out = self;
    self = NULL;
done:
    tmsi_writer_destroy(self);
    return status;
}

tms_status tmsi_writer_write(tmsi_writer *self, size_t offset, const void *data, size_t bytes) {
    const uint8_t *next = data;

    while (bytes > 0) {
        ssize_t written = pwrite(self->file, next, bytes, (off_t)offset);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return fail_write(self, offset, bytes);
        next += written;
        offset += (size_t)written;
        bytes -= (size_t)written;
    }
    if (offset > self->end)
        self->end = offset;
    return TMS_OK;
}

/* Without this a power cut could lose the new name though the bytes are safe. File systems that
 * cannot sync a folder say EINVAL: nothing more can be done there. */
tms_status tmsi_folder_sync(const char *path) {
    size_t bytes = folder_bytes(path);
    char folder[PATH_MAX + 1]; /* no allocation may fail once the name is given */
    tms_status status = TMS_OK;
    int handle;

    if (bytes > PATH_MAX)
        return TMS_OK; /* the system took no such name, so nothing was put there */
    memcpy(folder, bytes > 0 ? path : ".", bytes > 0 ? bytes : 1);
    folder[bytes > 0 ? bytes : 1] = '\0';
    handle = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (handle >= 0 && fsync(handle) != 0 && errno != EINVAL)
        status = tmsi_fail_system("sync the folder of", path);
    if (handle >= 0)
        close(handle);
    return status;
}

tms_status tmsi_file_write(tms_context *context, const char *path, bool force, const void *data,
                           size_t bytes) {
    tmsi_writer *writer = NULL;
    tms_status status = TMS_OK;

    TMS_TRY(tmsi_writer_create(context, path, force, bytes, &writer));
    TMS_TRY(tmsi_writer_write(writer, 0, data, bytes));
    TMS_TRY(tmsi_writer_commit(writer));
done:
    tmsi_writer_destroy(writer);
    return status;
}

tms_status tmsi_file_remove(const char *path) {
    return unlink(path) == 0 || errno == ENOENT ? TMS_OK : tmsi_fail_system("remove", path);
}

/* Without force a file that came into being since create must survive too. */
static int rename_temporary(const tmsi_writer *self) {
    int result;

    if (self->force)
        return rename(self->temporary, self->path);
    result = renameat2(AT_FDCWD, self->temporary, AT_FDCWD, self->path, RENAME_NOREPLACE);
    if (result == 0 || (errno != EINVAL && errno != ENOSYS))
        return result;
    /* A file system without that flag: link refuses an existing name as well. */
    return link(self->temporary, self->path) == 0 ? unlink(self->temporary) : -1;
}

tms_status tmsi_writer_commit(tmsi_writer *self) {
    int closed;

    if (ftruncate(self->file, (off_t)self->end) != 0 || fsync(self->file) != 0)
        return fail_write(self, 0, self->end);
    closed = close(self->file);
    self->file = -1;
    if (closed != 0)
        return fail_write(self, 0, self->end);
    if (rename_temporary(self) != 0)
        return tmsi_fail_system("give its name to", self->path);
    tmsi_free(self->context, self->temporary);
    self->temporary = NULL;
    return tmsi_folder_sync(self->path);
}

void tmsi_writer_destroy(tmsi_writer *self) {
    if (self == NULL)
        return;
    if (self->file >= 0)
        close(self->file);
    if (self->temporary != NULL)
        unlink(self->temporary);
    tmsi_free(self->context, self->temporary);
    tmsi_free(self->context, self->path);
    tmsi_free(self->context, self);
}
