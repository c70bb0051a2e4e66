/* What the fast fp32 kernels promise beyond right numbers (those are in tests/spmm.c): the same
 * bits for a token in any batch and from any format, tokens that cannot hurt each other, and a GELU
 * whose error is bounded everywhere. Layouts refuse parts that they cannot build. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/context.h"
#include "base/dtype.h"
#include "base/memory.h"
#include "spmm/choose.h"
#include "spmm/kernel.h"
#include "support/support.h"

/* Sizes no tile, panel, chunk or block divides; k a multiple of 4 over two blocks of K. */
enum { N = 197, K = 132, T = 143 };

/* A 2:4 weight, which every format can hold. */
static void make_weight(float *w, test_random *random) {
    for (int64_t i = 0; i < N * K; i += 4)
        for (int64_t j = 0; j < 4; j++)
            w[i + j] = (i / 4 + j) % 4 < 2 ? (float)test_random_normal(random) : 0.0f;
}

static tms_spmm_problem problem_of(tms_format format) {
    tms_spmm_problem problem = tms_spmm_problem_default();

    problem.format = format;
    problem.n = N, problem.k = K, problem.t_max = T;
    problem.density = format == TMS_FORMAT_DENSE ? 1.0 : 0.5;
    problem.keep = 2, problem.group = 4;
    problem.block_rows = 20, problem.block_columns = 12;
    return problem;
}

static bool is_fast(const tmsi_spmm_kernel *kernel, const tms_context *context) {
    return !tmsi_spmm_is_reference(kernel) && (kernel->needs & ~context->hardware.isa) == 0;
}

/* A kernel with the weight in its layout. */
typedef struct fixture {
    tms_spmm_problem problem;
    tms_part part;
    void *image;
} fixture;

static fixture make_ready(tms_context *context, const tmsi_spmm_kernel *kernel, const float *w,
                          uint32_t epilogue, tms_activation activation) {
    tms_matrix matrix = tms_matrix_dense(TMS_F32, N, K, w);
    tms_image_desc desc = tms_image_desc_default();
    fixture ready = {problem_of(kernel->format), {0}, NULL};
    size_t bytes = 0;
    tms_image image;

    ready.problem.epilogue = epilogue;
    ready.problem.activation = activation;
    ready.part = tmsi_spmm_wanted_part(kernel, &ready.problem, &context->hardware);
    desc.matrices = &matrix, desc.count = 1;
    desc.layout.struct_size = sizeof desc.layout;
    desc.layout.n = N, desc.layout.k = K;
    desc.layout.part_count = 1;
    desc.layout.parts[0] = ready.part;
    assert_ok(tms_image_bytes(context, &desc, &bytes));
    ready.image = aligned_alloc(64, tmsi_round_up(bytes, 64));
    assert_ok(tms_image_build(context, &desc, ready.image, bytes, &image));
    return ready;
}

/* Tokens [first, first + t) of x to the same rows of y. */
static void run(tms_context *context, const tmsi_spmm_kernel *kernel, const fixture *ready,
                const float *x, const float *bias, int64_t first, int64_t t, float *y) {
    size_t bytes = kernel->work(&ready->problem, &ready->part, t, context->threads);
    tms_spmm_args args = tms_spmm_args_default();
    tmsi_spmm_run run = {.context = context,
                         .problem = &ready->problem,
                         .part = &ready->part,
                         .weight = ready->image,
                         .args = &args,
                         .work = aligned_alloc(64, tmsi_round_up(bytes + 1, 64))};

    memset(run.work, 0xff, bytes); /* NaN: nothing may be read before it is written */
    args.t = t;
    args.x = x + first * K, args.ldx = K;
    args.y = y + first * N, args.ldy = N;
    args.bias = bias;
    kernel->run(&run);
    free(run.work);
}

static void fill(float *values, int64_t count, test_random *random) {
    for (int64_t i = 0; i < count; i++)
        values[i] = (float)test_random_normal(random);
}

static void a_token_has_the_same_bits_in_any_batch_and_format(void **state) {
    tms_context *one = test_context(1, TMS_ISA_AVX2), *three = test_context(3, TMS_ISA_AVX2);
    static float w[N * K], x[T * K], bias[N], expected[T * N], y[T * N];
    bool has_expected = false;
    test_random random;

    (void)state;
    test_random_seed(&random, test_seed());
    make_weight(w, &random);
    fill(x, T * K, &random);
    fill(bias, N, &random);
    for (int32_t i = 0; i < tmsi_spmm_kernel_count; i++) {
        const tmsi_spmm_kernel *kernel = &tmsi_spmm_kernels[i];
        fixture ready;
        if (!is_fast(kernel, one))
            continue;
        ready = make_ready(one, kernel, w, TMS_EPILOGUE_BIAS, TMS_ACT_GELU);
        if (!has_expected)
            run(one, kernel, &ready, x, bias, 0, T, expected);
        has_expected = true;
        for (int64_t t = 1; t <= T; t += t < 24 ? 1 : 17) { /* batches of t, the last is shorter */
            memset(y, 0x55, sizeof y);
            for (int64_t first = 0; first < T; first += t)
                run(t % 2 == 0 ? three : one, kernel, &ready, x, bias, first,
                    tmsi_min(t, T - first), y);
            for (int64_t e = 0; e < T * N; e++)
                if (tmsi_bits_from_f32(y[e]) != tmsi_bits_from_f32(expected[e]))
                    fail_msg("%s in batches of %lld: token %lld, row %lld is %.9g, elsewhere %.9g",
                             kernel->name, (long long)t, (long long)(e / N), (long long)(e % N),
                             (double)y[e], (double)expected[e]);
        }
        free(ready.image);
    }
    tms_context_destroy(three);
    tms_context_destroy(one);
}

