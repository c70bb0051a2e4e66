/* Every kernel of the GPU's table against float64, over declared axes. */
#include <cuda_runtime_api.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "gpu/tests.h"
#include "support/matrices.h"

/* n and k: one block, parts of blocks, an odd number of tiles either way, a long k. */
static const int64_t shapes[][2] = {{264, 1540}, {520, 260}, {64, 64},   {1, 4},    {40, 68},
                                    {129, 40},   {304, 388}, {257, 100}, {696, 204}};

static const int64_t tokens[] = {0, 1, 3, 17, 64, 130, 193, 300};

/* Those of tests/support that a GPU serves. */
static bool is_served(const test_epilogue *epilogue) {
    return (epilogue->bits & (TMS_EPILOGUE_GATE | TMS_EPILOGUE_ABSMAX_T)) == 0;
}

static const test_epilogue more_epilogues[] = {
    {TMS_EPILOGUE_BIAS, TMS_ACT_RELU},
    {0, TMS_ACT_SILU},
    {TMS_EPILOGUE_SCALE_N | TMS_EPILOGUE_RESIDUAL, TMS_ACT_NONE},
    {TMS_EPILOGUE_SCALE_N | TMS_EPILOGUE_SCALE_T | TMS_EPILOGUE_BIAS | TMS_EPILOGUE_RESIDUAL,
     TMS_ACT_SILU},
};

tms_spmm_problem gpu_problem(const tmsi_spmm_kernel *kernel, int64_t n, int64_t k) {
    tms_spmm_problem problem = tms_spmm_problem_default();

    problem.n = n;
    problem.k = k;
    problem.t_max = 1000;
    problem.format = TMS_FORMAT_NM;
    problem.keep = 2;
    problem.group = 4;
    problem.device = TMS_DEVICE_CUDA;
    problem.x_type = problem.w_type = problem.y_type = TMS_BF16;
    if (!kernel->fits(&problem))
        problem.x_type = problem.w_type = problem.y_type = TMS_F16;
    assert_true(kernel->fits(&problem));
    return problem;
}

/* y in the other types and order, by turns. */
static void turn_types(tms_spmm_problem *problem, uint64_t turn) {
    const tms_dtype types[] = {problem->y_type, problem->y_type, TMS_F32, TMS_BF16, TMS_F16};

    problem->y_type = types[turn % TEST_COUNT(types)];
    if (turn / 8 % 4 == 3)
        problem->y_order = TMS_ORDER_NT;
}

static test_kind kind_of(const tms_spmm_problem *problem, uint64_t turn) {
    test_kind kind = (test_kind)(turn / 3 % TEST_KIND_COUNT);

    if (turn % 3 == 0) /* one third each: exact, random, any */
        kind = TEST_INTEGER;
    else if (turn % 3 == 1)
        kind = TEST_RANDOM;
    if (kind == TEST_INTEGER && problem->activation > TMS_ACT_RELU)
        kind = TEST_RANDOM;
    if (kind == TEST_HUGE && problem->activation != TMS_ACT_NONE)
        kind = TEST_RANDOM; /* an infinite z of either sign has no bound to keep */
    return kind;
}

static void check_product(const tmsi_spmm_kernel *kernel, const test_product *product,
                          test_rows rows, bool residual_is_y) {
    test_device_product device;
    test_output output;
    char message[512];
    tms_spmm_plan plan;
    tms_image image;

    test_kernel_plan(&plan, gpu_context, kernel, &product->problem);
    image = test_device_image(gpu_context, &plan.layout, &product->weight);
    test_device_product_make(&device, product, &image, rows, residual_is_y);
    assert_ok(tms_spmm_plan_run(&plan, &device.args, NULL));
    test_device_wait();
    test_device_output(&device, &output);
    if (!test_output_matches(product, &output, message))
        fail_msg("%s: rows %d%s: %s", kernel->name, (int)rows, residual_is_y ? " in place" : "",
                 message);
    test_output_free(&output);
    test_device_product_free(&device);
    test_device_free(image.data);
    gpu_case_count++;
}

