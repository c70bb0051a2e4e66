/* Runs a fuzz target over every file of its corpus folder, without libFuzzer: how make test keeps
 * each input that once found something. */
#define _GNU_SOURCE
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static int replay_file(const char *path) {
    FILE *file = fopen(path, "rb");
    uint8_t *data;
    long bytes;

    if (file == NULL)
        return 1;
    fseek(file, 0, SEEK_END);
    bytes = ftell(file);
    rewind(file);
    data = malloc((size_t)bytes); /* its own block, so that a read past the end is caught */
    if (data == NULL && bytes > 0)
        return 1;
    bytes = (long)fread(data, 1, (size_t)bytes, file);
    fclose(file);
    LLVMFuzzerTestOneInput(data, (size_t)bytes);
    free(data);
    return 0;
}

int main(int count, char **arguments) {
    struct dirent **entries = NULL;
    int files = 0, total = count == 2 ? scandir(arguments[1], &entries, NULL, alphasort) : -1;
    char path[4096];

    for (int i = 0; i < total; i++) {
        if (entries[i]->d_name[0] != '.') {
            snprintf(path, sizeof path, "%s/%s", arguments[1], entries[i]->d_name);
            if (replay_file(path) != 0) {
                fprintf(stderr, "%s cannot be read\n", path);
                return 1;
            }
            files++;
        }
        free(entries[i]);
    }
    free(entries);
    printf("%d inputs replayed\n", files);
    return files > 0 ? 0 : 1;
}
