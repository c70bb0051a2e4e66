/* The io room by itself: maps, writers, folders, JSON, and the bytes that the safetensors writer
 * makes. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "io/json.h"
#include "io/safetensors.h"
#include "io/tree.h"
#include "support/room.h"

static void assert_content(const char *path, const char *wanted) {
    size_t bytes;
    char *content = test_file_read(path, &bytes);
    assert_string_equal(content, wanted);
    free(content);
}

/* ---- Writers -------------------------------------------------------------------------------- */

static void writer_shows_its_file_at_commit_alone(void **state) {
    tmsi_writer *writer = NULL;
    struct stat info;
    mode_t mask;
    (void)state;
    assert_ok(tmsi_writer_create(context, at("new"), false, 0, &writer));
    assert_ok(tmsi_writer_write(writer, 3, "def", 3));
    assert_ok(tmsi_writer_write(writer, 0, "abc", 3));
    assert_false(test_file_exists(at("new")));
    assert_int_equal(test_folder_count(folder), 1);
    assert_ok(tmsi_writer_commit(writer));
    tmsi_writer_destroy(writer);
    assert_content(at("new"), "abcdef");
    assert_int_equal(test_folder_count(folder), 1);
    mask = umask(0);
    umask(mask);
    assert_int_equal(stat(at("new"), &info), 0);
    assert_int_equal(info.st_mode & 0777, 0666 & ~mask);
    unlink(at("new"));
}

static void writer_that_is_dropped_leaves_nothing(void **state) {
    tmsi_writer *writer = NULL;
    (void)state;
    assert_ok(tmsi_writer_create(context, at("dropped"), false, 100, &writer));
    assert_ok(tmsi_writer_write(writer, 0, "abc", 3));
    tmsi_writer_destroy(writer);
    tmsi_writer_destroy(NULL);
    assert_int_equal(test_folder_count(folder), 0);
}

/* Bytes that were reserved and not written are zeros, and a file without any is a file. */
static void writer_keeps_the_size_that_it_reserved(void **state) {
    tmsi_writer *writer = NULL;
    struct stat info;
    (void)state;
    assert_ok(tmsi_writer_create(context, at("size"), false, 100, &writer));
    assert_ok(tmsi_writer_commit(writer));
    tmsi_writer_destroy(writer);
    assert_int_equal(stat(at("size"), &info), 0);
    assert_int_equal(info.st_size, 100);
    assert_ok(tmsi_writer_create(context, at("size"), true, 0, &writer));
    assert_ok(tmsi_writer_commit(writer));
    tmsi_writer_destroy(writer);
    assert_int_equal(stat(at("size"), &info), 0);
    assert_int_equal(info.st_size, 0);
    unlink(at("size"));
}

static void writer_spares_a_file_that_came_meanwhile(void **state) {
    tmsi_writer *writer = NULL;
    (void)state;
    assert_ok(tmsi_writer_create(context, at("late"), false, 0, &writer));
    assert_ok(tmsi_writer_write(writer, 0, "ours", 4));
    test_file_write(at("late"), "theirs", 6);
    assert_fails(tmsi_writer_commit(writer), TMS_ERR_IO, "File exists");
    tmsi_writer_destroy(writer);
    assert_content(at("late"), "theirs");
    assert_int_equal(test_folder_count(folder), 1);
    unlink(at("late"));
}

/* Not only a reservation: a write that fails in the middle has its sentence too. */
static void writer_says_where_the_disk_was_full(void **state) {
    static const char block[8192];
    tmsi_writer *writer = NULL;
    struct rlimit old, small;
    (void)state;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = old;
    small.rlim_cur = 10000;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    assert_ok(tmsi_writer_create(context, at("full"), false, 0, &writer));
    assert_ok(tmsi_writer_write(writer, 0, block, 8192));
    assert_fails(tmsi_writer_write(writer, 8192, block, 8192), TMS_ERR_IO,
                 "File too large (6384 bytes at byte 10000)");
    tmsi_writer_destroy(writer);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(test_folder_count(folder), 0);
}

/* ---- Folders -------------------------------------------------------------------------------- */

static bool skip_none(void *user, const char *name) {
    (void)user;
    return strcmp(name, "skipped") == 0;
}

