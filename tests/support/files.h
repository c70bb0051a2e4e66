/* Small files for tests: bytes as given, and safetensors files made without the library's writer.
 */
#ifndef TAMIS_TESTS_FILES_H
#define TAMIS_TESTS_FILES_H

#include "support/support.h"

enum { TEST_PATH_MAX = 512 };

/* path = folder/name. */
void test_path(const char *folder, const char *name, char path[TEST_PATH_MAX]);

/* The same in memory that is good for the next 31 calls. */
const char *test_at(const char *folder, const char *name);

void test_file_write(const char *path, const void *data, size_t bytes);
/* The whole file, in memory to be freed by the caller. */
void *test_file_read(const char *path, size_t *out_bytes);
bool test_file_exists(const char *path);
/* Entries of a folder, without "." and "..". */
int test_folder_count(const char *path);
void test_assert_same_files(const char *a, const char *b);

/* A safetensors file of exactly this header and data (NULL: zeros). */
void test_header_write(const char *path, const char *header, const void *data, size_t bytes);

/* Tensors one behind the other, in the order given; metadata is a JSON object's text or NULL. */
void test_tensors_write(const char *path, const tms_tensor *tensors, int count,
                        const char *metadata);

/* A tensor for test_tensors_write; bytes follow from type and shape. */
tms_tensor test_tensor(const char *name, tms_dtype dtype, int rank, const int64_t *shape,
                       const void *data);
/* n x k of f32. */
tms_tensor test_tensor_f32(const char *name, int64_t n, int64_t k, const float *data);

/* Where all-MiniLM-L6-v2 is: TAMIS_MODEL, else where scripts/fetch_model.sh puts it; false if it is
 * not there. */
bool test_real_model(char path[TEST_PATH_MAX]);

#endif
