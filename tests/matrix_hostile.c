/* Malformed matrices, from callers or files, are refused with a sentence before they are used. */
#include <string.h>

#include "format/format.h"
#include "support/matrices.h"

static void sizes_that_overflow_are_refused(void **state) {
    static const struct {
        tms_matrix matrix;
        const char *text;
    } cases[] = {
        {{.format = TMS_FORMAT_CSR, .n = INT64_MAX, .k = 0}, "n is 9223372036854775807"},
        {{.format = TMS_FORMAT_CSR, .n = INT64_MAX / 4, .k = 0}, "component \"offsets\""},
        {{.format = TMS_FORMAT_CSR, .n = INT64_MAX / 4, .k = 9}, "more elements than memory"},
        {{.format = TMS_FORMAT_CSR, .n = 4, .k = 0x80000000}, "k is 2147483648"},
        {{.format = TMS_FORMAT_CSR, .n = 4, .k = 4, .nnz = 17}, "nnz is 17"},
        {{.format = TMS_FORMAT_CSR, .n = 4, .k = 4, .nnz = -1}, "nnz is -1"},
        {{.format = TMS_FORMAT_CSR, .n = -4, .k = 4}, "n is -4"},
        {{.format = TMS_FORMAT_CSR, .dtype = TMS_I16, .n = 4, .k = 4}, "dtype is i16"},
        {{.format = (tms_format)9, .n = 4, .k = 4}, "format is 9"},
        {{.format = TMS_FORMAT_NM, .n = 4, .k = 4}, "keep:group is 0:0"},
        {{.format = TMS_FORMAT_NM, .n = 4, .k = 65, .keep = 1, .group = 65}, "1:65"},
        {{.format = TMS_FORMAT_NM, .n = 4, .k = 4, .keep = 4, .group = 4}, "4:4"},
        {{.format = TMS_FORMAT_BSR, .n = 4, .k = 4, .block_rows = 4}, "block is 4x0"},
        {{.format = TMS_FORMAT_BSR, .n = 4, .k = 4, .block_rows = 2, .block_columns = 2, .nnz = 20},
         "nnz is 20"},
        {{.format = TMS_FORMAT_BSR, .n = 4, .k = 0, .block_rows = 2, .block_columns = 2, .nnz = 4},
         "nnz is 4"},
        {{.format = TMS_FORMAT_BSR,
          .n = INT64_MAX / 4,
          .k = 1,
          .block_rows = 1,
          .block_columns = 65536,
          .nnz = 0x7fffffffffff0000},
         "component \"values\""},
    };
    (void)state;

    for (size_t i = 0; i < TEST_COUNT(cases); i++) {
        tms_matrix matrix = cases[i].matrix;
        tms_status status = tmsi_matrix_describe(&matrix);
        assert_int_not_equal(status, TMS_OK);
        test_assert_contains(tms_error_text(), cases[i].text);
        assert_memory_equal(&matrix, &cases[i].matrix, sizeof matrix);
    }
}

/* ---- Hostile components --------------------------------------------------------------------- */

