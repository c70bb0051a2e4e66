/* Weights as bit patterns: formats move them without touching a bit, whatever the float type and
 * the alignment. */
#ifndef TAMIS_FORMAT_ELEMENT_H
#define TAMIS_FORMAT_ELEMENT_H

#include <stdbool.h>
#include <string.h>

#include "tamis.h"

/* Masks of a type's bits. i8 has neither a sign bit of zero nor anything that is not finite: its
 * masks name a bit that no element has. e4m3 has NaN, and no Inf. */
enum { TMSI_NO_BITS = 0x100 };

typedef struct tmsi_element {
    int64_t bytes;       /* 4, 2 or 1 */
    uint32_t magnitude;  /* none set there: a zero */
    uint32_t exponent;   /* all set there: NaN or Inf */
    uint32_t infinity;   /* +Inf */
    uint32_t minus_zero; /* -0.0 */
} tmsi_element;

static inline tmsi_element tmsi_element_of(tms_dtype dtype) {
    static const tmsi_element f32 = {4, 0x7fffffffu, 0x7f800000u, 0x7f800000u, 0x80000000u};
    static const tmsi_element bf16 = {2, 0x7fffu, 0x7f80u, 0x7f80u, 0x8000u};
    static const tmsi_element f16 = {2, 0x7fffu, 0x7c00u, 0x7c00u, 0x8000u};
    static const tmsi_element i8 = {1, 0xffu, TMSI_NO_BITS, TMSI_NO_BITS, TMSI_NO_BITS};
    static const tmsi_element e4m3 = {1, 0x7fu, 0x7fu, TMSI_NO_BITS, 0x80u};
    switch (dtype) {
    case TMS_F32:
        return f32;
    case TMS_BF16:
        return bf16;
    case TMS_F16:
        return f16;
    case TMS_I8:
        return i8;
    default:
        return e4m3;
    }
}

/* NaN, Inf or -Inf; bits of an element that is not finite. */
static inline const char *tmsi_element_name(tmsi_element element, uint32_t bits) {
    if (bits == element.infinity)
        return "Inf";
    return bits == (element.infinity | element.minus_zero) ? "-Inf" : "NaN";
}

static inline uint32_t tmsi_element_load(const void *array, int64_t bytes, int64_t i) {
    uint32_t whole;
    uint16_t half;
    if (bytes == 4) {
        memcpy(&whole, (const char *)array + 4 * i, sizeof whole);
        return whole;
    }
    if (bytes == 1)
        return ((const uint8_t *)array)[i];
    memcpy(&half, (const char *)array + 2 * i, sizeof half);
    return half;
}

static inline void tmsi_element_store(void *array, int64_t bytes, int64_t i, uint32_t bits) {
    uint16_t half = (uint16_t)bits;
    if (bytes == 4)
        memcpy((char *)array + 4 * i, &bits, sizeof bits);
    else if (bytes == 1)
        ((uint8_t *)array)[i] = (uint8_t)bits;
    else
        memcpy((char *)array + 2 * i, &half, sizeof half);
}

/* Bits with -0.0 turned to +0.0. */
static inline uint32_t tmsi_element_plain_zero(tmsi_element element, uint32_t bits) {
    return (bits & element.magnitude) != 0 ? bits : 0;
}

#endif
