/* What every kernel of the GPU's table promises beside right numbers on the axes: many waves of
 * tiles, every pair of positions in every lane, tokens that cannot hurt each other, the same bits
 * again; and that the comparison sees a wrong kernel. */
#include <cuda_runtime_api.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/dtype.h"
#include "gpu/tests.h"
#include "spmm/problem.h"
#include "support/matrices.h"

static gpu_room room;

bool gpu_type_is_wanted(tms_dtype type) {
    return gpu_option.type == TMS_DTYPE_COUNT || gpu_option.type == type;
}

bool gpu_serves(const tmsi_spmm_kernel *kernel, tms_dtype type) {
    const tms_spmm_problem problem = tmsi_spmm_problem_24(type, 64, 128, 64);

    return kernel->fits(&problem);
}

bool gpu_kernel_is_right(const tmsi_spmm_kernel *kernel, gpu_product *product, char message[512]) {
    tms_spmm_plan plan;
    tms_status status;
    char name[256];

    test_kernel_plan(&plan, gpu_context, kernel, &product->problem);
    plan.split = product->split;
    gpu_product_bind(product, &plan, gpu_ground_image(product->ground, gpu_context, &plan.layout));
    gpu_case_count++;
    status = tms_spmm_plan_run(&plan, &product->args, NULL);
    gpu_wait(kernel->name);
    tmsi_spmm_plan_unready(&plan);
    if (status != TMS_OK) {
        gpu_product_print(product, name);
        snprintf(message, 512, "%s: %s", name, tms_error_text());
        return false;
    }
    return gpu_product_is_right(product, message);
}

static void expect_right(const tmsi_spmm_kernel *kernel, gpu_product *product) {
    char message[512];

    if (!gpu_kernel_is_right(kernel, product, message))
        fail_msg("%s: %s", kernel->name, message);
}

/* Calls `test` for each type that the kernel serves and the options want. */
static void for_each_type(const tmsi_spmm_kernel *kernel,
                          void (*test)(const tmsi_spmm_kernel *kernel, tms_dtype type)) {
    for (int i = 0; i < GPU_TYPE_COUNT; i++)
        if (gpu_type_is_wanted(gpu_types[i]) && gpu_serves(kernel, gpu_types[i]))
            test(kernel, gpu_types[i]);
}

/* More tiles than multiprocessors: CTAs go on to further tiles, buffers and barriers wrap. Of the
 * reduced list few multiprocessors do it, instead of many tiles. */
static void check_waves(const tmsi_spmm_kernel *kernel, tms_dtype type) {
    static const test_epilogue epilogues[] = {{TMS_EPILOGUE_BIAS, TMS_ACT_NONE},
                                              {TMS_EPILOGUE_RESIDUAL, TMS_ACT_NONE},
                                              {TMS_EPILOGUE_BIAS, TMS_ACT_GELU},
                                              {TMS_EPILOGUE_GATE, TMS_ACT_SILU},
                                              {TMS_EPILOGUE_ABSMAX_T, TMS_ACT_NONE}};
    const tms_dtype y_types[] = {TMS_BF16, type, TMS_F32, TMS_I8};
    const int64_t n = gpu_option.is_reduced ? 264 : 5000, t = gpu_option.is_reduced ? 200 : 1000;
    const int processors =
        gpu_option.is_reduced ? gpu_set_processors(gpu_context, GPU_FEW_PROCESSORS) : 0;
    gpu_ground *ground = gpu_ground_make(type, n, 132, t, TEST_RANDOM, -1, test_seed());
    tms_spmm_problem problem = tmsi_spmm_problem_24(type, n, 132, t);

    for (size_t i = 0; i < TEST_COUNT(epilogues) * TEST_COUNT(y_types); i++) {
        gpu_product product;

        problem.epilogue = epilogues[i % TEST_COUNT(epilogues)].bits;
        problem.activation = epilogues[i % TEST_COUNT(epilogues)].activation;
        problem.y_type = y_types[i / TEST_COUNT(epilogues)];
        problem.y_order = i % 3 == 2 ? TMS_ORDER_NT : TMS_ORDER_TN;
        if (!kernel->fits(&problem) || (gpu_option.is_reduced && (i + i / 5) % 4 != 0))
            continue;
        gpu_product_make(&product, &room, ground, &problem, t - (int64_t)(i % 4), GPU_ROWS_ALIGNED,
                         i % 2 == 0, test_seed() + i);
        expect_right(kernel, &product);
    }
    if (gpu_option.is_reduced)
        gpu_set_processors(gpu_context, processors);
    gpu_ground_free(ground);
}