static void map_refuses_a_pipe_and_waits_for_none(void **state) {
    tmsi_mapping map = {0};
    (void)state;
    assert_int_equal(mkfifo(at("lone pipe"), 0666), 0);
    assert_fails(tmsi_file_map(at("lone pipe"), &map), TMS_ERR_IO,
                 "is a device or pipe, but must be a regular file");
    assert_null(map.data);
    unlink(at("lone pipe"));
}

static tms_status go_on(void *user, const char *name) {
    int *left = user;
    (void)name;
    return (*left)-- > 0 ? TMS_OK : tmsi_fail(TMS_ERR_CANCELLED, "stopped");
}

static void make_tree(const char *path) {
    mkdir(path, 0777);
    test_file_write(test_at(path, "file"), "file", 4);
    test_file_write(test_at(path, "skipped"), "skipped", 7);
    mkdir(test_at(path, "inner"), 0777);
    test_file_write(test_at(path, "inner/skipped"), "kept", 4);
    assert_int_equal(symlink("..", test_at(path, "inner/loop")), 0);
    assert_int_equal(mkfifo(test_at(path, "pipe"), 0666), 0);
}

static void tree_copies_files_and_stops_at_loops(void **state) {
    int left = 1000;
    const tmsi_tree_visitor visitor = {skip_none, go_on, &left};
    (void)state;
    make_tree(at("tree"));
    mkdir(at("copy"), 0777);
    assert_fails(tmsi_tree_copy(context, at("tree"), at("copy"), &visitor), TMS_ERR_IO,
                 "links back to a folder that it lies in");
    tmsi_tree_remove(at("copy"));
    unlink(at("tree/inner/loop"));
    mkdir(at("copy"), 0777);
    assert_ok(tmsi_tree_copy(context, at("tree"), at("copy"), &visitor));
    assert_int_equal(test_folder_count(at("copy")), 2);
    assert_content(at("copy/file"), "file");
    assert_content(at("copy/inner/skipped"), "kept");
    left = 1;
    tmsi_tree_remove(at("copy"));
    mkdir(at("copy"), 0777);
    assert_fails(tmsi_tree_copy(context, at("tree"), at("copy"), &visitor), TMS_ERR_CANCELLED,
                 "stopped");
    tmsi_tree_remove(at("copy"));
    tmsi_tree_remove(at("tree"));
    tmsi_tree_remove(at("nothing"));
    assert_int_equal(test_folder_count(folder), 0);
}

/* Removing must not follow links out of the folder. */
static void tree_remove_spares_what_links_point_to(void **state) {
    (void)state;
    mkdir(at("outside"), 0777);
    test_file_write(at("outside/file"), "file", 4);
    mkdir(at("tree"), 0777);
    assert_int_equal(symlink("../outside", at("tree/link")), 0);
    tmsi_tree_remove(at("tree"));
    assert_false(test_file_exists(at("tree")));
    assert_content(at("outside/file"), "file");
    tmsi_tree_remove(at("outside"));
}

static void staged_folder_takes_its_place(void **state) {
    char *staging = NULL;
    (void)state;
    assert_ok(tmsi_tree_stage(context, at("made/"), &staging));
    test_file_write(test_at(staging, "file"), "new", 3);
    mkdir(test_at(staging, "inner"), 0777);
    test_file_write(test_at(staging, "inner/file"), "new", 3);
    assert_ok(tmsi_tree_place(context, staging, at("made/")));
    assert_content(at("made/file"), "new");
    tmsi_free(context, staging);

    /* Into a folder that is there: files are replaced, others stay. */
    test_file_write(at("made/other"), "old", 3);
    assert_ok(tmsi_tree_stage(context, at("made"), &staging));
    test_file_write(test_at(staging, "file"), "newer", 5);
    mkdir(test_at(staging, "inner"), 0777);
    test_file_write(test_at(staging, "inner/file"), "newer", 5);
    assert_ok(tmsi_tree_place(context, staging, at("made")));
    tmsi_tree_remove(staging);
    assert_content(at("made/file"), "newer");
    assert_content(at("made/inner/file"), "newer");
    assert_content(at("made/other"), "old");

    test_file_write(test_at(folder, "made/x"), "", 0);
    mkdir(staging, 0777);
    mkdir(test_at(staging, "x"), 0777);
    assert_fails(tmsi_tree_place(context, staging, at("made")), TMS_ERR_IO,
                 "is in the way of a folder of that name");
    tmsi_tree_remove(staging);
    tmsi_free(context, staging);
    tmsi_tree_remove(at("made"));
    assert_int_equal(test_folder_count(folder), 0);
}

