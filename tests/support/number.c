#include "support/number.h"

#include <float.h>
#include <math.h>

#include "base/dtype.h"

/* Significant bits, smallest exponent of a normal number, largest finite value. */
typedef struct float_type {
    int bits, exponent_min;
    double max;
} float_type;

static float_type float_type_of(tms_dtype dtype) {
    const float_type f32 = {24, -126, FLT_MAX}, bf16 = {8, -126, 0x1.fep127},
                     f16 = {11, -14, 65504.0}, e4m3 = {4, -6, 448.0};
    return dtype == TMS_F32 ? f32 : dtype == TMS_BF16 ? bf16 : dtype == TMS_F16 ? f16 : e4m3;
}

double test_largest(tms_dtype dtype) {
    return float_type_of(dtype).max;
}

double test_unit(tms_dtype dtype, double value) {
    float_type type = float_type_of(dtype);
    int exponent = value != 0.0 && isfinite(value) ? ilogb(value) : type.exponent_min;

    if (exponent < type.exponent_min)
        exponent = type.exponent_min;
    return dtype == TMS_I8 ? 1.0 : ldexp(1.0, exponent - type.bits + 1);
}

double test_round(tms_dtype dtype, double value) {
    double unit, rounded, max = test_largest(dtype);

    if (dtype == TMS_F32)
        return (double)(float)value;
    unit = test_unit(dtype, value);
    rounded = nearbyint(value / unit) * unit;

    if (dtype == TMS_I8)
        return fmin(fmax(rounded, -128.0), 127.0);
    if (fabs(rounded) > max)
        return copysign(dtype == TMS_E4M3 ? max : INFINITY, value);
    return rounded;
}

double test_read(const void *array, tms_dtype dtype, int64_t i) {
    if (dtype == TMS_I8)
        return ((const int8_t *)array)[i];
    if (dtype == TMS_E4M3)
        return (double)tmsi_f32_from_e4m3(((const uint8_t *)array)[i]);
    return (double)tmsi_load_f32(array, dtype, i);
}

void test_write(void *array, tms_dtype dtype, int64_t i, double value) {
    if (dtype == TMS_I8)
        ((int8_t *)array)[i] = (int8_t)value;
    else if (dtype == TMS_E4M3)
        ((uint8_t *)array)[i] = tmsi_e4m3_from_f32((float)value);
    else if (dtype == TMS_F32)
        ((float *)array)[i] = (float)value;
    else if (dtype == TMS_BF16)
        ((uint16_t *)array)[i] = tmsi_bf16_from_f32((float)value);
    else
        ((uint16_t *)array)[i] = tmsi_f16_from_f32((float)value);
}
