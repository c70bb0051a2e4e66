/* The calibrated job on a synthetic network: two blocks of two layers each, relu between them,
 * whose inputs come in two batches. What the job did is recomputed here in double. */
#include <math.h>
#include <string.h>

#include "base/dtype.h"
#include "prune/calibrate.h"
#include "support/support.h"

enum { BLOCKS = 2, LAYERS = 2, WIDTH = 12, INNER = 20, TOKENS = 30, BATCH = 17 };

/* Layer 0 of a block is [INNER, WIDTH], layer 1 [WIDTH, INNER]; y = w1 relu(w0 x). */
static const int64_t layer_n[LAYERS] = {INNER, WIDTH}, layer_k[LAYERS] = {WIDTH, INNER};
enum { LAYER_MAX = WIDTH * INNER };

typedef struct toy {
    float weights[BLOCKS][LAYERS][LAYER_MAX];
    float states[TOKENS][WIDTH];    /* what enters the block at hand */
    int64_t next_block;             /* that may be run */
    int64_t runs[BLOCKS], advances; /* how often */
    int64_t extra_column;           /* 1: claims one input feature too many */
    tms_status product_status;
} toy;

static const char *const layer_names[BLOCKS][LAYERS] = {{"b0.up", "b0.down"}, {"b1.up", "b1.down"}};

static int64_t toy_layer_count(void *self, int64_t block) {
    (void)self, (void)block;
    return LAYERS;
}

static const char *toy_layer_name(void *self, int64_t block, int64_t layer) {
    (void)self;
    return layer_names[block][layer];
}

/* y = x w^T in double, rounded once. */
static void multiply(const float *x, const float *w, float *y, int64_t t, int64_t k, int64_t n) {
    for (int64_t row = 0; row < t; row++)
        for (int64_t i = 0; i < n; i++) {
            double sum = 0.0;
            for (int64_t j = 0; j < k; j++)
                sum += (double)x[row * k + j] * (double)w[i * k + j];
            y[row * n + i] = (float)sum;
        }
}

static tms_status toy_run(void *self, int64_t block, bool advance, tmsi_observe observe,
                          void *user) {
    toy *network = self;
    (void)user;
    assert_int_equal(block, network->next_block);
    network->runs[block]++;
    for (int64_t first = 0; first < TOKENS; first += BATCH) {
        int64_t t = first + BATCH < TOKENS ? BATCH : TOKENS - first;
        float inner[BATCH * INNER], out[BATCH * WIDTH];
        if (observe != NULL)
            observe(user, 0, network->states[first], t, WIDTH + network->extra_column);
        multiply(network->states[first], network->weights[block][0], inner, t, WIDTH, INNER);
        for (int64_t i = 0; i < t * INNER; i++)
            inner[i] = inner[i] > 0.0f ? inner[i] : 0.0f;
        if (observe != NULL)
            observe(user, 1, inner, t, INNER);
        multiply(inner, network->weights[block][1], out, t, INNER, WIDTH);
        if (advance)
            memcpy(network->states[first], out, (size_t)(t * WIDTH) * sizeof *out);
    }
    if (advance) {
        network->next_block++;
        network->advances++;
    }
    return TMS_OK;
}

static tms_status toy_replace(void *self, int64_t block, int64_t layer, const float *weights) {
    memcpy(((toy *)self)->weights[block][layer], weights, LAYER_MAX * sizeof *weights);
    return TMS_OK;
}

static tms_status toy_product(void *self, const float *x, const float *w, float *y, int64_t t,
                              int64_t k, int64_t n) {
    toy *network = self;
    multiply(x, w, y, t, k, n);
    return network->product_status;
}

/* The store: a copy of every weight, and a log of what was asked of it. */
typedef struct shelf {
    uint16_t weights[BLOCKS][LAYERS][LAYER_MAX]; /* bf16: pruned values must survive the type */
    const char *dense_name;                      /* the layer that stays dense, or NULL */
    int64_t opened, closed;
    tmsi_prune_result results[BLOCKS][LAYERS];
    char log[256];
} shelf;

static void find_layer(const char *name, int64_t *block, int64_t *layer) {
    for (*block = 0; *block < BLOCKS; ++*block)
        for (*layer = 0; *layer < LAYERS; ++*layer)
            if (strcmp(name, layer_names[*block][*layer]) == 0)
                return;
    fail_msg("no layer %s", name);
}