static void a_token_that_is_not_finite_leaves_the_others_alone(void **state) {
    tms_context *context = test_context(1, TMS_ISA_AVX2);
    static float w[N * K], x[T * K], expected[T * N], y[T * N];
    test_random random;

    (void)state;
    test_random_seed(&random, test_seed());
    make_weight(w, &random);
    fill(x, T * K, &random);
    for (int32_t i = 0; i < tmsi_spmm_kernel_count; i++) {
        const tmsi_spmm_kernel *kernel = &tmsi_spmm_kernels[i];
        fixture ready;
        if (!is_fast(kernel, context))
            continue;
        ready = make_ready(context, kernel, w, 0, TMS_ACT_NONE);
        for (int64_t bad = 0; bad < T; bad += 13) {
            static float hurt[T * K];
            memcpy(hurt, x, sizeof x);
            for (int64_t k = 0; k < K; k++)
                hurt[bad * K + k] = k % 3 == 0 ? INFINITY : k % 3 == 1 ? -INFINITY : NAN;
            run(context, kernel, &ready, x, NULL, 0, T, expected);
            run(context, kernel, &ready, hurt, NULL, 0, T, y);
            assert_memory_equal(y, expected, (size_t)(bad * N) * sizeof *y);
            assert_memory_equal(y + (bad + 1) * N, expected + (bad + 1) * N,
                                (size_t)((T - 1 - bad) * N) * sizeof *y);
            assert_true(isnan(y[bad * N]));
        }
        free(ready.image);
    }
    tms_context_destroy(context);
}

/* GELU of z in float64. */
static double gelu(double z) {
    return 0.5 * z * erfc(-z * sqrt(0.5));
}

/* z comes in as the bias of zero sums: all finite magnitudes, 4001 bit patterns apart, in turn with
 * both signs. */
static void gelu_is_within_2_to_minus_20_of_z(void **state) {
    tms_context *context = test_context(1, TMS_ISA_AVX2);
    const uint32_t infinity = 0x7f800000u, step = 4001;
    static float w[N * K], x[K], z[N], y[N];

    (void)state;
    for (int32_t i = 0; i < tmsi_spmm_kernel_count; i++) {
        const tmsi_spmm_kernel *kernel = &tmsi_spmm_kernels[i];
        double worst = 0.0;
        fixture ready;
        if (!is_fast(kernel, context) || kernel->format != TMS_FORMAT_DENSE)
            continue;
        ready = make_ready(context, kernel, w, TMS_EPILOGUE_BIAS, TMS_ACT_GELU);
        for (uint32_t bits = 0; bits < infinity - N * step; bits += N * step) {
            for (uint32_t n = 0; n < N; n++)
                z[n] = tmsi_f32_from_bits((bits + n * step) | (bits + n) << 31);
            run(context, kernel, &ready, x, z, 0, 1, y);
            for (int64_t n = 0; n < N; n++) {
                double size = fabs((double)z[n]), error = fabs((double)y[n] - gelu((double)z[n]));
                if (!(error <= ldexp(size, -20) + ldexp(1.0, -149)))
                    fail_msg("%s: gelu(%.9g) is %.9g, not %.9g", kernel->name, (double)z[n],
                             (double)y[n], gelu((double)z[n]));
                if (size > 1e-30 && error / size > worst)
                    worst = error / size;
            }
        }
        print_message("%s: worst error of gelu is %.3f * 2^-20 |z|\n", kernel->name,
                      ldexp(worst, 20));
        free(ready.image);
    }
    tms_context_destroy(context);
}

static void gelu_of_infinities_and_nan_is_their_limit(void **state) {
    tms_context *context = test_context(1, TMS_ISA_AVX2);
    static float w[N * K], x[K], y[N], z[N];

    (void)state;
    z[0] = INFINITY, z[1] = -INFINITY, z[2] = NAN;
    for (int32_t i = 0; i < tmsi_spmm_kernel_count; i++) {
        const tmsi_spmm_kernel *kernel = &tmsi_spmm_kernels[i];
        fixture ready;
        if (!is_fast(kernel, context))
            continue;
        ready = make_ready(context, kernel, w, TMS_EPILOGUE_BIAS, TMS_ACT_GELU);
        run(context, kernel, &ready, x, z, 0, 1, y);
        assert_true(y[0] == INFINITY);
        assert_true(fabsf(y[1]) < 1e-30f);
        assert_true(isnan(y[2]));
        free(ready.image);
    }
    tms_context_destroy(context);
}

