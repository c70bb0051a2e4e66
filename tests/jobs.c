/* Inspect, prune, check, pack, unpack: what they write, and what they leave alone. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/room.h"
#include "support/sample.h"

enum { N = SAMPLE_N, K = SAMPLE_K };

static void write_sample(const char *path) {
    sample_write(path, TMS_F32, "{\"format\":\"pt\",\"note\":\"a \\\"b\\\" \\u0007\"}");
}

static void assert_same_tensor(const tms_checkpoint *a, const tms_checkpoint *b, const char *name) {
    tms_tensor x = sample_tensor(a, name), y = sample_tensor(b, name);
    assert_int_equal(x.dtype, y.dtype);
    assert_int_equal(x.rank, y.rank);
    assert_memory_equal(x.shape, y.shape, sizeof x.shape);
    assert_int_equal(x.bytes, y.bytes);
    assert_memory_equal(x.data, y.data, x.bytes);
}

static void prune_changes_the_layers_alone(void **state) {
    static const char *const others[] = {"odd", "bias", "scalar", "empty", "ids"};
    tms_pattern pattern = sample_pattern("2:4");
    tms_job_desc desc = sample_job(at("in"), at("out"));
    tms_layer_table *table = NULL;
    tms_checkpoint *before = NULL, *after = NULL;
    const tms_layer_row *row;
    const float *old, *new;
    int64_t zeros = 0;
    (void)state;
    write_sample(desc.in);
    desc.pattern = &pattern;
    assert_ok(tms_prune_run(context, &desc, &table));
    assert_int_equal(tms_layer_table_count(table), 2);
    assert_null(tms_layer_table_row(table, 2));
    row = tms_layer_table_row(table, 1);
    assert_string_equal(row->name, "b.weight");
    assert_int_equal(row->n, K);
    assert_int_equal(row->zeros_before, 0);
    assert_int_equal(row->zeros.zeros, N * K / 2);
    assert_int_equal(row->check.holds, 1);
    assert_true(row->error > 0.1 && row->error < 0.5);
    tms_layer_table_destroy(table);

    assert_ok(tms_checkpoint_open(context, desc.in, &before));
    assert_ok(tms_checkpoint_open(context, desc.out, &after));
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_same_tensor(before, after, others[i]);
    assert_string_equal(tms_checkpoint_metadata(after, "format"), "pt");
    assert_string_equal(tms_checkpoint_metadata(after, "note"), "a \"b\" \a");
    old = sample_tensor(before, "a.weight").data;
    new = sample_tensor(after, "a.weight").data;
    for (int i = 0; i < N * K; i++) {
        float x, y;
        memcpy(&x, old + i, 4);
        memcpy(&y, new + i, 4);
        zeros += y == 0.0f;
        assert_true(y == 0.0f || x == y);
    }
    assert_int_equal(zeros, N * K / 2);
    test_assert_contains(tms_checkpoint_metadata(after, "tamis.prune"),
                         "\"pattern\":\"2:4\",\"method\":\"magnitude\",\"layers\":{"
                         "\"a.weight\":1024,\"b.weight\":1024}}]}");
    tms_checkpoint_close(before);
    tms_checkpoint_close(after);
}

/* check by the record, by another pattern, and on a file that says nothing. */
static void check_tells_the_first_violation(void **state) {
    tms_pattern pattern = sample_pattern("1:4");
    tms_job_desc desc = sample_job(at("in"), at("out"));
    tms_layer_table *table = NULL;
    int32_t holds = -1;
    (void)state;
    write_sample(desc.in);
    sample_prune(context, desc.in, at("pruned"), "2:4");
    desc.in = at("pruned");
    desc.layer_count = 0;
    assert_ok(tms_check_run(context, &desc, &holds, &table));
    assert_int_equal(holds, 1);
    assert_int_equal(tms_layer_table_count(table), 2);
    assert_int_equal(tms_layer_table_row(table, 0)->pattern.kind, TMS_PATTERN_NM);
    tms_layer_table_destroy(table);
    desc.pattern = &pattern;
    assert_ok(tms_check_run(context, &desc, &holds, &table));
    assert_int_equal(holds, 0);
    assert_int_equal(tms_layer_table_count(table), 2);
    assert_int_equal(tms_layer_table_row(table, 0)->check.holds, 0);
    assert_int_equal(tms_layer_table_row(table, 0)->check.row, 0);
    assert_true(tms_layer_table_row(table, 0)->check.column >= 0);
    tms_layer_table_destroy(table);
    desc = sample_job(at("in"), NULL);
    assert_fails(tms_check_run(context, &desc, &holds, &table), TMS_ERR_INVALID,
                 "records no pattern for layer \"a.weight\": set one (--pattern)");
}