static tms_status shelf_open(void *self, const char *name, tms_matrix *out_dense) {
    shelf *store = self;
    int64_t block, layer;
    find_layer(name, &block, &layer);
    if (store->dense_name != NULL && strcmp(name, store->dense_name) == 0)
        return TMS_OK;
    strcat(strcat(store->log, "+"), name);
    store->opened++;
    *out_dense =
        tms_matrix_dense(TMS_BF16, layer_n[layer], layer_k[layer], store->weights[block][layer]);
    return TMS_OK;
}

static tms_status shelf_close(void *self, const char *name, const tms_matrix *dense,
                              const tmsi_prune_result *result) {
    shelf *store = self;
    int64_t block, layer;
    find_layer(name, &block, &layer);
    strcat(strcat(store->log, "-"), name);
    assert_ptr_equal(dense->components[0].data, store->weights[block][layer]);
    store->results[block][layer] = *result;
    store->closed++;
    return TMS_OK;
}

typedef struct steps {
    int64_t count, stop_at;
} steps;

static int32_t count_step(void *user, const char *what, int64_t done, int64_t total) {
    steps *s = user;
    assert_non_null(what);
    assert_int_equal(total, 3 * BLOCKS);
    assert_in_range(done, 0, 3 * BLOCKS - 1);
    return ++s->count == s->stop_at;
}

static void make_toy(toy *network, shelf *store) {
    test_random random;
    test_random_seed(&random, test_seed());
    memset(network, 0, sizeof *network);
    memset(store, 0, sizeof *store);
    for (int b = 0; b < BLOCKS; b++)
        for (int l = 0; l < LAYERS; l++)
            for (int i = 0; i < LAYER_MAX; i++) {
                store->weights[b][l][i] = tmsi_bf16_from_f32((float)test_random_normal(&random));
                network->weights[b][l][i] = tmsi_f32_from_bf16(store->weights[b][l][i]);
            }
    for (int t = 0; t < TOKENS; t++)
        for (int j = 0; j < WIDTH; j++) /* features of very different size */
            network->states[t][j] = (float)(test_random_normal(&random) * exp2(j - 6));
}

static tms_status prune_toy(tms_context *context, toy *network, shelf *store, const char *text,
                            tms_prune_method method, steps *progress) {
    const tmsi_network view = {
        .self = network,
        .block_count = BLOCKS,
        .layer_count = toy_layer_count,
        .layer_name = toy_layer_name,
        .run = toy_run,
        .replace = toy_replace,
        .product = toy_product,
    };
    const tmsi_layer_store layers = {store, shelf_open, shelf_close};
    tmsi_prune_settings settings = {.method = method};
    assert_ok(tms_pattern_parse(text, &settings.pattern));
    return tmsi_prune_calibrated(context, &view, &settings, &layers,
                                 progress != NULL ? count_step : NULL, progress);
}

/* The norms of a layer's inputs in the network as it stands, by a run of its own. */
typedef struct watching {
    int64_t layer;
    double squares[INNER];
    double error, output; /* of `pruned` against `weights` */
    const float *weights, *pruned;
} watching;

static void watch(void *user, int64_t layer, const float *x, int64_t t, int64_t k) {
    watching *w = user;
    if (layer != w->layer)
        return;
    for (int64_t row = 0; row < t; row++) {
        for (int64_t j = 0; j < k; j++)
            w->squares[j] += (double)x[row * k + j] * (double)x[row * k + j];
        for (int64_t i = 0; w->pruned != NULL && i < layer_n[layer]; i++) {
            double dense = 0.0, change = 0.0;
            for (int64_t j = 0; j < k; j++) {
                double value = (double)x[row * k + j], weight = (double)w->weights[i * k + j];
                dense += value * weight;
                change += value * (weight - (double)w->pruned[i * k + j]);
            }
            w->output += dense * dense;
            w->error += change * change;
        }
    }
}

