/* Files and folders as one list of tensors; which of them are layers. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "checkpoint/layers.h"
#include "support/room.h"

static const float values[64];

/* A new model folder with these texts; NULL: no such file. */
static void write_folder(const char *name, const char *config, const char *index,
                         char path[TEST_PATH_MAX]) {
    char file[TEST_PATH_MAX];

    test_path(folder, name, path);
    mkdir(path, 0777);
    test_path(path, "config.json", file);
    unlink(file);
    if (config != NULL)
        test_file_write(file, config, strlen(config));
    test_path(path, "model.safetensors.index.json", file);
    unlink(file);
    if (index != NULL)
        test_file_write(file, index, strlen(index));
}

static void write_shard(const char *path, const char *name, const char *tensor) {
    tms_tensor shard = test_tensor_f32(tensor, 2, 2, values);
    char file[TEST_PATH_MAX];

    test_path(path, name, file);
    test_tensors_write(file, &shard, 1, "{\"format\":\"pt\"}");
}

static void file_is_a_list_of_tensors(void **state) {
    tms_tensor tensors[] = {test_tensor_f32("a", 2, 3, values), test_tensor_f32("b", 3, 2, values)};
    char path[TEST_PATH_MAX];
    tms_checkpoint *checkpoint = NULL;
    tms_tensor tensor;
    (void)state;
    test_path(folder, "two.safetensors", path);
    test_tensors_write(path, tensors, 2, "{\"format\":\"pt\"}");
    assert_ok(tms_checkpoint_open(context, path, &checkpoint));
    assert_int_equal(tms_checkpoint_tensor_count(checkpoint), 2);
    assert_ok(tms_checkpoint_tensor(checkpoint, 1, &tensor));
    assert_string_equal(tensor.name, "b");
    assert_int_equal(tensor.shape[0], 3);
    assert_string_equal(tms_checkpoint_metadata(checkpoint, "format"), "pt");
    assert_null(tms_checkpoint_metadata(checkpoint, "formats"));
    assert_null(tms_checkpoint_architecture(checkpoint));
    assert_int_equal(tms_checkpoint_is_packed(checkpoint), 0);
    assert_fails(tms_checkpoint_tensor(checkpoint, 2, &tensor), TMS_ERR_INVALID,
                 "tms_checkpoint_tensor: i is 2, but the checkpoint has 2 tensors");
    assert_fails(tms_checkpoint_open(context, NULL, &checkpoint), TMS_ERR_INVALID, "path is NULL");
    tms_checkpoint_close(checkpoint);
    tms_checkpoint_close(NULL);
}

static void shards_are_one_list(void **state) {
    char path[TEST_PATH_MAX];
    tms_checkpoint *checkpoint = NULL;
    (void)state;
    write_folder("shards", "{\"model_type\":\"bert\"}",
                 "{\"metadata\":{\"total_size\":32},"
                 "\"weight_map\":{\"b\":\"m2.safetensors\",\"a\":\"m1.safetensors\"}}",
                 path);
    write_shard(path, "m1.safetensors", "a");
    write_shard(path, "m2.safetensors", "b");
    assert_ok(tms_checkpoint_open(context, path, &checkpoint));
    assert_int_equal(tms_checkpoint_tensor_count(checkpoint), 2);
    assert_int_equal(tmsi_checkpoint_find(checkpoint, "b"), 1);
    assert_int_equal(tmsi_checkpoint_find(checkpoint, "c"), -1);
    assert_string_equal(tms_checkpoint_architecture(checkpoint), "bert");
    tms_checkpoint_close(checkpoint);
}

