/* nm24-mma: 2:4 weights in 16-bit or 8-bit types for sparse tensor cores, one image for wgmma.sp
 * and mma.sp. docs/layouts.md has every byte, and worked examples that a test checks.
 *
 * N and K are padded with zeros to whole blocks of 64 rows by 64 k's, or by 128 of 8-bit types:
 * both 64 bytes of values a row. A block, 4608 or 5120 bytes, is what a kernel copies to shared
 * memory as it lies:
 * - 4096 bytes of values, two a group of four, row behind row, in the 64-byte swizzle in which the
 *   tensor core reads shared memory without bank conflicts;
 * - 128 words of metadata for each 64 k's, the registers of a warpgroup's 128 threads. A group is a
 *   nibble, p0 + 4 p1, of its kept positions p0 < p1, always one of the hardware's six. */
#ifndef TAMIS_FORMAT_LAYOUT_NM24_MMA_H
#define TAMIS_FORMAT_LAYOUT_NM24_MMA_H

#include "format/source.h"

enum {
    TMSI_NM24_MMA_BLOCK = 64,    /* rows of a block, and k's of a 16-bit type's */
    TMSI_NM24_MMA_BLOCK_8 = 128, /* k's of an 8-bit type's */
    TMSI_NM24_MMA_VALUE_BYTES = 4096,
    TMSI_NM24_MMA_META_BYTES = 512, /* for 64 k's */
    TMSI_NM24_MMA_BLOCK_BYTES = TMSI_NM24_MMA_VALUE_BYTES + TMSI_NM24_MMA_META_BYTES,
    TMSI_NM24_MMA_BLOCK_BYTES_8 = TMSI_NM24_MMA_VALUE_BYTES + 2 * TMSI_NM24_MMA_META_BYTES
};

/* Where a group of four lies in its block. */
typedef struct tmsi_nm24_mma_place {
    int32_t value; /* byte of its first value; the second is behind it */
    int32_t word;  /* metadata word */
    int32_t shift; /* of its nibble there */
} tmsi_nm24_mma_place;

/* Of the group at row r and columns k .. k + 3 of the block, for values of 2 bytes or 1. */
static inline tmsi_nm24_mma_place tmsi_nm24_mma_place_of(int32_t r, int32_t k, int32_t bytes) {
    const int32_t chunk = k * bytes / 32; /* of 16 bytes of values */
    tmsi_nm24_mma_place place;

    place.value = 64 * r + 16 * (chunk ^ (r / 2 % 4)) + k * bytes / 2 % 16;
    if (bytes == 2) {
        place.word = 32 * (r / 16) + 4 * (r % 8) + k / 16;
        place.shift = 16 * (r / 8 % 2) + k % 16;
    } else {
        place.word = 128 * (k / 64) + 32 * (r / 16) + 4 * (r % 8) + 2 * (k / 32 % 2) + r / 8 % 2;
        place.shift = k % 32;
    }
    return place;
}

/* Of tmsi_layout_extra, on a GPU. */
tms_status tmsi_nm24_mma_device_check(const tmsi_source *source, const tms_part *part);
tms_status tmsi_nm24_mma_device_build(tms_context *context, const tmsi_source *source,
                                      const tms_part *part, const tms_image_desc *desc, void *dst);
tms_status tmsi_nm24_mma_device_decode(tms_context *context, const tmsi_source *target,
                                       const tms_part *part, const tms_image_desc *desc,
                                       const void *data);

#endif
