/* Where jobs write: nothing that is there is lost, nothing is left half done. */
#define _GNU_SOURCE
#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/room.h"
#include "support/sample.h"

static int make_input(void **state) {
    make_room(state);
    sample_write(test_at(folder, "in"), TMS_F32, "{\"format\":\"pt\"}");
    return 0;
}

/* A model folder: weights of the sample, a config, a folder with a file, a link to a file. */
static void write_model(const char *path) {
    mkdir(path, 0777);
    sample_write(test_at(path, "model.safetensors"), TMS_F32, "{\"format\":\"pt\"}");
    test_file_write(test_at(path, "config.json"), "{\"model_type\":\"none\"}", 21);
    mkdir(test_at(path, "1_Pooling"), 0777);
    test_file_write(test_at(path, "1_Pooling/config.json"), "{}", 2);
    unlink(test_at(path, "vocab.txt"));
    assert_int_equal(symlink("config.json", test_at(path, "vocab.txt")), 0);
}

/* The same weights in two shards, under an index. */
static void write_sharded(const char *path) {
    static const float values[64] = {1, 2, 3};
    static const char index[] =
        "{\"metadata\":{\"total_size\":512,\"note\":\"x\"},\"weight_map\":"
        "{\"a.weight\":\"m1.safetensors\",\"b.weight\":\"m2.safetensors\"}}";
    tms_tensor a = test_tensor_f32("a.weight", 8, 8, values);
    tms_tensor b = test_tensor_f32("b.weight", 4, 16, values);

    mkdir(path, 0777);
    test_tensors_write(test_at(path, "m1.safetensors"), &a, 1, "{\"shard\":\"1\"}");
    test_tensors_write(test_at(path, "m2.safetensors"), &b, 1, "{\"shard\":\"2\"}");
    test_file_write(test_at(path, "model.safetensors.index.json"), index, strlen(index));
    test_file_write(test_at(path, "config.json"), "{}", 2);
}

typedef tms_status verb(tms_context *context, const tms_job_desc *desc, tms_layer_table **out);
static verb *const writers[] = {tms_prune_run, tms_pack_run, tms_unpack_run};

/* The verb on in and out, all layers, pruning to 2:4. */
static tms_status run(verb *does, tms_context *where, const char *in, const char *out, int force) {
    tms_job_desc desc = sample_job(in, out);
    tms_pattern pattern = sample_pattern("2:4");
    tms_layer_table *table = NULL;
    tms_status status;

    desc.pattern = &pattern;
    desc.force = force;
    status = does(where, &desc, &table);
    tms_layer_table_destroy(table);
    return status;
}

static void output_that_exists_is_refused_without_force(void **state) {
    size_t bytes;
    char *kept;
    (void)state;
    for (int i = 0; i < 3; i++) {
        test_file_write(at("old"), "old", 3);
        assert_fails(run(writers[i], context, at("in"), at("old"), 0), TMS_ERR_IO,
                     "exists: set force (--force) to replace it");
        kept = test_file_read(at("old"), &bytes);
        assert_string_equal(kept, "old");
        free(kept);
        assert_ok(run(writers[i], context, at("in"), at("old"), 1));
        kept = test_file_read(at("old"), &bytes);
        assert_true(bytes > 1000);
        free(kept);
    }
}

static void output_that_is_the_input_is_refused_however_it_is_called(void **state) {
    (void)state;
    assert_int_equal(symlink("in", at("soft")), 0);
    assert_int_equal(link(at("in"), at("hard")), 0);
    for (int i = 0; i < 3; i++) {
        assert_fails(run(writers[i], context, at("in"), at("in"), 1), TMS_ERR_INVALID,
                     "are the same file");
        assert_fails(run(writers[i], context, at("in"), at("soft"), 1), TMS_ERR_INVALID,
                     "are the same file");
        assert_fails(run(writers[i], context, at("in"), at("hard"), 1), TMS_ERR_INVALID,
                     "are the same file");
    }
    unlink(at("soft"));
    unlink(at("hard"));
}

