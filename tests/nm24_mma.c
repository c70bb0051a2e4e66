/* The image for sparse tensor cores: its bytes by the formulas of docs/layouts.md, and which kernel
 * an H100 would be given. None of it needs a GPU. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/dtype.h"
#include "spmm/choose.h"
#include "support/images.h"
#include "support/matrices.h"
#include "support/number.h"
#include "support/setup.h"

enum { BLOCK_BYTES = 4608, BLOCK_BYTES_8 = 5120, META_AT = 4096 };

static bool is_byte(tms_dtype dtype) {
    return dtype == TMS_I8 || dtype == TMS_E4M3;
}

static tms_spmm_problem problem_of(int64_t n, int64_t k, tms_dtype dtype) {
    tms_spmm_problem problem = tms_spmm_problem_default();

    problem.n = n;
    problem.k = k;
    problem.t_max = 65536;
    problem.format = TMS_FORMAT_NM;
    problem.keep = 2;
    problem.group = 4;
    problem.x_type = problem.w_type = problem.y_type = dtype;
    return problem;
}

static const tms_dtype dtypes[] = {TMS_BF16, TMS_F16, TMS_I8, TMS_E4M3};

static uint32_t word_at(const uint8_t *block, int64_t number) {
    uint32_t word;

    memcpy(&word, block + META_AT + 4 * number, sizeof word);
    return word;
}

/* Values and positions of a group as they lie in an image. */
typedef struct stored_group {
    const uint8_t *values;
    uint32_t code;
} stored_group;

/* The group of four from column k on of row n, 16-bit types, by the page's formula. */
static stored_group find_group_16(const uint8_t *image, int64_t k_total, int64_t n, int64_t k) {
    const uint8_t *block = image + (n / 64 * ((k_total + 63) / 64) + k / 64) * BLOCK_BYTES;
    const int64_t r = n % 64, q = k % 64 / 16, g = k % 16 / 4;
    stored_group group;

    group.values = block + 64 * r + 16 * (q ^ (r / 2 % 4)) + 4 * g;
    group.code = word_at(block, 32 * (r / 16) + 4 * (r % 8) + q) >> (16 * (r / 8 % 2) + 4 * g) & 15;
    return group;
}

/* The same of 8-bit types. */
static stored_group find_group_8(const uint8_t *image, int64_t k_total, int64_t n, int64_t k) {
    const uint8_t *block = image + (n / 64 * ((k_total + 127) / 128) + k / 128) * BLOCK_BYTES_8;
    const int64_t r = n % 64, q = k % 128 / 32, g = k % 32 / 4;
    stored_group group;

    group.values = block + 64 * r + 16 * (q ^ (r / 2 % 4)) + 2 * g;
    group.code =
        word_at(block, 128 * (q / 2) + 32 * (r / 16) + 4 * (r % 8) + 2 * (q % 2) + r / 8 % 2) >>
            4 * g &
        15;
    return group;
}

static void read_group(const uint8_t *image, int64_t k_total, tms_dtype dtype, int64_t n, int64_t k,
                       double out[4]) {
    const stored_group group =
        is_byte(dtype) ? find_group_8(image, k_total, n, k) : find_group_16(image, k_total, n, k);

    assert_true((group.code & 3) < group.code >> 2); /* one of the six nibbles */
    memset(out, 0, 4 * sizeof *out);
    for (int64_t i = 0; i < 2; i++)
        out[group.code >> 2 * i & 3] = test_read(group.values, dtype, i);
}

/* Any two of each four, at times fewer; numbers of every type. */
static void draw_weight(double *w, int64_t n, int64_t k, test_random *random) {
    for (int64_t i = 0; i < n * k; i++)
        w[i] = (double)(test_random_int(random, 1, 15) * (test_random_int(random, 0, 1) ? 1 : -8));
    for (int64_t i = 0; i < n * k; i += 4)
        for (int64_t drop = test_random_int(random, 2, 4); drop > 0;) {
            int64_t at = i + test_random_int(random, 0, 3);
            drop -= w[at] != 0.0;
            w[at] = 0.0;
        }
}

