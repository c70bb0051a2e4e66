/* The index formulas of the kernels from Ampere on, without a GPU: a warp's registers are filled
 * from the library's own image as the kernels fill them, and an emulation of mma.sp, which knows
 * only what the PTX ISA (9.7.14.6) says of the operands, multiplies them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/dtype.h"
#include "base/memory.h"
#include "format/layout.h"
#include "format/layout/nm24_mma.h"
#include "spmm/choose.h"
#include "spmm/cuda/nm24_sm80.h"
#include "support/images.h"
#include "support/kernels.h"
#include "support/matrices.h"

enum { ROWS = 64, TOKENS = 8, LANES = 32 };

/* A lane's registers of one instruction. */
typedef struct registers {
    uint32_t a[4], b[4], meta;
} registers;

/* ldmatrix.x4: lane l gives row l%8 of matrix l/8; register i of lane 4g + c is word c of row g of
 * matrix i. `row_of` says where a lane's row of 16 bytes lies. */
static void load_matrices(const uint8_t *memory, int32_t (*row_of)(int32_t lane, int32_t step),
                          int32_t step, int32_t lane, uint32_t out[4]) {
    for (int32_t i = 0; i < 4; i++)
        memcpy(&out[i], memory + row_of(8 * i + lane / 4, step) + lane % 4 * 4, 4);
}

static int32_t w_row(int32_t lane, int32_t step) {
    return tmsi_nm24_sm80_w_place(lane, step);
}

static int32_t x_row(int32_t lane, int32_t step) {
    return tmsi_nm24_sm80_x_fragment(lane, step);
}

static double element(const uint32_t *words, int32_t i, tms_dtype dtype) {
    return (double)tmsi_load_f32(words, dtype, i);
}

/* The nibble of the group of columns 4 group .. + 3 of row `row` of a fragment. 16-bit: lane pair
 * `selector` of each four, a lane 16 columns of rows g and g+8; 8-bit: a lane 32 columns of row g
 * or g+8. */
static uint32_t nibble(const registers *lanes, int32_t row, int32_t group, bool is_narrow,
                       int32_t selector) {
    const int32_t g = row % 8;

    if (is_narrow)
        return lanes[4 * g + 2 * (group / 8) + row / 8].meta >> 4 * (group % 8) & 15;
    return lanes[4 * g + 2 * selector + group / 4].meta >> (16 * (row / 8) + 4 * (group % 4)) & 15;
}

/* Sum (row, token) of one instruction: 16-bit types m16n8k32, 8-bit types m16n8k64. */
static double multiply(const registers *lanes, int32_t row, int32_t token, tms_dtype dtype,
                       int32_t selector) {
    const bool is_narrow = tmsi_dtype_bytes(dtype) == 1;
    const int32_t in_word = is_narrow ? 4 : 2, depth = 16 * in_word;
    double sum = 0.0;

    for (int32_t i = 0; i < depth / 2; i++) { /* kept values of the row, in order */
        const int32_t word = i / in_word;     /* of 8: a[0], a[1] of four lanes, then a[2], a[3] */
        const uint32_t *a = &lanes[4 * (row % 8) + word % 4].a[row / 8 + 2 * (word / 4)];
        const uint32_t code = nibble(lanes, row, i / 2, is_narrow, selector);
        const int32_t k = i / 2 * 4 + (int32_t)(code >> 2 * (i % 2) & 3);
        const uint32_t *b = &lanes[4 * token + k / in_word % 4].b[k / (4 * in_word)];

        assert_true((code & 3) < code >> 2); /* ordered, so one of the six */
        sum += element(a, i % in_word, dtype) * element(b, k % in_word, dtype);
    }
    return sum;
}

/* Rows of 128 bytes of x, swizzled as the kernels store them. */
static void store_x(const uint8_t *x, uint8_t out[TOKENS * 128]) {
    for (int32_t token = 0; token < TOKENS; token++)
        for (int32_t chunk = 0; chunk < 8; chunk++)
            memcpy(out + tmsi_nm24_sm80_x_place(token, chunk), x + 128 * token + 16 * chunk, 16);
}

/* One block of the image by 8 tokens, 16 rows at a time. */
static void check_block(const uint8_t *block, const uint8_t *x, tms_dtype dtype,
                        double got[ROWS][TOKENS]) {
    const bool is_narrow = tmsi_dtype_bytes(dtype) == 1;

    for (int32_t tile = 0; tile < ROWS / 16; tile++)
        for (int32_t step = 0; step < 2; step++) {
            registers lanes[LANES];

            for (int32_t lane = 0; lane < LANES; lane++) {
                const uint8_t *words = block + TMSI_NM24_MMA_VALUE_BYTES +
                                       (is_narrow ? step * TMSI_NM24_MMA_META_BYTES : 0);

                load_matrices(block + tile * 16 * 64, w_row, step, lane, lanes[lane].a);
                load_matrices(x, x_row, step, lane, lanes[lane].b);
                memcpy(&lanes[lane].meta, words + 4 * (32 * tile + lane), 4);
            }
            for (int32_t lane = 0; lane < LANES; lane++)
                for (int32_t r = 0; r < 4; r++) {
                    const int32_t row = tmsi_nm24_sm80_sum_row(lane, r);
                    const int32_t token = tmsi_nm24_sm80_sum_token(lane, r);

                    got[16 * tile + row][token] +=
                        multiply(lanes, row, token, dtype, is_narrow ? 0 : step);
                }
        }
}