/* Refused after half of the files had moved, the folder would be neither the old nor the new. */
static void clash_is_found_before_anything_moves(void **state) {
    static const char *const names[] = {"a", "m", "z"};
    char *staging = NULL;
    (void)state;
    mkdir(at("made"), 0777);
    assert_ok(tmsi_tree_stage(context, at("made"), &staging));
    for (int i = 0; i < 3; i++) {
        test_file_write(test_at(staging, names[i]), "new", 3);
        test_file_write(test_at(at("made"), names[i]), "old", 3);
    }
    unlink(at("made/m"));
    mkdir(at("made/m"), 0777);
    assert_fails(tmsi_tree_place(context, staging, at("made")), TMS_ERR_IO,
                 "/made/m\" is in the way of a file of that name");
    assert_content(at("made/a"), "old");
    assert_content(at("made/z"), "old");
    assert_int_equal(test_folder_count(staging), 3);
    tmsi_tree_remove(staging);
    tmsi_free(context, staging);
    tmsi_tree_remove(at("made"));
}

/* Found when the name is given, a whole job would have been for nothing. */
static void path_that_nothing_can_have_is_refused_at_once(void **state) {
    char longer[300];
    (void)state;
    memset(longer, 'a', sizeof longer);
    longer[sizeof longer - 1] = '\0';
    assert_fails(tmsi_writer_check(at(longer), false), TMS_ERR_IO, "File name too long");
    test_file_write(at("file"), "", 0);
    assert_fails(tmsi_writer_check(at("file/new"), false), TMS_ERR_IO, "Not a directory");
    assert_ok(tmsi_writer_check(at("new"), false));
    unlink(at("file"));
}

static void path_below_a_folder_is_known_as_such(void **state) {
    (void)state;
    mkdir(at("a"), 0777);
    mkdir(at("ab"), 0777);
    assert_true(tmsi_path_is_below(at("a/new"), at("a")));
    assert_true(tmsi_path_is_below(at("ab/../a/new/"), at("a/")));
    assert_false(tmsi_path_is_below(at("ab/new"), at("a")));
    assert_false(tmsi_path_is_below(at("a"), at("a")));
    assert_true(tmsi_path_is_below(at("a"), "/"));
    tmsi_tree_remove(at("a"));
    tmsi_tree_remove(at("ab"));
}

/* ---- JSON ----------------------------------------------------------------------------------- */

static tms_status parse(const char *text) {
    json_t *json = NULL;
    tms_status status = tmsi_json_parse(text, strlen(text), 3, &json);
    json_decref(json);
    return status;
}

static void json_refuses_what_is_ambiguous_or_deep(void **state) {
    (void)state;
    assert_ok(parse("{\"a\":[{}],\"b\":\"[[[[\\\"[[[[\"}"));
    assert_fails(parse("[[[[]]]]"), TMS_ERR_FORMAT, "nests 4 deep, but at most 3");
    assert_fails(parse("{\"a\":1,\"a\":1}"), TMS_ERR_FORMAT, "duplicate object key");
    assert_fails(parse("{\"a\":1} x"), TMS_ERR_FORMAT, "end of file expected");
    assert_fails(parse("{\"a\x1b[2J\":1}"), TMS_ERR_FORMAT, "control character");
    assert_null(strchr(tms_error_text(), '\x1b'));
    assert_fails(parse(""), TMS_ERR_FORMAT, "line 1, column 0");
    assert_fails(parse("[\"\xc3\"]"), TMS_ERR_FORMAT, "JSON is malformed");
    assert_fails(parse("[1e999]"), TMS_ERR_FORMAT, "JSON is malformed");
}

static void json_refuses_strings_past_their_limit(void **state) {
    size_t bytes = (16u << 20) + 16;
    char *text = malloc(bytes);
    json_t *json = NULL;
    (void)state;
    memset(text, 'x', bytes);
    text[0] = '[';
    text[1] = '"';
    assert_fails(tmsi_json_parse(text, bytes, 3, &json), TMS_ERR_FORMAT,
                 "JSON has a string of 16777230 bytes, but at most 16777216");
    text[bytes - 2] = '"';
    text[bytes - 1] = ']';
    assert_fails(tmsi_json_parse(text, bytes, 3, &json), TMS_ERR_FORMAT,
                 "JSON has a string of 16777228 bytes");
    free(text);
}

