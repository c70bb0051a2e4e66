/* How weights come into images of sparse tensor cores and out again: joined, checked, selected,
 * exact both ways. A GPU's builds are compared with these, in tests/gpu/images.c. */
#include <stdlib.h>
#include <string.h>

#include "support/images.h"
#include "support/matrices.h"
#include "support/setup.h"

static const tms_dtype dtypes[] = {TMS_BF16, TMS_F16, TMS_I8, TMS_E4M3};
static const int64_t joined_shapes[][2] = {{1, 4}, {64, 128}, {75, 148}, {131, 60}};

/* Calls for every type, joining and shape. */
static void each_joined(test_filling filling,
                        void (*check)(tms_context *context, const test_joined *joined)) {
    tms_context *context = test_context(1, 0);
    test_random random;

    test_random_seed(&random, test_seed());
    for (size_t d = 0; d < TEST_COUNT(dtypes); d++)
        for (int joining = 0; joining < TEST_JOINING_COUNT; joining++)
            for (size_t s = 0; s < TEST_COUNT(joined_shapes); s++) {
                test_joined joined;

                test_joined_make(&joined, &random, dtypes[d], joined_shapes[s][0],
                                 joined_shapes[s][1], (test_joining)joining, filling);
                check(context, &joined);
                test_joined_free(&joined);
            }
    tms_context_destroy(context);
}

static tms_image build(tms_context *context, const test_joined *joined, tms_intake intake,
                       tms_nan_rule nan) {
    tms_image_desc desc = test_joined_desc(joined);

    desc.intake = intake;
    desc.nan = nan;
    return test_image_build(context, &desc);
}

static void check_equal(const test_joined *got, const test_joined *want) {
    for (int32_t i = 0; i < want->count; i++)
        for (int32_t c = 0; c < want->matrices[i].component_count; c++)
            assert_memory_equal(got->matrices[i].components[c].data,
                                want->matrices[i].components[c].data,
                                want->matrices[i].components[c].bytes);
}

/* dense -> image -> nm and dense, and nm -> image: all the same weight. */
static void check_round_trip(tms_context *context, const test_joined *dense) {
    tms_image image = build(context, dense, TMS_INTAKE_CHECK, TMS_NAN_ERROR), from_nm;
    test_joined nm, back_nm, back;
    tms_image_desc desc;

    test_joined_encode(context, dense, &nm);
    from_nm = build(context, &nm, TMS_INTAKE_CHECK, TMS_NAN_ERROR);
    assert_int_equal(image.bytes, from_nm.bytes);
    assert_memory_equal(image.data, from_nm.data, image.bytes);
    test_joined_like(&nm, &back_nm);
    desc = test_joined_desc(&back_nm);
    assert_ok(tms_image_decode(context, &image, &desc));
    check_equal(&back_nm, &nm);
    test_joined_like(dense, &back);
    desc = test_joined_desc(&back);
    assert_ok(tms_image_decode(context, &image, &desc));
    for (int32_t i = 0; i < dense->count; i++) /* but for -0.0 */
        assert_ok(
            tms_matrix_decode(context, &nm.matrices[i], dense->matrices[i].components[0].data));
    check_equal(&back, dense);
    test_joined_free(&nm);
    test_joined_free(&back_nm);
    test_joined_free(&back);
    free(image.data);
    free(from_nm.data);
}

static void image_is_exact_from_and_to_nm_and_dense(void **state) {
    (void)state;
    each_joined(TEST_HELD, check_round_trip);
}

static void check_selection(tms_context *context, const test_joined *joined) {
    tms_image selected = build(context, joined, TMS_INTAKE_SELECT, TMS_NAN_ERROR), masked;

    for (int32_t i = 0; i < joined->count; i++) {
        tms_select_desc desc = tms_select_desc_default();
        uint8_t *mask;

        desc.weights = joined->matrices[i];
        assert_ok(tms_pattern_parse("2:4", &desc.pattern));
        mask = malloc(tms_mask_bytes(desc.weights.n, desc.weights.k) + 1);
        assert_non_null(mask);
        assert_ok(tms_mask_select(context, &desc, mask));
        assert_ok(tms_mask_apply(context, mask, &desc.weights));
        free(mask);
    }
    masked = build(context, joined, TMS_INTAKE_CHECK, TMS_NAN_ERROR);
    assert_memory_equal(selected.data, masked.data, masked.bytes);
    free(selected.data);
    free(masked.data);
}

static void image_selects_what_mask_select_keeps(void **state) {
    (void)state;
    each_joined(TEST_FULL, check_selection);
}