static void check_fails_where_any_layer_does(void **state) {
    static const char *const second[] = {"b.*"};
    tms_pattern pattern = sample_pattern("2:4");
    tms_job_desc desc = sample_job(at("in"), at("half"));
    tms_layer_table *table = NULL;
    int32_t holds = 1;
    (void)state;
    write_sample(desc.in);
    desc.pattern = &pattern;
    desc.layers = second;
    assert_ok(tms_prune_run(context, &desc, &table));
    tms_layer_table_destroy(table);
    desc = sample_job(at("half"), NULL);
    desc.pattern = &pattern;
    assert_ok(tms_check_run(context, &desc, &holds, &table));
    assert_int_equal(tms_layer_table_row(table, 0)->check.holds, 0);
    assert_int_equal(tms_layer_table_row(table, 1)->check.holds, 1);
    assert_int_equal(holds, 0);
    tms_layer_table_destroy(table);
}

/* Room for the record is reserved before the zeros are known: here they have fewer digits. */
static void record_of_few_zeros_is_read_back(void **state) {
    tms_job_desc desc = sample_job(at("few"), NULL);
    tms_layer_table *table = NULL;
    int32_t holds = 0;
    (void)state;
    write_sample(at("in"));
    sample_prune(context, at("in"), at("few"), "unstructured 0.2%");
    desc.layer_count = 0;
    assert_ok(tms_check_run(context, &desc, &holds, &table));
    assert_int_equal(holds, 1);
    assert_int_equal(tms_layer_table_row(table, 0)->zeros.zeros, 4);
    tms_layer_table_destroy(table);
}

typedef struct progress_seen {
    int64_t done, total;
} progress_seen;

static int32_t see_progress(void *user, const char *what, int64_t done, int64_t total) {
    progress_seen *seen = user;
    assert_non_null(what);
    assert_true(done >= seen->done && done <= total);
    assert_true(seen->total == 0 || seen->total == total);
    *seen = (progress_seen){done, total};
    return 0;
}

static void progress_rises_to_its_total(void **state) {
    static tms_status (*const jobs[])(tms_context *, const tms_job_desc *, tms_layer_table **) = {
        tms_inspect_run, tms_prune_run, tms_pack_run, tms_unpack_run};
    static const char *const from[] = {"in", "in", "p1", "p2"}, *const to[] = {"", "p1", "p2",
                                                                               "p3"};
    tms_pattern pattern = sample_pattern("2:4");
    (void)state;
    write_sample(at("in"));
    for (int i = 0; i < 4; i++) {
        tms_job_desc desc = sample_job(at(from[i]), at(to[i]));
        progress_seen seen = {0, 0};
        tms_layer_table *table = NULL;
        desc.pattern = &pattern;
        desc.progress = see_progress;
        desc.progress_user = &seen;
        assert_ok(jobs[i](context, &desc, &table));
        assert_true(seen.total > 0);
        assert_int_equal(seen.done, seen.total);
        tms_layer_table_destroy(table);
    }
}