static void check_image(tms_context *context, int64_t n, int64_t k, tms_dtype dtype,
                        test_random *random) {
    const int64_t depth = is_byte(dtype) ? 128 : 64;
    const int64_t k_blocks = (k + depth - 1) / depth, n_blocks = (n + 63) / 64;
    double *w = calloc((size_t)(n * k), sizeof *w);
    void *typed = calloc((size_t)(n * k), tmsi_dtype_bytes(dtype));
    const tms_layout layout = test_layout_mma(n, k, dtype);
    tms_matrix matrix = tms_matrix_dense(dtype, n, k, typed);
    tms_image image;

    assert_true(w != NULL && typed != NULL);
    draw_weight(w, n, k, random);
    for (int64_t i = 0; i < n * k; i++)
        test_write(typed, dtype, i, w[i]);
    image = test_image_of(context, &layout, &matrix);
    assert_int_equal(image.part_bytes[0],
                     n_blocks * k_blocks * (is_byte(dtype) ? BLOCK_BYTES_8 : BLOCK_BYTES));
    for (int64_t row = 0; row < n_blocks * 64; row++)
        for (int64_t column = 0; column < k_blocks * depth; column += 4) {
            double group[4];
            read_group(image.data, k, dtype, row, column, group);
            for (int64_t i = 0; i < 4; i++) {
                bool is_inside = row < n && column + i < k;
                double expected = is_inside ? w[row * k + column + i] : 0.0;
                assert_true(group[i] == expected);
            }
        }
    free(image.data);
    free(typed);
    free(w);
}

static void image_holds_every_weight_where_the_formula_says(void **state) {
    const int64_t shapes[][2] = {{64, 64}, {1, 4}, {70, 132}, {200, 60}, {129, 260}};
    tms_context *context = test_context(1, 0);
    test_random random;

    (void)state;
    test_random_seed(&random, test_seed());
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        for (size_t d = 0; d < TEST_COUNT(dtypes); d++)
            check_image(context, shapes[i][0], shapes[i][1], dtypes[d], &random);
    }
    tms_context_destroy(context);
}

/* ---- The page's example ---------------------------------------------------------------------- */

/* One line of it, on the weight or on the image. */
static void check_line(const char *line, float *w, int64_t k, const uint8_t *image) {
    long long n, at;
    unsigned bytes[4], word;
    float v[4];

    if (sscanf(line, "weight %lld %lld %f %f %f %f", &n, &at, &v[0], &v[1], &v[2], &v[3]) == 6) {
        if (image == NULL)
            memcpy(w + n * k + at, v, sizeof v);
    } else if (sscanf(line, "bytes %lld %x %x %x %x", &at, &bytes[0], &bytes[1], &bytes[2],
                      &bytes[3]) == 5) {
        for (int i = 0; image != NULL && i < 4; i++)
            assert_int_equal(image[at + i], bytes[i]);
    } else if (sscanf(line, "word %lld %x", &at, &word) == 2) {
        if (image != NULL)
            assert_int_equal(word_at(image, at), word);
    } else {
        fail_msg("\"%s\" is no line of an example", line);
    }
}

/* An example: its type on the first line, then weights of a 64 x 128 matrix and what is in its
 * image. */
static void check_example(char *text) {
    enum { N = 64, K = 128 };
    static float w[N * K];
    static uint8_t typed[2 * N * K];
    tms_context *context = test_context(1, 0);
    char *lines = strchr(text, '\n') + 1, *copy = calloc(strlen(text) + 1, 1);
    tms_dtype dtype = TMS_DTYPE_COUNT;
    tms_image image = {0};
    tms_layout layout;
    tms_matrix matrix;

    assert_non_null(copy);
    lines[-1] = '\0';
    for (size_t d = 0; d < TEST_COUNT(dtypes); d++)
        if (strcmp(text, tms_dtype_name(dtypes[d])) == 0)
            dtype = dtypes[d];
    assert_int_not_equal(dtype, TMS_DTYPE_COUNT);
    memset(w, 0, sizeof w);
    for (int pass = 0; pass < 2; pass++) { /* the weight, then its bytes */
        strcpy(copy, lines);
        for (char *line = strtok(copy, "\n"); line != NULL; line = strtok(NULL, "\n"))
            check_line(line, w, K, image.data);
        for (int i = 0; pass == 0 && i < N * K; i++)
            test_write(typed, dtype, i, (double)w[i]);
        if (pass == 0) {
            matrix = tms_matrix_dense(dtype, N, K, typed);
            layout = test_layout_mma(N, K, dtype);
            image = test_image_of(context, &layout, &matrix);
        }
    }
    free(image.data);
    free(copy);
    tms_context_destroy(context);
}