static void kernel_is_right_over_many_waves(void **state) {
    for_each_type(*state, check_waves);
}

/* A weight too large to lie side by side in the L2 cache: its rows of tiles come in groups, whose
 * last is narrower and may have a single row. */
static void check_large_weight(const tmsi_spmm_kernel *kernel, tms_dtype type) {
    const int64_t n = 4700, k = tmsi_dtype_bytes(type) == 2 ? 2372 : 4348, t = 300; /* 13 MB */
    tms_spmm_problem problem = tmsi_spmm_problem_24(type, n, k, t);
    gpu_ground *ground;
    gpu_product product;

    problem.epilogue = TMS_EPILOGUE_BIAS;
    problem.y_type = TMS_BF16;
    if (!kernel->fits(&problem))
        return;
    ground = gpu_ground_make(type, n, k, t, TEST_RANDOM, -1, test_seed());
    gpu_product_make(&product, &room, ground, &problem, t, GPU_ROWS_ALIGNED, false, test_seed());
    expect_right(kernel, &product);
    gpu_ground_free(ground);
}

static void kernel_is_right_with_a_large_weight(void **state) {
    for_each_type(*state, check_large_weight);
}

/* The k's of a tile shared by 1 to 8 CTAs, whatever the kernel would choose: shares of a block each
 * and of several, equal and not, tiles that are not full. */
static void check_splits(const tmsi_spmm_kernel *kernel, tms_dtype type) {
    static const test_epilogue epilogues[] = {
        {TMS_EPILOGUE_BIAS, TMS_ACT_NONE},
        {TMS_EPILOGUE_SCALE_T | TMS_EPILOGUE_RESIDUAL, TMS_ACT_NONE},
        {TMS_EPILOGUE_SCALE_N, TMS_ACT_RELU},
        {TMS_EPILOGUE_GATE | TMS_EPILOGUE_ABSMAX_T, TMS_ACT_SILU}};
    static const int64_t ks[] = {1100, 260, 2308}, tokens[] = {1, 17, 64, 100, 130, 200};
    const tms_dtype y_types[] = {TMS_BF16, TMS_F16, TMS_F32};
    int64_t turn = 0;

    for (size_t i = 0; i < TEST_COUNT(ks); i++) {
        gpu_ground *ground =
            gpu_ground_make(type, 328, ks[i], 200, TEST_RANDOM, -1, test_seed() + i);
        tms_spmm_problem problem = tmsi_spmm_problem_24(type, 328, ks[i], 200);

        for (int32_t split = 1; split <= 8; split++)
            for (size_t t = 0; t < TEST_COUNT(tokens); t++, turn++) {
                const test_epilogue *epilogue = &epilogues[turn % (int64_t)TEST_COUNT(epilogues)];
                gpu_product product;

                if (gpu_option.is_reduced && turn % 16 != 5)
                    continue;
                problem.epilogue = epilogue->bits;
                problem.activation = epilogue->activation;
                problem.y_type = y_types[turn / 5 % (int64_t)TEST_COUNT(y_types)];
                gpu_product_make(&product, &room, ground, &problem, tokens[t],
                                 turn % 7 == 3 ? GPU_ROWS_Y_ODD : GPU_ROWS_ALIGNED, turn % 2 == 0,
                                 test_seed() + (uint64_t)turn);
                product.split = split;
                expect_right(kernel, &product);
            }
        gpu_ground_free(ground);
    }
}

