/* Masks: what selection refuses, what applying writes, and the examples of docs/patterns.md. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/dtype.h"
#include "support/contexts.h"

/* Values are placed so that many parts see one; the first in row-major order must be named. */
static void select_names_the_first_value_that_is_not_finite(void **state) {
    static float values[10 * 1300];
    tms_select_desc desc = tms_select_desc_default();
    uint8_t mask[10 * 163];
    (void)state;
    desc.weights = tms_matrix_dense(TMS_F32, 10, 1300, values);
    assert_ok(tms_pattern_parse("unstructured 50%", &desc.pattern));
    values[9 * 1300 + 3] = NAN;
    values[2 * 1300 + 1250] = -INFINITY;
    values[2 * 1300 + 1251] = NAN;
    memset(mask, 0xa5, sizeof mask);
    for (int i = 0; i < TEST_CONTEXTS; i++)
        assert_fails(tms_mask_select(test_contexts[i], &desc, mask), TMS_ERR_VALUE,
                     "the weight at row 2, column 1250 is -inf, but weights must be finite");
    assert_int_equal(mask[0], 0xa5);
    values[2 * 1300 + 1250] = 0.0f;
    assert_fails(tms_mask_select(test_contexts[2], &desc, mask), TMS_ERR_VALUE,
                 "the weight at row 2, column 1251 is nan");
}

static void select_names_bad_scores_and_norms(void **state) {
    float values[4] = {1, 2, 3, 3e38f}, scores[4] = {1, 1, 1, 1}, norms[4] = {1, 1, 1, 1};
    tms_select_desc desc = tms_select_desc_default();
    uint8_t mask[2];
    (void)state;
    desc.weights = tms_matrix_dense(TMS_F32, 2, 2, values);
    assert_ok(tms_pattern_parse("dense", &desc.pattern));
    desc.scores = scores;
    scores[2] = -1.0f;
    assert_fails(tms_mask_select(test_contexts[0], &desc, mask), TMS_ERR_VALUE,
                 "the score at row 1, column 0 is -1, but scores must be finite and at least 0");
    scores[2] = -0.0f; /* a zero like another */
    assert_ok(tms_mask_select(test_contexts[0], &desc, mask));
    values[0] = NAN; /* hidden by the scores, yet no weight */
    assert_fails(tms_mask_select(test_contexts[0], &desc, mask), TMS_ERR_VALUE,
                 "the weight at row 0, column 0 is nan");
    values[0] = 1.0f;
    desc.scores = NULL;
    desc.column_norms = norms;
    norms[1] = -2.0f;
    assert_fails(tms_mask_select(test_contexts[0], &desc, mask), TMS_ERR_VALUE,
                 "column_norms[1] is -2");
    norms[1] = 10.0f;
    assert_fails(tms_mask_select(test_contexts[0], &desc, mask), TMS_ERR_VALUE,
                 "row 1, column 1 is 3e+38 times column norm 10, more than an f32 holds");
}

static void select_refuses_what_makes_no_sense(void **state) {
    float values[10] = {0};
    tms_select_desc desc = tms_select_desc_default();
    uint8_t mask[2];
    (void)state;
    desc.weights = tms_matrix_dense(TMS_F32, 1, 10, values);
    assert_ok(tms_pattern_parse("2:4", &desc.pattern));
    assert_fails(tms_mask_select(test_contexts[0], &desc, mask), TMS_ERR_PATTERN,
                 "tms_mask_select: the matrix is 1 x 10, but 2:4 keeps");
    desc.weights.k = 8;
    assert_fails(tms_mask_select(NULL, &desc, mask), TMS_ERR_INVALID, "context is NULL");
    assert_fails(tms_mask_select(test_contexts[0], NULL, mask), TMS_ERR_INVALID, "desc is NULL");
    assert_fails(tms_mask_select(test_contexts[0], &desc, NULL), TMS_ERR_INVALID,
                 "out_mask is NULL, but needs 1 bytes");
    desc.block_norm = (tms_norm)5;
    assert_fails(tms_mask_select(test_contexts[0], &desc, mask), TMS_ERR_INVALID,
                 "block_norm is 5");
    desc.block_norm = TMS_NORM_L1;
    desc.pattern.keep = 9;
    assert_fails(tms_mask_select(test_contexts[0], &desc, mask), TMS_ERR_INVALID,
                 "9:4 keeps 9 of 4");
    desc.pattern.keep = 2;
    desc.weights.dtype = TMS_U8;
    assert_fails(tms_mask_select(test_contexts[0], &desc, mask), TMS_ERR_INVALID, "holds u8");
    desc.struct_size = 4;
    assert_fails(tms_mask_select(test_contexts[0], &desc, mask), TMS_ERR_INVALID,
                 "struct_size is 4");
    desc.struct_size = sizeof desc;
    desc.weights.struct_size = 96;
    assert_fails(tms_mask_select(test_contexts[0], &desc, mask), TMS_ERR_INVALID,
                 "desc->weights: the matrix's struct_size is 96");
}

