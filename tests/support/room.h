/* A room of its own for the tests of one file: an empty folder and a context, made before the first
 * test of the group and removed after the last. */
#ifndef TAMIS_TESTS_ROOM_H
#define TAMIS_TESTS_ROOM_H

#include "support/files.h"

static char folder[256];
static tms_context *context;

/* With one thread. */
static inline int make_room(void **state) {
    (void)state;
    test_folder_make(folder);
    context = test_context(1, 0);
    return 0;
}

/* With two. */
static inline int make_threaded_room(void **state) {
    (void)state;
    test_folder_make(folder);
    context = test_context(2, 0);
    return 0;
}

static inline int remove_room(void **state) {
    (void)state;
    tms_context_destroy(context);
    test_folder_remove(folder);
    return 0;
}

/* The path of that name in the folder, as test_at. */
static inline const char *at(const char *name) {
    return test_at(folder, name);
}

#endif