static void kernel_is_right_at_every_split(void **state) {
    const tmsi_spmm_kernel *kernel = *state;

    if (strstr(kernel->name, "_few_") != NULL) /* the kernels that share k's this way */
        for_each_type(kernel, check_splits);
}

/* Each of the six in all groups of a weight of whole numbers, then all mixed: each lane of a warp
 * and each nibble of its words meets each, and every bit of y must be right. */
static void check_pairs(const tmsi_spmm_kernel *kernel, tms_dtype type) {
    const tms_spmm_problem problem = tmsi_spmm_problem_24(type, 256, 256, 40);

    for (int pair = -1; pair < 6; pair++) {
        gpu_ground *ground = gpu_ground_make(type, problem.n, problem.k, problem.t_max,
                                             TEST_INTEGER, pair, test_seed() + 1);
        gpu_product product;

        gpu_product_make(&product, &room, ground, &problem, problem.t_max, GPU_ROWS_ALIGNED, false,
                         0);
        expect_right(kernel, &product);
        gpu_ground_free(ground);
    }
}

static void kernel_reads_every_pair_of_positions_in_every_lane(void **state) {
    for_each_type(*state, check_pairs);
}

/* Bits of infinity, minus infinity and NaN; e4m3 has NaN alone. */
static int bad_values(tms_dtype type, uint16_t bad[3]) {
    const uint16_t bf16[] = {0x7f80, 0xff80, 0x7fc0}, f16[] = {0x7c00, 0xfc00, 0x7e00};

    if (type == TMS_I8)
        return 0;
    memcpy(bad, type == TMS_BF16 ? bf16 : f16, sizeof bf16);
    if (type != TMS_E4M3)
        return 3;
    bad[0] = 0x7f;
    return 1;
}

/* A token that is not finite at some columns: the other rows of y are as they were. */
static void check_bad_token(const tmsi_spmm_kernel *kernel, tms_dtype type) {
    const tms_spmm_problem problem = tmsi_spmm_problem_24(type, 304, 388, 200);
    const size_t element = tmsi_dtype_bytes(type);
    uint16_t bad[3];
    const int count = bad_values(type, bad);

    for (int i = 0; i < 2 * count; i++) {
        gpu_ground *ground = gpu_ground_make(type, problem.n, problem.k, problem.t_max, TEST_RANDOM,
                                             -1, test_seed());
        const int64_t token = 5 + 31 * i;
        gpu_product product;

        for (int64_t k = i; k < problem.k; k += 7)
            assert_int_equal(
                cudaMemcpy((char *)ground->x[0] + (size_t)(token * ground->ldx[0] + k) * element,
                           &bad[i / 2], element, cudaMemcpyHostToDevice),
                cudaSuccess);
        gpu_product_make(&product, &room, ground, &problem, problem.t_max, GPU_ROWS_ALIGNED, false,
                         0);
        product.truth.any_token = token;
        expect_right(kernel, &product);
        gpu_ground_free(ground);
    }
}

static void kernel_keeps_a_non_finite_token_to_itself(void **state) {
    for_each_type(*state, check_bad_token);
}

/* ---- The same bits again --------------------------------------------------------------------- */