static void check_epilogue(const tmsi_spmm_kernel *kernel, int64_t shape,
                           const test_epilogue *epilogue) {
    for (int64_t t = 0; t < (int64_t)TEST_COUNT(tokens); t++) {
        tms_spmm_problem problem = gpu_problem(kernel, shapes[shape][0], shapes[shape][1]);
        static int64_t cell;
        test_random random;
        test_product product;
        uint64_t turn;

        if (++cell % gpu_case_step != 0)
            continue;
        test_random_seed(&random, test_seed() + (uint64_t)cell);
        turn = test_random_u64(&random);
        problem.epilogue = epilogue->bits;
        problem.activation = epilogue->activation;
        turn_types(&problem, turn);
        test_product_make(&product, gpu_context, &problem, tokens[t], kind_of(&problem, turn >> 8),
                          turn >> 16);
        check_product(kernel, &product,
                      turn % 3 != 2 ? TEST_ROWS_ALIGNED : (test_rows)(turn / 3 % TEST_ROWS_COUNT),
                      turn % 2 == 0);
        test_product_free(&product);
    }
}

static void kernel_is_right_on_every_axis(void **state) {
    for (int64_t shape = 0; shape < (int64_t)TEST_COUNT(shapes); shape++) {
        for (int64_t e = 0; e < test_epilogue_count; e++)
            if (is_served(&test_epilogues[e]))
                check_epilogue(*state, shape, &test_epilogues[e]);
        for (size_t e = 0; e < TEST_COUNT(more_epilogues); e++)
            check_epilogue(*state, shape, &more_epilogues[e]);
    }
}

/* More tiles than multiprocessors: CTAs go on to further tiles, buffers and barriers wrap. */
static void kernel_is_right_over_many_waves(void **state) {
    const tmsi_spmm_kernel *kernel = *state;
    const uint32_t epilogues[] = {TMS_EPILOGUE_BIAS, TMS_EPILOGUE_RESIDUAL};

    for (int i = 0; i < 2; i++) {
        bool is_small = strstr(kernel->name, "_64x") != NULL;
        tms_spmm_problem problem = gpu_problem(kernel, is_small ? 2504 : 5000, 132);
        test_product product;

        problem.epilogue = epilogues[i];
        test_product_make(&product, gpu_context, &problem, is_small ? 300 : 1000, TEST_RANDOM,
                          test_seed());
        check_product(kernel, &product, TEST_ROWS_ALIGNED, i == 1);
        test_product_free(&product);
    }
}

/* Each of the six pairs of kept positions in every lane of the metadata, then all of them mixed. */
static void kernel_reads_every_pair_of_positions_in_every_lane(void **state) {
    static const int pairs[6][2] = {{0, 1}, {0, 2}, {0, 3}, {1, 2}, {1, 3}, {2, 3}};
    tms_spmm_problem problem = gpu_problem(*state, 256, 128);

    for (int round = 0; round < 7; round++) {
        test_product product;
        tms_matrix old;

        test_product_make(&product, gpu_context, &problem, 8, TEST_INTEGER, test_seed() + 1);
        for (int64_t i = 0; i < problem.n * problem.k; i++) {
            const int64_t n = i / problem.k, k = i % problem.k;
            const int *pair = pairs[round < 6 ? round : (n + k / 4) % 6];
            const bool is_kept = k % 4 == pair[0] || k % 4 == pair[1];

            product.w[i] = is_kept ? (double)(i % 3 + 1) : 0.0;
        }
        for (int64_t t = 0; t < product.t; t++)
            for (int64_t n = 0; n < problem.n; n++) {
                double sum = 0.0;
                for (int64_t k = 0; k < problem.k; k++)
                    sum += product.w[n * problem.k + k] * product.x_values[t * problem.k + k];
                product.value[t * problem.n + n] = sum;
            }
        old = product.weight;
        product.weight = test_weight_encode(gpu_context, &problem, product.w);
        test_weight_free(&old);
        check_product(*state, &product, TEST_ROWS_ALIGNED, false);
        test_product_free(&product);
    }
}

