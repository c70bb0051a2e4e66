/* Random weights and their encoded forms, in memory of malloc. */
#ifndef TAMIS_TESTS_MATRICES_H
#define TAMIS_TESTS_MATRICES_H

#include "support/support.h"

#define TEST_COUNT(array) (sizeof(array) / sizeof(array)[0])

/* a, b: keep, group of nm; block rows, columns of bsr; ignored elsewhere. */
tms_format_desc test_format_desc(tms_format format, int32_t a, int32_t b);

/* Random weights with that share of non-zeros, any finite bits; an eighth of the zeros are -0.0.
 * Where desc is of nm, no group has more than keep. Free components[0].data. */
tms_matrix test_dense_random(test_random *random, tms_dtype dtype, int64_t n, int64_t k,
                             double density, const tms_format_desc *desc);

/* Sizes, allocates and encodes; test_components_free releases. out_negative_zeros may be NULL. */
tms_matrix test_matrix_encode(tms_context *context, const tms_matrix *dense,
                              const tms_format_desc *desc, int64_t *out_negative_zeros);

/* Each component gets a block of exactly its size, so that the sanitizers see a step outside. */
void test_components_allocate(tms_matrix *matrix);
void test_components_free(tms_matrix *matrix);

#endif