static void prune_again_updates_the_record(void **state) {
    static const char *const first[] = {"a.*"};
    tms_pattern pattern = sample_pattern("unstructured 90%");
    tms_job_desc desc = sample_job(at("one"), at("two"));
    tms_checkpoint *checkpoint = NULL;
    int32_t holds = 0;
    tms_layer_table *table = NULL;
    (void)state;
    write_sample(at("in"));
    sample_prune(context, at("in"), at("one"), "2:4");
    desc.layers = first;
    desc.pattern = &pattern;
    assert_ok(tms_prune_run(context, &desc, &table));
    tms_layer_table_destroy(table);
    assert_ok(tms_checkpoint_open(context, desc.out, &checkpoint));
    test_assert_contains(tms_checkpoint_metadata(checkpoint, "tamis.prune"),
                         "\"layers\":{\"b.weight\":1024}},{");
    test_assert_contains(tms_checkpoint_metadata(checkpoint, "tamis.prune"),
                         "\"pattern\":\"unstructured 90% per tensor\",\"method\":\"magnitude\","
                         "\"layers\":{\"a.weight\":1843}}]}");
    tms_checkpoint_close(checkpoint);
    desc = sample_job(at("two"), NULL);
    desc.layer_count = 0;
    assert_ok(tms_check_run(context, &desc, &holds, &table));
    assert_int_equal(holds, 1);
    assert_int_equal(tms_layer_table_row(table, 0)->pattern.kind, TMS_PATTERN_UNSTRUCTURED);
    assert_int_equal(tms_layer_table_row(table, 1)->pattern.kind, TMS_PATTERN_NM);
    tms_layer_table_destroy(table);
}

static void unfit_layers_are_all_named(void **state) {
    float values[64] = {0};
    tms_tensor tensors[] = {test_tensor_f32("fits", 4, 8, values),
                            test_tensor_f32("six", 4, 6, values),
                            test_tensor_f32("five", 4, 5, values)};
    tms_pattern pattern = sample_pattern("2:4");
    tms_job_desc desc = sample_job(at("in"), at("unfit"));
    tms_layer_table *table = NULL;
    (void)state;
    sample_random(values, 64, 3);
    test_tensors_write(desc.in, tensors, 3, NULL);
    desc.pattern = &pattern;
    desc.layer_count = 0;
    assert_fails(tms_prune_run(context, &desc, &table), TMS_ERR_PATTERN,
                 "pattern \"2:4\" does not fit 2 of 3 layers (set skip_unfit, --skip-unfit, to "
                 "leave them dense): six (4 x 6), five (4 x 5)");
    assert_false(test_file_exists(desc.out));
    desc.skip_unfit = 1;
    assert_ok(tms_prune_run(context, &desc, &table));
    assert_int_equal(tms_layer_table_row(table, 0)->is_skipped, 0);
    assert_int_equal(tms_layer_table_row(table, 1)->is_skipped, 1);
    assert_int_equal(tms_layer_table_row(table, 2)->is_skipped, 1);
    tms_layer_table_destroy(table);
    test_tensors_write(desc.in, tensors + 1, 2, NULL);
    assert_fails(tms_prune_run(context, &desc, &table), TMS_ERR_PATTERN,
                 "fits none of 2 layers (skip_unfit, --skip-unfit, would leave nothing to prune): "
                 "six (4 x 6), five (4 x 5)");
}

/* A model of 24 blocks has 144 of them, with names of some 50 bytes. */
static void unfit_layers_of_a_large_model_are_all_named(void **state) {
    enum { LAYERS = 145 };
    static char names[LAYERS][64];
    static tms_tensor tensors[LAYERS];
    float values[12] = {1};
    tms_pattern pattern = sample_pattern("2:4");
    tms_job_desc desc = sample_job(at("in"), at("unfit"));
    tms_layer_table *table = NULL;
    (void)state;
    for (int i = 0; i < LAYERS; i++) {
        snprintf(names[i], sizeof names[i], "bert.stack.layer.%d.attention.output.dense.weight", i);
        tensors[i] = test_tensor_f32(names[i], 2, i == 0 ? 4 : 6, values);
    }
    test_tensors_write(desc.in, tensors, LAYERS, NULL);
    desc.pattern = &pattern;
    desc.layer_count = 0;
    assert_fails(tms_prune_run(context, &desc, &table), TMS_ERR_PATTERN,
                 "does not fit 144 of 145 layers (set skip_unfit, --skip-unfit,");
    for (int i = 1; i < LAYERS; i++)
        test_assert_contains(tms_error_text(), names[i]);
}