static void output_of_another_kind_is_refused(void **state) {
    (void)state;
    write_model(at("model"));
    mkdir(at("place"), 0777);
    assert_fails(run(tms_pack_run, context, at("in"), at("place"), 1), TMS_ERR_IO, "is a folder");
    assert_fails(run(tms_pack_run, context, at("in"), "/dev/null", 1), TMS_ERR_IO,
                 "is a device, pipe or broken link");
    assert_fails(run(tms_pack_run, context, at("in"), at("no/where"), 0), TMS_ERR_IO,
                 "No such file or directory");
    assert_fails(run(tms_pack_run, context, at("in"), at("new/"), 0), TMS_ERR_INVALID,
                 "names no file");
    assert_fails(run(tms_pack_run, context, at("model"), at("in"), 1), TMS_ERR_IO,
                 "is no folder, but the input");
    assert_fails(run(tms_pack_run, context, at("model"), at("place"), 0), TMS_ERR_IO,
                 "exists: set force");
    assert_fails(run(tms_pack_run, context, at("model"), at("model/"), 1), TMS_ERR_INVALID,
                 "are the same folder");
    assert_fails(run(tms_pack_run, context, at("model"), at("model/1_Pooling/x"), 0),
                 TMS_ERR_INVALID, "lies in the input folder");
    assert_int_equal(test_folder_count(at("model")), 4);
    rmdir(at("place"));
}

static void folder_comes_out_with_its_other_files(void **state) {
    struct stat info;
    (void)state;
    write_model(at("model"));
    assert_ok(run(tms_prune_run, context, at("model"), at("pruned"), 0));
    assert_int_equal(test_folder_count(at("pruned")), 4);
    test_assert_same_files(at("model/config.json"), at("pruned/config.json"));
    test_assert_same_files(at("model/1_Pooling/config.json"), at("pruned/1_Pooling/config.json"));
    assert_int_equal(lstat(at("pruned/vocab.txt"), &info), 0);
    assert_true(S_ISREG(info.st_mode));
    test_assert_same_files(at("model/config.json"), at("pruned/vocab.txt"));
    assert_ok(run(tms_prune_run, context, at("model/model.safetensors"), at("one"), 0));
    test_assert_same_files(at("one"), at("pruned/model.safetensors"));
    /* In place of another folder: its own files stay, weights by another name do not. */
    test_file_write(at("pruned/mine"), "mine", 4);
    test_file_write(at("pruned/model.safetensors.index.json"), "{}", 2);
    assert_ok(run(tms_pack_run, context, at("model"), at("pruned"), 1));
    assert_true(test_file_exists(at("pruned/mine")));
    assert_false(test_file_exists(at("pruned/model.safetensors.index.json")));
    assert_int_equal(test_folder_count(at("pruned")), 5);
    test_folder_remove(at("pruned"));
}

static void shards_come_out_as_shards(void **state) {
    tms_checkpoint *checkpoint = NULL;
    (void)state;
    write_sharded(at("shards"));
    assert_ok(run(tms_prune_run, context, at("shards"), at("s1"), 0));
    assert_int_equal(test_folder_count(at("s1")), 4);
    assert_ok(run(tms_pack_run, context, at("s1"), at("s2"), 0));
    assert_ok(tms_checkpoint_open(context, at("s2"), &checkpoint));
    assert_int_equal(tms_checkpoint_tensor_count(checkpoint), 2);
    assert_int_equal(tms_checkpoint_is_packed(checkpoint), 1);
    assert_string_equal(tms_checkpoint_metadata(checkpoint, "shard"), "1");
    tms_checkpoint_close(checkpoint);
    assert_ok(run(tms_unpack_run, context, at("s2"), at("s3"), 0));
    test_assert_same_files(at("s1/m1.safetensors"), at("s3/m1.safetensors"));
    test_assert_same_files(at("s1/m2.safetensors"), at("s3/m2.safetensors"));
    test_assert_same_files(at("s1/model.safetensors.index.json"),
                           at("s3/model.safetensors.index.json"));
    test_folder_remove(at("s1"));
    test_folder_remove(at("s2"));
    test_folder_remove(at("s3"));
}

/* ---- Stopped in the middle ------------------------------------------------------------------ */

typedef struct stopper {
    int64_t left; /* calls until the stop */
    int64_t done; /* must never go back, nor pass total */
} stopper;

static int32_t stop_later(void *user, const char *what, int64_t done, int64_t total) {
    stopper *self = user;
    assert_non_null(what);
    assert_true(done >= self->done && done <= total);
    self->done = done;
    return self->left-- == 0;
}

static void cancel_at_every_step_leaves_nothing(void **state) {
    static const char *const inputs[] = {"in", "model", "shards"};
    int before;
    (void)state;
    write_model(at("model"));
    write_sharded(at("shards"));
    before = test_folder_count(folder);
    for (int w = 0; w < 3; w++)
        for (int i = 0; i < 3; i++)
            for (int64_t n = 0;; n++) {
                tms_job_desc desc = sample_job(at(inputs[i]), at("stopped"));
                tms_pattern pattern = sample_pattern("2:4");
                tms_layer_table *table = NULL;
                stopper stop = {n, 0};
                tms_status status;
                desc.pattern = &pattern;
                desc.progress = stop_later;
                desc.progress_user = &stop;
                status = writers[w](context, &desc, &table);
                if (status == TMS_OK) {
                    tms_layer_table_destroy(table);
                    assert_true(n > 5);
                    if (i == 0)
                        unlink(at("stopped"));
                    else
                        test_folder_remove(at("stopped"));
                    break;
                }
                assert_int_equal(status, TMS_ERR_CANCELLED);
                test_assert_contains(tms_error_text(), "stopped by the caller at \"");
                assert_null(table);
                assert_int_equal(test_folder_count(folder), before);
            }
}

