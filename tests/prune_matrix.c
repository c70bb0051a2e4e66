/* Pruning one weight: methods, scopes, what is written, what it cost. */
#include <math.h>
#include <string.h>

#include "base/dtype.h"
#include "prune/prune.h"
#include "support/support.h"

static tmsi_prune_settings settings_of(const char *text, tms_prune_method method) {
    tmsi_prune_settings settings = {.method = method};
    assert_ok(tms_pattern_parse(text, &settings.pattern));
    return settings;
}

static void error_is_the_share_of_the_norm_that_went(void **state) {
    tms_context *context = test_context(2, 0);
    float values[8] = {4, -3, 0, 1, -0.0f, 2, 1, 5};
    const float expected[8] = {4, -3, 0, 0, 0, 2, 0, 5};
    tms_matrix dense = tms_matrix_dense(TMS_F32, 2, 4, values);
    tmsi_prune_settings settings = settings_of("2:4", TMS_METHOD_MAGNITUDE);
    tmsi_prune_result result;
    (void)state;
    assert_ok(tmsi_prune_matrix(context, &settings, NULL, &dense, &result));
    assert_memory_equal(values, expected, sizeof values); /* -0.0 was dropped: it is +0.0 */
    assert_int_equal(result.zeros_before, 2);
    assert_int_equal(result.zeros, 4);
    assert_float_equal(result.error, sqrt(2.0 / 56.0), 1e-15);
    assert_true(result.seconds >= 0.0);
    tms_context_destroy(context);
}

static void column_norms_decide_what_goes_but_not_the_error(void **state) {
    tms_context *context = test_context(1, 0);
    float values[4] = {4, 3, 2, 1}, norms[4] = {0, 1, 1, 9};
    tms_matrix dense = tms_matrix_dense(TMS_F32, 1, 4, values);
    tmsi_prune_settings settings = settings_of("unstructured 50%", TMS_METHOD_WANDA);
    tmsi_prune_result result;
    (void)state;
    assert_ok(tmsi_prune_matrix(context, &settings, norms, &dense, &result));
    assert_true(values[0] == 0 && values[1] == 3 && values[2] == 0 && values[3] == 1);
    assert_float_equal(result.error, sqrt(20.0 / 30.0), 1e-15);
    tms_context_destroy(context);
}

static void wanda_is_per_row_unless_said(void **state) {
    static const struct {
        const char *text;
        tms_prune_method method;
        tms_scope scope;
    } cases[] = {
        {"unstructured 50%", TMS_METHOD_WANDA, TMS_SCOPE_PER_ROW},
        {"unstructured 50% per tensor", TMS_METHOD_WANDA, TMS_SCOPE_PER_TENSOR},
        {"unstructured 50%", TMS_METHOD_MAGNITUDE, TMS_SCOPE_PER_TENSOR},
        {"unstructured 50% per row", TMS_METHOD_MAGNITUDE, TMS_SCOPE_PER_ROW},
        {"block 4x4 50%", TMS_METHOD_WANDA, TMS_SCOPE_PER_ROW},
        {"2:4", TMS_METHOD_WANDA, TMS_SCOPE_DEFAULT},
        {"rows 50%", TMS_METHOD_WANDA, TMS_SCOPE_DEFAULT},
    };
    tms_context *context = test_context(1, 0);
    float values[4] = {1, 2, 3, 4};
    tms_matrix dense = tms_matrix_dense(TMS_F32, 2, 2, values);
    tmsi_prune_settings settings = settings_of("unstructured 50%", TMS_METHOD_WANDA);
    tmsi_prune_result result;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tms_pattern pattern = settings_of(cases[i].text, cases[i].method).pattern;
        assert_int_equal(tmsi_method_pattern(cases[i].method, &pattern).scope, cases[i].scope);
    }
    assert_ok(tmsi_prune_matrix(context, &settings, NULL, &dense, &result));
    assert_true(values[0] == 0 && values[1] == 2 && values[2] == 0 && values[3] == 4);
    tms_context_destroy(context);
}