static void damage_index(tms_matrix *m) { /* 0x48 becomes 0x40: position 0 twice */
    ((uint8_t *)m->components[1].data)[0] = 0x40;
}
static void damage_index_padding(tms_matrix *m) {
    ((uint8_t *)m->components[1].data)[1] |= 0x80;
}
static void damage_index_range(tms_matrix *m) { /* positions 1 and 6 in a group of 6 */
    ((uint8_t *)m->components[1].data)[0] = 1 | 6 << 3;
}
static void damage_column_high(tms_matrix *m) {
    ((int32_t *)m->components[1].data)[2] = 6;
}
static void damage_column_negative(tms_matrix *m) {
    ((int32_t *)m->components[1].data)[0] = -1;
}
static void damage_column_order(tms_matrix *m) {
    ((int32_t *)m->components[1].data)[1] = ((int32_t *)m->components[1].data)[0];
}
static void damage_first_offset(tms_matrix *m) {
    ((int64_t *)m->components[2].data)[0] = 1;
}
static void damage_middle_offset(tms_matrix *m) {
    ((int64_t *)m->components[2].data)[1] = INT64_MAX;
}
static void damage_falling_offset(tms_matrix *m) {
    ((int64_t *)m->components[2].data)[2] = -3;
}
static void damage_last_offset(tms_matrix *m) {
    int64_t *offsets = m->components[2].data, rows = m->components[2].shape[0] - 1;
    offsets[rows]--;
}
/* Blocks 0 and 2 begin the block rows; 1 and 3 reach two columns past k, 2 and 3 a row past n. */
static void damage_padding_of_both(tms_matrix *m) {
    ((float *)m->components[0].data)[3 * 8 + 7] = -0.0f;
}
static void damage_padding_of_rows(tms_matrix *m) {
    ((float *)m->components[0].data)[2 * 8 + 4] = 1;
}
static void damage_padding_of_columns(tms_matrix *m) {
    ((float *)m->components[0].data)[1 * 8 + 2] = 1;
}
static void damage_shape(tms_matrix *m) {
    m->components[0].shape[0]++;
}
static void damage_rank(tms_matrix *m) {
    m->components[0].rank = 0;
}
static void damage_bytes(tms_matrix *m) {
    m->components[0].bytes--;
}
static void damage_dtype(tms_matrix *m) {
    m->components[1].dtype = TMS_F64;
}
static void damage_name(tms_matrix *m) {
    m->components[1].name = "valu\xff";
}
static void damage_missing_name(tms_matrix *m) {
    m->components[0].name = NULL;
}
static void damage_data(tms_matrix *m) {
    m->components[0].data = NULL;
}
static void damage_alignment(tms_matrix *m) {
    m->components[1].data = (char *)m->components[1].data + 2;
}
static void damage_count(tms_matrix *m) {
    m->component_count = 4000;
}
static void damage_nnz(tms_matrix *m) {
    m->nnz = INT64_MIN;
}
static void damage_reserved(tms_matrix *m) {
    m->reserved[1] = 7;
}

static void damage_struct_size(tms_matrix *m) {
    m->struct_size = 8;
}

