/* Any texts as config.json and model.safetensors.index.json of a folder with one shard; a 0 byte
 * parts the two. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "checkpoint/layers.h"
#include "io/tree.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static char folder[64];

static void write_file(const char *name, const void *data, size_t bytes) {
    char path[128];
    FILE *file;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    file = fopen(path, "wb");
    if (file == NULL || fwrite(data, 1, bytes, file) != bytes || fclose(file) != 0)
        abort();
}

static void remove_folder(void) {
    tmsi_tree_remove(folder);
}

static tms_context *make_context(void) {
    static const char shard[] = "\x38\0\0\0\0\0\0\0"
                                "{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1],\"data_offsets\":[0,4]}}"
                                "\0\0\0";
    tms_context *context = NULL;

    /* In memory where there is such a place: a disk makes a hundred inputs a second, not
     * thousands. */
    snprintf(folder, sizeof folder, "%s/tamis-fuzz-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (tms_context_create(NULL, &context) != TMS_OK || mkdtemp(folder) == NULL)
        abort();
    atexit(remove_folder);
    write_file("s.safetensors", shard, sizeof shard);
    return context;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    static tms_context *context;
    const uint8_t *zero = bytes == 0 ? NULL : memchr(data, 0, bytes);
    size_t first = zero == NULL ? bytes : (size_t)(zero - data);
    tms_checkpoint *checkpoint = NULL;
    int64_t *layers = NULL, count;

    if (context == NULL)
        context = make_context();
    write_file("config.json", data, first);
    write_file("model.safetensors.index.json", zero == NULL ? data : zero + 1,
               zero == NULL ? 0 : bytes - first - 1);
    if (tmsi_checkpoint_open(context, folder, &checkpoint) == TMS_OK &&
        tmsi_layers_choose(checkpoint, NULL, 0, &layers, &count) == TMS_OK)
        tmsi_free(context, layers);
    tmsi_checkpoint_close(checkpoint);
    return 0;
}
