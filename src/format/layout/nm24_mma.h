/* nm24-mma: 2:4 weights in bf16 or f16 for sparse tensor cores, one image for wgmma.sp and mma.sp.
 *
 * N and K are padded to multiples of 64 with zeros, and cut into blocks of 64 rows by 64 k's. Block
 * (n / 64, k / 64) begins at ((n / 64) * ceil(K / 64) + k / 64) * 4608 and holds, with r = n % 64,
 * q = k % 64 / 16 and g = k % 16 / 4:
 * - 4096 bytes of values, two a group of four: a row's 32 values are 64 bytes, in four chunks of
 *   16. Value i (0 or 1) of the group is at 64 r + 16 (q ^ r/2 % 4) + 4 g + 2 i: the swizzle in
 * which the tensor core reads shared memory without bank conflicts, so that a block is copied there
 * as it lies;
 * - 512 bytes of metadata, 128 words of 32 bits, the registers of a warpgroup's 128 threads. A
 * group is a nibble, p0 + 4 p1, of its kept positions p0 < p1. Group g of row r is in bits 16 (r/8
 * % 2) + 4 g .. + 3 of word 32 (r/16) + 4 (r % 8) + q: one word serves two steps of 32 k's, lanes 0
 * and 1 of each four the first (selector 0), lanes 2 and 3 the second (selector 1). Groups with
 * fewer than two non-zeros are filled as the nm format's: 0 and 1 for none, i and 3 for one at i <
 * 3, 0 and 3 for one at 3. So nibbles are always legal metadata.
 *
 * 9/16 of the dense bytes, but for padding. docs/hopper.md has a worked example. */
#ifndef TAMIS_FORMAT_LAYOUT_NM24_MMA_H
#define TAMIS_FORMAT_LAYOUT_NM24_MMA_H

enum {
    TMSI_NM24_MMA_BLOCK = 64, /* rows and k's of a block */
    TMSI_NM24_MMA_VALUE_BYTES = 4096,
    TMSI_NM24_MMA_META_BYTES = 512,
    TMSI_NM24_MMA_BLOCK_BYTES = TMSI_NM24_MMA_VALUE_BYTES + TMSI_NM24_MMA_META_BYTES
};

#endif