/* Any bits, NaN and -0.0 among them: what stays is not looked at. */
static void apply_writes_plus_zero_and_keeps_bits(void **state) {
    enum { N = 37, K = 45, ROW_BYTES = 6 };
    static const tms_dtype dtypes[] = {TMS_F32, TMS_BF16, TMS_F16, TMS_I8, TMS_E4M3};
    static uint8_t values[4 * N * K], before[sizeof values], mask[N * ROW_BYTES];
    test_random random;
    (void)state;
    test_random_seed(&random, test_seed());
    for (int d = 0; d < 5; d++)
        for (int c = 0; c < TEST_CONTEXTS; c++) {
            tms_matrix dense = tms_matrix_dense(dtypes[d], N, K, values);
            size_t bytes = tmsi_dtype_bytes(dtypes[d]);
            for (size_t i = 0; i < sizeof values; i++)
                values[i] = (uint8_t)test_random_u64(&random);
            memset(values, 0, bytes); /* -0.0, which stays one if it is kept */
            values[bytes - 1] = 0x80;
            memcpy(before, values, sizeof before);
            for (size_t i = 0; i < sizeof mask; i++)
                mask[i] = (uint8_t)test_random_u64(&random);
            assert_ok(tms_mask_apply(test_contexts[c], mask, &dense));
            for (size_t i = 0; i < N * K; i++) {
                static const uint8_t zero[4];
                int is_kept = mask[i / K * ROW_BYTES + i % K / 8] >> (i % K % 8) & 1;
                assert_memory_equal(values + i * bytes, is_kept ? before + i * bytes : zero, bytes);
            }
        }
}

static void apply_refuses_null(void **state) {
    float values[1] = {0};
    uint8_t mask[1] = {0};
    tms_matrix dense = tms_matrix_dense(TMS_F32, 1, 1, values);
    (void)state;
    assert_fails(tms_mask_apply(NULL, mask, &dense), TMS_ERR_INVALID, "context is NULL");
    assert_fails(tms_mask_apply(test_contexts[0], NULL, &dense), TMS_ERR_INVALID, "mask is NULL");
    assert_fails(tms_mask_apply(test_contexts[0], mask, NULL), TMS_ERR_INVALID, "dense is NULL");
}

/* ---- docs/patterns.md ------------------------------------------------------------------------ */

/* Reads the numbers of a line up to '|' or its end. */
static int64_t read_numbers(char **at, float *out) {
    int64_t count = 0;
    char *end;

    for (;; count++) {
        float value = strtof(*at, &end);
        if (end == *at)
            break;
        out[count] = value;
        *at = end;
    }
    return count;
}

/* One fenced block: its pattern, then rows "weights | what is left of them". */
static void assert_example(FILE *file) {
    float weights[256], expected[256];
    tms_select_desc desc = tms_select_desc_default();
    uint8_t mask[256];
    char text[256], line[256];
    int64_t n = 0, k = 0;

    assert_non_null(fgets(text, sizeof text, file));
    text[strcspn(text, "\n")] = 0;
    assert_ok(tms_pattern_parse(text, &desc.pattern));
    while (fgets(line, sizeof line, file) != NULL && strncmp(line, "```", 3) != 0) {
        char *at = line;
        k = read_numbers(&at, weights + n * k);
        at += strspn(at, " |");
        assert_int_equal(read_numbers(&at, expected + n * k), k);
        n++;
    }
    desc.weights = tms_matrix_dense(TMS_F32, n, k, weights);
    assert_ok(tms_mask_select(test_contexts[1], &desc, mask));
    assert_ok(tms_mask_apply(test_contexts[1], mask, &desc.weights));
    for (int64_t i = 0; i < n * k; i++)
        if (weights[i] != expected[i])
            fail_msg("%s: row %lld, column %lld is %g, but the page says %g", text,
                     (long long)(i / k), (long long)(i % k), (double)weights[i],
                     (double)expected[i]);
}

/* Text forms in the page's table print as they stand; its worked examples come out as shown. */
static void the_page_on_patterns_is_true(void **state) {
    FILE *file = fopen(SOURCE_DIR "/docs/patterns.md", "r");
    char line[512], printed[TMS_PATTERN_TEXT_MAX];
    int forms = 0, examples = 0;
    (void)state;
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, "```pattern", 10) == 0) {
            assert_example(file);
            examples++;
        } else if (strncmp(line, "| `", 3) == 0) {
            tms_pattern pattern;
            line[3 + strcspn(line + 3, "`")] = 0;
            assert_ok(tms_pattern_parse(line + 3, &pattern));
            assert_ok(tms_pattern_print(&pattern, printed));
            assert_string_equal(printed, line + 3);
            forms++;
        }
    }
    fclose(file);
    assert_true(forms >= TMS_PATTERN_KIND_COUNT && examples >= TMS_PATTERN_KIND_COUNT - 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(select_names_the_first_value_that_is_not_finite),
        cmocka_unit_test(select_names_bad_scores_and_norms),
        cmocka_unit_test(select_refuses_what_makes_no_sense),
        cmocka_unit_test(apply_writes_plus_zero_and_keeps_bits),
        cmocka_unit_test(apply_refuses_null),
        cmocka_unit_test(the_page_on_patterns_is_true),
    };
    return cmocka_run_group_tests_name("mask", tests, test_contexts_open, test_contexts_close);
}