static void check_bits(const tmsi_spmm_kernel *kernel, tms_dtype type) {
    const tms_spmm_problem problem = tmsi_spmm_problem_24(type, 1000, 2052, 300);
    gpu_ground *ground =
        gpu_ground_make(type, problem.n, problem.k, problem.t_max, TEST_RANDOM, -1, test_seed());
    const int64_t tokens[] = {300, 7};
    void *first = NULL;

    for (size_t i = 0; i < TEST_COUNT(tokens); i++) {
        gpu_product product;
        size_t bytes;

        gpu_product_make(&product, &room, ground, &problem, tokens[i], GPU_ROWS_ALIGNED, false, 0);
        expect_right(kernel, &product);
        bytes = product.place.bytes;
        first = gpu_alloc(bytes);
        cudaMemcpy(first, room.y, bytes, cudaMemcpyDeviceToDevice);
        for (int again = 0; again < 99; again++) {
            tms_spmm_plan plan;

            test_kernel_plan(&plan, gpu_context, kernel, &problem);
            gpu_product_reset(&product);
            assert_ok(tms_spmm_plan_run(&plan, &product.args, NULL));
            gpu_wait(kernel->name);
            if (test_ground_differences(first, room.y, bytes) != 0)
                fail_msg("%s, %s, t %" PRId64 ": run %d gave other bits than the first",
                         kernel->name, tms_dtype_name(type), tokens[i], again + 2);
        }
        gpu_free(first);
    }
    gpu_ground_free(ground);
}

static void kernel_gives_the_same_bits_a_hundred_times(void **state) {
    for_each_type(*state, check_bits);
}

/* ---- Mutants --------------------------------------------------------------------------------- */

typedef enum mutation {
    MUTANT_NONE,
    MUTANT_INDEX,   /* a weight at its neighbour's position */
    MUTANT_PRODUCT, /* a weight dropped */
    MUTANT_K_TAIL,  /* the last group of every row dropped */
    MUTANT_N_TAIL,  /* the last row dropped */
    MUTANT_TOKEN,   /* the last token not computed */
    MUTANT_Y,       /* a bit of the last y flipped */
    MUTANT_PAST_Y,  /* a byte behind y written */
    MUTANT_COUNT
} mutation;

/* The first weight from `from` on that is well above 0 while its neighbour's is not it. */
static int64_t find_weight(const gpu_ground *ground, int64_t from) {
    int64_t at = from;

    while (fabs(test_read(ground->w_host, ground->type, at)) < 1.0 ||
           test_read(ground->w_host, ground->type, at) ==
               test_read(ground->w_host, ground->type, at ^ 1))
        at++;
    return at;
}

static void break_weight(const gpu_ground *ground, mutation mutant, void *w) {
    const size_t element = tmsi_dtype_bytes(ground->type);
    const int64_t at = find_weight(ground, ground->n / 2 * ground->k + 20);
    char *one = (char *)w + (size_t)at * element, *other = (char *)w + (size_t)(at ^ 1) * element;

    if (mutant == MUTANT_INDEX) {
        char kept[4];

        memcpy(kept, one, element);
        memcpy(one, other, element);
        memcpy(other, kept, element);
    } else if (mutant == MUTANT_PRODUCT) {
        memset(one, 0, element);
    } else if (mutant == MUTANT_K_TAIL) {
        for (int64_t n = 0; n < ground->n; n++)
            memset((char *)w + (size_t)((n + 1) * ground->k - 4) * element, 0, 4 * element);
    } else if (mutant == MUTANT_N_TAIL) {
        memset((char *)w + (size_t)((ground->n - 1) * ground->k) * element, 0,
               (size_t)ground->k * element);
    }
}

static void flip_byte(uint8_t *memory, uint8_t bits) {
    uint8_t byte = 0;

    cudaMemcpy(&byte, memory, 1, cudaMemcpyDeviceToHost);
    byte ^= bits;
    cudaMemcpy(memory, &byte, 1, cudaMemcpyHostToDevice);
}

