/* The encoder against its definition in double, on small random models made here: shapes, types,
 * activations, formats, batches, threads and instruction sets. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/model.h"
#include "support/encoder.h"
#include "support/files.h"

/* Embeds the texts and compares with the definition. */
static void check_embeddings(tms_context *context, const test_encoder *encoder, const char *folder,
                             const tms_model_desc *desc) {
    size_t lengths[TEST_TEXT_COUNT];
    int64_t hidden = encoder->shape.hidden;
    float *found = calloc((size_t)(TEST_TEXT_COUNT * hidden), sizeof *found);
    double *expected = calloc((size_t)hidden, sizeof *expected);
    tms_model *model = NULL;

    test_text_lengths(lengths);
    assert_ok(tms_model_open(context, folder, desc, &model));
    assert_ok(tms_model_embed(model, test_texts, lengths, TEST_TEXT_COUNT, NULL, NULL, found));
    for (int i = 0; i < TEST_TEXT_COUNT; i++) {
        int32_t ids[256];
        int64_t count;
        assert_ok(tms_model_tokenize(model, test_texts[i], lengths[i], ids, 256, &count));
        test_encoder_embed(encoder, ids, count, expected);
        for (int64_t j = 0; j < hidden; j++)
            if (!(fabs((double)found[i * hidden + j] - expected[j]) <= 2e-5))
                fail_msg("text %d, feature %lld: %.9g, but the definition gives %.9g (cosine %.9g)",
                         i, (long long)j, (double)found[i * hidden + j], expected[j],
                         test_cosine(found + i * hidden, expected, hidden));
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
        {.layers = 2,
         .hidden = 24,
         .heads = 3,
         .intermediate = 32,
         .activation = "gelu",
         .cls_pooling = true},
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

/* Packing changes where weights lie, not what they are: the same bits come out. */
static void packed_models_embed_like_their_dense_twins(void **state) {
    tms_context *context = test_context(1, 0);
    size_t lengths[TEST_TEXT_COUNT];
    (void)state;

    test_text_lengths(lengths);
    for (int i = 0; i < PRUNING_COUNT; i++) {
        test_encoder *encoder = test_encoder_create(&pruned_shape, test_seed());
        tms_job_desc job = tms_job_desc_default();
        tms_layer_table *table = NULL;
        float out[2][TEST_TEXT_COUNT * 64];
        char folder[2][256];
        test_folder_make(folder[0]);
        snprintf(folder[1], sizeof folder[1], "%.240s.packed", folder[0]);
        test_encoder_prune(encoder, prunings[i].keeps);
        test_encoder_write(encoder, folder[0]);
        job.in = folder[0];
        job.out = folder[1];
        assert_ok(tms_pack_run(context, &job, &table));
        tms_layer_table_destroy(table);
        for (int packed = 0; packed < 2; packed++) {
            tms_model *model = NULL;
            assert_ok(tms_model_open(context, folder[packed], NULL, &model));
            assert_ok(tms_model_embed(model, test_texts, lengths, TEST_TEXT_COUNT, NULL, NULL,
                                      out[packed]));
            tms_model_close(model);
            test_folder_remove(folder[packed]);
        }
        assert_memory_equal(out[0], out[1], sizeof out[0]);
        test_encoder_free(encoder);
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
        many[i] = test_texts[i % TEST_TEXT_COUNT];
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
        for (int i = 0; i < TEST_TEXT_COUNT; i++) {
            assert_ok(tms_model_embed(model, many + i, lengths + i, 1, NULL, NULL, alone));
            for (int j = 0; j < 64; j++)
                assert_true(fabsf(alone[j] - batch[i * 64 + j]) <= 1e-6f);
            assert_memory_equal(batch + i * 64, batch + (i + 2 * TEST_TEXT_COUNT) * 64,
                                sizeof alone);
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(embeddings_follow_the_definition),
        cmocka_unit_test(zeros_suggest_the_format),
        cmocka_unit_test(pruned_models_embed_alike_in_every_format),
        cmocka_unit_test(packed_models_embed_like_their_dense_twins),
        cmocka_unit_test(embeddings_do_not_depend_on_batch_or_threads),
        cmocka_unit_test(encoder_ops_have_the_same_bits_on_every_isa),
    };
    return cmocka_run_group_tests_name("encoder", tests, NULL, NULL);
}
