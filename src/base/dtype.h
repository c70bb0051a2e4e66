/* Element types: sizes, names, and exact conversion of the 16-bit floats. */
#ifndef TAMIS_BASE_DTYPE_H
#define TAMIS_BASE_DTYPE_H

#include <stdbool.h>
#include <string.h>

#include "tamis.h"

int32_t tmsi_dtype_bits(tms_dtype dtype);
/* Whole bytes; 0 for the types of less than 8 bits. */
size_t tmsi_dtype_bytes(tms_dtype dtype);
/* "F32", the name in a safetensors header; and back: false where no such type is known. */
const char *tmsi_dtype_file_name(tms_dtype dtype);
bool tmsi_dtype_from_file_name(const char *name, tms_dtype *out);
/* f32, bf16, f16: what activations, and the weights of files, may be. */
static inline bool tmsi_dtype_is_weight(tms_dtype dtype) {
    return dtype == TMS_F32 || dtype == TMS_BF16 || dtype == TMS_F16;
}
/* Those, i8 and e4m3: what the values of a matrix may be. */
static inline bool tmsi_dtype_is_matrix(tms_dtype dtype) {
    return tmsi_dtype_is_weight(dtype) || dtype == TMS_I8 || dtype == TMS_E4M3;
}

static inline float tmsi_f32_from_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}
static inline uint32_t tmsi_bits_from_f32(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static inline float tmsi_f32_from_bf16(uint16_t value) {
    return tmsi_f32_from_bits((uint32_t)value << 16);
}
float tmsi_f32_from_f16(uint16_t value);
/* To nearest, ties to even; NaN stays NaN. */
uint16_t tmsi_bf16_from_f32(float value);
uint16_t tmsi_f16_from_f32(float value);
/* To nearest even, saturating at +-448; NaN is 0x7f (OCP 8-bit floating point, 5.2). */
uint8_t tmsi_e4m3_from_f32(float value);
float tmsi_f32_from_e4m3(uint8_t value);

/* Element i of an array of a type of tmsi_dtype_is_matrix, aligned or not. Exact. */
static inline float tmsi_load_f32(const void *array, tms_dtype dtype, int64_t i) {
    uint16_t half;
    float value;
    if (dtype == TMS_I8)
        return (float)((const int8_t *)array)[i];
    if (dtype == TMS_E4M3)
        return tmsi_f32_from_e4m3(((const uint8_t *)array)[i]);
    if (dtype == TMS_F32) {
        memcpy(&value, (const char *)array + 4 * i, sizeof value);
        return value;
    }
    memcpy(&half, (const char *)array + 2 * i, sizeof half);
    return dtype == TMS_BF16 ? tmsi_f32_from_bf16(half) : tmsi_f32_from_f16(half);
}

/* Widens count elements of such a type to f32. */
void tmsi_widen_f32(const void *array, tms_dtype dtype, int64_t count, float *out);

#endif