/* Prunes again beside the job, block by block, and compares masks and errors. */
static void later_blocks_see_pruned_ones_and_errors_are_those_of_the_outputs(void **state) {
    tms_context *context = test_context(2, 0);
    static toy network, mirror;
    static shelf store, original;
    (void)state;
    make_toy(&network, &store);
    make_toy(&mirror, &original);
    assert_ok(prune_toy(context, &network, &store, "2:4", TMS_METHOD_WANDA, NULL));
    for (int64_t block = 0; block < BLOCKS; block++) {
        static float pruned[LAYERS][LAYER_MAX];
        for (int64_t layer = 0; layer < LAYERS; layer++) {
            watching w = {.layer = layer};
            int64_t k = layer_k[layer];
            const float *weights = mirror.weights[block][layer];
            assert_ok(toy_run(&mirror, block, false, watch, &w));
            for (int64_t i = 0; i < LAYER_MAX; i++) { /* in each group, those beaten by < 2 stay */
                double score = fabs((double)weights[i]) * sqrt(w.squares[i % k]);
                int beaten = 0;
                for (int64_t j = i / 4 * 4; j < i / 4 * 4 + 4; j++)
                    beaten += fabs((double)weights[j]) * sqrt(w.squares[j % k]) > score;
                pruned[layer][i] = beaten < 2 ? weights[i] : 0.0f;
                assert_float_equal(tmsi_f32_from_bf16(store.weights[block][layer][i]),
                                   pruned[layer][i], 0.0);
                assert_float_equal(network.weights[block][layer][i], pruned[layer][i], 0.0);
            }
            w.weights = weights;
            w.pruned = pruned[layer];
            assert_ok(toy_run(&mirror, block, false, watch, &w));
            assert_float_equal(store.results[block][layer].error, sqrt(w.error / w.output), 1e-5);
            assert_true(store.results[block][layer].error > 0.01);
            assert_int_equal(store.results[block][layer].zeros, LAYER_MAX / 2);
        }
        memcpy(mirror.weights[block], pruned, sizeof pruned);
        assert_ok(toy_run(&mirror, block, true, NULL, NULL));
    }
    tms_context_destroy(context);
}

static void a_block_runs_three_times_and_the_last_is_not_advanced(void **state) {
    tms_context *context = test_context(1, 0);
    static toy network;
    static shelf store;
    steps progress = {0, 0};
    (void)state;
    make_toy(&network, &store);
    assert_ok(
        prune_toy(context, &network, &store, "unstructured 50%", TMS_METHOD_WANDA, &progress));
    assert_int_equal(network.runs[0], 3);
    assert_int_equal(network.runs[1], 2);
    assert_int_equal(network.advances, 1);
    assert_int_equal(progress.count, 5);
    assert_string_equal(store.log, "+b0.up+b0.down-b0.up-b0.down+b1.up+b1.down-b1.up-b1.down");
    tms_context_destroy(context);
}

static void wanda_drops_the_same_share_in_each_row(void **state) {
    tms_context *context = test_context(1, 0);
    static toy network;
    static shelf store;
    (void)state;
    make_toy(&network, &store);
    assert_ok(prune_toy(context, &network, &store, "unstructured 25%", TMS_METHOD_WANDA, NULL));
    for (int64_t row = 0; row < INNER; row++) {
        int zeros = 0;
        for (int64_t j = 0; j < WIDTH; j++)
            zeros += store.weights[1][0][row * WIDTH + j] == 0;
        assert_int_equal(zeros, WIDTH / 4);
    }
    tms_context_destroy(context);
}

static void magnitude_ignores_the_inputs_but_not_for_the_error(void **state) {
    tms_context *context = test_context(1, 0);
    static toy network;
    static shelf store, alone;
    tmsi_prune_settings settings = {.method = TMS_METHOD_MAGNITUDE};
    tms_matrix dense = tms_matrix_dense(TMS_BF16, INNER, WIDTH, alone.weights[0][0]);
    tmsi_prune_result result;
    (void)state;
    make_toy(&network, &alone);
    make_toy(&network, &store);
    assert_ok(prune_toy(context, &network, &store, "2:4", TMS_METHOD_MAGNITUDE, NULL));
    assert_ok(tms_pattern_parse("2:4", &settings.pattern));
    assert_ok(tmsi_prune_matrix(context, &settings, NULL, &dense, &result));
    assert_memory_equal(store.weights[0][0], alone.weights[0][0], sizeof alone.weights[0][0]);
    assert_true(fabs(store.results[0][0].error - result.error) > 1e-3);
    tms_context_destroy(context);
}