static void every_type_is_pruned_in_place_alike(void **state) {
    static const tms_dtype dtypes[] = {TMS_F32, TMS_BF16, TMS_F16};
    static const int32_t threads[] = {1, 2, 5};
    test_random random;
    float source[23 * 40];
    double first_error = 0.0;
    (void)state;
    test_random_seed(&random, test_seed());
    for (int i = 0; i < 23 * 40; i++) /* exact in every type */
        source[i] = (float)test_random_int(&random, -100, 100) * 0.125f;
    for (int c = 0; c < 3; c++)
        for (int d = 0; d < 3; d++) {
            union {
                float f32[23 * 40];
                uint16_t half[23 * 40];
            } values;
            tms_context *context = test_context(threads[c], 0);
            tms_matrix dense = tms_matrix_dense(dtypes[d], 23, 40, &values);
            tmsi_prune_settings settings = settings_of("block 3x8 40%", TMS_METHOD_MAGNITUDE);
            tmsi_prune_result result;
            double all = 0.0, gone = 0.0;
            for (int i = 0; i < 23 * 40; i++)
                if (d == 0)
                    values.f32[i] = source[i];
                else
                    values.half[i] =
                        d == 1 ? tmsi_bf16_from_f32(source[i]) : tmsi_f16_from_f32(source[i]);
            assert_ok(tmsi_prune_matrix(context, &settings, NULL, &dense, &result));
            for (int i = 0; i < 23 * 40; i++) {
                double after = (double)tmsi_load_f32(&values, dtypes[d], i);
                double before = (double)source[i];
                assert_true(after == before || after == 0.0);
                all += before * before;
                gone += (before - after) * (before - after);
            }
            assert_float_equal(result.error, sqrt(gone / all), 1e-12);
            if (c == 0 && d == 0)
                first_error = result.error;
            assert_memory_equal(&result.error, &first_error, sizeof first_error);
            tms_context_destroy(context);
        }
}

static void a_matrix_that_cannot_be_pruned_stays_as_it_was(void **state) {
    tms_context *context = test_context(1, 0);
    float values[8] = {4, 3, 2, 1, 1, 2, 3, NAN}, before[8];
    tms_matrix dense = tms_matrix_dense(TMS_F32, 2, 4, values);
    tmsi_prune_settings settings = settings_of("2:4", TMS_METHOD_MAGNITUDE);
    tmsi_prune_result result = {.zeros = -7};
    (void)state;
    memcpy(before, values, sizeof before);
    assert_fails(tmsi_prune_matrix(context, &settings, NULL, &dense, &result), TMS_ERR_VALUE,
                 "the weight at row 1, column 3 is nan");
    assert_memory_equal(values, before, sizeof before);
    settings = settings_of("3:5", TMS_METHOD_MAGNITUDE);
    assert_fails(tmsi_prune_matrix(context, &settings, NULL, &dense, &result), TMS_ERR_PATTERN,
                 "k must be a multiple of 5, and 4 is not");
    assert_int_equal(result.zeros, -7);
    tms_context_destroy(context);
}

static void zeros_and_nothing_have_no_error(void **state) {
    tms_context *context = test_context(1, 0);
    float values[4] = {0, -0.0f, 0, 0};
    tms_matrix dense = tms_matrix_dense(TMS_F32, 1, 4, values);
    tms_matrix empty = tms_matrix_dense(TMS_F32, 0, 4, NULL);
    tmsi_prune_settings settings = settings_of("2:4", TMS_METHOD_MAGNITUDE);
    tmsi_prune_result result;
    (void)state;
    assert_ok(tmsi_prune_matrix(context, &settings, NULL, &dense, &result));
    assert_true(result.error == 0.0);
    assert_int_equal(result.zeros, 4);
    assert_ok(tmsi_prune_matrix(context, &settings, NULL, &empty, &result));
    assert_true(result.error == 0.0);
    tms_context_destroy(context);
}

static void methods_have_names(void **state) {
    tms_prune_method method;
    (void)state;
    for (int i = 0; i < TMS_METHOD_COUNT; i++) {
        assert_ok(tmsi_method_parse(tmsi_methods[i].name, &method));
        assert_int_equal(method, i);
    }
    assert_fails(tmsi_method_parse("obd", &method), TMS_ERR_INVALID,
                 "\"obd\" is no method; methods are \"magnitude\" and \"wanda\"");
}

static tms_status prune_once(tms_context *context, void *user) {
    float values[8] = {4, 3, 2, 1, 1, 2, 3, 4};
    tms_matrix dense = tms_matrix_dense(TMS_F32, 2, 4, values);
    tmsi_prune_result result;
    return tmsi_prune_matrix(context, user, NULL, &dense, &result);
}

static void running_out_of_memory_is_a_status(void **state) {
    tmsi_prune_settings settings = settings_of("unstructured 50%", TMS_METHOD_MAGNITUDE);
    (void)state;
    test_every_allocation_fails_once(prune_once, &settings);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(error_is_the_share_of_the_norm_that_went),
        cmocka_unit_test(column_norms_decide_what_goes_but_not_the_error),
        cmocka_unit_test(wanda_is_per_row_unless_said),
        cmocka_unit_test(every_type_is_pruned_in_place_alike),
        cmocka_unit_test(a_matrix_that_cannot_be_pruned_stays_as_it_was),
        cmocka_unit_test(zeros_and_nothing_have_no_error),
        cmocka_unit_test(methods_have_names),
        cmocka_unit_test(running_out_of_memory_is_a_status),
    };
    return cmocka_run_group_tests_name("prune_matrix", tests, NULL, NULL);
}
