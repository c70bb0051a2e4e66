/* Selection against an oracle that knows nothing of radix, bits or threads: it lists every score,
 * sorts, and keeps the first. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/dtype.h"
#include "support/contexts.h"

enum { LIMIT = 16384 }; /* elements of the largest matrix here */

typedef struct item {
    double score;
    int64_t index;
} item;

static int compare_items(const void *a, const void *b) {
    const item *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

/* keep[item.index] = 1 for the best `kept` of count items. */
static void keep_best(item *items, int64_t count, int64_t kept, uint8_t *keep) {
    qsort(items, (size_t)count, sizeof *items, compare_items);
    for (int64_t i = 0; i < count; i++)
        keep[items[i].index] = i < kept;
}

static int64_t kept_count(const tms_pattern *pattern, int64_t count) {
    return count - (pattern->share_ppb * count + 500000000) / 1000000000;
}

static double score_at(const tms_select_desc *desc, int64_t row, int64_t column) {
    int64_t i = row * desc->weights.k + column;
    float score =
        desc->scores != NULL
            ? desc->scores[i]
            : fabsf(tmsi_load_f32(desc->weights.components[0].data, desc->weights.dtype, i));
    return (double)(desc->column_norms != NULL ? score * desc->column_norms[column] : score);
}

/* Elements compete in groups of `group` along a row (0: over all). */
static void oracle_elements(const tms_select_desc *desc, int64_t group, int64_t kept,
                            uint8_t *keep) {
    static item items[LIMIT];
    int64_t elements = desc->weights.n * desc->weights.k;

    for (int64_t first = 0; first < elements; first += group) {
        for (int64_t i = 0; i < group; i++) {
            int64_t element = first + i;
            items[i].score = score_at(desc, element / desc->weights.k, element % desc->weights.k);
            items[i].index = element;
        }
        keep_best(items, group, kept, keep);
    }
}

static double mean_of_block(const tms_select_desc *desc, int64_t top, int64_t left, int64_t height,
                            int64_t width) {
    double sum = 0.0;
    for (int64_t row = top; row < top + height; row++)
        for (int64_t column = left; column < left + width; column++) {
            double score = score_at(desc, row, column);
            sum += desc->block_norm == TMS_NORM_L2 ? score * score : score;
        }
    return sum / (double)(height * width);
}

/* Clears keep where a block of height x width goes. */
static void oracle_blocks(const tms_select_desc *desc, int64_t height, int64_t width,
                          uint8_t *keep) {
    static item items[LIMIT];
    static uint8_t stays[LIMIT];
    int64_t n = desc->weights.n, k = desc->weights.k;
    int64_t rows = (n + height - 1) / height, columns = (k + width - 1) / width;
    int64_t group = desc->pattern.scope == TMS_SCOPE_PER_ROW ? columns : rows * columns;

    for (int64_t first = 0; first < rows * columns; first += group) {
        for (int64_t i = 0; i < group; i++) {
            int64_t top = (first + i) / columns * height, left = (first + i) % columns * width;
            items[i].index = first + i;
            items[i].score = mean_of_block(desc, top, left, top + height > n ? n - top : height,
                                           left + width > k ? k - left : width);
        }
        keep_best(items, group, kept_count(&desc->pattern, group), stays);
    }
    for (int64_t i = 0; i < n * k; i++)
        keep[i] &= stays[i / k / height * columns + i % k / width];
}

static void oracle_select(const tms_select_desc *desc, uint8_t *keep) {
    const tms_pattern *p = &desc->pattern;
    int64_t n = desc->weights.n, k = desc->weights.k, elements = n * k;

    memset(keep, 1, (size_t)elements);
    if (elements == 0)
        return;
    if (p->kind == TMS_PATTERN_UNSTRUCTURED) {
        int64_t group = p->scope == TMS_SCOPE_PER_ROW ? k : elements;
        oracle_elements(desc, group, kept_count(p, group), keep);
    }
    if (p->kind == TMS_PATTERN_NM || p->kind == TMS_PATTERN_NM_IN_BLOCK)
        oracle_elements(desc, p->group, p->keep, keep);
    if (p->kind == TMS_PATTERN_BLOCK || p->kind == TMS_PATTERN_NM_IN_BLOCK)
        oracle_blocks(desc, p->block_rows, p->block_columns, keep);
    if (p->kind == TMS_PATTERN_ROWS)
        oracle_blocks(desc, 1, k, keep);
    if (p->kind == TMS_PATTERN_COLUMNS)
        oracle_blocks(desc, n, 1, keep);
}

/* ---- Inputs ------------------------------------------------------------------------------- */

typedef enum filling {
    NORMAL,
    TIES,
    ZEROS,
    SUBNORMAL,
    SIGNED_ZEROS,
    HUGE_VALUES,
    FILLINGS
} filling;

static float random_value(test_random *random, filling kind) {
    float normal = (float)test_random_normal(random);
    switch (kind) {
    case TIES:
        return (float)test_random_int(random, -2, 2);
    case ZEROS:
        return 0.0f;
    case SUBNORMAL:
        return normal * 1e-42f;
    case SIGNED_ZEROS:
        return test_random_int(random, 0, 2) == 0 ? normal : -0.0f;
    case HUGE_VALUES:
        return normal * 1e4f; /* large, yet finite in every type */
    default:
        return normal;
    }
}

/* A case's arrays; values hold f32, 16-bit floats, i8 or e4m3. */
typedef struct input {
    union {
        float f32[LIMIT];
        uint16_t half[LIMIT];
        uint8_t byte[LIMIT];
    } values;
    float scores[LIMIT], norms[LIMIT];
} input;

static tms_matrix fill_weights(input *in, test_random *random, tms_dtype dtype, int64_t n,
                               int64_t k, filling kind) {
    for (int64_t i = 0; i < n * k; i++) {
        float value = random_value(random, kind);
        if (dtype == TMS_F32)
            in->values.f32[i] = value;
        else if (dtype == TMS_E4M3)
            in->values.byte[i] = tmsi_e4m3_from_f32(value);
        else if (dtype == TMS_I8)
            in->values.byte[i] = (uint8_t)test_random_int(random, 0, 255);
        else
            in->values.half[i] =
                dtype == TMS_BF16 ? tmsi_bf16_from_f32(value) : tmsi_f16_from_f32(value);
    }
    return tms_matrix_dense(dtype, n, k, &in->values);
}

static void print_case(const tms_select_desc *desc, int32_t threads) {
    char text[TMS_PATTERN_TEXT_MAX];
    assert_ok(tms_pattern_print(&desc->pattern, text));
    print_error("%s on %lld x %lld %s, scores %d, norms %d, norm %d, threads %d\n", text,
                (long long)desc->weights.n, (long long)desc->weights.k,
                tms_dtype_name(desc->weights.dtype), desc->scores != NULL,
                desc->column_norms != NULL, (int)desc->block_norm, threads);
}

/* keep as a mask: 1 bit an element, rows padded with 0 bits. */
static void pack_rows(const uint8_t *keep, int64_t n, int64_t k, uint8_t *mask) {
    int64_t row_bytes = (k + 7) / 8;

    memset(mask, 0, (size_t)(n * row_bytes));
    for (int64_t i = 0; i < n * k; i++)
        mask[i / k * row_bytes + i % k / 8] |= (uint8_t)(keep[i] << (i % k % 8));
}

static void assert_mask(const tms_select_desc *desc, int32_t threads, const uint8_t *found,
                        const uint8_t *expected) {
    int64_t row_bytes = (desc->weights.k + 7) / 8;

    for (int64_t i = 0; i < desc->weights.n * row_bytes; i++)
        if (found[i] != expected[i]) {
            print_case(desc, threads);
            fail_msg("row %lld, columns %lld ..: the mask is %02x, but must be %02x",
                     (long long)(i / row_bytes), (long long)(i % row_bytes * 8), found[i],
                     expected[i]);
        }
}

static void assert_selects_like_the_oracle(const tms_select_desc *desc) {
    static uint8_t mask[LIMIT], keep[LIMIT], expected[LIMIT];
    size_t bytes = tms_mask_bytes(desc->weights.n, desc->weights.k);

    oracle_select(desc, keep);
    pack_rows(keep, desc->weights.n, desc->weights.k, expected);
    for (int i = 0; i < TEST_CONTEXTS; i++) {
        memset(mask, 0xa5, sizeof mask);
        assert_ok(tms_mask_select(test_contexts[i], desc, mask));
        assert_mask(desc, test_context_threads[i], mask, expected);
        assert_int_equal(mask[bytes], 0xa5); /* not a byte further */
    }
}

/* ---- Promises ----------------------------------------------------------------------------- */

/* Every kind by its example, and what an example does not show. */
static const char *const texts[] = {
#define EXAMPLE(id, name, example) example,
    TMS_PATTERN_MAP(EXAMPLE)
#undef EXAMPLE
        "unstructured 0%",
    "unstructured 100%",
    "unstructured 33.3333333%",
    "unstructured 50% per row",
    "unstructured 100% per row",
    "1:4",
    "3:4",
    "1:2",
    "4:8",
    "2:6",
    "5:7",
    "32:64",
    "1:64",
    "block 4x4 50%",
    "block 3x5 90%",
    "block 1x1 70%",
    "block 32x32 25%",
    "block 64x2000 50%",
    "block 2x8 50% per row",
    "block 7x1 100%",
    "rows 0%",
    "columns 30% per tensor",
    "columns 100%",
    "2:4 in block 8x8 50%",
    "1:2 in block 3x6 40% per row",
    "3:6 in block 64x1200 50%",
};

static const int64_t shapes[][2] = {{0, 8},    {8, 0},    {1, 1},    {1, 8},    {3, 5},
                                    {7, 12},   {16, 64},  {33, 128}, {65, 42},  {5, 1023},
                                    {4, 1025}, {3, 4032}, {200, 24}, {1, 4096}, {130, 64}};

static void select_equals_the_oracle(void **state) {
    static input in;
    test_random random;
    (void)state;
    test_random_seed(&random, test_seed());
    for (size_t t = 0; t < sizeof texts / sizeof *texts; t++)
        for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
            for (size_t kind = (t + s) % 3; kind < FILLINGS; kind += 3) {
                static const tms_dtype dtypes[] = {TMS_F32, TMS_BF16, TMS_F16, TMS_I8, TMS_E4M3};
                tms_select_desc desc = tms_select_desc_default();
                int64_t n = shapes[s][0], k = shapes[s][1];
                assert_ok(tms_pattern_parse(texts[t], &desc.pattern));
                if (tms_pattern_fits(&desc.pattern, n, k) != TMS_OK)
                    continue;
                desc.weights = fill_weights(&in, &random, dtypes[test_random_int(&random, 0, 4)], n,
                                            k, (filling)kind);
                desc.block_norm = (tms_norm)test_random_int(&random, 0, 1);
                for (int64_t i = 0; i < n * k; i++)
                    in.scores[i] = fabsf(random_value(&random, (filling)kind));
                for (int64_t i = 0; i < k; i++)
                    in.norms[i] = (float)test_random_int(&random, 0, 3);
                desc.scores = test_random_int(&random, 0, 3) == 0 ? in.scores : NULL;
                desc.column_norms = test_random_int(&random, 0, 1) == 0 ? in.norms : NULL;
                assert_selects_like_the_oracle(&desc);
            }
}

/* Neighbouring floats differ in the low half of their bits alone: the second pass must decide. */
static void select_tells_neighbouring_floats_apart(void **state) {
    static input in;
    test_random random;
    tms_select_desc desc = tms_select_desc_default();
    (void)state;
    test_random_seed(&random, test_seed());
    for (int64_t i = 0; i < 64 * 64; i++)
        in.values.f32[i] =
            tmsi_f32_from_bits(0x3f800000u + (uint32_t)test_random_int(&random, 0, 1000));
    desc.weights = tms_matrix_dense(TMS_F32, 64, 64, &in.values);
    assert_ok(tms_pattern_parse("unstructured 61%", &desc.pattern));
    assert_selects_like_the_oracle(&desc);
    assert_ok(tms_pattern_parse("unstructured 61% per row", &desc.pattern));
    assert_selects_like_the_oracle(&desc);
    assert_ok(tms_pattern_parse("block 2x2 61%", &desc.pattern));
    assert_selects_like_the_oracle(&desc);
}

static void equal_scores_keep_the_lower_index(void **state) {
    float values[16];
    uint8_t mask[2];
    tms_select_desc desc = tms_select_desc_default();
    (void)state;
    for (int i = 0; i < 16; i++)
        values[i] = i % 2 == 0 ? 1.0f : -1.0f;
    desc.weights = tms_matrix_dense(TMS_F32, 2, 8, values);
    assert_ok(tms_pattern_parse("unstructured 75%", &desc.pattern));
    assert_ok(tms_mask_select(test_contexts[0], &desc, mask));
    assert_int_equal(mask[0], 0x0f);
    assert_int_equal(mask[1], 0x00);
    assert_ok(tms_pattern_parse("2:4", &desc.pattern));
    assert_ok(tms_mask_select(test_contexts[0], &desc, mask));
    assert_int_equal(mask[0], 0x33);
    assert_ok(tms_pattern_parse("columns 50%", &desc.pattern));
    assert_ok(tms_mask_select(test_contexts[0], &desc, mask));
    assert_int_equal(mask[1], 0x0f);
}

/* Pruning what is pruned already, harder, drops all that was dropped: masks nest. */
static void masks_of_higher_shares_nest(void **state) {
    static input in;
    static uint8_t looser[LIMIT], tighter[LIMIT];
    test_random random;
    tms_select_desc desc = tms_select_desc_default();
    (void)state;
    test_random_seed(&random, test_seed());
    desc.weights = fill_weights(&in, &random, TMS_F32, 50, 99, TIES);
    desc.pattern.kind = TMS_PATTERN_UNSTRUCTURED;
    memset(looser, 0xff, sizeof looser);
    for (int64_t percent = 0; percent <= 100; percent += 10) {
        desc.pattern.share_ppb = percent * 10000000;
        assert_ok(tms_mask_select(test_contexts[1], &desc, tighter));
        for (size_t i = 0; i < tms_mask_bytes(50, 99); i++)
            assert_int_equal(tighter[i] & ~looser[i], 0);
        memcpy(looser, tighter, sizeof looser);
    }
}

static void an_edge_block_is_judged_by_its_own_mean(void **state) {
    /* Blocks of 2x2 on 3x3: means 1, 3, 2, 4; sums 4, 6, 4, 4. By sums the corner would lose. */
    float values[9] = {1, 1, 3, 1, 1, 3, 2, 2, 4};
    uint8_t mask[3];
    tms_select_desc desc = tms_select_desc_default();
    (void)state;
    desc.weights = tms_matrix_dense(TMS_F32, 3, 3, values);
    assert_ok(tms_pattern_parse("block 2x2 50%", &desc.pattern));
    assert_ok(tms_mask_select(test_contexts[0], &desc, mask));
    assert_int_equal(mask[0], 4);
    assert_int_equal(mask[1], 4);
    assert_int_equal(mask[2], 4);
}

static void l1_and_l2_choose_different_blocks(void **state) {
    float values[4] = {3, 3, 0, 5}; /* means 3 and 2.5; of squares 9 and 12.5 */
    uint8_t mask[1];
    tms_select_desc desc = tms_select_desc_default();
    (void)state;
    desc.weights = tms_matrix_dense(TMS_F32, 1, 4, values);
    assert_ok(tms_pattern_parse("block 1x2 50%", &desc.pattern));
    assert_ok(tms_mask_select(test_contexts[0], &desc, mask));
    assert_int_equal(mask[0], 0x3);
    desc.block_norm = TMS_NORM_L2;
    assert_ok(tms_mask_select(test_contexts[0], &desc, mask));
    assert_int_equal(mask[0], 0xc);
}

static void wanda_weighs_by_the_column_norms(void **state) {
    float values[4] = {4, 3, 2, 1}, norms[4] = {1, 1, 10, 10};
    uint8_t mask[1];
    tms_select_desc desc = tms_select_desc_default();
    (void)state;
    desc.weights = tms_matrix_dense(TMS_F32, 1, 4, values);
    desc.column_norms = norms;
    assert_ok(tms_pattern_parse("2:4", &desc.pattern));
    assert_ok(tms_mask_select(test_contexts[0], &desc, mask));
    assert_int_equal(mask[0], 0xc);
}

static tms_status select_each_kind(tms_context *context, void *user) {
    static const char *const kinds[] = {"unstructured 50%", "unstructured 50% per row", "2:4",
                                        "block 2x2 50%",    "2:4 in block 4x4 50%",     "rows 50%"};
    static float values[64];
    tms_select_desc desc = tms_select_desc_default();
    uint8_t mask[8];
    (void)user;
    desc.weights = tms_matrix_dense(TMS_F32, 8, 8, values);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        tms_status status = tms_pattern_parse(kinds[i], &desc.pattern);
        if (status == TMS_OK)
            status = tms_mask_select(context, &desc, mask);
        if (status != TMS_OK)
            return status;
    }
    return TMS_OK;
}

