#include "support/images.h"

#include <stdlib.h>
#include <string.h>

#include "format/element.h"
#include "format/layout.h"
#include "support/matrices.h"

tms_layout test_layout_mma(int64_t n, int64_t k, tms_dtype dtype) {
    tms_layout layout = {0};

    layout.struct_size = sizeof layout;
    layout.n = n;
    layout.k = k;
    layout.part_count = 1;
    layout.parts[0].id = TMSI_LAYOUT_NM24_MMA;
    layout.parts[0].version = tmsi_layouts[TMSI_LAYOUT_NM24_MMA].version;
    layout.parts[0].format = TMS_FORMAT_NM;
    layout.parts[0].dtype = (int32_t)dtype;
    layout.parts[0].keep = 2;
    layout.parts[0].group = 4;
    return layout;
}

static uint32_t draw_bits(test_random *random, tmsi_element element, bool allows_nan) {
    const uint32_t all = 0xffffffffu >> (32 - 8 * element.bytes);

    for (;;) {
        const uint32_t any = (uint32_t)test_random_u64(random) & all;
        uint32_t bits = any;

        switch (test_random_int(random, 0, 7)) {
        case 0:
            bits = 0;
            break;
        case 1:
            bits = element.minus_zero & all;
            break;
        case 2: /* subnormal, or small */
            bits = any & (element.minus_zero | 3u) & all;
            break;
        case 3: /* ties, of either sign */
            bits = 0x38u | (any & element.minus_zero & all);
            break;
        case 4: /* neighbours of NaN and Inf, and themselves */
            bits = allows_nan ? (element.exponent | (any & (element.minus_zero | 3u))) & all : any;
            break;
        default:
            break;
        }
        if (allows_nan || (bits & element.exponent) != element.exponent)
            return bits;
    }
}

static void fill_matrix(tms_matrix *matrix, test_random *random, test_filling filling) {
    const tmsi_element element = tmsi_element_of(matrix->dtype);
    void *values = matrix->components[0].data;
    int32_t in_group = 0;

    for (int64_t i = 0; i < matrix->n * matrix->k; i++) {
        uint32_t bits = draw_bits(random, element, filling == TEST_NAN);

        in_group = i % 4 == 0 ? 0 : in_group;
        if (filling == TEST_HELD && (in_group == 2 || test_random_int(random, 0, 2) == 0))
            bits &= ~element.magnitude; /* a zero of either sign */
        in_group += (bits & element.magnitude) != 0;
        tmsi_element_store(values, element.bytes, i, bits);
    }
}

void test_joined_make(test_joined *out, test_random *random, tms_dtype dtype, int64_t n, int64_t k,
                      test_joining joining, test_filling filling) {
    memset(out, 0, sizeof *out);
    out->count = joining == TEST_ONE ? 1 : joining == TEST_STACK ? 3 : 2;
    out->join = joining == TEST_INTERLEAVE ? TMS_JOIN_INTERLEAVE : TMS_JOIN_STACK;
    n += joining == TEST_INTERLEAVE ? n % 2 : 0;
    out->layout = test_layout_mma(n, k, dtype);
    if (test_random_int(random, 0, 1) == 0) {
        out->layout.parts[1].id = TMSI_LAYOUT_PLAIN;
        out->layout.parts[1].version = tmsi_layouts[TMSI_LAYOUT_PLAIN].version;
        out->layout.parts[1].format = TMS_FORMAT_DENSE;
        out->layout.parts[1].dtype = (int32_t)dtype;
        out->layout.part_count = 2;
    }
    for (int32_t i = 0; i < out->count; i++) {
        /* Of a stack the first has a third, the second what is left but one. */
        const int64_t rows = joining != TEST_STACK ? n / out->count
                             : i == 0              ? n / 3
                             : i == 1              ? n - n / 3 - n % 2
                                                   : n % 2;

        out->matrices[i] = tms_matrix_dense(dtype, rows, k, NULL);
        test_components_allocate(&out->matrices[i]);
        fill_matrix(&out->matrices[i], random, filling);
    }
}

void test_joined_free(test_joined *joined) {
    for (int32_t i = 0; i < joined->count; i++)
        test_components_free(&joined->matrices[i]);
}

void test_joined_encode(tms_context *context, const test_joined *joined, test_joined *out) {
    const tms_format_desc desc = test_format_desc(TMS_FORMAT_NM, 2, 4);

    *out = *joined;
    for (int32_t i = 0; i < joined->count; i++)
        out->matrices[i] = test_matrix_encode(context, &joined->matrices[i], &desc, NULL);
}

void test_joined_like(const test_joined *joined, test_joined *out) {
    *out = *joined;
    for (int32_t i = 0; i < joined->count; i++)
        test_components_allocate(&out->matrices[i]);
}

tms_image_desc test_joined_desc(const test_joined *joined) {
    tms_image_desc desc = tms_image_desc_default();

    desc.matrices = joined->matrices;
    desc.count = joined->count;
    desc.join = joined->join;
    desc.layout = joined->layout;
    return desc;
}