static void hostile_indexes_are_refused(void **state) {
    static const struct {
        const char *index, *sentence;
    } cases[] = {
        {"[]", "is an array, but must be an object"},
        {"{}", "\"weight_map\" is missing, but must be an object"},
        {"{\"weight_map\":[]}", "\"weight_map\" is an array"},
        {"{\"weight_map\":{\"a\":1}}", "gives tensor \"a\" a whole number"},
        {"{\"weight_map\":{\"a\":\"../m1.safetensors\"}}", "must be a plain file name"},
        {"{\"weight_map\":{\"a\":\"/etc/passwd\"}}", "must be a plain file name"},
        {"{\"weight_map\":{\"a\":\"\"}}", "must be a plain file name"},
        {"{\"weight_map\":{\"a\":\"..\"}}", "must be a plain file name"},
        {"{\"weight_map\":{\"a\":\"m9.safetensors\"}}", "No such file"},
        {"{\"weight_map\":{\"a\":\"m1.safetensors\",\"a\":\"m2.safetensors\"}}", "duplicate"},
        {"{\"weight_map\":{\"a\":\"m1.safetensors\",\"c\":\"m1.safetensors\"}}",
         "puts tensor \"c\" in \"m1.safetensors\", which has no such tensor"},
        {"{\"weight_map\":{\"a\":\"m1.safetensors\",\"b\":\"m2.safetensors\","
         "\"c\":\"m3.safetensors\"}}",
         "\"m3.safetensors\" has a tensor \"d\", which weight_map does not name"},
        {"{\"weight_map\":{\"a\":\"m1.safetensors\",\"b\":\"m2.safetensors\","
         "\"c\":\"m4.safetensors\"}}",
         "\"m4.safetensors\" has a tensor \"b\", which weight_map puts in \"m2.safetensors\""},
        {"{\"weight_map\":{\"a\":{\"b\":{\"c\":{}}}}}", "nests 5 deep, but at most 3"},
    };
    tms_tensor third[] = {test_tensor_f32("c", 1, 1, values), test_tensor_f32("d", 1, 1, values)};
    tms_tensor fourth[] = {test_tensor_f32("c", 1, 1, values), test_tensor_f32("b", 1, 1, values)};
    char path[TEST_PATH_MAX], file[TEST_PATH_MAX];
    tms_checkpoint *checkpoint = NULL;
    tms_status status;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_folder("hostile", NULL, cases[i].index, path);
        write_shard(path, "m1.safetensors", "a");
        write_shard(path, "m2.safetensors", "b");
        test_path(path, "m3.safetensors", file);
        test_tensors_write(file, third, 2, NULL);
        test_path(path, "m4.safetensors", file);
        test_tensors_write(file, fourth, 2, NULL);
        status = tms_checkpoint_open(context, path, &checkpoint);
        assert_null(checkpoint);
        assert_int_not_equal(status, TMS_OK);
        test_assert_contains(tms_error_text(), cases[i].sentence);
    }
}

static void folder_without_weights_or_with_broken_config_is_refused(void **state) {
    char path[TEST_PATH_MAX];
    tms_checkpoint *checkpoint = NULL;
    (void)state;
    write_folder("none", "{}", NULL, path);
    assert_fails(tms_checkpoint_open(context, path, &checkpoint), TMS_ERR_IO,
                 "has neither model.safetensors nor model.safetensors.index.json");
    write_folder("broken", "{\"model_type\":\"bert\"", NULL, path);
    write_shard(path, "model.safetensors", "a");
    assert_fails(tms_checkpoint_open(context, path, &checkpoint), TMS_ERR_FORMAT,
                 "config.json\": JSON is malformed");
    write_folder("list", "[1]", NULL, path);
    write_shard(path, "model.safetensors", "a");
    assert_fails(tms_checkpoint_open(context, path, &checkpoint), TMS_ERR_FORMAT,
                 "config.json\" is an array, but must be an object");
}

/* The names of the layers chosen, with a comma behind each. */
static void choose(const tms_checkpoint *checkpoint, const char *glob, char out[1024]) {
    int64_t *chosen = NULL, count = 0;

    assert_ok(tmsi_layers_choose(checkpoint, &glob, glob != NULL, &chosen, &count));
    out[0] = '\0';
    for (int64_t i = 0; i < count; i++) {
        strcat(out, checkpoint->tensors[chosen[i]].tensor.name);
        strcat(out, ",");
    }
    tmsi_free(context, chosen);
}

static void layers_follow_the_architecture_or_the_globs(void **state) {
    static const int64_t one[] = {4}, three[] = {1, 2, 2}, square[] = {2, 2};
    tms_tensor tensors[] = {
        test_tensor_f32("bert.embeddings.word_embeddings.weight", 4, 4, values),
        test_tensor_f32("bert.encoder.layer.0.attention.self.query.weight", 2, 2, values),
        test_tensor("bert.encoder.layer.0.attention.self.query.bias", TMS_F32, 1, one, values),
        test_tensor_f32("bert.encoder.layer.11.output.dense.weight", 2, 2, values),
        test_tensor_f32("bert.encoder.layer.x.output.dense.weight", 2, 2, values),
        test_tensor("bert.encoder.layer.1.intermediate.dense.weight", TMS_BF16, 2, square, values),
        test_tensor("cube", TMS_F32, 3, three, values),
        test_tensor("ids", TMS_I64, 2, square, values),
    };
    char path[TEST_PATH_MAX], names[1024];
    tms_checkpoint *checkpoint = NULL;
    const char *globs[] = {"*query.weight", "*.key.*"}, *wrong = "cube";
    int64_t *chosen = NULL, count;
    (void)state;
    test_path(folder, "layers.safetensors", path);
    test_tensors_write(path, tensors, 8, NULL);
    assert_ok(tms_checkpoint_open(context, path, &checkpoint));
    assert_string_equal(tms_checkpoint_architecture(checkpoint), "bert");
    choose(checkpoint, NULL, names);
    assert_string_equal(names, "bert.encoder.layer.0.attention.self.query.weight,"
                               "bert.encoder.layer.11.output.dense.weight,"
                               "bert.encoder.layer.1.intermediate.dense.weight,");
    choose(checkpoint, "*word*", names);
    assert_string_equal(names, "bert.embeddings.word_embeddings.weight,");
    choose(checkpoint, "*.layer.[0-9x].[!a]*weight", names);
    assert_string_equal(names, "bert.encoder.layer.x.output.dense.weight,"
                               "bert.encoder.layer.1.intermediate.dense.weight,");
    assert_fails(tmsi_layers_choose(checkpoint, globs, 2, &chosen, &count), TMS_ERR_INVALID,
                 "layer glob \"*.key.*\" names none of the 5 2-D float tensors there are "
                 "(bert.embeddings.word_embeddings.weight, ");
    assert_fails(tmsi_layers_choose(checkpoint, &wrong, 1, &chosen, &count), TMS_ERR_INVALID,
                 "layer glob \"cube\" names none");
    assert_null(chosen);
    tms_checkpoint_close(checkpoint);
}