static void check_of_a_record_without_layers_judges_them_all(void **state) {
    const float values[8] = {1, 2, 0, 0, 3, 0, 0, 4};
    const tms_tensor tensor = test_tensor_f32("w", 2, 4, values);
    tms_pattern pattern = sample_pattern("2:4");
    tms_job_desc desc = sample_job(at("in"), NULL);
    tms_layer_table *table = NULL;
    int32_t holds = 0;
    (void)state;
    test_tensors_write(desc.in, &tensor, 1,
                       "{\"tamis.prune\":\"{\\\"version\\\":1,\\\"runs\\\":[]}\"}");
    desc.layer_count = 0;
    desc.pattern = &pattern;
    assert_ok(tms_check_run(context, &desc, &holds, &table));
    assert_int_equal(tms_layer_table_count(table), 1);
    assert_int_equal(holds, 1);
    tms_layer_table_destroy(table);
}

static void weights_that_are_not_finite_are_named(void **state) {
    float values[64] = {0};
    tms_tensor tensor = test_tensor_f32("w", 4, 16, values);
    tms_pattern pattern = sample_pattern("2:4");
    tms_job_desc desc = sample_job(at("nan"), at("nan.out"));
    tms_layer_table *table = NULL;
    int32_t holds;
    (void)state;
    sample_random(values, 64, 4);
    values[2 * 16 + 5] = NAN;
    values[3 * 16 + 1] = INFINITY;
    test_tensors_write(desc.in, &tensor, 1, NULL);
    desc.pattern = &pattern;
    desc.layer_count = 0;
    assert_fails(tms_prune_run(context, &desc, &table), TMS_ERR_VALUE,
                 "tms_prune_run: tensor \"w\": ");
    test_assert_contains(tms_error_text(), "row 2, column 5");
    assert_fails(tms_pack_run(context, &desc, &table), TMS_ERR_VALUE,
                 "tensor \"w\": weight at row 2, column 5 is NaN");
    assert_fails(tms_check_run(context, &desc, &holds, &table), TMS_ERR_VALUE,
                 "tensor \"w\": weight at row 2, column 5");
    assert_false(test_file_exists(desc.out));
    assert_ok(tms_inspect_run(context, &desc, &table));
    assert_int_equal(tms_layer_table_row(table, 0)->zeros.non_finite, 2);
    assert_int_equal(tms_layer_table_row(table, 0)->format_bytes[TMS_FORMAT_CSR], -1);
    tms_layer_table_destroy(table);
}

static const char *const patterns[] = {
    "unstructured 80%",
    "unstructured 90% per row",
    "2:4",
    "1:4",
    "4:8",
    "block 16x8 75%",
    "rows 50%",
    "columns 50%",
    "2:4 in block 16x16 50%",
};

static void pack_then_unpack_gives_the_same_file(void **state) {
    static const tms_dtype dtypes[] = {TMS_F32, TMS_BF16, TMS_F16};
    struct stat pruned, packed;
    (void)state;
    for (size_t d = 0; d < 3; d++)
        for (size_t p = 0; p < sizeof patterns / sizeof *patterns; p++) {
            print_message("%s %s\n", tms_dtype_name(dtypes[d]), patterns[p]);
            sample_write(at("in"), dtypes[d], "{\"format\":\"pt\"}");
            sample_prune(context, at("in"), at("p"), patterns[p]);
            sample_pack(context, at("p"), at("k"));
            sample_unpack(context, at("k"), at("u"));
            test_assert_same_files(at("p"), at("u"));
            assert_int_equal(stat(at("p"), &pruned), 0);
            assert_int_equal(stat(at("k"), &packed), 0);
            assert_true(packed.st_size < pruned.st_size);
        }
}

