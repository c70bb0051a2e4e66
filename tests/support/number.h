/* Element types of y and w in float64: rounding shares nothing with the library's encoders. */
#ifndef TAMIS_TESTS_NUMBER_H
#define TAMIS_TESTS_NUMBER_H

#include <stdint.h>

#include "tamis.h"

/* Largest finite value of a float type. */
double test_largest(tms_dtype dtype);
/* Distance of neighbours of the type around value: f32, bf16, f16, i8 or e4m3. */
double test_unit(tms_dtype dtype, double value);
/* value rounded to nearest even in the type. 8-bit types saturate, others become infinite. */
double test_round(tms_dtype dtype, double value);

/* Element i of an array; writing takes a value that is one of the type. */
double test_read(const void *array, tms_dtype dtype, int64_t i);
void test_write(void *array, tms_dtype dtype, int64_t i, double value);

#endif
