/* Calibrated pruning of a checkpoint, with a network of two blocks of one layer each, whose inputs
 * are known. */
#include <math.h>
#include <string.h>

#include "checkpoint/job.h"
#include "support/room.h"
#include "support/sample.h"

enum { N = SAMPLE_N, K = SAMPLE_K, T = 10 };

static float inputs[2][T * K]; /* [block]: 64 features into a.weight, 32 into b.weight */
static const int64_t features[2] = {K, N};

static int64_t one_layer(void *self, int64_t block) {
    (void)self, (void)block;
    return 1;
}

static const char *name_layer(void *self, int64_t block, int64_t layer) {
    (void)self, (void)layer;
    return block == 0 ? "a.weight" : "b.weight";
}

static tms_status run_block(void *self, int64_t block, bool advance, tmsi_observe observe,
                            void *user) {
    (void)self, (void)advance;
    if (observe != NULL)
        observe(user, 0, inputs[block], T, features[block]);
    return TMS_OK;
}

static tms_status replace_nothing(void *self, int64_t block, int64_t layer, const float *weights) {
    (void)self, (void)block, (void)layer;
    assert_non_null(weights);
    return TMS_OK;
}

static tms_status multiply(void *self, const float *x, const float *w, float *y, int64_t t,
                           int64_t k, int64_t n) {
    (void)self;
    for (int64_t i = 0; i < t; i++)
        for (int64_t j = 0; j < n; j++) {
            y[i * n + j] = 0;
            for (int64_t c = 0; c < k; c++)
                y[i * n + j] += x[i * k + c] * w[j * k + c];
        }
    return TMS_OK;
}

static int open_networks; /* must be 0 after every job */

static tms_status open_network(tms_context *where, const char *path, const char *const *texts,
                               const size_t *lengths, int64_t count, tmsi_network *out) {
    (void)where, (void)path;
    assert_int_equal(count, 2);
    assert_memory_equal(texts[1], "second", lengths[1]);
    *out = (tmsi_network){NULL, 2, one_layer, name_layer, run_block, replace_nothing, multiply};
    open_networks++;
    return TMS_OK;
}

static void close_network(tmsi_network *network) {
    (void)network;
    open_networks--;
}

static const tmsi_network_source source = {open_network, close_network};

/* A job on the sample by wanda, 2:4. */
static tms_job_desc wanda_job(const char *in, const char *out, const tms_pattern *pattern) {
    tms_job_desc desc = sample_job(in, out);

    sample_write(in, TMS_F32, NULL);
    test_file_write(at("calib.txt"), "first\r\nsecond\n", 14);
    sample_random(inputs[0], T * K, 7);
    sample_random(inputs[1], T * K, 8);
    desc.pattern = pattern;
    desc.method = TMS_METHOD_WANDA;
    desc.calibration = at("calib.txt");
    return desc;
}

/* In each group the two of largest |w| ||x|| stay, computed here once more. */
static void wanda_keeps_what_its_inputs_make_large(void **state) {
    tms_pattern pattern = sample_pattern("2:4");
    tms_job_desc desc = wanda_job(at("in"), at("wanda"), &pattern);
    tms_checkpoint *before = NULL, *after = NULL;
    tms_layer_table *table = NULL;
    (void)state;
    assert_ok(tmsi_prune_run(context, &desc, &source, &table));
    assert_int_equal(open_networks, 0);
    assert_int_equal(tms_layer_table_count(table), 2);
    assert_true(tms_layer_table_row(table, 1)->error > 0.05);
    assert_true(tms_layer_table_row(table, 1)->error < 0.6);
    tms_layer_table_destroy(table);
    assert_ok(tms_checkpoint_open(context, desc.in, &before));
    assert_ok(tms_checkpoint_open(context, desc.out, &after));
    test_assert_contains(tms_checkpoint_metadata(after, "tamis.prune"),
                         "\"method\":\"wanda\",\"calibration\":{\"lines\":2,\"hash\":\"");
    for (int block = 0; block < 2; block++) {
        const char *old = sample_tensor(before, name_layer(NULL, block, 0)).data;
        const char *new = sample_tensor(after, name_layer(NULL, block, 0)).data;
        for (int64_t i = 0; i < N * K; i++) {
            int64_t k = features[block], larger = 0, first = i - i % 4;
            double scores[4];
            float w, kept;
            for (int64_t j = 0; j < 4; j++) {
                double squares = 0;
                for (int64_t t = 0; t < T; t++) {
                    double x = inputs[block][t * k + (first + j) % k];
                    squares += x * x;
                }
                memcpy(&w, old + 4 * (first + j), 4);
                scores[j] = fabs((double)w) * sqrt(squares);
            }
            for (int j = 0; j < 4; j++)
                larger += scores[j] > scores[i % 4];
            memcpy(&w, old + 4 * i, 4);
            memcpy(&kept, new + 4 * i, 4);
            assert_true(kept == (larger < 2 ? w : 0.0f));
        }
    }
    tms_checkpoint_close(before);
    tms_checkpoint_close(after);
}

static void wanda_says_what_it_lacks(void **state) {
    static const char *const all[] = {"*"};
    tms_pattern pattern = sample_pattern("2:4");
    tms_job_desc desc = wanda_job(at("in"), at("none"), &pattern);
    tms_layer_table *table = NULL;
    (void)state;
    desc.layers = all;
    assert_fails(tmsi_prune_run(context, &desc, &source, &table), TMS_ERR_INVALID,
                 "layer \"empty\" is in no block of the network");
    desc = wanda_job(at("in"), at("none"), &pattern);
    desc.calibration = NULL;
    assert_fails(tmsi_prune_run(context, &desc, &source, &table), TMS_ERR_INVALID,
                 "method wanda needs calibration texts: set calibration (--calib)");
    test_file_write(at("empty.txt"), "", 0);
    desc.calibration = at("empty.txt");
    assert_fails(tmsi_prune_run(context, &desc, &source, &table), TMS_ERR_FORMAT,
                 "/empty.txt\" has no text");
    assert_int_equal(open_networks, 0);
    assert_false(test_file_exists(at("none")));
}

static tms_status wanda_once(tms_context *failing, void *user) {
    tms_layer_table *table = NULL;
    tms_status status = tmsi_prune_run(failing, user, &source, &table);

    tms_layer_table_destroy(table);
    assert_int_equal(open_networks, 0);
    return status;
}

static void wanda_survives_every_failing_allocation(void **state) {
    tms_pattern pattern = sample_pattern("2:4");
    tms_job_desc desc = wanda_job(at("in"), at("wanda"), &pattern);
    (void)state;
    test_every_allocation_fails_once(wanda_once, &desc);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wanda_keeps_what_its_inputs_make_large),
        cmocka_unit_test(wanda_says_what_it_lacks),
        cmocka_unit_test(wanda_survives_every_failing_allocation),
    };
    return cmocka_run_group_tests_name("calibrated", tests, make_threaded_room, remove_room);
}
