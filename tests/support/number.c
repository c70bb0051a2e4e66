#include "support/number.h"

#include "base/dtype.h"

double test_read(const void *array, tms_dtype dtype, int64_t i) {
    return (double)tmsi_load_f32(array, dtype, i);
}

void test_write(void *array, tms_dtype dtype, int64_t i, double value) {
    switch (dtype) {
    case TMS_F32:
        ((float *)array)[i] = (float)value;
        break;
    case TMS_BF16:
        ((uint16_t *)array)[i] = tmsi_bf16_from_f32((float)value);
        break;
    case TMS_F16:
        ((uint16_t *)array)[i] = tmsi_f16_from_f32((float)value);
        break;
    case TMS_I8:
        ((int8_t *)array)[i] = isnan(value) ? 0 : (int8_t)value; /* i8 has no NaN to warn with */
        break;
    default:
        ((uint8_t *)array)[i] = tmsi_e4m3_from_f32((float)value);
        break;
    }
}
