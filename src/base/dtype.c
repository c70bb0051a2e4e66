/* IEEE 754 binary16 and bfloat16 by integer arithmetic on the bits, so that every compiler and CPU
 * rounds alike; e4m3 as in "OCP 8-bit Floating Point Specification" 1.0, section 5. */
#include "base/dtype.h"

#include <math.h>

static const struct {
    const char *name, *file_name;
    int32_t bits;
} dtypes[TMS_DTYPE_COUNT] = {
#define ROW(id, name, file_name, bits) {name, file_name, bits},
    TMS_DTYPE_MAP(ROW)
#undef ROW
};

const char *tms_dtype_name(tms_dtype dtype) {
    return (unsigned)dtype < TMS_DTYPE_COUNT ? dtypes[dtype].name : "?";
}

int32_t tmsi_dtype_bits(tms_dtype dtype) {
    return dtypes[dtype].bits;
}

size_t tmsi_dtype_bytes(tms_dtype dtype) {
    return (size_t)dtypes[dtype].bits / 8;
}

const char *tmsi_dtype_file_name(tms_dtype dtype) {
    return dtypes[dtype].file_name;
}

bool tmsi_dtype_from_file_name(const char *name, tms_dtype *out) {
    for (int i = 0; i < TMS_DTYPE_COUNT; i++)
        if (strcmp(dtypes[i].file_name, name) == 0) {
            *out = (tms_dtype)i;
            return true;
        }
    return false;
}

float tmsi_f32_from_f16(uint16_t value) {
    uint32_t sign = (uint32_t)(value & 0x8000u) << 16;
    uint32_t exponent = (value >> 10) & 0x1fu, fraction = value & 0x3ffu;

    if (exponent == 0x1f)
        return tmsi_f32_from_bits(sign | 0x7f800000u | fraction << 13);
    if (exponent == 0) { /* subnormal: fraction * 2^-24, exact in f32 */
        float magnitude = (float)fraction * 0x1p-24f;
        return tmsi_f32_from_bits(sign | tmsi_bits_from_f32(magnitude));
    }
    return tmsi_f32_from_bits(sign | (exponent + 112) << 23 | fraction << 13);
}

uint16_t tmsi_bf16_from_f32(float value) {
    uint32_t bits = tmsi_bits_from_f32(value);

    if (isnan(value))
        return (uint16_t)(bits >> 16 | 0x40u);
    return (uint16_t)((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

/* Rounds a positive integer right by `shift` bits, to nearest even. */
static uint32_t shift_round(uint32_t value, uint32_t shift) {
    uint32_t half, rest;
    if (shift > 31)
        return 0;
    half = 1u << (shift - 1);
    rest = value & ((1u << shift) - 1);
    value >>= shift;
    return value + (rest > half || (rest == half && (value & 1u)));
}

uint16_t tmsi_f16_from_f32(float value) {
    uint32_t bits = tmsi_bits_from_f32(value);
    uint32_t sign = (bits >> 16) & 0x8000u, magnitude = bits & 0x7fffffffu;
    int32_t exponent = (int32_t)(magnitude >> 23) - 127;

    if (magnitude > 0x7f800000u)
        return (uint16_t)(sign | 0x7e00u);
    if (magnitude >= 0x477ff000u) /* 65520 and above round to infinity */
        return (uint16_t)(sign | 0x7c00u);
    if (exponent >= -14)
        return (uint16_t)(sign | shift_round(magnitude - (112u << 23), 13));
    if (exponent < -25)
        return (uint16_t)sign;
    return (uint16_t)(sign |
                      shift_round((magnitude & 0x7fffffu) | 0x800000u, (uint32_t)(-1 - exponent)));
}

uint8_t tmsi_e4m3_from_f32(float value) {
    uint32_t bits = tmsi_bits_from_f32(value);
    uint32_t sign = (bits >> 24) & 0x80u, magnitude = bits & 0x7fffffffu, code;
    int32_t exponent = (int32_t)(magnitude >> 23) - 127;

    if (magnitude > 0x7f800000u)
        return (uint8_t)(sign | 0x7fu);
    if (exponent >= 9)
        return (uint8_t)(sign | 0x7eu); /* 448 */
    if (exponent >= -6)
        code = shift_round(magnitude - (120u << 23), 20);
    else if (exponent < -11)
        code = 0;
    else
        code = shift_round((magnitude & 0x7fffffu) | 0x800000u, (uint32_t)(14 - exponent));
    return (uint8_t)(sign | (code > 0x7eu ? 0x7eu : code));
}

float tmsi_f32_from_e4m3(uint8_t value) {
    uint32_t exponent = (value >> 3) & 0xfu, fraction = value & 7u;
    float magnitude;

    if ((value & 0x7fu) == 0x7fu)
        return tmsi_f32_from_bits(0x7fc00000u);
    magnitude = exponent == 0 ? (float)fraction * 0x1p-9f
                              : ldexpf((float)(8 + fraction), (int)exponent - 10);
    return value & 0x80u ? -magnitude : magnitude;
}

void tmsi_widen_f32(const void *array, tms_dtype dtype, int64_t count, float *out) {
    if (dtype == TMS_F32) {
        memcpy(out, array, (size_t)count * sizeof(float));
        return;
    }
    for (int64_t i = 0; i < count; i++)
        out[i] = tmsi_load_f32(array, dtype, i);
}
