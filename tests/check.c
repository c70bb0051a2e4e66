/* Checking and counting: what holds, where it does not, and how many zeros there are. */
#include <math.h>
#include <string.h>

#include "base/dtype.h"
#include "support/contexts.h"

/* Checks on 1, 2 and 5 threads, which must agree to the letter. */
static tms_check_report check(const char *text, int64_t n, int64_t k, const float *values) {
    tms_matrix dense = tms_matrix_dense(TMS_F32, n, k, values);
    tms_check_report reports[TEST_CONTEXTS];
    tms_pattern pattern;

    assert_ok(tms_pattern_parse(text, &pattern));
    for (int i = 0; i < TEST_CONTEXTS; i++) {
        reports[i] = tms_check_report_default();
        assert_ok(tms_pattern_check(test_contexts[i], &pattern, &dense, &reports[i]));
        assert_string_equal(reports[i].text, reports[0].text);
        assert_int_equal(reports[i].row, reports[0].row);
        assert_int_equal(reports[i].column, reports[0].column);
        assert_int_equal(reports[i].zeros_found, reports[0].zeros_found);
    }
    return reports[0];
}

static void assert_verdict(const tms_check_report *report, int32_t holds, int64_t row,
                           int64_t column, int64_t found, int64_t needed, const char *text) {
    assert_string_equal(report->text, text);
    assert_int_equal(report->holds, holds);
    assert_int_equal(report->row, row);
    assert_int_equal(report->column, column);
    assert_int_equal(report->zeros_found, found);
    assert_int_equal(report->zeros_needed, needed);
    assert_int_equal(report->struct_size, sizeof *report);
}

static void check_names_the_third_non_zero_of_a_group(void **state) {
    float values[24] = {
        1, 0, 2, 0, 0,   0, 0,     0, /* row 0 holds */
        0, 0, 0, 0, 5,   0, -0.0f, 6, /* row 1 too: -0.0 is a zero */
        0, 3, 0, 4, .5f, 0, 1.25f, -3,
    };
    tms_check_report report = check("2:4", 3, 8, values);
    (void)state;
    assert_verdict(&report, 0, 2, 7, 15, 12,
                   "row 2, column 7: the group at columns 4 to 7 has 3 non-zeros, but 2:4 keeps "
                   "2: 0.5, 0, 1.25, -3");
    values[16] = NAN; /* earlier in the row, and no zero: 3 non-zeros at columns 0, 1, 3 */
    report = check("2:4", 3, 8, values);
    assert_verdict(&report, 0, 2, 3, 14, 12,
                   "row 2, column 3: the group at columns 0 to 3 has 3 non-zeros, but 2:4 keeps "
                   "2: nan, 3, 0, 4");
    values[16] = values[20] = 0.0f;
    report = check("2:4", 3, 8, values);
    assert_verdict(&report, 1, -1, -1, 16, 12, "holds 2:4: 16 of 24 elements are zero");
}

static void check_finds_the_first_violation_of_many_rows(void **state) {
    static float values[300 * 8];
    tms_check_report report;
    (void)state;
    for (int row = 123; row < 300; row += 20) /* every part of the rows sees one */
        for (int column = 3; column < 8; column++)
            values[row * 8 + column] = 1.0f;
    report = check("2:4", 300, 8, values);
    assert_int_equal(report.row, 123);
    assert_int_equal(report.column, 6);
}

