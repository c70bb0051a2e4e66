/* Weights as bit patterns: formats move them without touching a bit, whatever the float type and
 * the alignment. */
#ifndef TAMIS_FORMAT_ELEMENT_H
#define TAMIS_FORMAT_ELEMENT_H

#include <stdbool.h>
#include <string.h>

#include "tamis.h"

typedef struct tmsi_element {
    int64_t bytes;      /* 4 or 2 */
    uint32_t magnitude; /* all bits but the sign */
    uint32_t exponent;  /* all ones there: NaN or Inf */
} tmsi_element;

static inline tmsi_element tmsi_element_of(tms_dtype dtype) {
    static const tmsi_element f32 = {4, 0x7fffffffu, 0x7f800000u};
    static const tmsi_element bf16 = {2, 0x7fffu, 0x7f80u};
    static const tmsi_element f16 = {2, 0x7fffu, 0x7c00u};
    return dtype == TMS_F32 ? f32 : dtype == TMS_BF16 ? bf16 : f16;
}

static inline uint32_t tmsi_element_load(const void *array, int64_t bytes, int64_t i) {
    uint32_t whole;
    uint16_t half;
    if (bytes == 4) {
        memcpy(&whole, (const char *)array + 4 * i, sizeof whole);
        return whole;
    }
    memcpy(&half, (const char *)array + 2 * i, sizeof half);
    return half;
}

static inline void tmsi_element_store(void *array, int64_t bytes, int64_t i, uint32_t bits) {
    uint16_t half = (uint16_t)bits;
    if (bytes == 4)
        memcpy((char *)array + 4 * i, &bits, sizeof bits);
    else
        memcpy((char *)array + 2 * i, &half, sizeof half);
}

/* Bits with -0.0 turned to +0.0. */
static inline uint32_t tmsi_element_plain_zero(tmsi_element element, uint32_t bits) {
    return (bits & element.magnitude) != 0 ? bits : 0;
}

#endif
