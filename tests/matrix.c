/* Formats: what is encoded comes back bit for bit, and what is malformed is refused. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/dtype.h"
#include "format/element.h"
#include "format/format.h"
#include "format/nm.h"
#include "support/matrices.h"

static int64_t plain_zeros(const tms_matrix *dense, char *out) {
    tmsi_element element = tmsi_element_of(dense->dtype);
    int64_t changed = 0;

    for (int64_t i = 0; i < dense->n * dense->k; i++) {
        uint32_t bits = tmsi_element_load(dense->components[0].data, element.bytes, i);
        changed += bits != tmsi_element_plain_zero(element, bits);
        tmsi_element_store(out, element.bytes, i, tmsi_element_plain_zero(element, bits));
    }
    return changed;
}

static void check_round_trip(test_random *random, tms_dtype dtype, int64_t n, int64_t k,
                             double density, const tms_format_desc *desc) {
    tms_context *context = test_context(2, 0);
    tms_matrix dense = test_dense_random(random, dtype, n, k, density, desc);
    size_t bytes = dense.components[0].bytes;
    char *want = malloc(bytes + 1), *got = malloc(bytes + 1);
    float *rows = malloc((size_t)(n * k + 1) * sizeof(float));
    int64_t negative_zeros = -1, changed = plain_zeros(&dense, want);
    tms_matrix matrix = test_matrix_encode(context, &dense, desc, &negative_zeros);

    assert_ok(tms_matrix_validate(context, &matrix));
    assert_int_equal(negative_zeros, changed);
    assert_ok(tms_matrix_decode(context, &matrix, got));
    assert_memory_equal(got, want, bytes);
    tmsi_matrix_rows_f32(&matrix, n / 3, n - n / 3, rows);
    for (int64_t i = n / 3 * k; i < n * k; i++) {
        float value = tmsi_load_f32(want, dtype, i);
        assert_memory_equal(&rows[i - n / 3 * k], &value, sizeof value);
    }
    test_components_free(&matrix);
    free(dense.components[0].data);
    free(want);
    free(got);
    free(rows);
    tms_context_destroy(context);
}

static const tms_dtype dtypes[] = {TMS_F32, TMS_BF16, TMS_F16, TMS_I8, TMS_E4M3};
static const int64_t sides[] = {0, 1, 3, 7, 16, 33, 70};
static const double densities[] = {0, 0.05, 0.5, 1};

static void round_trips(tms_format format, int32_t a, int32_t b) {
    const tms_format_desc desc = test_format_desc(format, a, b);
    test_random random;

    test_random_seed(&random, test_seed());
    for (size_t t = 0; t < TEST_COUNT(dtypes); t++)
        for (size_t n = 0; n < TEST_COUNT(sides); n++)
            for (size_t k = 0; k < TEST_COUNT(sides); k++)
                for (size_t d = 0; d < TEST_COUNT(densities); d++)
                    check_round_trip(&random, dtypes[t], sides[n],
                                     format == TMS_FORMAT_NM ? sides[k] * b : sides[k],
                                     densities[d], &desc);
}

static void dense_comes_back_bit_for_bit(void **state) {
    (void)state;
    round_trips(TMS_FORMAT_DENSE, 0, 0);
}

static void nm_comes_back_bit_for_bit(void **state) {
    (void)state;
    round_trips(TMS_FORMAT_NM, 2, 4);
    round_trips(TMS_FORMAT_NM, 1, 2);
    round_trips(TMS_FORMAT_NM, 3, 7);
    round_trips(TMS_FORMAT_NM, 5, 33);
    round_trips(TMS_FORMAT_NM, 9, 10);
}

static void csr_comes_back_bit_for_bit(void **state) {
    (void)state;
    round_trips(TMS_FORMAT_CSR, 0, 0);
}

static void bsr_comes_back_bit_for_bit(void **state) {
    (void)state;
    round_trips(TMS_FORMAT_BSR, 1, 1);
    round_trips(TMS_FORMAT_BSR, 4, 8);
    round_trips(TMS_FORMAT_BSR, 32, 32);
    round_trips(TMS_FORMAT_BSR, 200, 3);
}

/* ---- The bits ------------------------------------------------------------------------------- */