static void store(uint8_t *array, tms_dtype dtype, int64_t i, int32_t value) {
    const uint16_t bits =
        dtype == TMS_BF16 ? tmsi_bf16_from_f32((float)value) : tmsi_f16_from_f32((float)value);

    if (dtype == TMS_I8)
        ((int8_t *)array)[i] = (int8_t)value;
    else
        memcpy(array + 2 * i, &bits, sizeof bits);
}

static void check_type(tms_dtype dtype) {
    const int32_t depth = 128 / (int32_t)tmsi_dtype_bytes(dtype);
    static int32_t w[ROWS][128], x[TOKENS][128];
    static uint8_t w_typed[ROWS * 128], x_typed[TOKENS * 128], x_stored[TOKENS * 128];
    static double got[ROWS][TOKENS];
    tms_context *context = test_context(1, 0);
    const tms_layout layout = test_layout_mma(ROWS, depth, dtype);
    const tms_matrix weight = tms_matrix_dense(dtype, ROWS, depth, w_typed);
    test_random random;
    tms_image image;

    test_random_seed(&random, test_seed());
    memset(w, 0, sizeof w);
    memset(got, 0, sizeof got);
    for (int32_t n = 0; n < ROWS; n++)
        for (int32_t k = 0; k < depth; k += 4)
            for (int32_t kept = 0; kept < 2; kept++) /* at times the same place twice, or 0 */
                w[n][k + test_random_int(&random, 0, 3)] = (int32_t)test_random_int(&random, -9, 9);
    for (int32_t i = 0; i < ROWS * depth; i++)
        store(w_typed, dtype, i, w[i / depth][i % depth]);
    for (int32_t i = 0; i < TOKENS * depth; i++) {
        x[i / depth][i % depth] = (int32_t)test_random_int(&random, -9, 9);
        store(x_typed, dtype, i, x[i / depth][i % depth]);
    }
    image = test_image_of(context, &layout, &weight);
    store_x(x_typed, x_stored);
    check_block(image.data, x_stored, dtype, got);
    for (int32_t n = 0; n < ROWS; n++)
        for (int32_t t = 0; t < TOKENS; t++) {
            double want = 0.0;

            for (int32_t k = 0; k < depth; k++)
                want += w[n][k] * x[t][k];
            if (got[n][t] != want)
                fail_msg("%s: row %d, token %d is %g, but should be %g", tms_dtype_name(dtype), n,
                         t, got[n][t], want);
        }
    free(image.data);
    tms_context_destroy(context);
}

static void fragments_of_the_image_multiply_to_the_product(void **state) {
    (void)state;
    check_type(TMS_BF16);
    check_type(TMS_F16);
    check_type(TMS_I8);
}

/* The 8 rows that ldmatrix reads at once lie in 8 different sixteen-byte columns of the banks. */
static void fragments_are_read_without_bank_conflicts(void **state) {
    (void)state;
    for (int32_t step = 0; step < 2; step++)
        for (int32_t matrix = 0; matrix < 4; matrix++) {
            uint32_t w_columns = 0, x_columns = 0;

            for (int32_t row = 0; row < 8; row++) {
                w_columns |= 1u << w_row(8 * matrix + row, step) % 128 / 16;
                x_columns |= 1u << x_row(8 * matrix + row, step) % 128 / 16;
            }
            assert_int_equal(w_columns, 0xff);
            assert_int_equal(x_columns, 0xff);
        }
}

/* One split where tiles alone occupy a GPU or k is short; each split has work. */
static void splits_are_few_and_never_empty(void **state) {
    (void)state;
    assert_int_equal(tmsi_nm24_sm80_splits(8192, 1, 128, 16, 8), 1);
    assert_int_equal(tmsi_nm24_sm80_splits(64, 1, 8, 16, 8), 1);
    assert_true(tmsi_nm24_sm80_splits(64, 1, 4096, 16, 8) > 1);
    for (int64_t n = 1; n < 3000; n += 13)
        for (int64_t k_blocks = 1; k_blocks < 2000; k_blocks += 17) {
            const int32_t splits = tmsi_nm24_sm80_splits(n, 8, k_blocks, 16, 8);

            assert_true(splits >= 1 && splits <= k_blocks);
        }
}

/* ---- Choice ---------------------------------------------------------------------------------- */