static void selection_keeps_nan_before_inf_before_numbers_or_names_the_first(void **state) {
    enum { N = 3, K = 8 };
    uint16_t values[N * K] = {[K + 4] = 0x3f80, 0xff80, 0x7fc0, 0x7f7f,  /* 1, -Inf, NaN, max */
                              [2 * K] = 0x7fc0, 0xffc1, 0x7f80, 0xff81}; /* only the payload */
    tms_context *context = test_context(1, 0);
    test_joined joined = {.count = 1, .layout = test_layout_mma(N, K, TMS_BF16)};
    tms_image_desc desc;
    tms_image image;

    (void)state;
    joined.matrices[0] = tms_matrix_dense(TMS_BF16, N, K, values);
    image = build(context, &joined, TMS_INTAKE_SELECT, TMS_NAN_KEEP);
    desc = test_joined_desc(&joined);
    assert_ok(tms_image_decode(context, &image, &desc));
    assert_memory_equal(values + K + 4, ((const uint16_t[]){0, 0xff80, 0x7fc0, 0}), 8);
    assert_memory_equal(values + 2 * K, ((const uint16_t[]){0x7fc0, 0xffc1, 0, 0}), 8);
    desc.intake = TMS_INTAKE_SELECT;
    assert_fails(tms_image_build(context, &desc, image.data, image.bytes, &image), TMS_ERR_VALUE,
                 "desc->matrices[0]: the weight at row 1, column 5 is not finite");
    free(image.data);
    tms_context_destroy(context);
}

static void a_third_non_zero_of_joined_rows_is_named_by_its_matrix(void **state) {
    enum { N = 4, K = 8 };
    uint8_t values[2][N * K] = {{0}};
    tms_context *context = test_context(1, 0);
    test_joined joined = {.count = 2, .join = TMS_JOIN_INTERLEAVE};
    tms_image_desc desc;
    void *data = test_aligned(5120);
    tms_image image;

    (void)state;
    joined.layout = test_layout_mma(2 * N, K, TMS_I8);
    for (int i = 0; i < 2; i++)
        joined.matrices[i] = tms_matrix_dense(TMS_I8, N, K, values[i]);
    memset(&values[1][2 * K + 4], 1, 4);
    memset(&values[0][3 * K], 1, 4);
    desc = test_joined_desc(&joined);
    assert_fails(tms_image_build(context, &desc, data, 5120, &image), TMS_ERR_PATTERN,
                 "desc->matrices[1]: row 2, column 6 is the third non-zero in columns 4 to 7");
    desc.join = TMS_JOIN_STACK;
    assert_fails(tms_image_build(context, &desc, data, 5120, &image), TMS_ERR_PATTERN,
                 "desc->matrices[0]: row 3, column 2 is the third non-zero in columns 0 to 3");
    free(data);
    tms_context_destroy(context);
}

static void decode_refuses_positions_that_do_not_ascend(void **state) {
    static uint16_t values[2 * 64];
    tms_context *context = test_context(1, 0);
    test_joined joined = {.count = 1, .layout = test_layout_mma(2, 64, TMS_BF16)};
    tms_image_desc desc;
    tms_image image;

    (void)state;
    joined.matrices[0] = tms_matrix_dense(TMS_BF16, 2, 64, values);
    desc = test_joined_desc(&joined);
    image = build(context, &joined, TMS_INTAKE_CHECK, TMS_NAN_ERROR);
    ((uint8_t *)image.data)[4096 + 4 * 5] = 0x54; /* row 1, q = 1, g = 1 */
    assert_fails(tms_image_decode(context, &image, &desc), TMS_ERR_FORMAT,
                 "the positions of the image's row 1, columns 20 to 23, do not ascend");
    free(image.data);
    tms_context_destroy(context);
}

static void decode_refuses_what_is_not_the_image(void **state) {
    static float f32[40 * 64];
    static uint16_t values[40 * 64];
    const tms_format_desc csr_desc = test_format_desc(TMS_FORMAT_CSR, 0, 0);
    tms_context *context = test_context(1, 0);
    test_joined joined = {.count = 1, .layout = test_layout_mma(40, 64, TMS_F16)};
    tms_spmm_problem problem = test_small_problem(TMS_FORMAT_NM);
    tms_matrix other = tms_matrix_dense(TMS_F32, 40, 64, f32), csr;
    tms_image_desc good, desc;
    tms_image image, host_image;
    tms_layout layout;

    (void)state;
    joined.matrices[0] = tms_matrix_dense(TMS_F16, 40, 64, values);
    good = test_joined_desc(&joined);
    image = build(context, &joined, TMS_INTAKE_CHECK, TMS_NAN_ERROR);
    assert_ok(tms_image_decode(context, &image, &good));
#define REFUSED(field, value, status, text)                                                        \
    desc = good;                                                                                   \
    desc.field = value;                                                                            \
    assert_fails(tms_image_decode(context, &image, &desc), status, text)
    REFUSED(layout.n, 41, TMS_ERR_INVALID,
            "image was built in layout nm24-mma 2:4 f16 for 40 x 64");
    REFUSED(layout.parts[0].dtype, TMS_BF16, TMS_ERR_INVALID, "desc->layout is nm24-mma 2:4 bf16");
    REFUSED(matrices, &other, TMS_ERR_INVALID, "desc->matrices[0] has k = 64 of f32");
    REFUSED(matrices, NULL, TMS_ERR_INVALID, "desc->matrices is NULL");
    REFUSED(device, TMS_DEVICE_CUDA, TMS_ERR_DEVICE, "the context has no GPU");
    REFUSED(stream, &desc, TMS_ERR_INVALID, "desc->stream is");
    csr = test_matrix_encode(context, &joined.matrices[0], &csr_desc, NULL);
    REFUSED(matrices, &csr, TMS_ERR_UNSUPPORTED, "desc->matrices[0] is csr");
#undef REFUSED
    test_components_free(&csr);
    assert_fails(tms_image_decode(context, NULL, &good), TMS_ERR_INVALID, "image is NULL");
    assert_ok(tms_spmm_layout_choose(context, &problem, 1, 8, 0, &layout));
    desc = test_image_desc(&layout, &other, 1);
    host_image = test_image_build(context, &desc);
    assert_fails(tms_image_decode(context, &host_image, &desc), TMS_ERR_UNSUPPORTED,
                 "no part of the image can be decoded");
    free(host_image.data);
    free(image.data);
    tms_context_destroy(context);
}