/* The nibble of the group that has non-zeros where `set` says. */
static uint8_t nibble_of(uint32_t set, float out_values[2]) {
    const tms_format_desc desc = test_format_desc(TMS_FORMAT_NM, 2, 4);
    tms_context *context = test_context(1, 0);
    float group[4] = {0};
    uint8_t nibble;
    tms_matrix dense = tms_matrix_dense(TMS_F32, 1, 4, group), matrix;

    for (uint32_t i = 0; i < 4; i++)
        group[i] = set & 1u << i ? (float)(i + 1) : 0.0f;
    matrix = test_matrix_encode(context, &dense, &desc, NULL);
    memcpy(out_values, matrix.components[0].data, 2 * sizeof(float));
    nibble = *(const uint8_t *)matrix.components[1].data;
    test_components_free(&matrix);
    tms_context_destroy(context);
    return nibble;
}

static void nm_2_4_writes_the_nibbles_of_the_hardware(void **state) {
    static const struct {
        uint32_t set;
        uint8_t nibble;
        float values[2];
    } cases[] = {
        {0x0, 0x4, {0, 0}}, {0x1, 0xc, {1, 0}}, {0x2, 0xd, {2, 0}}, {0x4, 0xe, {3, 0}},
        {0x8, 0xc, {0, 4}}, {0x3, 0x4, {1, 2}}, {0x5, 0x8, {1, 3}}, {0x9, 0xc, {1, 4}},
        {0x6, 0x9, {2, 3}}, {0xa, 0xd, {2, 4}}, {0xc, 0xe, {3, 4}},
    };
    float values[2];
    (void)state;

    for (size_t i = 0; i < TEST_COUNT(cases); i++) {
        assert_int_equal(nibble_of(cases[i].set, values), cases[i].nibble);
        assert_memory_equal(values, cases[i].values, sizeof values);
    }
}

static void nm_fills_other_groups_with_the_lowest_free_positions(void **state) {
    /* 3:5, 3 bits a position: {.,.,7,.,.} keeps 0, 1, 2; {.,.,.,.,9} keeps 0, 1, 4. */
    const float row[10] = {0, 0, 7, 0, 0, 0, 0, 0, 0, 9}, want[6] = {0, 0, 7, 0, 0, 9};
    const int32_t positions[6] = {0, 1, 2, 0, 1, 4};
    const tms_format_desc desc = test_format_desc(TMS_FORMAT_NM, 3, 5);
    tms_context *context = test_context(1, 0);
    tms_matrix dense = tms_matrix_dense(TMS_F32, 1, 10, row);
    tms_matrix matrix = test_matrix_encode(context, &dense, &desc, NULL);
    (void)state;

    assert_int_equal(matrix.components[1].bytes, 3); /* 18 bits */
    assert_memory_equal(matrix.components[0].data, want, sizeof want);
    for (int32_t i = 0; i < 6; i++)
        assert_int_equal(tmsi_nm_position(matrix.components[1].data, i, 3), positions[i]);
    test_components_free(&matrix);
    tms_context_destroy(context);
}

static void bsr_stores_edge_blocks_full_with_zeros(void **state) {
    const float values[6] = {0, 0, 1, 0, 0, 2}; /* 2 x 3 in blocks of 4 x 2: only column 1 */
    const float want[8] = {1, 0, 2, 0, 0, 0, 0, 0};
    const tms_format_desc desc = test_format_desc(TMS_FORMAT_BSR, 4, 2);
    tms_context *context = test_context(1, 0);
    tms_matrix dense = tms_matrix_dense(TMS_F32, 2, 3, values);
    tms_matrix matrix = test_matrix_encode(context, &dense, &desc, NULL);
    (void)state;

    assert_int_equal(matrix.nnz, 8);
    assert_memory_equal(matrix.components[0].data, want, sizeof want);
    assert_int_equal(*(const int32_t *)matrix.components[1].data, 1);
    test_components_free(&matrix);
    tms_context_destroy(context);
}

/* ---- Promises of every format --------------------------------------------------------------- */

static const struct {
    tms_format format;
    int32_t a, b;
} formats[] = {
    {TMS_FORMAT_DENSE, 0, 0}, {TMS_FORMAT_NM, 2, 4},   {TMS_FORMAT_NM, 3, 10},
    {TMS_FORMAT_CSR, 0, 0},   {TMS_FORMAT_BSR, 8, 16},
};

