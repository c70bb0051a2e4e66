/* What the 2:4 layouts have in common: groups of four with two values and two positions, and index
 * words of 32 bits for 8 groups. */
#ifndef TAMIS_FORMAT_LAYOUT_NM24_H
#define TAMIS_FORMAT_LAYOUT_NM24_H

#include "format/layout.h"

enum { TMSI_NM24_WORD = 32 }; /* k's that one index word describes */

/* K padded to whole words. */
static inline int64_t tmsi_nm24_padded(int64_t k) {
    return (k + TMSI_NM24_WORD - 1) / TMSI_NM24_WORD * TMSI_NM24_WORD;
}

/* Refuses a part that is not 2:4 in f32 with that first parameter. */
tms_status tmsi_nm24_check(const tms_part *part, int32_t parameter);

/* Bytes of so many rows of k weights: four for every other weight, and two bits. */
tms_status tmsi_nm24_bytes(int64_t rows, int64_t k, size_t *out);

/* The non-zeros of a group of row n from column k on, and their positions, bits 0-1 and 2-3 of
 * *code; TMS_ERR_PATTERN where there are more than two. */
tms_status tmsi_nm24_group(const float group[4], int64_t n, int64_t k, float values[2],
                           uint32_t *code);

#endif