static void every_format_unpacks_to_the_same_file(void **state) {
    tms_layer_table *table = NULL;
    (void)state;
    write_sample(at("in"));
    sample_prune(context, at("in"), at("p"), "2:4");
    for (int f = 0; f < TMS_FORMAT_COUNT; f++) {
        tms_job_desc desc = sample_job(at("p"), at("k"));
        desc.has_format = 1;
        desc.format = (tms_format)f;
        assert_ok(tms_pack_run(context, &desc, &table));
        assert_int_equal(tms_layer_table_row(table, 0)->format, f);
        assert_true(tms_layer_table_row(table, 0)->format_bytes[f] > 0);
        tms_layer_table_destroy(table);
        desc = sample_job(at("k"), at("u"));
        assert_ok(tms_unpack_run(context, &desc, &table));
        assert_int_equal(tms_layer_table_count(table), f == TMS_FORMAT_DENSE ? 0 : 2);
        tms_layer_table_destroy(table);
        test_assert_same_files(at("p"), at("u"));
    }
}

/* Patterns that nobody recorded: found by the zeros. */
static void pack_finds_what_the_zeros_suggest(void **state) {
    static float values[3][N * K];
    tms_tensor tensors[3];
    static const char *const names[] = {"two_of_four", "rows", "columns"};
    static const tms_format formats[] = {TMS_FORMAT_NM, TMS_FORMAT_BSR, TMS_FORMAT_BSR};
    tms_job_desc desc = sample_job(at("in"), at("out"));
    tms_layer_table *table = NULL;
    (void)state;
    for (int t = 0; t < 3; t++) {
        sample_random(values[t], N * K, 5 + (uint64_t)t);
        tensors[t] = test_tensor_f32(names[t], N, K, values[t]);
    }
    for (int i = 0; i < N * K; i++) {
        values[0][i] *= (i + i / K) % 4 < 2;
        values[1][i] *= i / K % 2 == 0;
        values[2][i] *= i % K % 3 == 0;
    }
    test_tensors_write(desc.in, tensors, 3, NULL);
    desc.layer_count = 0;
    assert_ok(tms_pack_run(context, &desc, &table));
    for (int t = 0; t < 3; t++) {
        const tms_layer_row *row = tms_layer_table_row(table, t);
        assert_string_equal(row->name, names[t]);
        assert_int_equal(row->format, formats[t]);
        assert_true(row->format_bytes[formats[t]] < row->dense_bytes * 6 / 10);
    }
    tms_layer_table_destroy(table);
}

static void pack_refuses_a_format_that_cannot_hold_the_weight(void **state) {
    tms_job_desc desc = sample_job(at("in"), at("no"));
    tms_layer_table *table = NULL;
    (void)state;
    write_sample(desc.in);
    desc.has_format = 1;
    desc.format = TMS_FORMAT_NM;
    assert_fails(tms_pack_run(context, &desc, &table), TMS_ERR_PATTERN, "tensor \"a.weight\": ");
    assert_false(test_file_exists(desc.out));
}

static void dense_weights_stay_dense(void **state) {
    tms_job_desc desc = sample_job(at("in"), at("dense"));
    tms_layer_table *table = NULL;
    tms_checkpoint *checkpoint = NULL;
    (void)state;
    write_sample(desc.in);
    assert_ok(tms_pack_run(context, &desc, &table));
    assert_int_equal(tms_layer_table_row(table, 0)->format, TMS_FORMAT_DENSE);
    tms_layer_table_destroy(table);
    assert_ok(tms_checkpoint_open(context, desc.out, &checkpoint));
    assert_int_equal(tms_checkpoint_is_packed(checkpoint), 0);
    tms_checkpoint_close(checkpoint);
}

