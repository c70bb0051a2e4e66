/* Element types of x, w and y in float64: rounding shares nothing with the library's encoders.
 * Device code of the tests uses what is inline here too. */
#ifndef TAMIS_TESTS_NUMBER_H
#define TAMIS_TESTS_NUMBER_H

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>

#include "tamis.h"

#ifdef __CUDACC__
#define TEST_SHARED __host__ __device__ static inline
#else
#define TEST_SHARED static inline
#endif

/* Largest finite value of a type. */
TEST_SHARED double test_largest(tms_dtype dtype) {
    switch (dtype) {
    case TMS_F32:
        return (double)FLT_MAX;
    case TMS_BF16:
        return 0x1.fep127;
    case TMS_F16:
        return 65504.0;
    case TMS_E4M3:
        return 448.0;
    default:
        return 127.0;
    }
}

/* Distance of neighbours of the type around value: f32, bf16, f16, i8 or e4m3. */
TEST_SHARED double test_unit(tms_dtype dtype, double value) {
    /* Significant bits, smallest exponent of a normal number. */
    const int bits = dtype == TMS_F32 ? 24 : dtype == TMS_BF16 ? 8 : dtype == TMS_F16 ? 11 : 4;
    const int least = dtype == TMS_F16 ? -14 : dtype == TMS_E4M3 ? -6 : -126;
    int exponent = value != 0.0 && isfinite(value) ? ilogb(value) : least;

    if (exponent < least)
        exponent = least;
    return dtype == TMS_I8 ? 1.0 : ldexp(1.0, exponent - bits + 1);
}

/* value rounded to nearest even in the type. 8-bit types saturate, others become infinite. */
TEST_SHARED double test_round(tms_dtype dtype, double value) {
    const double max = test_largest(dtype);
    double unit, rounded;

    if (dtype == TMS_F32)
        return (double)(float)value;
    unit = test_unit(dtype, value);
    rounded = nearbyint(value / unit) * unit;
    if (dtype == TMS_I8)
        return fmin(fmax(rounded, -128.0), 127.0);
    if (fabs(rounded) > max)
        return copysign(dtype == TMS_E4M3 ? max : (double)INFINITY, value);
    return rounded;
}

/* Element i of an array; writing takes a value that is one of the type. */
double test_read(const void *array, tms_dtype dtype, int64_t i);
void test_write(void *array, tms_dtype dtype, int64_t i, double value);

#endif