static void layouts_refuse_parts_with_other_parameters(void **state) {
    tms_context *context = test_context(1, 0);
    static float w[N * K];
    tms_matrix matrix = tms_matrix_dense(TMS_F32, N, K, w);

    (void)state;
    for (int32_t i = 0; i < tmsi_spmm_kernel_count; i++) {
        const tmsi_spmm_kernel *kernel = &tmsi_spmm_kernels[i];
        tms_spmm_problem problem = problem_of(kernel->format);
        tms_image_desc desc = tms_image_desc_default();
        size_t bytes = 0;
        if (tmsi_spmm_is_reference(kernel))
            continue;
        desc.matrices = &matrix, desc.count = 1;
        desc.layout.struct_size = sizeof desc.layout;
        desc.layout.n = N, desc.layout.k = K, desc.layout.part_count = 1;
        desc.layout.parts[0] = tmsi_spmm_wanted_part(kernel, &problem, &context->hardware);
        desc.layout.parts[0].parameters[0]++;
        assert_fails(tms_image_bytes(context, &desc, &bytes), TMS_ERR_INVALID,
                     tmsi_layouts[kernel->layout].name);
        desc.layout.parts[0].parameters[0]--;
        desc.layout.parts[0].dtype = TMS_BF16;
        assert_fails(tms_image_bytes(context, &desc, &bytes), TMS_ERR_INVALID, "bf16");
    }
    tms_context_destroy(context);
}

static void nm24_t_refuses_a_third_non_zero(void **state) {
    tms_context *context = test_context(1, 0);
    static float w[N * K];
    tms_matrix matrix = tms_matrix_dense(TMS_F32, N, K, w);
    tms_image_desc desc = tms_image_desc_default();
    tms_part *part = &desc.layout.parts[0];
    tms_image image;
    size_t bytes = 0;
    void *data;

    (void)state;
    w[7 * K + 120] = w[7 * K + 121] = w[7 * K + 123] = 1.0f;
    desc.matrices = &matrix, desc.count = 1;
    desc.layout.struct_size = sizeof desc.layout;
    desc.layout.n = N, desc.layout.k = K, desc.layout.part_count = 1;
    part->id = TMSI_LAYOUT_NM24_T, part->version = tmsi_layouts[part->id].version;
    part->format = TMS_FORMAT_NM, part->dtype = TMS_F32;
    part->keep = 2, part->group = 4, part->parameters[0] = 96;
    assert_ok(tms_image_bytes(context, &desc, &bytes));
    data = aligned_alloc(64, tmsi_round_up(bytes, 64));
    assert_fails(tms_image_build(context, &desc, data, bytes, &image), TMS_ERR_PATTERN,
                 "row 7 has more than 2 non-zeros in columns 120 to 123");
    free(data);
    w[7 * K + 120] = w[7 * K + 121] = w[7 * K + 123] = 0.0f;
    tms_context_destroy(context);
}

/* Sizes and builds an image for every fast kernel. */
static tms_status build_all(tms_context *context, void *user) {
    const float *w = user;
    tms_matrix matrix = tms_matrix_dense(TMS_F32, N, K, w);
    tms_status status = TMS_OK;

    for (int32_t i = 0; i < tmsi_spmm_kernel_count && status == TMS_OK; i++) {
        const tmsi_spmm_kernel *kernel = &tmsi_spmm_kernels[i];
        tms_spmm_problem problem = problem_of(kernel->format);
        tms_image_desc desc = tms_image_desc_default();
        tms_image image;
        size_t bytes = 0;
        void *data = NULL;
        if (tmsi_spmm_is_reference(kernel))
            continue;
        desc.matrices = &matrix, desc.count = 1;
        desc.layout.struct_size = sizeof desc.layout;
        desc.layout.n = N, desc.layout.k = K, desc.layout.part_count = 1;
        desc.layout.parts[0] = tmsi_spmm_wanted_part(kernel, &problem, &context->hardware);
        status = tms_image_bytes(context, &desc, &bytes);
        if (status == TMS_OK) {
            data = aligned_alloc(64, tmsi_round_up(bytes, 64));
            status = tms_image_build(context, &desc, data, bytes, &image);
        }
        free(data);
    }
    return status;
}

static void images_survive_a_lack_of_memory(void **state) {
    static float w[N * K];
    test_random random;

    (void)state;
    test_random_seed(&random, test_seed());
    make_weight(w, &random);
    test_every_allocation_fails_once(build_all, w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_has_the_same_bits_in_any_batch_and_format),
        cmocka_unit_test(a_token_that_is_not_finite_leaves_the_others_alone),
        cmocka_unit_test(gelu_is_within_2_to_minus_20_of_z),
        cmocka_unit_test(gelu_of_infinities_and_nan_is_their_limit),
        cmocka_unit_test(layouts_refuse_parts_with_other_parameters),
        cmocka_unit_test(nm24_t_refuses_a_third_non_zero),
        cmocka_unit_test(images_survive_a_lack_of_memory),
    };
    return cmocka_run_group_tests_name("kernels", tests, NULL, NULL);
}