static void pack_counts_negative_zeros(void **state) {
    float values[64] = {0};
    tms_tensor tensor = test_tensor_f32("w", 4, 16, values);
    tms_job_desc desc = sample_job(at("neg"), at("neg.k"));
    tms_layer_table *table = NULL;
    tms_checkpoint *checkpoint = NULL;
    float *unpacked;
    (void)state;
    values[3] = -0.0f;
    values[20] = -0.0f;
    values[21] = 1.5f;
    test_tensors_write(desc.in, &tensor, 1, NULL);
    desc.layer_count = 0;
    assert_ok(tms_pack_run(context, &desc, &table));
    assert_int_equal(tms_layer_table_row(table, 0)->negative_zeros, 2);
    assert_int_not_equal(tms_layer_table_row(table, 0)->format, TMS_FORMAT_DENSE);
    tms_layer_table_destroy(table);
    sample_unpack(context, at("neg.k"), at("neg.u"));
    values[3] = values[20] = 0.0f;
    assert_ok(tms_checkpoint_open(context, at("neg.u"), &checkpoint));
    unpacked = (float *)sample_tensor(checkpoint, "w").data;
    assert_memory_equal(unpacked, values, sizeof values);
    tms_checkpoint_close(checkpoint);
}

/* Jobs see a packed tensor as the weight that it is. */
static void packed_files_can_be_inspected_checked_pruned_and_packed(void **state) {
    tms_pattern pattern = sample_pattern("unstructured 80%");
    tms_job_desc desc = sample_job(at("k"), at("kp"));
    tms_layer_table *table = NULL;
    tms_checkpoint *checkpoint = NULL;
    tms_tensor tensor;
    int32_t holds = 0;
    (void)state;
    write_sample(at("in"));
    sample_prune(context, at("in"), at("p2"), "2:4");
    sample_pack(context, at("p2"), at("k"));
    assert_ok(tms_checkpoint_open(context, at("k"), &checkpoint));
    assert_int_equal(tms_checkpoint_is_packed(checkpoint), 1);
    assert_int_equal(tms_checkpoint_tensor_count(checkpoint), 7);
    tensor = sample_tensor(checkpoint, "a.weight");
    assert_int_equal(tensor.format, TMS_FORMAT_NM);
    assert_null(tensor.data);
    assert_int_equal(tensor.bytes, N * K * 4);
    tms_checkpoint_close(checkpoint);

    assert_ok(tms_inspect_run(context, &desc, &table));
    assert_int_equal(tms_layer_table_row(table, 0)->zeros.zeros, N * K / 2);
    assert_int_equal(tms_layer_table_row(table, 0)->pattern.kind, TMS_PATTERN_NM);
    tms_layer_table_destroy(table);
    assert_ok(tms_check_run(context, &desc, &holds, &table));
    assert_int_equal(holds, 1);
    tms_layer_table_destroy(table);
    desc.pattern = &pattern;
    assert_ok(tms_prune_run(context, &desc, &table));
    tms_layer_table_destroy(table);
    sample_prune(context, at("p2"), at("pp"), "unstructured 80%");
    test_assert_same_files(at("kp"), at("pp"));
    sample_pack(context, at("k"), at("kk"));
    test_assert_same_files(at("k"), at("kk"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prune_changes_the_layers_alone),
        cmocka_unit_test(check_tells_the_first_violation),
        cmocka_unit_test(check_fails_where_any_layer_does),
        cmocka_unit_test(record_of_few_zeros_is_read_back),
        cmocka_unit_test(progress_rises_to_its_total),
        cmocka_unit_test(prune_again_updates_the_record),
        cmocka_unit_test(unfit_layers_are_all_named),
        cmocka_unit_test(unfit_layers_of_a_large_model_are_all_named),
        cmocka_unit_test(check_of_a_record_without_layers_judges_them_all),
        cmocka_unit_test(weights_that_are_not_finite_are_named),
        cmocka_unit_test(pack_then_unpack_gives_the_same_file),
        cmocka_unit_test(every_format_unpacks_to_the_same_file),
        cmocka_unit_test(pack_finds_what_the_zeros_suggest),
        cmocka_unit_test(pack_refuses_a_format_that_cannot_hold_the_weight),
        cmocka_unit_test(dense_weights_stay_dense),
        cmocka_unit_test(pack_counts_negative_zeros),
        cmocka_unit_test(packed_files_can_be_inspected_checked_pruned_and_packed),
    };
    return cmocka_run_group_tests_name("jobs", tests, make_threaded_room, remove_room);
}