static void build_refuses_what_makes_no_sense(void **state) {
    static uint16_t values[40 * 64];
    tms_context *context = test_context(1, 0);
    test_joined joined = {.count = 1, .layout = test_layout_mma(40, 64, TMS_F16)};
    tms_image_desc good, desc;
    size_t bytes = 7;

    (void)state;
    joined.matrices[0] = tms_matrix_dense(TMS_F16, 40, 64, values);
    good = test_joined_desc(&joined);
    assert_ok(tms_image_work_bytes(context, &good, &bytes));
    assert_int_equal(bytes, 0); /* on a CPU */
#define REFUSED(field, value, status, text)                                                        \
    desc = good;                                                                                   \
    desc.field = value;                                                                            \
    assert_fails(tms_image_bytes(context, &desc, &bytes), status, text)
    REFUSED(intake, (tms_intake)2, TMS_ERR_INVALID, "desc->intake is 2");
    REFUSED(nan, (tms_nan_rule)2, TMS_ERR_INVALID, "desc->nan is 2");
    REFUSED(device, (tms_device)2, TMS_ERR_INVALID, "desc->device is 2");
    REFUSED(device, TMS_DEVICE_CUDA, TMS_ERR_DEVICE, "the context has no GPU");
    REFUSED(stream, &desc, TMS_ERR_INVALID, "must be NULL on a CPU");
#undef REFUSED
    joined.matrices[0] = tms_matrix_dense(TMS_F16, 40, 62, values);
    joined.layout.k = 62;
    desc = test_joined_desc(&joined);
    assert_fails(tms_image_bytes(context, &desc, &bytes), TMS_ERR_PATTERN,
                 "k is 62, but must be a multiple of 4");
    desc.intake = TMS_INTAKE_SELECT;
    assert_fails(tms_image_bytes(context, &desc, &bytes), TMS_ERR_PATTERN,
                 "desc->layout.k is 62, but must be a multiple of 4 for 2:4");
    desc.layout.parts[0].format = TMS_FORMAT_DENSE;
    assert_fails(tms_image_bytes(context, &desc, &bytes), TMS_ERR_INVALID,
                 "no part of desc->layout is n:m");
    tms_context_destroy(context);
}

static tms_status attempt_there_and_back(tms_context *context, void *user) {
    test_joined *joined = user;
    tms_image_desc desc = test_joined_desc(joined);
    void *data = test_aligned(4608);
    tms_image image;
    tms_status status;

    desc.intake = TMS_INTAKE_SELECT;
    status = tms_image_build(context, &desc, data, 4608, &image);
    if (status == TMS_OK)
        status = tms_image_decode(context, &image, &desc);
    free(data);
    return status;
}

static void build_and_decode_survive_every_failed_allocation(void **state) {
    static uint16_t values[40 * 64];
    test_joined joined = {.count = 1, .layout = test_layout_mma(40, 64, TMS_F16)};

    (void)state;
    joined.matrices[0] = tms_matrix_dense(TMS_F16, 40, 64, values);
    test_every_allocation_fails_once(attempt_there_and_back, &joined);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(image_is_exact_from_and_to_nm_and_dense),
        cmocka_unit_test(image_selects_what_mask_select_keeps),
        cmocka_unit_test(selection_keeps_nan_before_inf_before_numbers_or_names_the_first),
        cmocka_unit_test(a_third_non_zero_of_joined_rows_is_named_by_its_matrix),
        cmocka_unit_test(decode_refuses_positions_that_do_not_ascend),
        cmocka_unit_test(decode_refuses_what_is_not_the_image),
        cmocka_unit_test(build_refuses_what_makes_no_sense),
        cmocka_unit_test(build_and_decode_survive_every_failed_allocation),
    };
    return cmocka_run_group_tests_name("intake", tests, NULL, NULL);
}
