/* all-MiniLM-L6-v2, where it is cached, against goldens (scripts/make_golden.py): token ids by the
 * `tokenizers` package, embeddings by a forward pass in double. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/encoder.h"
#include "support/files.h"

static void check_ids(const tms_model *model, const json_t *row, size_t number) {
    const json_t *text = json_object_get(row, "text"), *expected = json_object_get(row, "ids");
    int32_t ids[256];
    int64_t count;

    assert_ok(tms_model_tokenize(model, json_string_value(text), json_string_length(text), ids, 256,
                                 &count));
    assert_int_equal(count, json_array_size(expected));
    for (int64_t i = 0; i < count; i++)
        if (ids[i] != json_integer_value(json_array_get(expected, (size_t)i)))
            fail_msg("text %zu: id %lld is %d", number, (long long)i, ids[i]);
}

static void minilm_equals_its_goldens(void **state) {
    enum { HIDDEN = 384 };
    static const char *real[64];
    static size_t lengths[64];
    char path[TEST_PATH_MAX];
    tms_context *context;
    tms_model *model = NULL;
    tms_checkpoint *goldens = NULL;
    tms_tensor expected;
    size_t bytes, i, count;
    char *text;
    float *found;
    json_t *rows, *row;
    (void)state;

    if (!test_real_model(path)) {
        print_message("skipped: all-MiniLM-L6-v2 is not at %s (scripts/fetch_model.sh fetches it); "
                      "its token ids and embeddings were not compared\n",
                      path);
        skip();
    }
    context = test_context(0, 0);
    text = test_file_read(TESTS_DIR "/golden/minilm.json", &bytes);
    rows = json_loadb(text, bytes, JSON_ALLOW_NUL, NULL);
    count = json_array_size(rows);
    assert_true(count >= 24 && count <= 64);
    assert_ok(tms_model_open(context, path, NULL, &model));
    json_array_foreach(rows, i, row) {
        real[i] = json_string_value(json_object_get(row, "text"));
        lengths[i] = json_string_length(json_object_get(row, "text"));
        check_ids(model, row, i);
    }
    found = calloc(count * HIDDEN, sizeof *found);
    assert_ok(tms_model_embed(model, real, lengths, (int64_t)count, NULL, NULL, found));
    assert_ok(tms_checkpoint_open(context, TESTS_DIR "/golden/minilm.safetensors", &goldens));
    assert_ok(tms_checkpoint_tensor(goldens, 0, &expected));
    assert_int_equal(expected.bytes, count * HIDDEN * sizeof(float));
    for (i = 0; i < count; i++) {
        float golden[HIDDEN];
        double wide[HIDDEN];
        memcpy(golden, (const char *)expected.data + i * sizeof golden, sizeof golden);
        for (int j = 0; j < HIDDEN; j++)
            wide[j] = (double)golden[j];
        if (!(test_cosine(found + i * HIDDEN, wide, HIDDEN) >= 0.99999))
            fail_msg("text %zu: cosine %.8f", i, test_cosine(found + i * HIDDEN, wide, HIDDEN));
    }
    tms_checkpoint_close(goldens);
    tms_model_close(model);
    json_decref(rows);
    free(found);
    free(text);
    tms_context_destroy(context);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(minilm_equals_its_goldens),
    };
    return cmocka_run_group_tests_name("minilm", tests, NULL, NULL);
}
