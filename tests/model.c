/* Models as a caller meets them: what opening refuses, stopping, running out of memory; and as the
 * network that calibrated pruning runs. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/bert.h"
#include "model/model.h"
#include "model/network.h"
#include "support/encoder.h"
#include "support/files.h"

static const test_encoder_shape small_shape = {
    .layers = 1, .hidden = 16, .heads = 2, .intermediate = 24, .activation = "gelu"};

static void open_refuses_broken_configs(void **state) {
    static const struct {
        const char *key, *value;
        tms_status status;
        const char *sentence;
    } cases[] = {
        {"model_type", "\"gpt2\"", TMS_ERR_UNSUPPORTED,
         "model_type is \"gpt2\", but the architectures that can be run are: bert"},
        {"hidden_act", "\"swish\"", TMS_ERR_UNSUPPORTED, "hidden_act is \"swish\""},
        {"hidden_act", "3", TMS_ERR_FORMAT, "hidden_act"},
        {"hidden_size", "-16", TMS_ERR_FORMAT, "hidden_size"},
        {"hidden_size", "17", TMS_ERR_FORMAT, "multiple of num_attention_heads, 2"},
        {"hidden_size", "32", TMS_ERR_FORMAT,
         "has the shape [435, 16], but by config.json it is [435, 32]"},
        {"num_hidden_layers", "2", TMS_ERR_FORMAT, "encoder.layer.1.attention.self.query.weight"},
        {"num_hidden_layers", "1e300", TMS_ERR_FORMAT, "num_hidden_layers"},
        {"num_attention_heads", "0", TMS_ERR_FORMAT, "num_attention_heads"},
        {"intermediate_size", "25", TMS_ERR_FORMAT, "intermediate.dense.weight"},
        {"vocab_size", "434", TMS_ERR_FORMAT, "word_embeddings"},
        {"max_position_embeddings", "512", TMS_ERR_FORMAT, "position_embeddings"},
        {"layer_norm_eps", "-1", TMS_ERR_FORMAT, "layer_norm_eps"},
    };
    tms_context *context = test_context(1, 0);
    test_encoder *encoder = test_encoder_create(&small_shape, test_seed());
    tms_model *model = NULL;
    char folder[256], path[TEST_PATH_MAX];
    (void)state;

    test_folder_make(folder);
    test_encoder_write(encoder, folder);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        test_encoder_write_config(encoder, folder, cases[i].key, cases[i].value);
        assert_fails(tms_model_open(context, folder, NULL, &model), cases[i].status,
                     cases[i].sentence);
    }
    test_path(folder, "config.json", path);
    remove(path);
    assert_fails(tms_model_open(context, folder, NULL, &model), TMS_ERR_FORMAT, "config.json");
    assert_null(model);
    test_encoder_free(encoder);
    test_folder_remove(folder);
    tms_context_destroy(context);
}

static void open_refuses_broken_tokenizers(void **state) {
    tms_context *context = test_context(1, 0);
    test_encoder *encoder = test_encoder_create(&small_shape, test_seed());
    tms_model_desc desc = tms_model_desc_default();
    tms_model *model = NULL;
    char folder[256], path[TEST_PATH_MAX], line[16];
    FILE *file;
    (void)state;

    test_folder_make(folder);
    test_encoder_write(encoder, folder);
    test_path(folder, "tokenizer_config.json", path);
    test_file_write(path, "{\"do_lower_case\": 1}", 20);
    assert_fails(tms_model_open(context, folder, NULL, &model), TMS_ERR_FORMAT, "do_lower_case is");
    remove(path);
    desc.max_tokens = TEST_ENCODER_POSITIONS + 1;
    assert_fails(tms_model_open(context, folder, &desc, &model), TMS_ERR_INVALID,
                 "max_tokens is 21, but this model takes texts of at most 20");
    desc.max_tokens = 1;
    assert_fails(tms_model_open(context, folder, &desc, &model), TMS_ERR_INVALID,
                 "max_tokens is 1");
    test_path(folder, "vocab.txt", path);
    file = fopen(path, "ab");
    assert_non_null(file);
    snprintf(line, sizeof line, "one_more\n");
    fputs(line, file);
    fclose(file);
    assert_fails(tms_model_open(context, folder, NULL, &model), TMS_ERR_FORMAT,
                 "vocab.txt has 436 tokens, but config.json's vocab_size is 435");
    fclose(fopen(path, "wb"));
    assert_fails(tms_model_open(context, folder, NULL, &model), TMS_ERR_FORMAT,
                 "the vocabulary (0 tokens) has no line");
    remove(path);
    assert_fails(tms_model_open(context, folder, NULL, &model), TMS_ERR_IO, "vocab.txt");
    test_encoder_free(encoder);
    test_folder_remove(folder);
    tms_context_destroy(context);
}

static void open_refuses_poolings_that_it_cannot_run(void **state) {
    static const struct {
        const char *text;
        tms_status status;
        const char *sentence;
    } cases[] = {
        {"{\"pooling_mode_max_tokens\": true}", TMS_ERR_UNSUPPORTED,
         "1_Pooling/config.json\": pooling_mode_max_tokens is true, but only "
         "pooling_mode_mean_tokens and pooling_mode_cls_token can be run"},
        {"{\"pooling_mode_mean_tokens\": true, \"pooling_mode_cls_token\": true}",
         TMS_ERR_UNSUPPORTED, "are both true"},
        {"{\"pooling_mode_mean_tokens\": false}", TMS_ERR_UNSUPPORTED, "no pooling_mode is true"},
        {"{}", TMS_ERR_UNSUPPORTED, "no pooling_mode is true"},
        {"{\"pooling_mode_cls_token\": 1}", TMS_ERR_FORMAT,
         "pooling_mode_cls_token is a whole number, but must be true or false"},
        {"[]", TMS_ERR_FORMAT, "is an array, but must be an object"},
        {"{\"a\":[[[[[[[[[]]]]]]]]]}", TMS_ERR_FORMAT, "JSON nests 10 deep"},
    };
    tms_context *context = test_context(1, 0);
    test_encoder *encoder = test_encoder_create(&small_shape, test_seed());
    tms_model *model = NULL;
    char folder[256];
    (void)state;

    test_folder_make(folder);
    test_encoder_write(encoder, folder);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        test_encoder_write_pooling(folder, cases[i].text);
        assert_fails(tms_model_open(context, folder, NULL, &model), cases[i].status,
                     cases[i].sentence);
    }
    test_encoder_write_pooling(folder, "{\"word_embedding_dimension\": 16, "
                                       "\"pooling_mode_mean_tokens\": true, "
                                       "\"pooling_mode_lasttoken\": false}");
    assert_ok(tms_model_open(context, folder, NULL, &model));
    assert_int_equal(model->pooling, TMSI_POOLING_MEAN);
    tms_model_close(model);
    test_encoder_free(encoder);
    test_folder_remove(folder);
    tms_context_destroy(context);
}

static void open_refuses_steps_that_it_does_not_run(void **state) {
    static const struct {
        const char *text;
        tms_status status;
        const char *sentence;
    } cases[] = {
        {"[{\"type\": \"sentence_transformers.models.Transformer\"}, "
         "{\"type\": \"sentence_transformers.models.Dense\"}]",
         TMS_ERR_UNSUPPORTED,
         "modules.json\": it has the step \"sentence_transformers.models.Dense\", but only "
         "Transformer, Pooling and Normalize can be run"},
        {"[{\"type\": \"Pooling\", \"path\": \"2_Pooling\"}]", TMS_ERR_UNSUPPORTED,
         "Pooling lies in \"2_Pooling\", but is read from \"1_Pooling\""},
        {"[{\"type\": \"Pooling\"}]", TMS_ERR_FORMAT, "\"path\" is missing"},
        {"[3]", TMS_ERR_FORMAT, "\"type\" is missing"},
        {"{}", TMS_ERR_FORMAT, "is an object, but must be an array"},
    };
    static const char whole[] = "[{\"type\": \"a.Transformer\", \"path\": \"\"}, "
                                "{\"type\": \"a.Pooling\", \"path\": \"1_Pooling\"}, "
                                "{\"type\": \"a.Normalize\"}]";
    tms_context *context = test_context(1, 0);
    test_encoder *encoder = test_encoder_create(&small_shape, test_seed());
    tms_model *model = NULL;
    char folder[256];
    (void)state;

    test_folder_make(folder);
    test_encoder_write(encoder, folder);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        test_file_write(test_at(folder, "modules.json"), cases[i].text, strlen(cases[i].text));
        assert_fails(tms_model_open(context, folder, NULL, &model), cases[i].status,
                     cases[i].sentence);
    }
    test_file_write(test_at(folder, "modules.json"), whole, sizeof whole - 1);
    assert_ok(tms_model_open(context, folder, NULL, &model));
    tms_model_close(model);
    test_encoder_free(encoder);
    test_folder_remove(folder);
    tms_context_destroy(context);
}

/* Older files leave model_type out: then the tensors' names say. */
static void open_finds_the_architecture_by_tensor_names(void **state) {
    tms_context *context = test_context(1, 0);
    test_encoder_shape shape = small_shape;
    tms_model *model = NULL;
    (void)state;

    for (shape.layers = 1; shape.layers >= 0; shape.layers--) {
        test_encoder *encoder = test_encoder_create(&shape, test_seed());
        tms_model_info info = tms_model_info_default();
        char folder[256], *text;
        size_t bytes;
        test_folder_make(folder);
        test_encoder_write(encoder, folder);
        text = test_file_read(test_at(folder, "config.json"), &bytes);
        memcpy(strstr(text, "model_type"), "model_kind", 10);
        test_file_write(test_at(folder, "config.json"), text, bytes);
        free(text);
        if (shape.layers == 0) { /* no layer whose name would say */
            assert_fails(tms_model_open(context, folder, NULL, &model), TMS_ERR_UNSUPPORTED,
                         "config.json has no model_type, and no tensor is named as in the "
                         "architectures that can be run: bert");
        } else {
            assert_ok(tms_model_open(context, folder, NULL, &model));
            assert_ok(tms_model_describe(model, &info));
            assert_string_equal(info.architecture, "bert");
            tms_model_close(model);
        }
        test_encoder_free(encoder);
        test_folder_remove(folder);
    }
    tms_context_destroy(context);
}