static void running_out_of_memory_is_a_status(void **state) {
    (void)state;
    test_every_allocation_fails_once(select_each_kind, NULL);
}

static void mask_bytes_of_what_cannot_be_is_0_or_the_most(void **state) {
    (void)state;
    assert_int_equal(tms_mask_bytes(3, 17), 9);
    assert_int_equal(tms_mask_bytes(0, 17), 0);
    assert_int_equal(tms_mask_bytes(3, -1), 0);
    assert_true(tms_mask_bytes(INT64_MAX, INT64_MAX) == SIZE_MAX);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mask_bytes_of_what_cannot_be_is_0_or_the_most),
        cmocka_unit_test(select_equals_the_oracle),
        cmocka_unit_test(select_tells_neighbouring_floats_apart),
        cmocka_unit_test(equal_scores_keep_the_lower_index),
        cmocka_unit_test(masks_of_higher_shares_nest),
        cmocka_unit_test(an_edge_block_is_judged_by_its_own_mean),
        cmocka_unit_test(l1_and_l2_choose_different_blocks),
        cmocka_unit_test(wanda_weighs_by_the_column_norms),
        cmocka_unit_test(running_out_of_memory_is_a_status),
    };
    return cmocka_run_group_tests_name("select", tests, test_contexts_open, test_contexts_close);
}
