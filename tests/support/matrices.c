#include "support/matrices.h"

#include <stdlib.h>
#include <string.h>

#include "format/element.h"

void test_components_allocate(tms_matrix *matrix) {
    for (int32_t i = 0; i < matrix->component_count; i++) {
        tms_component *component = &matrix->components[i];
        component->data = malloc(component->bytes + (component->bytes == 0));
        assert_non_null(component->data);
        memset(component->data, 0xa5, component->bytes);
    }
}

void test_components_free(tms_matrix *matrix) {
    for (int32_t i = 0; i < matrix->component_count; i++)
        free(matrix->components[i].data);
}

tms_matrix test_matrix_encode(tms_context *context, const tms_matrix *dense,
                              const tms_format_desc *desc, int64_t *out_negative_zeros) {
    tms_matrix matrix;
    assert_ok(tms_matrix_size(context, dense, desc, &matrix));
    test_components_allocate(&matrix);
    assert_ok(tms_matrix_encode(context, dense, &matrix, out_negative_zeros));
    return matrix;
}

tms_format_desc test_format_desc(tms_format format, int32_t a, int32_t b) {
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
        bits &= 0xffffffffu >> (32 - 8 * element.bytes);
        if ((bits & element.magnitude) != 0 && (bits & element.exponent) != element.exponent)
            return bits;
    }
}

tms_matrix test_dense_random(test_random *random, tms_dtype dtype, int64_t n, int64_t k,
                             double density, const tms_format_desc *desc) {
    tmsi_element element = tmsi_element_of(dtype);
    uint32_t negative_zero = dtype == TMS_I8 ? 0 : element.magnitude + 1;
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