static void encode_writes_every_byte_of_its_footprint(void **state) {
    tms_context *context = test_context(1, 0);
    test_random random;
    (void)state;

    test_random_seed(&random, test_seed());
    for (size_t f = 0; f < TEST_COUNT(formats); f++) {
        const tms_format_desc desc =
            test_format_desc(formats[f].format, formats[f].a, formats[f].b);
        tms_matrix dense = test_dense_random(&random, TMS_F16, 37, 140, 0.3, &desc);
        tms_matrix one = test_matrix_encode(context, &dense, &desc, NULL), two = one;

        test_components_allocate(&two);
        for (int32_t i = 0; i < two.component_count; i++)
            memset(two.components[i].data, 0x5a, two.components[i].bytes);
        assert_ok(tms_matrix_encode(context, &dense, &two, NULL));
        for (int32_t i = 0; i < two.component_count; i++)
            assert_memory_equal(one.components[i].data, two.components[i].data,
                                one.components[i].bytes);
        test_components_free(&one);
        test_components_free(&two);
        free(dense.components[0].data);
    }
    tms_context_destroy(context);
}

static void threads_do_not_change_a_byte(void **state) {
    tms_context *alone = test_context(1, 0), *many = test_context(4, 0);
    test_random random;
    (void)state;

    test_random_seed(&random, test_seed() + 1);
    for (size_t f = 0; f < TEST_COUNT(formats); f++) {
        const tms_format_desc desc =
            test_format_desc(formats[f].format, formats[f].a, formats[f].b);
        tms_matrix dense = test_dense_random(&random, TMS_F32, 700, 640, 0.2, &desc);
        int64_t zeros_alone = 0, zeros_many = 0;
        tms_matrix one = test_matrix_encode(alone, &dense, &desc, &zeros_alone);
        tms_matrix two = test_matrix_encode(many, &dense, &desc, &zeros_many);

        assert_int_equal(zeros_alone, zeros_many);
        assert_int_equal(one.nnz, two.nnz);
        for (int32_t i = 0; i < two.component_count; i++)
            assert_memory_equal(one.components[i].data, two.components[i].data,
                                one.components[i].bytes);
        test_components_free(&one);
        test_components_free(&two);
        free(dense.components[0].data);
    }
    tms_context_destroy(alone);
    tms_context_destroy(many);
}

static void formats_allocate_nothing(void **state) {
    test_allocator allocator;
    tms_context_desc context_desc = tms_context_desc_default();
    tms_context *context = NULL;
    int64_t calls;
    test_random random;
    (void)state;

    test_random_seed(&random, test_seed() + 2);
    test_allocator_init(&allocator);
    context_desc.allocator = &allocator.allocator;
    assert_ok(tms_context_create(&context_desc, &context));
    calls = allocator.calls;
    for (size_t f = 0; f < TEST_COUNT(formats); f++) {
        const tms_format_desc desc =
            test_format_desc(formats[f].format, formats[f].a, formats[f].b);
        tms_matrix dense = test_dense_random(&random, TMS_BF16, 20, 40, 0.5, &desc);
        tms_matrix matrix = test_matrix_encode(context, &dense, &desc, NULL);
        assert_ok(tms_matrix_decode(context, &matrix, dense.components[0].data));
        test_components_free(&matrix);
        free(dense.components[0].data);
    }
    assert_int_equal(allocator.calls, calls);
    tms_context_destroy(context);
}

