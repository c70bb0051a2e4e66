/* Statistics of measurements, rows as JSON, and bench runs. Nothing here judges a time. */
#include "support/support.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/context.h"
#include "measure/product.h"
#include "measure/statistics.h"

static void median_of_nine_has_second_and_eighth_as_interval(void **state) {
    double samples[9] = {9, 1, 8, 2, 7, 3, 6, 4, 5};
    tmsi_median median = tmsi_median_of(samples, 9);

    (void)state;
    assert_true(median.value == 5.0);
    assert_true(median.low == 2.0);
    assert_true(median.high == 8.0);
}

/* j = 40 of 100: 2 P(B(100, 1/2) < 40) = 3.5 %, and 5.7 % for 41. */
static void interval_narrows_with_the_count(void **state) {
    double samples[100];
    tmsi_median median;

    (void)state;
    for (int i = 0; i < 100; i++)
        samples[i] = 100 - i;
    median = tmsi_median_of(samples, 100);
    assert_true(median.value == 50.5);
    assert_true(median.low == 40.0);
    assert_true(median.high == 61.0);
}

static void few_samples_give_their_whole_range(void **state) {
    double one[1] = {3}, five[5] = {5, 4, 3, 2, 1};
    tmsi_median median = tmsi_median_of(one, 1);

    (void)state;
    assert_true(median.value == 3.0 && median.low == 3.0 && median.high == 3.0);
    median = tmsi_median_of(five, 5);
    assert_true(median.value == 3.0 && median.low == 1.0 && median.high == 5.0);
}

typedef struct seen {
    int rows, dense, sparse, peak, stop_after;
    char last[2048];
} seen;

/* Counts rows and checks that each is JSON with the schema's keys. */
static int32_t see_row(void *user, const tms_bench_row *row) {
    static const char *const keys[] = {"op",          "who",
                                       "kernel",      "format",
                                       "pattern",     "sparsity",
                                       "dtype",       "isa",
                                       "threads",     "t",
                                       "k",           "n",
                                       "epilogue",    "state",
                                       "us",          "us_min",
                                       "us_max",      "rounds",
                                       "quiet",       "cycles",
                                       "bytes",       "resident_bytes",
                                       "ratio_dense", "device",
                                       "versions",    "commit",
                                       "date"};
    seen *s = user;
    size_t length = tms_bench_row_print(row, s->last, sizeof s->last);
    json_t *object;

    assert_true(length < sizeof s->last);
    assert_int_equal(length, strlen(s->last));
    object = json_loads(s->last, 0, NULL);
    assert_non_null(object);
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (json_object_get(object, keys[i]) == NULL)
            fail_msg("no key %s in %s", keys[i], s->last);
    assert_int_equal(json_object_size(object), sizeof keys / sizeof keys[0]);
    json_decref(object);
    assert_true(row->us_min <= row->us && row->us <= row->us_max);
    s->rows++;
    s->peak += strcmp(row->op, "peak") == 0;
    if (strcmp(row->op, "spmm") == 0) {
        s->dense += row->pattern == NULL;
        s->sparse += row->pattern != NULL;
    }
    return s->stop_after != 0 && s->rows >= s->stop_after;
}

static tms_bench_desc small_bench(const tms_shape *shape, const tms_pattern *patterns) {
    tms_bench_desc desc = tms_bench_desc_default();

    desc.shapes = shape;
    desc.shape_count = 1;
    desc.patterns = patterns;
    desc.pattern_count = patterns != NULL ? 1 : 0;
    desc.rounds = 1;
    return desc;
}

static void bench_gives_a_row_a_pattern_beside_dense(void **state) {
    static const tms_shape shape = {5, 64, 48};
    tms_context *context = test_context(1, 0);
    tms_bench_desc desc = small_bench(&shape, NULL);
    seen s = {0};

    (void)state;
    assert_ok(tms_bench_run(context, &desc, see_row, &s));
    assert_int_equal(s.sparse, 3);
    assert_true(s.dense >= 1);
    assert_true(s.peak <= 1);
    tms_context_destroy(context);
}

/* The rows of one group: what every ratio must be to. */
typedef struct group_seen {
    double fastest_us, us[16], ratios[16];
    int32_t rounds;
    int count;
} group_seen;