/* Whether the comparison finds a fault in what the mutant leaves. */
static bool is_caught(const tmsi_spmm_kernel *kernel, gpu_ground *ground,
                      const tms_spmm_problem *problem, mutation mutant) {
    const size_t w_bytes = (size_t)(ground->n * ground->k) * tmsi_dtype_bytes(ground->type);
    void *w = malloc(w_bytes);
    gpu_product product;
    tms_spmm_plan plan;
    char message[512];
    tms_image image;
    uint8_t *y_end;
    bool is_right;

    assert_non_null(w);
    memcpy(w, ground->w_host, w_bytes);
    break_weight(ground, mutant, w);
    gpu_product_make(&product, &room, ground, problem, problem->t_max, GPU_ROWS_ALIGNED, false, 0);
    test_kernel_plan(&plan, gpu_context, kernel, problem);
    image = gpu_image_of(ground, gpu_context, &plan.layout, w);
    gpu_product_bind(&product, &plan, &image);
    product.args.t -= mutant == MUTANT_TOKEN;
    assert_ok(tms_spmm_plan_run(&plan, &product.args, NULL));
    gpu_wait(kernel->name);
    y_end = (uint8_t *)product.args.y +
            (size_t)((product.truth.t - 1) * product.args.ldy + product.truth.columns) *
                tmsi_dtype_bytes(problem->y_type);
    if (mutant == MUTANT_Y)
        flip_byte(y_end - 2, problem->y_type == TMS_F32 ? 0x10 : 0x01);
    else if (mutant == MUTANT_PAST_Y)
        flip_byte(y_end, 0x40);
    is_right = gpu_product_is_right(&product, message);
    gpu_free(image.data);
    free(w);
    return !is_right;
}

/* Exact where e4m3's bound is wide; elsewhere on random numbers too. */
static void check_mutants(const tmsi_spmm_kernel *kernel, tms_dtype type) {
    tms_spmm_problem problem = tmsi_spmm_problem_24(type, 200, 132, 66);
    const test_kind kinds[] = {TEST_INTEGER, TEST_RANDOM};

    problem.y_type = TMS_F32;
    if (!kernel->fits(&problem))
        problem.y_type = type == TMS_F16 ? TMS_F16 : TMS_BF16;
    for (int i = 0; i < (type == TMS_E4M3 ? 1 : 2); i++) {
        gpu_ground *ground =
            gpu_ground_make(type, problem.n, problem.k, problem.t_max, kinds[i], -1, test_seed());

        for (int mutant = 0; mutant < MUTANT_COUNT; mutant++) {
            if (kinds[i] == TEST_RANDOM && mutant == MUTANT_Y)
                continue; /* a bit may lie within the bound */
            if (is_caught(kernel, ground, &problem, (mutation)mutant) != (mutant != MUTANT_NONE))
                fail_msg("%s, %s: mutant %d on %s numbers was %s", kernel->name,
                         tms_dtype_name(type), mutant, test_kind_name(kinds[i]),
                         mutant != MUTANT_NONE ? "not caught" : "taken for wrong");
        }
        gpu_ground_free(ground);
    }
}

static void wrong_kernels_are_caught(void **state) {
    for_each_type(*state, check_mutants);
}

int gpu_test_kernel(const tmsi_spmm_kernel *kernel) {
    struct CMUnitTest tests[] = {
        cmocka_unit_test(gpu_kernel_is_right_on_every_axis),
        cmocka_unit_test(kernel_is_right_over_many_waves),
        cmocka_unit_test(kernel_is_right_at_every_split),
        cmocka_unit_test(kernel_is_right_with_a_large_weight),
        cmocka_unit_test(kernel_reads_every_pair_of_positions_in_every_lane),
        cmocka_unit_test(kernel_keeps_a_non_finite_token_to_itself),
        cmocka_unit_test(kernel_gives_the_same_bits_a_hundred_times),
        cmocka_unit_test(wrong_kernels_are_caught),
    };
    /* The others judge numbers and the comparison, which a tool does not look at. */
    const size_t count = gpu_option.is_reduced ? 3 : TEST_COUNT(tests);

    for (size_t i = 0; i < count; i++)
        tests[i].initial_state = (void *)(uintptr_t)kernel;
    return _cmocka_run_group_tests(kernel->name, tests, count, NULL, NULL);
}