typedef struct work {
    verb *does;
    const char *in;
} work;

static tms_status attempt(tms_context *failing, void *user) {
    const work *self = user;
    tms_status status = run(self->does, failing, at(self->in), at("failed"), 0);

    assert_int_equal(test_file_exists(at("failed")), status == TMS_OK);
    return status;
}

static void every_failing_allocation_leaves_nothing(void **state) {
    static const char *const inputs[] = {"in", "shards", "packed"};
    int before;
    (void)state;
    write_sharded(at("shards"));
    sample_pack(context, at("shards"), at("packed"));
    before = test_folder_count(folder);
    for (int w = 0; w < 3; w++)
        for (int i = 0; i < 3; i++) {
            work self = {writers[w], inputs[i]};
            test_every_allocation_fails_once(attempt, &self);
            if (i == 0)
                unlink(at("failed"));
            else
                test_folder_remove(at("failed"));
            assert_int_equal(test_folder_count(folder), before);
        }
    test_folder_remove(at("packed"));
}

/* jansson has an allocator of its own, the process's. What it makes of a failure is not always told
 * apart from bad text; but it must be a failure or a success, and nothing may leak or be left. Its
 * buffer for a token, of a power of two bytes, is let alone: jansson 2.14 does not look whether
 * that could grow, and reads on. */
static int64_t json_calls, json_fail_at, json_live;

static void *json_allocate(size_t bytes) {
    bool may_fail = (bytes & (bytes - 1)) != 0;
    json_calls += may_fail;
    if (may_fail && json_calls == json_fail_at)
        return NULL;
    json_live++;
    return malloc(bytes);
}

static void json_release(void *memory) {
    json_live -= memory != NULL;
    free(memory);
}

static void every_failing_allocation_of_json_leaves_nothing(void **state) {
    int before;
    tms_status status;
    (void)state;
    write_sharded(at("shards"));
    before = test_folder_count(folder);
    json_set_alloc_funcs(json_allocate, json_release);
    for (json_fail_at = 1;; json_fail_at++) {
        json_calls = 0;
        status = run(tms_prune_run, context, at("shards"), at("failed"), 0);
        assert_int_equal(json_live, 0);
        if (status == TMS_OK)
            test_folder_remove(at("failed"));
        assert_int_equal(test_folder_count(folder), before);
        if (json_calls < json_fail_at)
            break;
    }
    json_set_alloc_funcs(malloc, free);
    assert_true(json_fail_at > 50);
    assert_ok(status);
}

/* A disk that is full, played by a limit on the size of files. */
static void full_disk_is_a_sentence_and_leaves_nothing(void **state) {
    struct rlimit old, small;
    int before;
    (void)state;
    write_model(at("model"));
    before = test_folder_count(folder);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = old;
    small.rlim_cur = 4096;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    for (int w = 0; w < 3; w++) {
        assert_int_equal(run(writers[w], context, at("in"), at("full"), 0), TMS_ERR_IO);
        test_assert_contains(tms_error_text(), "cannot write \"");
        test_assert_contains(tms_error_text(), "File too large (");
        test_assert_contains(tms_error_text(), " bytes at byte 0)");
        assert_int_equal(run(writers[w], context, at("model"), at("full"), 0), TMS_ERR_IO);
        assert_int_equal(test_folder_count(folder), before);
    }
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(output_that_exists_is_refused_without_force),
        cmocka_unit_test(output_that_is_the_input_is_refused_however_it_is_called),
        cmocka_unit_test(output_of_another_kind_is_refused),
        cmocka_unit_test(folder_comes_out_with_its_other_files),
        cmocka_unit_test(shards_come_out_as_shards),
        cmocka_unit_test(cancel_at_every_step_leaves_nothing),
        cmocka_unit_test(every_failing_allocation_leaves_nothing),
        cmocka_unit_test(every_failing_allocation_of_json_leaves_nothing),
        cmocka_unit_test(full_disk_is_a_sentence_and_leaves_nothing),
    };
    return cmocka_run_group_tests_name("outputs", tests, make_input, remove_room);
}