static void open_names_the_value_that_is_not_finite(void **state) {
    static const struct {
        const char *tensor, *sentence;
        int64_t element;
        float value;
    } cases[] = {
        {"encoder.layer.0.output.dense.weight", "is NaN at row 3, column 5", 3 * 24 + 5, NAN},
        {"embeddings.word_embeddings.weight", "is infinite at row 7, column 0", 7 * 16, INFINITY},
        {"encoder.layer.0.output.LayerNorm.bias", "is infinite at row 0, column 4", 4, -INFINITY},
    };
    tms_context *context = test_context(1, 0);
    tms_model *model = NULL;
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        test_encoder *encoder = test_encoder_create(&small_shape, test_seed());
        char folder[256];
        test_folder_make(folder);
        test_encoder_find(encoder, cases[i].tensor)->values[cases[i].element] = cases[i].value;
        test_encoder_write(encoder, folder);
        assert_fails(tms_model_open(context, folder, NULL, &model), TMS_ERR_VALUE,
                     cases[i].sentence);
        test_assert_contains(tms_error_text(), cases[i].tensor);
        test_encoder_free(encoder);
        test_folder_remove(folder);
    }
    tms_context_destroy(context);
}

static int32_t stop_at_once(void *user, const char *what, int64_t done, int64_t total) {
    (void)what, (void)done, (void)total;
    ++*(int *)user;
    return 1;
}