/* Infinity and NaN in one token's x: the other rows of y are as they were. */
static void kernel_keeps_a_non_finite_token_to_itself(void **state) {
    const tmsi_spmm_kernel *kernel = *state;
    const uint16_t bad[] = {0x7f80, 0xff80, 0x7fc0, 0x7c00, 0xfc00, 0x7e00}; /* bf16's, f16's */
    tms_spmm_problem problem = gpu_problem(kernel, 304, 388);

    for (size_t i = 0; i < TEST_COUNT(bad); i++) {
        test_product product;
        const int64_t token = 5 + 31 * (int64_t)i;

        test_product_make(&product, gpu_context, &problem, 200, TEST_RANDOM, test_seed());
        for (int64_t k = (int64_t)i; k < problem.k; k += 7)
            ((uint16_t *)product.x)[token * product.ldx + k] = bad[i];
        for (int64_t n = 0; n < problem.n; n++)
            product.bound[token * problem.n + n] = INFINITY;
        {
            test_device_product device;
            test_output output;
            char message[512];
            tms_spmm_plan plan;
            tms_image image;

            test_kernel_plan(&plan, gpu_context, kernel, &problem);
            image = test_device_image(gpu_context, &plan.layout, &product.weight);
            test_device_product_make(&device, &product, &image, TEST_ROWS_ALIGNED, false);
            assert_ok(tms_spmm_plan_run(&plan, &device.args, NULL));
            test_device_wait();
            test_device_output(&device, &output);
            memset((uint16_t *)output.y + token * output.ldy, 0, (size_t)problem.n * 2);
            if (!test_output_matches(&product, &output, message))
                fail_msg("%s: %s", kernel->name, message);
            test_output_free(&output);
            test_device_product_free(&device);
            test_device_free(image.data);
        }
        test_product_free(&product);
    }
}

/* One bit of one nibble, one value, one dropped block: the comparison sees each. */
static void wrong_image_is_caught(void **state) {
    const tmsi_spmm_kernel *kernel = *state;
    tms_spmm_problem problem = gpu_problem(kernel, 192, 192);
    test_device_product device;
    test_product product;
    tms_spmm_plan plan;
    tms_image image;
    uint8_t *bytes;

    test_product_make(&product, gpu_context, &problem, 64, TEST_RANDOM, test_seed());
    test_kernel_plan(&plan, gpu_context, kernel, &problem);
    image = test_device_image(gpu_context, &plan.layout, &product.weight);
    test_device_product_make(&device, &product, &image, TEST_ROWS_ALIGNED, false);
    bytes = malloc(image.bytes);
    assert_non_null(bytes);
    for (int mutant = 0; mutant < 4; mutant++) {
        test_output output;
        char message[512];
        const size_t block = 4608 * 4, meta = block + 4096 + 4 * 37;

        assert_int_equal(cudaMemcpy(bytes, image.data, image.bytes, cudaMemcpyDeviceToHost), 0);
        if (mutant == 1) /* a nibble of another pair */
            bytes[meta] = (uint8_t)((bytes[meta] & 0xf0) | ((bytes[meta] & 0xf) == 4 ? 14 : 4));
        else if (mutant == 2) /* a value's sign */
            for (int i = 0; i < 64; i++)
                bytes[block + 640 + 2 * (size_t)i + 1] ^= 0x80;
        else if (mutant == 3) /* a block of zeros */
            memset(bytes + block, 0, 4096);
        {
            tms_image broken = image;

            broken.data = test_device_copy(bytes, image.bytes);
            device.args.image = &broken;
            test_device_output_reset(&device);
            assert_ok(tms_spmm_plan_run(&plan, &device.args, NULL));
            test_device_wait();
            test_device_output(&device, &output);
            if (test_output_matches(&product, &output, message) != (mutant == 0))
                fail_msg("%s: mutant %d passed, or the right image did not: %s", kernel->name,
                         mutant, message);
            test_output_free(&output);
            test_device_free(broken.data);
        }
    }
    free(bytes);
    test_device_product_free(&device);
    test_device_free(image.data);
    test_product_free(&product);
}

#define KERNEL_TESTS                                                                               \
    cmocka_unit_test(kernel_is_right_on_every_axis),                                               \
        cmocka_unit_test(kernel_is_right_over_many_waves),                                         \
        cmocka_unit_test(kernel_reads_every_pair_of_positions_in_every_lane),                      \
        cmocka_unit_test(kernel_keeps_a_non_finite_token_to_itself),                               \
        cmocka_unit_test(wrong_image_is_caught)

int gpu_test_kernel(const tmsi_spmm_kernel *kernel) {
    struct CMUnitTest tests[] = {KERNEL_TESTS};

    for (size_t i = 0; i < TEST_COUNT(tests); i++)
        tests[i].initial_state = (void *)(uintptr_t)kernel;
    return cmocka_run_group_tests_name(kernel->name, tests, NULL, NULL);
}
