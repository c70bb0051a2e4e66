/* How two of four are kept, and how 16 columns of a 16-bit type, or 32 of an 8-bit one, lie in
 * registers: a run, 32 bytes dense, 16 bytes of values in an image, a nibble a group.
 *
 * A group of 16-bit weights is 8 bytes to read and 4.5 to write, so that on an H100 some 60 integer
 * instructions take as long as its bytes; of 8-bit ones 30. Hence one integer key an element, that
 * orders as the rule does: magnitude first, then the lower index. 16-bit types take 18 bits for it
 * and a register; 8-bit types half of one, so that two groups are picked at once. No branch depends
 * on a weight. */
#ifndef TAMIS_FORMAT_CUDA_NM24_MMA_CUH
#define TAMIS_FORMAT_CUDA_NM24_MMA_CUH

#include <stdint.h>

namespace nm24_mma {

constexpr int DENSE_WORDS = 8, VALUE_WORDS = 4; /* 32-bit words of a run */

/* bf16 and f16: sign, then bits that order as magnitudes do. */
struct Wide {
    static constexpr int BYTES = 2;
    static constexpr uint32_t MAGNITUDES = 0x7fff7fff; /* of all elements in a word */

    __device__ static uint32_t magnitudes(uint32_t word) {
        return word & MAGNITUDES;
    }
};

struct E4m3 {
    static constexpr int BYTES = 1;
    static constexpr uint32_t MAGNITUDES = 0x7f7f7f7f;

    __device__ static uint32_t magnitudes(uint32_t word) {
        return word & MAGNITUDES;
    }
};

struct I8 {
    static constexpr int BYTES = 1;
    static constexpr uint32_t MAGNITUDES = 0xffffffff; /* no bits that a zero may have set */