static tms_spmm_problem problem_of(tms_dtype dtype) {
    tms_spmm_problem problem = tms_spmm_problem_default();

    problem.n = 4096;
    problem.k = 1280;
    problem.t_max = 5000;
    problem.format = TMS_FORMAT_NM;
    problem.keep = 2;
    problem.group = 4;
    problem.device = TMS_DEVICE_CUDA;
    problem.x_type = problem.w_type = dtype;
    problem.y_type = TMS_F16;
    return problem;
}

/* A context that believes in an A100. */
static tms_context *ampere_context(void) {
    tms_context *context = test_context(1, 0);

    snprintf(context->gpu.name, sizeof context->gpu.name, "NVIDIA A100-SXM4-80GB");
    snprintf(context->isa_text, sizeof context->isa_text, "avx2 sm80");
    context->gpu.isa = TMS_ISA_SM80;
    context->gpu.processors = 108;
    assert_ok(tmsi_alloc(context, 1, sizeof *context->gpu_tuning, &context->gpu_tuning));
    tmsi_tuning_fill(&context->gpu, context->gpu_tuning);
    return context;
}

static void gpu_that_is_no_hopper_is_given_kernels_of_its_own(void **state) {
    const tms_dtype types[] = {TMS_BF16, TMS_F16, TMS_I8};
    const int64_t tokens[] = {1, 8, 16, 100, 5000};
    tms_context *context = ampere_context();

    (void)state;
    if (tmsi_spmm_table_of(&context->gpu).count == 0) { /* built without CUDA */
        tms_context_destroy(context);
        skip();
    }
    for (size_t i = 0; i < TEST_COUNT(types); i++) {
        const tms_spmm_problem problem = problem_of(types[i]);
        tms_layout layout;
        tms_spmm_plan *plan;

        assert_ok(tms_spmm_layout_choose(context, &problem, 1, problem.t_max, 0, &layout));
        assert_ok(tms_spmm_plan_create(context, &problem, &layout, &plan));
        for (size_t j = 0; j < TEST_COUNT(tokens); j++)
            test_assert_contains(tms_spmm_plan_kernel(plan, tokens[j]), "_sm80");
        tms_spmm_plan_destroy(plan);
    }
    tms_context_destroy(context);
}

static void e4m3_is_refused_where_the_gpu_is_no_hopper(void **state) {
    const tms_spmm_problem problem = problem_of(TMS_E4M3);
    tms_context *context = ampere_context();
    tms_layout layout;

    (void)state;
    assert_fails(tms_spmm_layout_choose(context, &problem, 1, 100, 0, &layout), TMS_ERR_UNSUPPORTED,
                 "w_type is e4m3, whose 2:4 kernels are for Hopper GPUs (sm90), but the context's "
                 "instruction sets are avx2 sm80");
    tms_context_destroy(context);
}

static void f32_is_refused_on_a_gpu_and_bf16_named(void **state) {
    tms_context *context = ampere_context();
    tms_spmm_problem problem = problem_of(TMS_BF16);
    tms_layout layout;

    (void)state;
    problem.x_type = problem.w_type = TMS_F32;
    assert_fails(tms_spmm_layout_choose(context, &problem, 1, 100, 0, &layout), TMS_ERR_UNSUPPORTED,
                 "x f32 and w f32, but sparse tensor cores multiply no f32: bf16 has its range");
    problem.x_type = TMS_F16;
    problem.w_type = TMS_BF16;
    assert_fails(tms_spmm_layout_choose(context, &problem, 1, 100, 0, &layout), TMS_ERR_UNSUPPORTED,
                 "x f16 and w bf16, but sparse tensor cores want both of one type");
    tms_context_destroy(context);
}

static void every_epilogue_is_served_where_the_gpu_is_no_hopper(void **state) {
    tms_context *context = ampere_context();
    tms_spmm_problem problem = problem_of(TMS_I8);
    tms_layout layout;

    (void)state;
    if (tmsi_spmm_table_of(&context->gpu).count > 0) { /* else built without CUDA */
        problem.y_type = TMS_E4M3;
        problem.epilogue = TMS_EPILOGUE_GATE | TMS_EPILOGUE_ABSMAX_T | TMS_EPILOGUE_RESIDUAL;
        problem.activation = TMS_ACT_SILU;
        assert_ok(tms_spmm_layout_choose(context, &problem, 1, 100, 0, &layout));
    }
    tms_context_destroy(context);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fragments_of_the_image_multiply_to_the_product),
        cmocka_unit_test(fragments_are_read_without_bank_conflicts),
        cmocka_unit_test(splits_are_few_and_never_empty),
        cmocka_unit_test(gpu_that_is_no_hopper_is_given_kernels_of_its_own),
        cmocka_unit_test(e4m3_is_refused_where_the_gpu_is_no_hopper),
        cmocka_unit_test(f32_is_refused_on_a_gpu_and_bf16_named),
        cmocka_unit_test(every_epilogue_is_served_where_the_gpu_is_no_hopper),
    };
    return cmocka_run_group_tests_name("nm24_sm80", tests, NULL, NULL);
}