static void json_refuses_more_values_than_memory_is_worth(void **state) {
    size_t bytes = 2 * (4u << 20) + 3;
    char *text = malloc(bytes);
    json_t *json = NULL;
    (void)state;
    for (size_t i = 0; i < bytes; i++)
        text[i] = i % 2 == 0 ? ',' : '1';
    text[0] = '[';
    text[bytes - 1] = ']';
    assert_fails(tmsi_json_parse(text, bytes, 3, &json), TMS_ERR_FORMAT,
                 "JSON has about 4194305 values, but at most 4194304 are read");
    free(text);
}

static void json_fields_say_what_they_should_be(void **state) {
    json_t *json = NULL, *object;
    const char *text = "{\"i\":7,\"r\":0.5,\"t\":\"x\",\"o\":{},\"n\":null,\"b\":true}", *found;
    int64_t number = 0;
    double real = 0;
    (void)state;
    assert_ok(tmsi_json_parse(text, strlen(text), 3, &json));
    assert_ok(tmsi_json_int(json, "i", 0, 7, &number));
    assert_int_equal(number, 7);
    assert_ok(tmsi_json_real(json, "r", 0, 1, &real));
    assert_ok(tmsi_json_real(json, "i", 0, 10, &real));
    assert_true(real == 7.0);
    assert_ok(tmsi_json_text(json, "t", &found));
    assert_string_equal(found, "x");
    assert_ok(tmsi_json_object(json, "o", &object));
    assert_fails(tmsi_json_int(json, "i", 8, 9, &number), TMS_ERR_FORMAT,
                 "\"i\" is 7, but must be 8 to 9");
    assert_fails(tmsi_json_int(json, "r", 0, 9, &number), TMS_ERR_FORMAT,
                 "\"r\" is a number with a fraction or exponent, but must be a whole number");
    assert_fails(tmsi_json_real(json, "r", 1, 2, &real), TMS_ERR_FORMAT,
                 "\"r\" is 0.5, but must be 1 to 2");
    assert_fails(tmsi_json_text(json, "n", &found), TMS_ERR_FORMAT, "\"n\" is null");
    assert_fails(tmsi_json_object(json, "b", &object), TMS_ERR_FORMAT, "\"b\" is true or false");
    assert_fails(tmsi_json_real(json, "x", 0, 1, &real), TMS_ERR_FORMAT, "\"x\" is missing");
    json_decref(json);
}

static void json_file_is_named_and_bounded(void **state) {
    static const tmsi_json_bounds wide = {JSON_OBJECT, 100, 3}, narrow = {JSON_OBJECT, 4, 3};
    json_t *json = NULL;
    (void)state;
    test_file_write(at("j"), "{\"a\":", 5);
    assert_fails(tmsi_json_read(context, folder, "j", &wide, &json), TMS_ERR_FORMAT,
                 "/j\": JSON is malformed at line 1");
    assert_fails(tmsi_json_read(context, folder, "j", &narrow, &json), TMS_ERR_FORMAT,
                 "has 5 bytes, but at most 4 are read as JSON");
    test_file_write(at("j"), "", 0);
    assert_fails(tmsi_json_read(context, folder, "j", &wide, &json), TMS_ERR_FORMAT,
                 "/j\": JSON is malformed at line 1, column 0: it is empty");
    test_file_write(at("j"), "[{}]", 4);
    assert_fails(tmsi_json_read(context, folder, "j", &wide, &json), TMS_ERR_FORMAT,
                 "/j\" is an array, but must be an object");
    unlink(at("j"));
    assert_ok(tmsi_json_read(context, folder, "j", &wide, &json));
    assert_null(json);
}

/* ---- The safetensors writer ----------------------------------------------------------------- */

static void write_tensors(const tms_tensor *tensors, int64_t count, const tmsi_metadata *metadata,
                          int64_t metadata_count) {
    tmsi_safetensors_writer *writer = NULL;

    assert_ok(tmsi_safetensors_create(context, at("made"), true, tensors, count, metadata,
                                      metadata_count, &writer));
    for (int64_t i = 0; i < count; i++)
        assert_ok(tmsi_safetensors_write(writer, i, 0, tensors[i].data, tensors[i].bytes));
    assert_ok(tmsi_safetensors_commit(writer));
    tmsi_safetensors_writer_destroy(writer);
}

/* Byte for byte what the reference writer makes of the same: a header whose length is rounded up to
 * 8 with spaces. */