static void size_refuses_nan_and_inf_with_row_and_column(void **state) {
    static const struct {
        tms_dtype dtype;
        uint32_t bits;
        const char *text;
    } cases[] = {
        {TMS_F32, 0x7fc00000, "row 301, column 17 is NaN"},
        {TMS_F32, 0x7f800001, "row 301, column 17 is NaN"},
        {TMS_F32, 0xff800000, "row 301, column 17 is -Inf"},
        {TMS_BF16, 0x7f80, "row 301, column 17 is Inf"},
        {TMS_F16, 0x7c00, "row 301, column 17 is Inf"},
        {TMS_F16, 0xfe00, "row 301, column 17 is NaN"},
        {TMS_E4M3, 0x7f, "row 301, column 17 is NaN"},
        {TMS_E4M3, 0xff, "row 301, column 17 is NaN"},
    };
    tms_context *context = test_context(2, 0);
    uint32_t *values = calloc(400 * 400, sizeof *values);
    (void)state;

    assert_non_null(values);
    for (size_t f = 0; f < TEST_COUNT(formats); f++)
        for (size_t i = 0; i < TEST_COUNT(cases); i++) {
            const tms_format_desc desc =
                test_format_desc(formats[f].format, formats[f].a, formats[f].b);
            tms_matrix dense = tms_matrix_dense(cases[i].dtype, 400, 400, values), matrix;
            int64_t bytes = tmsi_element_of(cases[i].dtype).bytes;

            memset(&matrix, 0x77, sizeof matrix);
            tmsi_element_store(values, bytes, 301 * 400 + 17, cases[i].bits);
            tmsi_element_store(values, bytes, 399 * 400 + 2, cases[i].bits);
            assert_fails(tms_matrix_size(context, &dense, &desc, &matrix), TMS_ERR_VALUE,
                         cases[i].text);
            assert_int_equal(matrix.n, 0x7777777777777777); /* untouched */
            memset(values, 0, 400 * 400 * sizeof *values);
        }
    free(values);
    tms_context_destroy(context);
}

/* e4m3 has no Inf: 0x7e is 448. i8 has no sign of zero: 0x80 is -128. */
static void bytes_that_are_numbers_are_kept(void **state) {
    const tms_format_desc desc = test_format_desc(TMS_FORMAT_NM, 2, 4);
    const uint8_t e4m3[8] = {0x7e, 0xfe, 0x80, 0, 0, 0x80, 0x01, 0x81};
    const uint8_t e4m3_kept[4] = {0x7e, 0xfe, 0x01, 0x81};
    const uint8_t i8[8] = {0x80, 0, 0, 0x7f, 0, 0xff, 0x81, 0};
    const uint8_t i8_kept[4] = {0x80, 0x7f, 0xff, 0x81};
    tms_context *context = test_context(1, 0);
    tms_matrix dense = tms_matrix_dense(TMS_E4M3, 1, 8, e4m3), matrix;
    int64_t negative_zeros = -1;
    (void)state;

    matrix = test_matrix_encode(context, &dense, &desc, &negative_zeros);
    assert_memory_equal(matrix.components[0].data, e4m3_kept, 4);
    assert_int_equal(negative_zeros, 2);
    test_components_free(&matrix);
    dense = tms_matrix_dense(TMS_I8, 1, 8, i8);
    matrix = test_matrix_encode(context, &dense, &desc, &negative_zeros);
    assert_memory_equal(matrix.components[0].data, i8_kept, 4);
    assert_int_equal(negative_zeros, 0);
    test_components_free(&matrix);
    tms_context_destroy(context);
}

static void size_refuses_a_third_non_zero_with_row_and_column(void **state) {
    const tms_format_desc desc = test_format_desc(TMS_FORMAT_NM, 2, 4);
    float values[3 * 8] = {[8 + 4] = 1, [8 + 6] = -2, [8 + 7] = 3, [16] = 1, [17] = 1, [18] = 1};
    tms_context *context = test_context(1, 0);
    tms_matrix dense = tms_matrix_dense(TMS_F32, 3, 8, values), matrix;
    (void)state;

    assert_fails(
        tms_matrix_size(context, &dense, &desc, &matrix), TMS_ERR_PATTERN,
        "tms_matrix_size: row 1, columns 4 to 7 hold 3 non-zeros, but 2:4 keeps at most 2");
    dense.k = 6;
    assert_fails(tms_matrix_size(context, &dense, &desc, &matrix), TMS_ERR_PATTERN,
                 "k is 6, but must be a multiple of 4");
    tms_context_destroy(context);
}

static void encode_refuses_another_matrix_than_was_sized(void **state) {
    const tms_format_desc desc = tms_format_desc_default(TMS_FORMAT_CSR);
    float values[6] = {1, 0, 0, 0, 2, 0};
    tms_context *context = test_context(1, 0);
    tms_matrix dense = tms_matrix_dense(TMS_F32, 2, 3, values);
    tms_matrix other = tms_matrix_dense(TMS_F32, 3, 2, values);
    tms_matrix matrix = test_matrix_encode(context, &dense, &desc, NULL);
    int64_t negative_zeros = 77;
    (void)state;

    values[5] = 3;
    assert_fails(tms_matrix_encode(context, &dense, &matrix, &negative_zeros), TMS_ERR_INVALID,
                 "sized for 2 values, but dense needs 3");
    assert_fails(tms_matrix_encode(context, &other, &matrix, &negative_zeros), TMS_ERR_INVALID,
                 "matrix is 2 x 3 of f32, but dense is 3 x 2 of f32");
    values[4] = NAN; /* not there when it was sized */
    values[5] = 0;
    assert_fails(tms_matrix_encode(context, &dense, &matrix, &negative_zeros), TMS_ERR_VALUE,
                 "weight at row 1, column 1 is NaN");
    assert_int_equal(negative_zeros, 77);
    test_components_free(&matrix);
    tms_context_destroy(context);
}