static void embed_stops_when_asked(void **state) {
    tms_context *context = test_context(1, 0);
    test_encoder *encoder = test_encoder_create(&small_shape, test_seed());
    tms_model *model = NULL;
    size_t lengths[TEST_TEXT_COUNT];
    float out[TEST_TEXT_COUNT * 16];
    char folder[256];
    int calls = 0;
    (void)state;

    test_text_lengths(lengths);
    test_folder_make(folder);
    test_encoder_write(encoder, folder);
    assert_ok(tms_model_open(context, folder, NULL, &model));
    assert_fails(
        tms_model_embed(model, test_texts, lengths, TEST_TEXT_COUNT, stop_at_once, &calls, out),
        TMS_ERR_CANCELLED, "stopped after 0 of 9 texts");
    assert_int_equal(calls, 1);
    assert_ok(tms_model_embed(model, test_texts, lengths, 0, stop_at_once, &calls, out));
    tms_model_close(model);
    test_encoder_free(encoder);
    test_folder_remove(folder);
    tms_context_destroy(context);
}

static tms_status embed_once(tms_context *context, void *folder) {
    tms_model *model = NULL;
    size_t lengths[TEST_TEXT_COUNT];
    float out[TEST_TEXT_COUNT * 16];
    tms_status status = tms_model_open(context, folder, NULL, &model);

    test_text_lengths(lengths);
    if (status == TMS_OK)
        status = tms_model_embed(model, test_texts, lengths, TEST_TEXT_COUNT, NULL, NULL, out);
    tms_model_close(model);
    return status;
}

static void running_out_of_memory_leaks_nothing(void **state) {
    test_encoder *encoder = test_encoder_create(&small_shape, test_seed());
    char folder[256];
    (void)state;

    test_folder_make(folder);
    test_encoder_write(encoder, folder);
    test_encoder_write_pooling(folder, "{\"pooling_mode_mean_tokens\": true}");
    test_every_allocation_fails_once(embed_once, folder);
    test_encoder_free(encoder);
    test_folder_remove(folder);
}

/* ---- The network ---- */

