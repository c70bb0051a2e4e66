/* Formats: what is encoded comes back bit for bit, and what is malformed is refused. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/dtype.h"
#include "format/element.h"
#include "format/format.h"
#include "format/nm.h"
#include "support/support.h"

/* Each component in a block of exactly its size, so that the sanitizers see any step outside. */
static void allocate_components(tms_matrix *matrix) {
    for (int32_t i = 0; i < matrix->component_count; i++) {
        tms_component *component = &matrix->components[i];
        component->data = malloc(component->bytes + (component->bytes == 0));
        assert_non_null(component->data);
        memset(component->data, 0xa5, component->bytes);
    }
}

static void free_components(tms_matrix *matrix) {
    for (int32_t i = 0; i < matrix->component_count; i++)
        free(matrix->components[i].data);
}

static tms_matrix encode_new(tms_context *context, const tms_matrix *dense,
                             const tms_format_desc *desc, int64_t *out_negative_zeros) {
    tms_matrix matrix;
    assert_ok(tms_matrix_size(context, dense, desc, &matrix));
    allocate_components(&matrix);
    assert_ok(tms_matrix_encode(context, dense, &matrix, out_negative_zeros));
    return matrix;
}

/* The format with its parameters that a case is about; keep and group hold for nm alone. */
static tms_format_desc describe(tms_format format, int32_t a, int32_t b) {
    tms_format_desc desc = tms_format_desc_default(format);
    if (format == TMS_FORMAT_NM) {
        desc.keep = a;
        desc.group = b;
    }
    if (format == TMS_FORMAT_BSR) {
        desc.block_rows = a;
        desc.block_columns = b;
    }
    return desc;
}

/* Any finite bit pattern, subnormals and extremes too; never a zero. */
static uint32_t random_bits(test_random *random, tmsi_element element) {
    for (;;) {
        uint32_t bits = (uint32_t)test_random_u64(random);
        if (element.bytes == 2)
            bits &= 0xffffu;
        if ((bits & element.magnitude) != 0 && (bits & element.exponent) != element.exponent)
            return bits;
    }
}

/* Random weights of which a share is zero, some of these -0.0; for nm at most keep a group. */
static tms_matrix random_dense(test_random *random, tms_dtype dtype, int64_t n, int64_t k,
                               double density, const tms_format_desc *desc) {
    tmsi_element element = tmsi_element_of(dtype);
    uint32_t negative_zero = element.magnitude + 1;
    char *values = malloc((size_t)(n * k * element.bytes) + 1);
    int32_t in_group = 0;

    assert_non_null(values);
    for (int64_t i = 0; i < n * k; i++) {
        bool keep = test_random_unit(random) < density;
        if (desc->format == TMS_FORMAT_NM) {
            in_group = i % desc->group == 0 ? 0 : in_group;
            keep = keep && in_group < desc->keep;
            in_group += keep;
        }
        tmsi_element_store(values, element.bytes, i,
                           keep                                 ? random_bits(random, element)
                           : test_random_int(random, 0, 7) == 0 ? negative_zero
                                                                : 0);
    }
    return tms_matrix_dense(dtype, n, k, values);
}

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
    tms_matrix dense = random_dense(random, dtype, n, k, density, desc);
    size_t bytes = dense.components[0].bytes;
    char *want = malloc(bytes + 1), *got = malloc(bytes + 1);
    float *rows = malloc((size_t)(n * k + 1) * sizeof(float));
    int64_t negative_zeros = -1, changed = plain_zeros(&dense, want);
    tms_matrix matrix = encode_new(context, &dense, desc, &negative_zeros);

    assert_ok(tms_matrix_validate(context, &matrix));
    assert_int_equal(negative_zeros, changed);
    assert_ok(tms_matrix_decode(context, &matrix, got));
    assert_memory_equal(got, want, bytes);
    tmsi_matrix_rows_f32(&matrix, n / 3, n - n / 3, rows);
    for (int64_t i = n / 3 * k; i < n * k; i++) {
        float value = tmsi_load_f32(want, dtype, i);
        assert_memory_equal(&rows[i - n / 3 * k], &value, sizeof value);
    }
    free_components(&matrix);
    free(dense.components[0].data);
    free(want);
    free(got);
    free(rows);
    tms_context_destroy(context);
}

static const tms_dtype dtypes[] = {TMS_F32, TMS_BF16, TMS_F16};
static const int64_t sides[] = {0, 1, 3, 7, 16, 33, 70};
static const double densities[] = {0, 0.05, 0.5, 1};
#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static void round_trips(tms_format format, int32_t a, int32_t b) {
    const tms_format_desc desc = describe(format, a, b);
    test_random random;

    test_random_seed(&random, test_seed());
    for (size_t t = 0; t < COUNT(dtypes); t++)
        for (size_t n = 0; n < COUNT(sides); n++)
            for (size_t k = 0; k < COUNT(sides); k++)
                for (size_t d = 0; d < COUNT(densities); d++)
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dense_comes_back_bit_for_bit),
        cmocka_unit_test(nm_comes_back_bit_for_bit),
        cmocka_unit_test(csr_comes_back_bit_for_bit),
        cmocka_unit_test(bsr_comes_back_bit_for_bit),
    };
    return cmocka_run_group_tests_name("matrix", tests, NULL, NULL);
}