static void check_shows_eight_values_of_a_long_group(void **state) {
    float values[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    tms_check_report report = check("4:16", 1, 16, values);
    (void)state;
    assert_verdict(&report, 0, 0, 4, 7, 12,
                   "row 0, column 4: the group at columns 0 to 15 has 9 non-zeros, but 4:16 keeps "
                   "4: 1, 2, 3, 4, 5, 6, 7, 8, ...");
}

static void a_share_holds_when_enough_is_zero(void **state) {
    float values[12] = {0, -0.0f, 1, 2, 0, 3, 4, 5, 0, 0, 0, 6};
    tms_check_report report = check("unstructured 50%", 3, 4, values);
    (void)state;
    assert_verdict(&report, 1, -1, -1, 6, 6, "holds unstructured 50%: 6 of 12 elements are zero");
    report = check("unstructured 50% per row", 3, 4, values);
    assert_verdict(&report, 0, 1, -1, 1, 2,
                   "row 1: 1 of 4 elements are zero, but unstructured 50% per row needs at least "
                   "2");
    report = check("unstructured 25% per row", 3, 4, values);
    assert_verdict(&report, 1, -1, -1, 6, 3,
                   "holds unstructured 25% per row: 6 of 12 elements are zero");
    report = check("unstructured 54.2%", 3, 4, values); /* 6.504: 7 */
    assert_verdict(&report, 0, -1, -1, 6, 7,
                   "6 of 12 elements are zero, but unstructured 54.2% needs at least 7");
    report = check("dense", 3, 4, values);
    assert_verdict(&report, 1, -1, -1, 6, 0, "holds dense: 6 of 12 elements are zero");
}

static void blocks_rows_and_columns_are_counted_whole(void **state) {
    /* Blocks of 2x2 on 3x5: of six, (0,0), (1,0) and the edge (1,2) are zero. */
    float values[15] = {
        0, 0, 1,      0, 0, /* */
        0, 0, 0,      0, 1, /* */
        0, 0, 1e-45f, 0, 0,
    };
    tms_check_report report = check("block 2x2 50%", 3, 5, values);
    (void)state;
    assert_verdict(&report, 1, -1, -1, 3, 3, "holds block 2x2 50%: 3 of 6 blocks are zero");
    report = check("block 2x2 66.7% per row", 3, 5, values);
    assert_verdict(&report, 0, 0, -1, 1, 2,
                   "row 0: 1 of 3 blocks are zero, but block 2x2 66.7% per row needs at least 2");
    report = check("block 1x2 66.7% per row", 3, 5, values);
    assert_verdict(&report, 1, -1, -1, 6, 6,
                   "holds block 1x2 66.7% per row: 6 of 9 blocks are zero");
    report = check("rows 50%", 3, 5, values);
    assert_verdict(&report, 0, -1, -1, 0, 2, "0 of 3 rows are zero, but rows 50% needs at least 2");
    report = check("columns 60%", 3, 5, values);
    assert_verdict(&report, 1, -1, -1, 3, 3, "holds columns 60%: 3 of 5 columns are zero");
    values[3] = NAN;
    report = check("columns 60%", 3, 5, values);
    assert_verdict(&report, 0, -1, -1, 2, 3,
                   "2 of 5 columns are zero, but columns 60% needs at least 3");
}

static void a_row_of_blocks_is_named_by_its_first_matrix_row(void **state) {
    float values[4 * 4] = {[8] = 1, [11] = 1};
    tms_check_report report = check("block 2x2 50% per row", 4, 4, values);
    (void)state;
    assert_verdict(&report, 0, 2, -1, 0, 1,
                   "row 2: 0 of 2 blocks are zero, but block 2x2 50% per row needs at least 1");
}

static void nm_in_blocks_needs_both(void **state) {
    float values[16] = {1, 1, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0};
    tms_check_report report = check("2:4 in block 2x4 50%", 2, 8, values);
    (void)state;
    assert_verdict(&report, 1, -1, -1, 1, 1, "holds 2:4 in block 2x4 50%: 1 of 2 blocks are zero");
    report = check("1:4 in block 2x4 50%", 2, 8, values);
    assert_verdict(&report, 0, 0, 1, 1, 1,
                   "row 0, column 1: the group at columns 0 to 3 has 2 non-zeros, but 1:4 keeps 1: "
                   "1, 1, 0, 0");
    report = check("2:4 in block 2x4 100%", 2, 8, values);
    assert_verdict(&report, 0, -1, -1, 1, 2,
                   "1 of 2 blocks are zero, but 2:4 in block 2x4 100% needs at least 2");
}

static void an_empty_matrix_holds_everything(void **state) {
    tms_check_report report = check("unstructured 100%", 0, 8, NULL);
    (void)state;
    assert_int_equal(report.holds, 1);
    report = check("rows 100%", 8, 0, NULL);
    assert_int_equal(report.holds, 1);
}

/* What select and apply made passes check, on every kind, shape and type. */
static void what_was_pruned_holds(void **state) {
    static const char *const texts[] = {
#define EXAMPLE(id, name, example) example,
        TMS_PATTERN_MAP(EXAMPLE)
#undef EXAMPLE
            "unstructured 73.21%",
        "unstructured 50% per row",
        "3:7",
        "block 5x3 60%",
        "block 4x8 33% per row",
        "rows 41%",
        "2:4 in block 8x16 50%",
        "1:3 in block 2x6 20% per row",
        "columns 77%"};
    static const tms_dtype dtypes[] = {TMS_F32, TMS_BF16, TMS_F16, TMS_I8, TMS_E4M3};
    static union {
        float f32[39 * 84];
        uint8_t byte[39 * 84];
        uint16_t half[39 * 84];
    } values;
    static uint8_t mask[39 * 84];
    test_random random;
    (void)state;
    test_random_seed(&random, test_seed());
    for (size_t t = 0; t < sizeof texts / sizeof *texts; t++)
        for (int d = 0; d < 5; d++) {
            tms_select_desc desc = tms_select_desc_default();
            tms_check_report report = tms_check_report_default();
            desc.weights = tms_matrix_dense(dtypes[d], 39, 84, &values);
            for (size_t i = 0; i < 39 * 84; i++)
                if (dtypes[d] == TMS_F32)
                    values.f32[i] = (float)test_random_normal(&random);
                else if (tmsi_dtype_bytes(dtypes[d]) == 1) /* neither 0 nor e4m3's NaN */
                    values.byte[i] = (uint8_t)test_random_int(&random, 1, 0x7e);
                else /* positive, finite and not 0 in both 16-bit types */
                    values.half[i] = (uint16_t)(0x2000 + test_random_int(&random, 1, 0x3fff));
            assert_ok(tms_pattern_parse(texts[t], &desc.pattern));
            assert_ok(tms_mask_select(test_contexts[1], &desc, mask));
            assert_ok(tms_mask_apply(test_contexts[1], mask, &desc.weights));
            assert_ok(tms_pattern_check(test_contexts[1], &desc.pattern, &desc.weights, &report));
            if (!report.holds)
                fail_msg("%s", report.text);
            assert_true(report.zeros_found >= report.zeros_needed);
        }
}

static void check_refuses_what_makes_no_sense(void **state) {
    float values[6] = {0};
    tms_matrix dense = tms_matrix_dense(TMS_F32, 1, 6, values);
    tms_pattern pattern = {.kind = TMS_PATTERN_NM, .keep = 2, .group = 4};
    tms_check_report report = tms_check_report_default();
    (void)state;
    assert_fails(tms_pattern_check(test_contexts[0], &pattern, &dense, &report), TMS_ERR_PATTERN,
                 "tms_pattern_check: the matrix is 1 x 6");
    assert_int_equal(report.row, 0); /* untouched */
    dense.k = 4;
    assert_fails(tms_pattern_check(NULL, &pattern, &dense, &report), TMS_ERR_INVALID, "context is");
    assert_fails(tms_pattern_check(test_contexts[0], NULL, &dense, &report), TMS_ERR_INVALID,
                 "pattern is NULL");
    assert_fails(tms_pattern_check(test_contexts[0], &pattern, NULL, &report), TMS_ERR_INVALID,
                 "dense is NULL");
    assert_fails(tms_pattern_check(test_contexts[0], &pattern, &dense, NULL), TMS_ERR_INVALID,
                 "out_report is NULL");
    report.struct_size = 0;
    assert_fails(tms_pattern_check(test_contexts[0], &pattern, &dense, &report), TMS_ERR_INVALID,
                 "out_report->struct_size is 0");
}

/* Only the part of a report that the caller knows is written. */
static void reports_of_older_callers_are_cut(void **state) {
    float values[4] = {1, 1, 1, 1};
    tms_matrix dense = tms_matrix_dense(TMS_F32, 1, 4, values);
    tms_pattern pattern = {.kind = TMS_PATTERN_NM, .keep = 2, .group = 4};
    tms_check_report report = tms_check_report_default();
    (void)state;
    report.struct_size = offsetof(tms_check_report, text);
    strcpy(report.text, "mine");
    assert_ok(tms_pattern_check(test_contexts[0], &pattern, &dense, &report));
    assert_int_equal(report.column, 2);
    assert_string_equal(report.text, "mine");
    assert_int_equal(report.struct_size, offsetof(tms_check_report, text));
}

/* ---- Counting ------------------------------------------------------------------------------- */

static int is_zero_at(const float *values, int64_t i) {
    return values[i] == 0.0f; /* NaN is none */
}

static int64_t count_zero_blocks(const float *values, int64_t n, int64_t k, int64_t height,
                                 int64_t width) {
    int64_t count = 0;
    for (int64_t top = 0; top < n; top += height)
        for (int64_t left = 0; left < k; left += width) {
            int is_zero = 1;
            for (int64_t row = top; row < n && row < top + height; row++)
                for (int64_t column = left; column < k && column < left + width; column++)
                    is_zero &= is_zero_at(values, row * k + column);
            count += is_zero;
        }
    return count;
}

static int holds_nm(const float *values, int64_t n, int64_t k, int keep) {
    for (int64_t i = 0; k % 4 == 0 && i < n * k; i += 4) {
        int non_zeros = 0;
        for (int64_t j = i; j < i + 4; j++)
            non_zeros += !is_zero_at(values, j);
        if (non_zeros > keep)
            return 0;
    }
    return k % 4 == 0;
}

static void assert_counts(const float *values, int64_t n, int64_t k) {
    tms_matrix dense = tms_matrix_dense(TMS_F32, n, k, values);
    int64_t zeros = 0, negative = 0, bad = 0, first_bad = -1;

    for (int64_t i = n * k - 1; i >= 0; i--) {
        zeros += is_zero_at(values, i);
        negative += is_zero_at(values, i) && signbit(values[i]);
        if (!isfinite(values[i])) {
            bad++;
            first_bad = i;
        }
    }
    for (int c = 0; c < TEST_CONTEXTS; c++) {
        tms_zero_report report = tms_zero_report_default();
        assert_ok(tms_matrix_count(test_contexts[c], &dense, &report));
        assert_int_equal(report.elements, n * k);
        assert_int_equal(report.zeros, zeros);
        assert_int_equal(report.negative_zeros, negative);
        assert_int_equal(report.non_finite, bad);
        assert_int_equal(report.first_non_finite_row, bad ? first_bad / k : -1);
        assert_int_equal(report.first_non_finite_column, bad ? first_bad % k : -1);
        assert_int_equal(report.zero_rows, count_zero_blocks(values, n, k, 1, k ? k : 1));
        assert_int_equal(report.zero_columns, count_zero_blocks(values, n, k, n ? n : 1, 1));
        assert_int_equal(report.holds_2_4, holds_nm(values, n, k, 2));
        assert_int_equal(report.holds_1_4, holds_nm(values, n, k, 1));
        for (int size = 0; size < 4; size++) {
            int64_t side = 8 << size;
            assert_int_equal(report.zero_blocks[size], count_zero_blocks(values, n, k, side, side));
            assert_int_equal(report.blocks[size], (n + side - 1) / side * ((k + side - 1) / side));
        }
    }
}

static void counts_equal_a_plain_recount(void **state) {
    static const int64_t shapes[][2] = {{0, 4},   {4, 0},    {1, 1},     {7, 9},     {64, 64},
                                        {65, 72}, {130, 20}, {200, 333}, {20, 1100}, {3, 2052}};
    static float values[200 * 333];
    test_random random;
    (void)state;
    test_random_seed(&random, test_seed());
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
        for (int density = 0; density < 16; density++) {
            int64_t n = shapes[s][0], k = shapes[s][1];
            int64_t place = test_random_int(&random, 0, n * k);
            for (int64_t i = 0; i < n * k; i++) {
                int64_t draw = test_random_int(&random, 0, 9999);
                values[i] = draw % 7 == 0 ? -0.0f : 0.0f;
                if (density == 5 && i % 4 < 2) /* 2:4, dense in it */
                    values[i] = 1.0f;
                if (density > 5) /* one alone, so that each join of smaller blocks must carry it */
                    values[i] = i == place ? 1.0f : 0.0f;
                if (density < 5 && draw < density * density * density * 20)
                    values[i] = draw == 3 ? NAN : (float)test_random_normal(&random);
            }
            assert_counts(values, n, k);
        }
}

static void counting_sees_16_bit_floats(void **state) {
    uint16_t values[4] = {0x0000, 0x8000, 0x0001, 0x7c01}; /* f16: 0, -0, smallest, NaN */
    tms_matrix dense = tms_matrix_dense(TMS_F16, 1, 4, values);
    tms_zero_report report = tms_zero_report_default();
    (void)state;
    assert_ok(tms_matrix_count(test_contexts[0], &dense, &report));
    assert_int_equal(report.zeros, 2);
    assert_int_equal(report.negative_zeros, 1);
    assert_int_equal(report.non_finite, 1);
    assert_int_equal(report.first_non_finite_column, 3);
    dense.dtype = TMS_BF16; /* 0x7c01 is a number there */
    assert_ok(tms_matrix_count(test_contexts[0], &dense, &report));
    assert_int_equal(report.non_finite, 0);
    assert_int_equal(report.holds_2_4, 1);
    assert_int_equal(report.holds_1_4, 0);
}

static void count_refuses_null(void **state) {
    tms_matrix dense = tms_matrix_dense(TMS_F32, 1, 1, NULL);
    tms_zero_report report = tms_zero_report_default();
    (void)state;
    assert_fails(tms_matrix_count(NULL, &dense, &report), TMS_ERR_INVALID, "context is NULL");
    assert_fails(tms_matrix_count(test_contexts[0], NULL, &report), TMS_ERR_INVALID,
                 "dense is NULL");
    assert_fails(tms_matrix_count(test_contexts[0], &dense, &report), TMS_ERR_INVALID,
                 "dense is 1 x 1, but its values are NULL");
}

static tms_status check_and_count(tms_context *context, void *user) {
    static const char *const kinds[] = {"dense", "unstructured 0%", "2:4", "block 2x2 0%",
                                        "2:4 in block 4x4 0%"};
    static float values[64];
    tms_matrix dense = tms_matrix_dense(TMS_F32, 8, 8, values);
    tms_check_report report = tms_check_report_default();
    tms_pattern pattern;
    (void)user;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        tms_status status = tms_pattern_parse(kinds[i], &pattern);
        if (status == TMS_OK)
            status = tms_pattern_check(context, &pattern, &dense, &report);
        if (status != TMS_OK)
            return status;
    }
    return TMS_OK;
}

static void running_out_of_memory_is_a_status(void **state) {
    (void)state;
    test_every_allocation_fails_once(check_and_count, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(check_names_the_third_non_zero_of_a_group),
        cmocka_unit_test(check_finds_the_first_violation_of_many_rows),
        cmocka_unit_test(check_shows_eight_values_of_a_long_group),
        cmocka_unit_test(a_share_holds_when_enough_is_zero),
        cmocka_unit_test(blocks_rows_and_columns_are_counted_whole),
        cmocka_unit_test(a_row_of_blocks_is_named_by_its_first_matrix_row),
        cmocka_unit_test(nm_in_blocks_needs_both),
        cmocka_unit_test(an_empty_matrix_holds_everything),
        cmocka_unit_test(what_was_pruned_holds),
        cmocka_unit_test(check_refuses_what_makes_no_sense),
        cmocka_unit_test(reports_of_older_callers_are_cut),
        cmocka_unit_test(counts_equal_a_plain_recount),
        cmocka_unit_test(counting_sees_16_bit_floats),
        cmocka_unit_test(count_refuses_null),
        cmocka_unit_test(running_out_of_memory_is_a_status),
    };
    return cmocka_run_group_tests_name("check", tests, test_contexts_open, test_contexts_close);
}