static void unknown_file_offers_every_float_matrix(void **state) {
    tms_tensor tensors[] = {test_tensor_f32("a", 2, 2, values), test_tensor_f32("b", 0, 2, values)};
    char path[TEST_PATH_MAX], names[1024];
    tms_checkpoint *checkpoint = NULL;
    (void)state;
    test_path(folder, "unknown.safetensors", path);
    test_tensors_write(path, tensors, 2, NULL);
    assert_ok(tms_checkpoint_open(context, path, &checkpoint));
    choose(checkpoint, NULL, names);
    assert_string_equal(names, "a,b,");
    tms_checkpoint_close(checkpoint);
}

static void globs_match_whole_names(void **state) {
    static const struct {
        const char *glob, *text;
        bool matches;
    } cases[] = {
        {"", "", true},
        {"", "a", false},
        {"*", "", true},
        {"*", "a.b/c", true},
        {"a*c", "abcbc", true},
        {"a*c", "abcb", false},
        {"?b", "ab", true},
        {"?", "", false},
        {"[abc]x", "bx", true},
        {"[a-c]x", "dx", false},
        {"[!a-c]x", "dx", true},
        {"[]]", "]", true},
        {"[!]]", "]", false},
        {"[a-]", "-", true},
        {"[a", "[a", true},
        {"[", "[", true},
        {"a", "ab", false},
        {"*a*b*", "xxaxxbxx", true},
        {"*a*b*", "xxbxxa", false},
        {"**", "x", true},
        {"*.[0-9].w", "l.3.w", true},
        {"*.[0-9].w", "l.10.w", false},
        {"[", "", false},
        {"[!", "a", false},
    };
    char glob[201], text[5001];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (tmsi_glob_matches(cases[i].glob, cases[i].text) != cases[i].matches)
            fail_msg("glob %s, text %s", cases[i].glob, cases[i].text);
    /* Backtracking into every star would take longer than the universe has. */
    for (int i = 0; i < 200; i++)
        glob[i] = i % 2 == 0 ? '*' : 'a';
    memset(text, 'a', 5000);
    glob[200] = text[5000] = '\0';
    text[4999] = glob[199] = 'b';
    assert_true(tmsi_glob_matches(glob, text));
    text[4999] = 'c';
    assert_false(tmsi_glob_matches(glob, text));
}

static tms_status open_once(tms_context *failing, void *user) {
    tms_checkpoint *checkpoint = NULL;
    tms_status status = tms_checkpoint_open(failing, user, &checkpoint);
    tms_checkpoint_close(checkpoint);
    return status;
}

static void open_survives_every_failing_allocation(void **state) {
    char path[TEST_PATH_MAX];
    (void)state;
    write_folder("memory", "{}",
                 "{\"weight_map\":{\"b\":\"m2.safetensors\",\"a\":\"m1.safetensors\"}}", path);
    write_shard(path, "m1.safetensors", "a");
    write_shard(path, "m2.safetensors", "b");
    test_every_allocation_fails_once(open_once, path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(file_is_a_list_of_tensors),
        cmocka_unit_test(shards_are_one_list),
        cmocka_unit_test(hostile_indexes_are_refused),
        cmocka_unit_test(folder_without_weights_or_with_broken_config_is_refused),
        cmocka_unit_test(layers_follow_the_architecture_or_the_globs),
        cmocka_unit_test(unknown_file_offers_every_float_matrix),
        cmocka_unit_test(globs_match_whole_names),
        cmocka_unit_test(open_survives_every_failing_allocation),
    };
    return cmocka_run_group_tests_name("checkpoint", tests, make_room, remove_room);
}