static int32_t see_group(void *user, const tms_bench_row *row) {
    group_seen *s = user;
    bool is_dense = row->format != NULL && row->pattern == NULL;

    assert_true(s->count < 16);
    if (is_dense && (s->fastest_us == 0.0 || row->us < s->fastest_us))
        s->fastest_us = row->us;
    s->rounds = row->rounds;
    s->us[s->count] = row->us;
    s->ratios[s->count++] = row->ratio_dense;
    return 0;
}

static void bench_takes_nine_rounds_and_the_fastest_dense(void **state) {
    static const tms_shape shape = {1, 64, 48};
    tms_context *context = test_context(1, 0);
    tms_pattern pattern;
    tms_bench_desc desc;
    group_seen s = {0};

    (void)state;
    assert_ok(tms_pattern_parse("2:4", &pattern));
    desc = small_bench(&shape, &pattern);
    desc.rounds = 0;
    assert_ok(tms_bench_run(context, &desc, see_group, &s));
    assert_int_equal(s.rounds, 9);
    for (int i = 0; i < s.count; i++)
        assert_true(fabs(s.ratios[i] * s.us[i] - s.fastest_us) <= 1e-9 * s.fastest_us);
    tms_context_destroy(context);
}

static void cold_products_go_round_copies_of_four_caches(void **state) {
    enum { N = 16, K = 32, CACHE = 8192 };
    static float w[N * K], x[K], y[N];
    tms_context *context = test_context(1, 0);
    tms_matrix matrix = tms_matrix_dense(TMS_F32, N, K, w);
    tms_spmm_problem problem = tmsi_product_problem(&matrix);
    tmsi_product product = {0};
    const char *first;

    (void)state;
    context->hardware.l3_bytes = CACHE;
    assert_ok(tmsi_product_create(context, &matrix, &problem, x, y, true, &product));
    assert_true(product.copies.count * (int64_t)product.image.bytes >= 4 * CACHE);
    first = product.image.data;
    for (int64_t i = 0; i <= product.copies.count; i++) {
        const char *wanted = first + i % product.copies.count * (int64_t)product.copies.stride;
        assert_ok(tmsi_product_run(&product));
        assert_ptr_equal(product.image.data, wanted);
    }
    tmsi_product_destroy(&product);
    tms_context_destroy(context);
}

static void bench_runs_cold_and_without_vector_units(void **state) {
    static const tms_shape shape = {3, 64, 32};
    tms_context *context = test_context(2, TMS_ISA_NONE);
    tms_bench_desc desc;
    tms_pattern pattern;
    seen s = {0};

    (void)state;
    assert_ok(tms_pattern_parse("rows 50%", &pattern));
    desc = small_bench(&shape, &pattern);
    desc.is_cold = 1;
    assert_ok(tms_bench_run(context, &desc, see_row, &s));
    assert_int_equal(s.sparse, 1);
    assert_int_equal(s.peak, 0);
    assert_non_null(strstr(s.last, "\"state\": \"cold\""));
    assert_non_null(strstr(s.last, "\"isa\": \"none\""));
    tms_context_destroy(context);
}

static void bench_stops_when_the_sink_has_enough(void **state) {
    static const tms_shape shape = {3, 64, 32};
    tms_context *context = test_context(1, 0);
    tms_bench_desc desc = small_bench(&shape, NULL);
    seen s = {0};

    (void)state;
    s.stop_after = 1;
    assert_fails(tms_bench_run(context, &desc, see_row, &s), TMS_ERR_CANCELLED, "sink");
    assert_int_equal(s.rows, 1);
    tms_context_destroy(context);
}

static int32_t refuse_at_once(void *user, const char *what, int64_t done, int64_t total) {
    (void)user, (void)what;
    assert_true(done <= total);
    return 1;
}

static void bench_stops_when_progress_says_so(void **state) {
    static const tms_shape shape = {3, 64, 32};
    tms_context *context = test_context(1, 0);
    tms_bench_desc desc = small_bench(&shape, NULL);
    seen s = {0};

    (void)state;
    desc.progress = refuse_at_once;
    assert_fails(tms_bench_run(context, &desc, see_row, &s), TMS_ERR_CANCELLED, "stopped");
    assert_int_equal(s.rows, 0);
    tms_context_destroy(context);
}