static void safetensors_writer_pads_like_the_reference(void **state) {
    static const float values[] = {0, 1, 2, 3, 4, 5};
    static const int64_t shape[] = {1, 1, 2, 3};
    static const char header[] = "{\"attn0\":{\"dtype\":\"F32\",\"shape\":[1,1,2,3],"
                                 "\"data_offsets\":[0,24]}}       ";
    const tms_tensor tensor = test_tensor("attn0", TMS_F32, 4, shape, values);
    const tmsi_metadata framework = {"framework", "pt"};
    (void)state;
    write_tensors(&tensor, 1, NULL, 0);
    assert_int_equal(strlen(header), 72);
    test_header_write(at("wanted"), header, values, sizeof values);
    test_assert_same_files(at("made"), at("wanted"));
    write_tensors(NULL, 0, NULL, 0);
    test_header_write(at("wanted"), "{}      ", NULL, 0);
    test_assert_same_files(at("made"), at("wanted"));
    write_tensors(NULL, 0, &framework, 1);
    test_header_write(at("wanted"), "{\"__metadata__\":{\"framework\":\"pt\"}}     ", NULL, 0);
    test_assert_same_files(at("made"), at("wanted"));
}

static void safetensors_writer_sorts_by_alignment_then_name(void **state) {
    static const tms_dtype dtypes[] = {TMS_U8, TMS_F32, TMS_I64, TMS_F32, TMS_BF16, TMS_F16};
    static const char *const names[] = {"a", "z", "m", "b", "c", "d"};
    static const char *const order[] = {"m", "b", "z", "c", "d", "a"};
    static const int64_t one[] = {1};
    const tmsi_metadata metadata = {"k\n\x01", "\"\\\xc3\xa9"};
    tms_tensor tensors[6];
    tmsi_safetensors file;
    (void)state;
    for (int i = 0; i < 6; i++)
        tensors[i] = test_tensor(names[i], dtypes[i], 1, one, "12345678");
    write_tensors(tensors, 6, &metadata, 1);
    assert_ok(tmsi_safetensors_open(context, at("made"), &file));
    for (int i = 0; i < 6; i++)
        assert_string_equal(file.tensors[i].name, order[i]);
    assert_string_equal(file.metadata[0].key, metadata.key);
    assert_string_equal(file.metadata[0].value, metadata.value);
    tmsi_safetensors_close(&file);
}

static void safetensors_writer_refuses_a_name_twice(void **state) {
    static const int64_t one[] = {1};
    const tms_tensor tensors[] = {test_tensor("a", TMS_F32, 1, one, "1234"),
                                  test_tensor("a", TMS_U8, 1, one, "1")};
    tmsi_safetensors_writer *writer = NULL;
    (void)state;
    assert_fails(tmsi_safetensors_create(context, at("made"), true, tensors, 2, NULL, 0, &writer),
                 TMS_ERR_INVALID, "the output would have two tensors \"a\"");
    unlink(at("made"));
    unlink(at("wanted"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(map_refuses_a_pipe_and_waits_for_none),
        cmocka_unit_test(writer_shows_its_file_at_commit_alone),
        cmocka_unit_test(writer_that_is_dropped_leaves_nothing),
        cmocka_unit_test(writer_keeps_the_size_that_it_reserved),
        cmocka_unit_test(writer_spares_a_file_that_came_meanwhile),
        cmocka_unit_test(writer_says_where_the_disk_was_full),
        cmocka_unit_test(tree_copies_files_and_stops_at_loops),
        cmocka_unit_test(tree_remove_spares_what_links_point_to),
        cmocka_unit_test(staged_folder_takes_its_place),
        cmocka_unit_test(clash_is_found_before_anything_moves),
        cmocka_unit_test(path_that_nothing_can_have_is_refused_at_once),
        cmocka_unit_test(path_below_a_folder_is_known_as_such),
        cmocka_unit_test(json_refuses_what_is_ambiguous_or_deep),
        cmocka_unit_test(json_refuses_strings_past_their_limit),
        cmocka_unit_test(json_refuses_more_values_than_memory_is_worth),
        cmocka_unit_test(json_fields_say_what_they_should_be),
        cmocka_unit_test(json_file_is_named_and_bounded),
        cmocka_unit_test(safetensors_writer_pads_like_the_reference),
        cmocka_unit_test(safetensors_writer_sorts_by_alignment_then_name),
        cmocka_unit_test(safetensors_writer_refuses_a_name_twice),
    };
    return cmocka_run_group_tests_name("files", tests, make_room, remove_room);
}