typedef struct watched {
    int64_t tokens[TMSI_BERT_BLOCK_LAYERS], k[TMSI_BERT_BLOCK_LAYERS];
    double sum;
} watched;

static void watch(void *user, int64_t layer, const float *x, int64_t t, int64_t k) {
    watched *self = user;

    self->tokens[layer] += t;
    self->k[layer] = k;
    for (int64_t i = 0; i < t * k; i++)
        self->sum += fabs((double)x[i]);
}

static void network_watches_replaces_and_advances(void **state) {
    static const int64_t widths[TMSI_BERT_BLOCK_LAYERS] = {16, 16, 16, 16, 16, 24};
    tms_context *context = test_context(1, 0);
    test_encoder_shape shape = small_shape;
    test_encoder *encoder;
    tmsi_network network = {0};
    watched first = {0}, again = {0}, changed = {0}, second = {0};
    float *zeros = calloc(16 * 16, sizeof *zeros);
    size_t lengths[TEST_TEXT_COUNT];
    char folder[256];
    (void)state;

    shape.layers = 2;
    encoder = test_encoder_create(&shape, test_seed());
    test_text_lengths(lengths);
    test_folder_make(folder);
    test_encoder_write(encoder, folder);
    assert_ok(
        tmsi_encoder_source.open(context, folder, test_texts, lengths, TEST_TEXT_COUNT, &network));
    assert_int_equal(network.block_count, 2);
    assert_int_equal(network.layer_count(network.self, 0), TMSI_BERT_BLOCK_LAYERS);
    assert_string_equal(network.layer_name(network.self, 1, TMSI_BERT_OUTPUT),
                        "encoder.layer.1.output.dense.weight");
    assert_ok(network.run(network.self, 0, false, watch, &first));
    for (int i = 0; i < TMSI_BERT_BLOCK_LAYERS; i++) {
        assert_int_equal(first.tokens[i], first.tokens[0]);
        assert_int_equal(first.k[i], widths[i]);
    }
    assert_ok(network.run(network.self, 0, false, watch, &again));
    assert_true(first.sum == again.sum);
    assert_ok(network.replace(network.self, 0, TMSI_BERT_VALUE, zeros));
    assert_ok(network.run(network.self, 0, true, watch, &changed));
    assert_true(changed.sum != first.sum);
    assert_fails(network.run(network.self, 0, true, watch, &second), TMS_ERR_INVALID,
                 "block 1 is next");
    assert_ok(network.run(network.self, 1, true, watch, &second));
    assert_int_equal(second.tokens[0], first.tokens[0]);
    tmsi_encoder_source.close(&network);
    test_encoder_free(encoder);
    test_folder_remove(folder);
    free(zeros);
    tms_context_destroy(context);
}

static void network_product_is_the_plain_one(void **state) {
    enum { T = 5, K = 6, N = 7 };
    tms_context *context = test_context(1, 0);
    test_encoder *encoder = test_encoder_create(&small_shape, test_seed());
    tmsi_network network = {0};
    size_t length = 1;
    float x[T * K], w[N * K], y[T * N];
    char folder[256];
    (void)state;

    for (int i = 0; i < T * K; i++)
        x[i] = (float)(i % 7 - 3);
    for (int i = 0; i < N * K; i++)
        w[i] = (float)(i % 5 - 2);
    test_folder_make(folder);
    test_encoder_write(encoder, folder);
    assert_ok(tmsi_encoder_source.open(context, folder, test_texts + 1, &length, 1, &network));
    assert_ok(network.product(network.self, x, w, y, T, K, N));
    for (int t = 0; t < T; t++)
        for (int n = 0; n < N; n++) {
            float sum = 0.0f;
            for (int k = 0; k < K; k++)
                sum += x[t * K + k] * w[n * K + k];
            assert_true(y[t * N + n] == sum);
        }
    tmsi_encoder_source.close(&network);
    test_encoder_free(encoder);
    test_folder_remove(folder);
    tms_context_destroy(context);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(open_refuses_broken_configs),
        cmocka_unit_test(open_refuses_broken_tokenizers),
        cmocka_unit_test(open_refuses_poolings_that_it_cannot_run),
        cmocka_unit_test(open_refuses_steps_that_it_does_not_run),
        cmocka_unit_test(open_finds_the_architecture_by_tensor_names),
        cmocka_unit_test(open_names_the_value_that_is_not_finite),
        cmocka_unit_test(embed_stops_when_asked),
        cmocka_unit_test(running_out_of_memory_leaks_nothing),
        cmocka_unit_test(network_watches_replaces_and_advances),
        cmocka_unit_test(network_product_is_the_plain_one),
    };
    return cmocka_run_group_tests_name("model", tests, NULL, NULL);
}