static void bench_refuses_what_cannot_be_measured(void **state) {
    static const tms_shape good = {3, 66, 32}, bad = {0, 64, 32};
    tms_context *context = test_context(1, 0);
    tms_bench_desc desc = small_bench(&bad, NULL);
    const tms_model_desc older = {.struct_size = sizeof(size_t)};
    const char *model = "model", *nothing = NULL;
    const size_t length = 5;
    tms_pattern pattern;
    seen s = {0};

    (void)state;
    assert_fails(tms_bench_run(context, &desc, see_row, &s), TMS_ERR_INVALID, "shapes[0]");
    assert_ok(tms_pattern_parse("2:4", &pattern));
    desc = small_bench(&good, &pattern);
    assert_fails(tms_bench_run(context, &desc, see_row, &s), TMS_ERR_PATTERN, "66");
    desc = tms_bench_desc_default();
    desc.rounds = -1;
    assert_fails(tms_bench_run(context, &desc, see_row, &s), TMS_ERR_INVALID, "-1");
    desc = tms_bench_desc_default();
    desc.models = &model;
    desc.model_count = 1;
    assert_fails(tms_bench_run(context, &desc, see_row, &s), TMS_ERR_INVALID, "text_count");
    desc.texts = &nothing;
    desc.lengths = &length;
    desc.text_count = 1;
    assert_fails(tms_bench_run(context, &desc, see_row, &s), TMS_ERR_INVALID, "texts[0] is NULL");
    desc.texts = &model;
    desc.model_descs = &older;
    assert_fails(tms_bench_run(context, &desc, see_row, &s), TMS_ERR_INVALID,
                 "model_descs[0].struct_size is 8");
    assert_fails(tms_bench_run(context, &desc, NULL, NULL), TMS_ERR_INVALID, "sink");
    assert_int_equal(s.rows, 0);
    tms_context_destroy(context);
}

static int32_t ignore_row(void *user, const tms_bench_row *row) {
    (void)user, (void)row;
    return 0;
}

static tms_status run_small(tms_context *context, void *user) {
    static const tms_shape shape = {2, 32, 16};
    tms_bench_desc desc = small_bench(&shape, user);

    return tms_bench_run(context, &desc, ignore_row, NULL);
}

static void bench_survives_a_lack_of_memory(void **state) {
    tms_pattern pattern;

    (void)state;
    assert_ok(tms_pattern_parse("2:4", &pattern));
    test_every_allocation_fails_once(run_small, &pattern);
}

static void row_print_escapes_and_says_its_length(void **state) {
    tms_bench_row row = {0};
    char text[1024], cut[16];
    size_t length;
    json_t *object;

    (void)state;
    assert_int_equal(tms_bench_row_print(&row, text, sizeof text), 0); /* struct_size is 0 */
    assert_string_equal(text, "");
    row.struct_size = sizeof row;
    row.op = "model";
    row.us = INFINITY;
    row.label = "a \"quoted\\\" \x01 name";
    row.texts_per_second = 12.5;
    length = tms_bench_row_print(&row, text, sizeof text);
    assert_int_equal(length, strlen(text));
    object = json_loads(text, 0, NULL);
    assert_non_null(object);
    assert_string_equal(json_string_value(json_object_get(object, "label")), row.label);
    assert_true(json_is_null(json_object_get(object, "us")));
    assert_true(json_is_null(json_object_get(object, "who")));
    json_decref(object);
    assert_int_equal(tms_bench_row_print(&row, cut, sizeof cut), length);
    assert_int_equal(strlen(cut), sizeof cut - 1);
    assert_int_equal(tms_bench_row_print(&row, NULL, 0), length);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(median_of_nine_has_second_and_eighth_as_interval),
        cmocka_unit_test(interval_narrows_with_the_count),
        cmocka_unit_test(few_samples_give_their_whole_range),
        cmocka_unit_test(bench_gives_a_row_a_pattern_beside_dense),
        cmocka_unit_test(bench_takes_nine_rounds_and_the_fastest_dense),
        cmocka_unit_test(cold_products_go_round_copies_of_four_caches),
        cmocka_unit_test(bench_runs_cold_and_without_vector_units),
        cmocka_unit_test(bench_stops_when_the_sink_has_enough),
        cmocka_unit_test(bench_stops_when_progress_says_so),
        cmocka_unit_test(bench_refuses_what_cannot_be_measured),
        cmocka_unit_test(bench_survives_a_lack_of_memory),
        cmocka_unit_test(row_print_escapes_and_says_its_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