static void rows_without_columns_cost_nothing(void **state) {
    const tms_format_desc desc = tms_format_desc_default(TMS_FORMAT_DENSE);
    tms_context *context = test_context(1, 0);
    tms_matrix dense = tms_matrix_dense(TMS_F32, INT64_C(1) << 60, 0, NULL), matrix;
    (void)state;

    assert_ok(tms_matrix_size(context, &dense, &desc, &matrix));
    assert_ok(tms_matrix_encode(context, &dense, &matrix, NULL));
    assert_ok(tms_matrix_decode(context, &matrix, NULL));
    assert_int_equal(tms_matrix_bytes(&matrix), 0);
    tms_context_destroy(context);
}

static void arguments_that_are_null_are_named(void **state) {
    const tms_format_desc desc = tms_format_desc_default(TMS_FORMAT_CSR);
    float value = 1;
    tms_context *context = test_context(1, 0);
    tms_matrix dense = tms_matrix_dense(TMS_F32, 1, 1, &value), matrix;
    tms_format format;
    (void)state;

    assert_fails(tms_matrix_size(NULL, &dense, &desc, &matrix), TMS_ERR_INVALID, "context is NULL");
    assert_fails(tms_matrix_size(context, NULL, &desc, &matrix), TMS_ERR_INVALID, "dense is NULL");
    assert_fails(tms_matrix_size(context, &dense, NULL, &matrix), TMS_ERR_INVALID, "desc is NULL");
    assert_fails(tms_matrix_size(context, &dense, &desc, NULL), TMS_ERR_INVALID, "out_matrix");
    assert_fails(tms_matrix_encode(context, &dense, NULL, NULL), TMS_ERR_INVALID, "matrix is NULL");
    assert_fails(tms_matrix_decode(context, &dense, NULL), TMS_ERR_INVALID, "out_values is NULL");
    assert_fails(tms_matrix_validate(NULL, &dense), TMS_ERR_INVALID, "context is NULL");
    assert_fails(tms_format_parse("coo", &format), TMS_ERR_INVALID,
                 "format \"coo\" is not known: there are dense nm csr bsr");
    assert_ok(tms_format_parse("bsr", &format));
    assert_int_equal(format, TMS_FORMAT_BSR);
    assert_null(tms_matrix_component(&dense, "index"));
    assert_ptr_equal(tms_matrix_component(&dense, "values")->data, &value);
    tms_context_destroy(context);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dense_comes_back_bit_for_bit),
        cmocka_unit_test(nm_comes_back_bit_for_bit),
        cmocka_unit_test(csr_comes_back_bit_for_bit),
        cmocka_unit_test(bsr_comes_back_bit_for_bit),
        cmocka_unit_test(nm_2_4_writes_the_nibbles_of_the_hardware),
        cmocka_unit_test(nm_fills_other_groups_with_the_lowest_free_positions),
        cmocka_unit_test(bsr_stores_edge_blocks_full_with_zeros),
        cmocka_unit_test(encode_writes_every_byte_of_its_footprint),
        cmocka_unit_test(threads_do_not_change_a_byte),
        cmocka_unit_test(formats_allocate_nothing),
        cmocka_unit_test(size_refuses_nan_and_inf_with_row_and_column),
        cmocka_unit_test(bytes_that_are_numbers_are_kept),
        cmocka_unit_test(size_refuses_a_third_non_zero_with_row_and_column),
        cmocka_unit_test(encode_refuses_another_matrix_than_was_sized),
        cmocka_unit_test(rows_without_columns_cost_nothing),
        cmocka_unit_test(arguments_that_are_null_are_named),
    };
    return cmocka_run_group_tests_name("matrix", tests, NULL, NULL);
}