static void examples_of_the_page_are_what_the_library_builds(void **state) {
    enum { PAGE_BYTES = 1 << 17 };
    char *page = calloc(PAGE_BYTES, 1), *at = page;
    FILE *file = fopen(SOURCE_DIR "/docs/layouts.md", "r");
    int seen = 0;

    (void)state;
    assert_true(page != NULL && file != NULL);
    assert_true(fread(page, 1, PAGE_BYTES - 1, file) > 0);
    fclose(file);
    while ((at = strstr(at, "```mma ")) != NULL) {
        char *text = at + strlen("```mma "), *end = strstr(text, "```");

        assert_non_null(end);
        *end = '\0';
        check_example(text);
        seen++;
        at = end + 1;
    }
    assert_int_equal(seen, 2); /* 16 bits and 8 */
    free(page);
}

static void image_refuses_a_third_non_zero_and_says_where(void **state) {
    enum { N = 3, K = 72 };
    static uint16_t typed[N * K];
    tms_context *context = test_context(1, 0);
    tms_matrix matrix = tms_matrix_dense(TMS_BF16, N, K, typed);
    const tms_layout layout = test_layout_mma(N, K, TMS_BF16);
    tms_image_desc desc = test_image_desc(&layout, &matrix, 1);
    void *data = test_aligned(2 * BLOCK_BYTES);
    tms_image image;

    (void)state;
    for (int i = 0; i < 3; i++)
        typed[2 * K + 68 + i] = 0x3f80;
    assert_fails(tms_image_build(context, &desc, data, 2 * BLOCK_BYTES, &image), TMS_ERR_PATTERN,
                 "desc->matrices[0]: row 2, column 70 is the third non-zero in columns 68 to 71");
    free(data);
    tms_context_destroy(context);
}

static void layout_refuses_f32(void **state) {
    static float w[64 * 64];
    tms_context *context = test_context(1, 0);
    tms_matrix matrix = tms_matrix_dense(TMS_F32, 64, 64, w);
    const tms_layout layout = test_layout_mma(64, 64, TMS_F32);
    tms_image_desc desc = test_image_desc(&layout, &matrix, 1);
    size_t bytes = 0;

    (void)state;
    assert_fails(tms_image_bytes(context, &desc, &bytes), TMS_ERR_INVALID,
                 "nm24-mma holds 2:4 weights in bf16, f16, i8 or e4m3, not 2:4 in f32");
    tms_context_destroy(context);
}

/* ---- Devices --------------------------------------------------------------------------------- */

static void problem_on_a_gpu_needs_a_context_with_one(void **state) {
    tms_context *context = test_context(1, 0);
    tms_spmm_problem problem = problem_of(64, 64, TMS_BF16);
    tms_layout layout;

    (void)state;
    problem.device = TMS_DEVICE_CUDA;
    assert_fails(tms_spmm_layout_choose(context, &problem, 1, 1, 0, &layout), TMS_ERR_DEVICE,
                 "the context has no GPU");
    problem.device = (tms_device)7;
    assert_fails(tms_spmm_layout_choose(context, &problem, 1, 1, 0, &layout), TMS_ERR_INVALID,
                 "problem->device is 7");
    assert_string_equal(tms_context_device_text(context), "none");
    tms_context_destroy(context);
}

/* Here there is a GPU or a sentence that says why not. */
static void context_with_a_gpu_has_one_or_says_why_not(void **state) {
    tms_context_desc desc = tms_context_desc_default();
    tms_context *context = NULL;
    tms_status status;

    (void)state;
    desc.device = (tms_device)7;
    assert_fails(tms_context_create(&desc, &context), TMS_ERR_INVALID, "desc->device is 7");
    desc.device = TMS_DEVICE_CUDA;
    status = tms_context_create(&desc, &context);
    if (status == TMS_OK)
        assert_string_not_equal(tms_context_device_text(context), "none");
    else
        assert_fails(status, TMS_ERR_DEVICE, "tms_context_create: no GPU can be used: ");
    tms_context_destroy(context);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(image_holds_every_weight_where_the_formula_says),
        cmocka_unit_test(examples_of_the_page_are_what_the_library_builds),
        cmocka_unit_test(image_refuses_a_third_non_zero_and_says_where),
        cmocka_unit_test(layout_refuses_f32),
        cmocka_unit_test(problem_on_a_gpu_needs_a_context_with_one),
        cmocka_unit_test(context_with_a_gpu_has_one_or_says_why_not),
    };
    return cmocka_run_group_tests_name("nm24_mma", tests, NULL, NULL);
}
