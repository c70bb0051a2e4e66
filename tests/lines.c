/* Text files read by lines, and files written whole or not at all. */
#include "support/support.h"

#include <stdio.h>
#include <string.h>

static char folder[256];

static const char *path_of(const char *name) {
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void lines_are_cut_at_line_feeds(void **state) {
    static const char text[] = "one\r\n\ntwo\0x\n\r\nlast";
    tms_context *context = test_context(1, 0);
    const char *const *texts;
    const size_t *lengths;
    tms_lines *lines;

    (void)state;
    assert_ok(tms_file_write(context, path_of("lines.txt"), 0, text, sizeof text - 1));
    assert_ok(tms_lines_open(context, path_of("lines.txt"), &lines));
    assert_int_equal(tms_lines_get(lines, &texts, &lengths), 5);
    assert_int_equal(lengths[0], 3);
    assert_memory_equal(texts[0], "one", 3);
    assert_int_equal(lengths[1], 0);
    assert_int_equal(lengths[2], 5);
    assert_memory_equal(texts[2], "two\0x", 5);
    assert_int_equal(lengths[3], 0);
    assert_int_equal(lengths[4], 4);
    assert_memory_equal(texts[4], "last", 4);
    tms_lines_close(lines);
    tms_context_destroy(context);
}

static void an_empty_file_has_no_lines(void **state) {
    tms_context *context = test_context(1, 0);
    const char *const *texts;
    const size_t *lengths;
    tms_lines *lines;

    (void)state;
    assert_ok(tms_file_write(context, path_of("empty.txt"), 0, NULL, 0));
    assert_ok(tms_lines_open(context, path_of("empty.txt"), &lines));
    assert_int_equal(tms_lines_get(lines, &texts, &lengths), 0);
    tms_lines_close(lines);
    tms_lines_close(NULL);
    tms_context_destroy(context);
}

static void lines_open_names_a_missing_file(void **state) {
    tms_context *context = test_context(1, 0);
    tms_lines *lines = NULL;

    (void)state;
    assert_fails(tms_lines_open(context, path_of("missing.txt"), &lines), TMS_ERR_IO,
                 "missing.txt");
    assert_null(lines);
    tms_context_destroy(context);
}

static tms_status open_lines(tms_context *context, void *user) {
    tms_lines *lines = NULL;
    tms_status status = tms_lines_open(context, user, &lines);

    tms_lines_close(lines);
    return status;
}

static void lines_open_survives_a_lack_of_memory(void **state) {
    tms_context *context = test_context(1, 0);

    (void)state;
    assert_ok(tms_file_write(context, path_of("some.txt"), 0, "a\nb\n", 4));
    tms_context_destroy(context);
    test_every_allocation_fails_once(open_lines, (void *)path_of("some.txt"));
}

static void file_write_replaces_only_by_force(void **state) {
    tms_context *context = test_context(1, 0);
    const char *path = path_of("twice.txt");
    char text[8] = "";
    FILE *file;

    (void)state;
    assert_ok(tms_file_write(context, path, 0, "old", 3));
    assert_int_not_equal(tms_file_write(context, path, 0, "new", 3), TMS_OK);
    test_assert_contains(tms_error_text(), "twice.txt");
    assert_ok(tms_file_write(context, path, 1, "newer", 5));
    file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fread(text, 1, sizeof text, file), 5);
    fclose(file);
    assert_memory_equal(text, "newer", 5);
    tms_context_destroy(context);
}

static void tensors_write_is_read_back(void **state) {
    static const float values[6] = {1, 2, 3, 4, 5, 6};
    tms_context *context = test_context(1, 0);
    tms_tensor tensor = {.name = "embeddings",
                         .dtype = TMS_F32,
                         .rank = 2,
                         .shape = {2, 3},
                         .data = values,
                         .bytes = sizeof values},
               read;
    tms_checkpoint *checkpoint;

    (void)state;
    assert_ok(tms_tensors_write(context, path_of("e.safetensors"), 0, &tensor, 1));
    assert_ok(tms_checkpoint_open(context, path_of("e.safetensors"), &checkpoint));
    assert_int_equal(tms_checkpoint_tensor_count(checkpoint), 1);
    assert_ok(tms_checkpoint_tensor(checkpoint, 0, &read));
    assert_string_equal(read.name, "embeddings");
    assert_int_equal(read.shape[1], 3);
    assert_memory_equal(read.data, values, sizeof values);
    tms_checkpoint_close(checkpoint);
    tms_context_destroy(context);
}

static void tensors_write_refuses_bytes_that_are_not_the_shapes(void **state) {
    static const float values[6] = {0};
    tms_context *context = test_context(1, 0);
    tms_tensor tensor = {.name = "embeddings",
                         .dtype = TMS_F32,
                         .rank = 2,
                         .shape = {2, 3},
                         .data = values,
                         .bytes = 20};

    (void)state;
    assert_fails(tms_tensors_write(context, path_of("bad.safetensors"), 0, &tensor, 1),
                 TMS_ERR_INVALID, "20");
    tms_context_destroy(context);
}

static void tensors_write_refuses_names_that_no_reader_takes(void **state) {
    static const char *const names[] = {"", "a\nb", "__metadata__"};
    tms_context *context = test_context(1, 0);
    tms_tensor tensor = {.dtype = TMS_F32, .rank = 1, .data = names};

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        tensor.name = names[i];
        assert_fails(tms_tensors_write(context, path_of("bad.safetensors"), 0, &tensor, 1),
                     TMS_ERR_INVALID, "tensors[0]");
    }
    tms_context_destroy(context);
}

static void lines_get_of_nothing_is_nothing(void **state) {
    const char *const *texts;
    const size_t *lengths;

    (void)state;
    assert_int_equal(tms_lines_get(NULL, &texts, &lengths), 0);
    assert_null(texts);
    assert_null(lengths);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_cut_at_line_feeds),
        cmocka_unit_test(an_empty_file_has_no_lines),
        cmocka_unit_test(lines_open_names_a_missing_file),
        cmocka_unit_test(lines_open_survives_a_lack_of_memory),
        cmocka_unit_test(file_write_replaces_only_by_force),
        cmocka_unit_test(tensors_write_is_read_back),
        cmocka_unit_test(tensors_write_refuses_bytes_that_are_not_the_shapes),
        cmocka_unit_test(tensors_write_refuses_names_that_no_reader_takes),
        cmocka_unit_test(lines_get_of_nothing_is_nothing),
    };
    int failed;

    test_folder_make(folder);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    test_folder_remove(folder);
    return failed;
}