    /* Negative bytes are inverted and get 1 more: 128 for -128, so that none carries. */
    __device__ static uint32_t magnitudes(uint32_t word) {
        const uint32_t negative = word >> 7 & 0x01010101;

        return (word ^ negative * 0xff) + negative;
    }
};

template <class T> struct Run {
    static constexpr int COLUMNS = 32 / T::BYTES, GROUPS = COLUMNS / 4;
    static constexpr int GROUP_WORDS = T::BYTES; /* four elements */
};

/* ---- Two of four ----------------------------------------------------------------------------- */

/* Keys end in 3 - i for element i of the group. A zero at 3 gets 4 in place of its 0, above other
 * zeros' keys: so one non-zero is joined by position 3, or by 0 where it is at 3, as the nm format
 * fills groups. With a and b the ends of the two largest keys the nibble is (max | 4 min) xor 15;
 * only the empty group comes out as 0 and 3, and must be 0 and 1. */

/* Of one group of a 16-bit type: two words. */
__device__ inline uint32_t pick_wide(const uint32_t *group) {
    constexpr uint32_t MASK = 0x3fff8, KEY_OF_ONE = 8; /* magnitudes times 8 */
    const uint32_t key0 = (group[0] << 3 & MASK) | 3, key1 = (group[0] >> 13 & MASK) | 2;
    const uint32_t key2 = (group[1] << 3 & MASK) | 1, key3 = max(group[1] >> 13 & MASK, 4u);
    const uint32_t high01 = max(key0, key1), low01 = min(key0, key1);
    const uint32_t high23 = max(key2, key3), low23 = min(key2, key3);
    const uint32_t first = max(high01, high23);
    const uint32_t second = max(min(high01, high23), max(low01, low23));
    const uint32_t a = first & 3, b = second & 3;

    return first < KEY_OF_ONE ? 0x4 : (max(a, b) | min(a, b) << 2) ^ 0xf;
}

/* Of two groups of an 8-bit type, a word of magnitudes each: nibbles in the low bits of either
 * half. Keys are halves too: the magnitude in the upper byte. */
__device__ inline uint32_t pick_two(uint32_t low_group, uint32_t high_group) {
    constexpr uint32_t MASK = 0xff00ff00;
    uint32_t key[4];

#pragma unroll
    for (uint32_t i = 0; i < 4; i++) /* byte i of both, to the upper bytes */
        key[i] = (__byte_perm(low_group, high_group, i << 4 | (i + 4) << 12) & MASK) |
                 (3 - i) * 0x00010001;
    key[3] = __vmaxu2(key[3], 0x00040004);

    const uint32_t high01 = __vmaxu2(key[0], key[1]), low01 = __vminu2(key[0], key[1]);
    const uint32_t high23 = __vmaxu2(key[2], key[3]), low23 = __vminu2(key[2], key[3]);
    const uint32_t first = __vmaxu2(high01, high23);
    const uint32_t second = __vmaxu2(__vminu2(high01, high23), __vmaxu2(low01, low23));
    const uint32_t a = first & 0x00030003, b = second & 0x00030003;
    const uint32_t nibbles = (__vmaxu2(a, b) | __vminu2(a, b) << 2) ^ 0x000f000f;
    /* The sum has the top bit of a half where its first is no zero: 0x7f00 + 0x100 and more. A
     * magnitude is at most 128, so nothing carries. */
    const uint32_t is_filled = first + 0x7f007f00;

    return nibbles ^ (~is_filled >> 12 & 0x00080008);
}

/* Elements whose magnitude is 0 become +0. */
template <class T> __device__ inline uint32_t plain_zeros(uint32_t word) {
    constexpr uint32_t MAGNITUDES = T::MAGNITUDES;

    if (MAGNITUDES == 0xffffffff)
        return word;
    /* A sum carries into an element's sign bit where its magnitude is not 0, and never beyond. */
    return word & (((word & MAGNITUDES) + MAGNITUDES) | MAGNITUDES);
}

/* ---- Runs ------------------------------------------------------------------------------------ */

/* A dense run into values and nibbles, 4 bits a group. Elements are moved by byte_perm, whose
 * selector has 4 bits a byte of the result. */
template <class T>
__device__ inline uint32_t pack_run(const uint32_t (&dense)[DENSE_WORDS],
                                    uint32_t (&values)[VALUE_WORDS]) {
    uint32_t nibbles = 0;

#pragma unroll
    for (int i = 0; i < VALUE_WORDS; i++) {
        const uint32_t low = dense[2 * i], high = dense[2 * i + 1];
        uint32_t selector;

        if (T::BYTES == 2) {
            const uint32_t nibble = pick_wide(dense + 2 * i);

            nibbles |= nibble << 4 * i;
            selector = 0x1010 + (nibble & 3) * 0x22 + (nibble >> 2) * 0x2200;
        } else {
            const uint32_t two = pick_two(T::magnitudes(low), T::magnitudes(high));
            const uint32_t apart = (two & 0x00030003) | (two & 0x000c000c) << 2;

            nibbles |= ((two | two >> 12) & 0xff) << 8 * i;
            selector = (apart | apart >> 8) + 0x4400;
        }
        values[i] = plain_zeros<T>(__byte_perm(low, high, selector));
    }
    return nibbles;
}

/* The way back. Any nibbles are safe; of two equal positions neither value comes. */
template <class T>
__device__ inline void unpack_run(uint32_t nibbles, const uint32_t (&values)[VALUE_WORDS],
                                  uint32_t (&dense)[DENSE_WORDS]) {
    constexpr int BITS = 4 * T::BYTES; /* of a selector, an element */

#pragma unroll
    for (int g = 0; g < Run<T>::GROUPS; g++) {
        const uint32_t p0 = nibbles >> 4 * g & 3, p1 = nibbles >> (4 * g + 2) & 3;

        /* Bytes 4 to 7 are zeros, and stand everywhere until the two values' bytes replace them. */
        if (T::BYTES == 2) {
            const uint32_t selector = 0x44444444 ^ 0x54u << BITS * p0 ^ 0x76u << BITS * p1;

            dense[2 * g] = __byte_perm(values[g], 0, selector);
            dense[2 * g + 1] = __byte_perm(values[g], 0, selector >> 16);
        } else {
            const uint32_t source = g % 2 * 2; /* byte of the first value */
            const uint32_t selector =
                0x4444 ^ (4 ^ source) << BITS * p0 ^ (4 ^ (source + 1)) << BITS * p1;

            dense[g] = __byte_perm(values[g / 2], 0, selector);
        }
    }
}

/* ---- Faults ---------------------------------------------------------------------------------- */

/* Column in the run of the first third non-zero of a group, or -1. */
template <class T> __device__ inline int find_third(const uint32_t (&dense)[DENSE_WORDS]) {
    constexpr uint32_t ELEMENT = T::BYTES == 2 ? 0xffff : 0xff;
    int found = -1;

#pragma unroll
    for (int g = Run<T>::GROUPS - 1; g >= 0; g--) {
        int count = 0;

#pragma unroll
        for (int i = 0; i < 4; i++) {
            const uint32_t word = T::magnitudes(dense[(4 * g + i) * T::BYTES / 4]);
            const uint32_t magnitude = word >> 8 * T::BYTES * (i % (4 / T::BYTES)) & ELEMENT;
            const bool is_third = magnitude != 0 && ++count == 3;

            found = is_third ? 4 * g + i : found;
        }
    }
    return found;
}

/* Of the first element with all bits of an exponent, or -1. */
template <class T>
__device__ inline int find_exponent(const uint32_t (&dense)[DENSE_WORDS], uint32_t exponent) {
    int found = -1;

#pragma unroll
    for (int c = Run<T>::COLUMNS - 1; c >= 0; c--) {
        const uint32_t bits = dense[c * T::BYTES / 4] >> 8 * T::BYTES * (c % (4 / T::BYTES));
        found = (bits & exponent) == exponent ? c : found;
    }
    return found;
}

/* The first group whose positions do not ascend, or -1. */
template <class T> __device__ inline int find_positions(uint32_t nibbles, int groups) {
    int found = -1;

#pragma unroll
    for (int g = Run<T>::GROUPS - 1; g >= 0; g--) {
        const bool is_wrong = (nibbles >> 4 * g & 3) >= (nibbles >> (4 * g + 2) & 3);
        found = g < groups && is_wrong ? g : found;
    }
    return found;
}

} // namespace nm24_mma

#endif