/* Three rows of six columns with 2:3 zeros: fits nm 2:3, csr, and bsr in blocks of 2x4. */
static void validate_refuses_hostile_components(void **state) {
    static const struct {
        tms_format format;
        int32_t a, b;
        void (*damage)(tms_matrix *matrix);
        tms_status status;
        const char *text;
    } cases[] = {
        {TMS_FORMAT_NM, 2, 3, damage_index, TMS_ERR_FORMAT,
         "index of row 0, value 1 is position 0"},
        {TMS_FORMAT_NM, 2, 6, damage_index_padding, TMS_ERR_FORMAT, "index of row 1 ends in"},
        {TMS_FORMAT_NM, 2, 6, damage_index_range, TMS_ERR_FORMAT, "position 6, but"},
        {TMS_FORMAT_CSR, 0, 0, damage_column_high, TMS_ERR_FORMAT, "is 6, but must be 0 to 5"},
        {TMS_FORMAT_CSR, 0, 0, damage_column_negative, TMS_ERR_FORMAT,
         "columns[0], in row 0, is -1"},
        {TMS_FORMAT_CSR, 0, 0, damage_column_order, TMS_ERR_FORMAT, "columns of a row must ascend"},
        {TMS_FORMAT_CSR, 0, 0, damage_first_offset, TMS_ERR_FORMAT, "offsets[0] is 1"},
        {TMS_FORMAT_CSR, 0, 0, damage_middle_offset, TMS_ERR_FORMAT, "offsets[1] is 922"},
        {TMS_FORMAT_CSR, 0, 0, damage_falling_offset, TMS_ERR_FORMAT, "offsets[2] is -3"},
        {TMS_FORMAT_CSR, 0, 0, damage_last_offset, TMS_ERR_FORMAT, "offsets[3], the last, is 4"},
        {TMS_FORMAT_BSR, 2, 4, damage_column_negative, TMS_ERR_FORMAT, "must be 0 to 1"},
        {TMS_FORMAT_BSR, 2, 4, damage_column_order, TMS_ERR_FORMAT, "block row must ascend"},
        {TMS_FORMAT_BSR, 2, 4, damage_last_offset, TMS_ERR_FORMAT, "offsets[2], the last, is"},
        {TMS_FORMAT_BSR, 2, 4, damage_padding_of_both, TMS_ERR_FORMAT,
         "block 3 has a value at its row 1, column 3"},
        {TMS_FORMAT_BSR, 2, 4, damage_padding_of_rows, TMS_ERR_FORMAT,
         "block 2 has a value at its row 1, column 0"},
        {TMS_FORMAT_BSR, 2, 4, damage_padding_of_columns, TMS_ERR_FORMAT,
         "block 1 has a value at its row 0, column 2"},
        {TMS_FORMAT_CSR, 0, 0, damage_shape, TMS_ERR_INVALID, "shape [6, 0, 0], but must"},
        {TMS_FORMAT_CSR, 0, 0, damage_rank, TMS_ERR_INVALID, "has rank 0"},
        {TMS_FORMAT_NM, 2, 3, damage_bytes, TMS_ERR_INVALID, "has 47 bytes, but must have 48"},
        {TMS_FORMAT_CSR, 0, 0, damage_dtype, TMS_ERR_INVALID, "\"columns\" is of f64"},
        {TMS_FORMAT_CSR, 0, 0, damage_name, TMS_ERR_INVALID, "must be \"columns\""},
        {TMS_FORMAT_DENSE, 0, 0, damage_missing_name, TMS_ERR_INVALID, "component 0 is \"NULL\""},
        {TMS_FORMAT_BSR, 2, 4, damage_data, TMS_ERR_INVALID, "\"values\" has no data"},
        {TMS_FORMAT_CSR, 0, 0, damage_alignment, TMS_ERR_INVALID, "must be aligned to 4"},
        {TMS_FORMAT_CSR, 0, 0, damage_count, TMS_ERR_INVALID, "component_count is 4000"},
        {TMS_FORMAT_BSR, 2, 4, damage_nnz, TMS_ERR_INVALID, "nnz is -9223372036854775808"},
        {TMS_FORMAT_NM, 2, 3, damage_nnz, TMS_ERR_INVALID, "nnz is -9223372036854775808"},
        {TMS_FORMAT_DENSE, 0, 0, damage_struct_size, TMS_ERR_INVALID, "struct_size is 8"},
        {TMS_FORMAT_DENSE, 0, 0, damage_reserved, TMS_ERR_INVALID, "reserved[1] is 7"},
    };
    const float values[18] = {0, 1, 0, 0, 0, 2, 0, 0, 0, 0, 3, 0, 4, 0, 0, 0, 0, 5};
    float decoded[18];
    tms_context *context = test_context(1, 0);
    tms_matrix dense = tms_matrix_dense(TMS_F32, 3, 6, values);
    (void)state;

    for (size_t i = 0; i < TEST_COUNT(cases); i++) {
        const tms_format_desc desc = test_format_desc(cases[i].format, cases[i].a, cases[i].b);
        tms_matrix matrix = test_matrix_encode(context, &dense, &desc, NULL), damaged = matrix;

        assert_ok(tms_matrix_validate(context, &matrix));
        cases[i].damage(&damaged);
        assert_fails(tms_matrix_validate(context, &damaged), cases[i].status, cases[i].text);
        assert_fails(tms_matrix_decode(context, &damaged, decoded), cases[i].status, cases[i].text);
        test_components_free(&matrix);
    }
    tms_context_destroy(context);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_that_overflow_are_refused),
        cmocka_unit_test(validate_refuses_hostile_components),
    };
    return cmocka_run_group_tests_name("matrix_hostile", tests, NULL, NULL);
}