static void a_layer_that_the_store_keeps_back_stays_dense(void **state) {
    tms_context *context = test_context(1, 0);
    static toy network, before;
    static shelf store;
    (void)state;
    make_toy(&before, &store);
    make_toy(&network, &store);
    store.dense_name = "b1.up";
    assert_ok(prune_toy(context, &network, &store, "2:4", TMS_METHOD_WANDA, NULL));
    assert_memory_equal(network.weights[1][0], before.weights[1][0], sizeof before.weights[1][0]);
    assert_int_equal(store.closed, 3);
    tms_context_destroy(context);
}

static void any_step_can_be_the_last(void **state) {
    tms_context *context = test_context(1, 0);
    static toy network;
    static shelf store;
    (void)state;
    for (int64_t stop = 1; stop <= 5; stop++) {
        steps progress = {0, stop};
        make_toy(&network, &store);
        assert_fails(prune_toy(context, &network, &store, "2:4", TMS_METHOD_WANDA, &progress),
                     TMS_ERR_CANCELLED, "stopped by the caller before b");
        assert_int_equal(progress.count, stop);
    }
    tms_context_destroy(context);
}

static void threads_change_no_bit(void **state) {
    static const int32_t threads[] = {1, 2, 5};
    static toy network;
    static shelf stores[3];
    (void)state;
    for (int i = 0; i < 3; i++) {
        tms_context *context = test_context(threads[i], 0);
        make_toy(&network, &stores[i]);
        assert_ok(
            prune_toy(context, &network, &stores[i], "block 2x2 50%", TMS_METHOD_WANDA, NULL));
        assert_memory_equal(stores[i].weights, stores[0].weights, sizeof stores[0].weights);
        for (int l = 0; l < LAYERS; l++)
            assert_memory_equal(&stores[i].results[1][l].error, &stores[0].results[1][l].error,
                                sizeof(double));
        tms_context_destroy(context);
    }
}

static void failures_name_the_layer(void **state) {
    tms_context *context = test_context(1, 0);
    static toy network;
    static shelf store;
    (void)state;
    make_toy(&network, &store);
    network.states[20][5] = INFINITY;
    assert_fails(prune_toy(context, &network, &store, "2:4", TMS_METHOD_WANDA, NULL), TMS_ERR_VALUE,
                 "the inputs of layer b0.up are not finite: the norm of feature 5 is inf");
    make_toy(&network, &store);
    store.weights[0][1][21] = 0x7f80;
    assert_fails(prune_toy(context, &network, &store, "2:4", TMS_METHOD_WANDA, NULL), TMS_ERR_VALUE,
                 "layer b0.down: the weight at row 1, column 1 is inf");
    make_toy(&network, &store);
    network.extra_column = 1;
    assert_fails(prune_toy(context, &network, &store, "2:4", TMS_METHOD_WANDA, NULL),
                 TMS_ERR_INVALID, "layer b0.up gets 13 input features, but its weight is 20 x 12");
    make_toy(&network, &store);
    network.product_status = TMS_ERR_UNSUPPORTED;
    assert_int_equal(prune_toy(context, &network, &store, "2:4", TMS_METHOD_WANDA, NULL),
                     TMS_ERR_UNSUPPORTED);
    assert_int_equal(store.closed, 0);
    tms_context_destroy(context);
}

static tms_status prune_fresh_toy(tms_context *context, void *user) {
    static toy network;
    static shelf store;
    (void)user;
    make_toy(&network, &store);
    return prune_toy(context, &network, &store, "2:4", TMS_METHOD_WANDA, NULL);
}

static void running_out_of_memory_is_a_status(void **state) {
    (void)state;
    test_every_allocation_fails_once(prune_fresh_toy, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(later_blocks_see_pruned_ones_and_errors_are_those_of_the_outputs),
        cmocka_unit_test(a_block_runs_three_times_and_the_last_is_not_advanced),
        cmocka_unit_test(wanda_drops_the_same_share_in_each_row),
        cmocka_unit_test(magnitude_ignores_the_inputs_but_not_for_the_error),
        cmocka_unit_test(a_layer_that_the_store_keeps_back_stays_dense),
        cmocka_unit_test(any_step_can_be_the_last),
        cmocka_unit_test(threads_change_no_bit),
        cmocka_unit_test(failures_name_the_layer),
        cmocka_unit_test(running_out_of_memory_is_a_status),
    };
    return cmocka_run_group_tests_name("prune_calibrate", tests, NULL, NULL);
}
