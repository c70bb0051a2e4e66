/* Any bytes as a packed file: it is refused, or each of its layers is refused or made dense, and
 * its record of pruning is refused or read. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/memory.h"
#include "checkpoint/layers.h"
#include "checkpoint/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

enum { ALLOCATION_MAX = 64 << 20 };

/* A small file may describe a huge matrix: an honest lack of memory, not to be had here. */
static void *allocate_some(void *user, size_t bytes, size_t alignment) {
    (void)user;
    return bytes > ALLOCATION_MAX ? NULL : aligned_alloc(alignment, bytes);
}

static void release(void *user, void *memory) {
    (void)user;
    free(memory);
}

static tms_context *make_context(void) {
    const tms_allocator allocator = {allocate_some, release, NULL};
    tms_context_desc desc = tms_context_desc_default();
    tms_context *context = NULL;

    desc.threads = 1;
    desc.allocator = &allocator;
    if (tms_context_create(&desc, &context) != TMS_OK)
        abort();
    return context;
}

static void read_all(tms_checkpoint *checkpoint) {
    json_t *record = NULL;
    int64_t *layers = NULL, count;

    for (int64_t i = 0; i < checkpoint->tensor_count; i++) {
        tms_matrix dense;
        void *values = NULL;
        if (!tmsi_tensor_is_layer(&checkpoint->tensors[i].tensor))
            continue;
        if (tmsi_checkpoint_dense(checkpoint, i, &dense, &values) == TMS_OK)
            tmsi_free(checkpoint->context, values);
    }
    if (tmsi_record_read(checkpoint, &record) == TMS_OK && record != NULL &&
        tmsi_record_layers(checkpoint, record, &layers, &count) == TMS_OK)
        tmsi_free(checkpoint->context, layers);
    json_decref(record);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    static tms_context *context;
    char path[64];
    tms_checkpoint *checkpoint = NULL;
    int file = memfd_create("packed", MFD_CLOEXEC);

    if (context == NULL)
        context = make_context();
    if (file < 0 || write(file, data, bytes) != (ssize_t)bytes)
        abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    if (tmsi_checkpoint_open(context, path, &checkpoint) == TMS_OK)
        read_all(checkpoint);
    tmsi_checkpoint_close(checkpoint);
    close(file);
    return 0;
}
