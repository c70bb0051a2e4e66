/* Reading the index of an nm matrix, for builders of images. */
#ifndef TAMIS_FORMAT_NM_H
#define TAMIS_FORMAT_NM_H

#include "base/status.h"

/* Bits of a position in a group: the least b with 2^b >= group. */
static inline int32_t tmsi_nm_position_bits(int32_t group) {
    return 32 - __builtin_clz((uint32_t)group - 1);
}

/* Bytes of one row of the index. k is a multiple of group. */
static inline int64_t tmsi_nm_row_bytes(int64_t k, int32_t keep, int32_t group) {
    return (k / group * keep * tmsi_nm_position_bits(group) + 7) / 8;
}

/* Position, 0 .. 2^bits - 1, in its group of the i-th stored value of a row. */
static inline int32_t tmsi_nm_position(const uint8_t *row, int64_t i, int32_t bits) {
    int64_t bit = i * bits;
    uint32_t window = row[bit / 8];

    if (bit % 8 + bits > 8)
        window |= (uint32_t)row[bit / 8 + 1] << 8;
    return (int32_t)(window >> bit % 8 & ((1u << bits) - 1));
}

/* A row of an index, given apart, whose positions or padding are wrong: TMS_ERR_FORMAT saying what;
 * TMS_OK where nothing is. */
tms_status tmsi_nm_fail_row(const tms_matrix *matrix, int64_t row, const uint8_t *index);

#endif
