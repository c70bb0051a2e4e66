/* How two of four are kept, and how 16 columns of a 16-bit type, or 32 of an 8-bit one, lie in
 * registers: a run, 32 bytes dense, 16 bytes of values in an image, a nibble a group.
 *
 * A weight of 4 bytes a group passes memory in 1.5 of them, so that 30 integer instructions a group
 * already take half of the time that its bytes do on an H100. Hence one integer key an element,
 * that orders as the rule does: magnitude, then the lower index. No branch depends on a weight. */
#ifndef TAMIS_FORMAT_CUDA_NM24_MMA_CUH
#define TAMIS_FORMAT_CUDA_NM24_MMA_CUH

#include <stdint.h>

namespace nm24_mma {

constexpr int DENSE_WORDS = 8, VALUE_WORDS = 4; /* 32-bit words of a run */

/* An element's key is its magnitude times 8, plus 3 - i for the i-th of its group. */
constexpr uint32_t KEY_OF_ONE = 8;

/* bf16 and f16: sign, then bits that order as magnitudes do. */
struct Wide {
    static constexpr int BYTES = 2;
    static constexpr uint32_t MAGNITUDES = 0x7fff7fff; /* of all elements in a word */

    __device__ static uint32_t key(const uint32_t *group, int i) {
        return i % 2 == 0 ? group[i / 2] << 3 & 0x3fff8 : group[i / 2] >> 13 & 0x3fff8;
    }
};

struct E4m3 {
    static constexpr int BYTES = 1;
    static constexpr uint32_t MAGNITUDES = 0x7f7f7f7f;

    __device__ static uint32_t key(const uint32_t *group, int i) {
        return i == 0 ? group[0] << 3 & 0x3f8 : group[0] >> (8 * i - 3) & 0x3f8;
    }
};

struct I8 {
    static constexpr int BYTES = 1;
    static constexpr uint32_t MAGNITUDES = 0xffffffff;

    __device__ static uint32_t key(const uint32_t *group, int i) {
        return (uint32_t)abs((int8_t)(group[0] >> 8 * i)) << 3; /* 128 for -128 */
    }
};

template <class T> struct Run {
    static constexpr int COLUMNS = 32 / T::BYTES, GROUPS = COLUMNS / 4;
    static constexpr int GROUP_WORDS = T::BYTES; /* four elements */
};

/* The nibble of a group: the positions of its two largest magnitudes, the nm format's filling where
 * there are fewer. A zero at 3 gets a key above the other zeros', so that one non-zero is joined by
 * position 3, or by 0 where it is at 3; the empty group is 0 and 1. */
template <class T> __device__ inline uint32_t pick(const uint32_t *group) {
    const uint32_t key0 = T::key(group, 0) + 3, key1 = T::key(group, 1) + 2;
    const uint32_t key2 = T::key(group, 2) + 1, key3 = max(T::key(group, 3), KEY_OF_ONE / 2);
    const uint32_t high01 = max(key0, key1), low01 = min(key0, key1);
    const uint32_t high23 = max(key2, key3), low23 = min(key2, key3);
    const uint32_t first = max(high01, high23);
    const uint32_t second = max(min(high01, high23), max(low01, low23));
    const uint32_t a = first & 3, b = second & 3; /* 3 - position */

    return first < KEY_OF_ONE ? 0x4 : (max(a, b) | min(a, b) << 2) ^ 0xf;
}

/* Elements whose magnitude is 0 become +0. */
template <class T> __device__ inline uint32_t plain_zeros(uint32_t word) {
    constexpr uint32_t MAGNITUDES = T::MAGNITUDES;

    if (MAGNITUDES == 0xffffffff)
        return word;
    /* A sum carries into an element's sign bit where its magnitude is not 0, and never beyond. */
    return word & (((word & MAGNITUDES) + MAGNITUDES) | MAGNITUDES);
}

/* A dense run into values and nibbles, 4 bits a group. */
template <class T>
__device__ inline uint32_t pack_run(const uint32_t (&dense)[DENSE_WORDS],
                                    uint32_t (&values)[VALUE_WORDS]) {
    uint32_t nibbles = 0;

#pragma unroll
    for (int i = 0; i < VALUE_WORDS; i++) {
        if (T::BYTES == 2) {
            const uint32_t nibble = pick<T>(dense + 2 * i);

            nibbles |= nibble << 4 * i;
            values[i] = __byte_perm(dense[2 * i], dense[2 * i + 1],
                                    0x1010 + (nibble & 3) * 0x22 + (nibble >> 2) * 0x2200);
        } else {
            const uint32_t low = pick<T>(dense + 2 * i), high = pick<T>(dense + 2 * i + 1);

            nibbles |= low << 8 * i | high << (8 * i + 4);
            values[i] = __byte_perm(dense[2 * i], dense[2 * i + 1],
                                    0x4400 + (low & 3) + (low >> 2) * 0x10 + (high & 3) * 0x100 +
                                        (high >> 2) * 0x1000);
        }
        values[i] = plain_zeros<T>(values[i]);
    }
    return nibbles;
}

/* The way back. Any nibbles are safe; of two equal positions the second value stands. */
template <class T>
__device__ inline void unpack_run(uint32_t nibbles, const uint32_t (&values)[VALUE_WORDS],
                                  uint32_t (&dense)[DENSE_WORDS]) {
    constexpr int BITS = 8 * T::BYTES;
    constexpr uint32_t ELEMENT = (1u << BITS) - 1;

#pragma unroll
    for (int g = 0; g < Run<T>::GROUPS; g++) {
        const uint32_t p0 = nibbles >> 4 * g & 3, p1 = nibbles >> (4 * g + 2) & 3;
        const uint32_t pair = T::BYTES == 2 ? values[g] : values[g / 2] >> 16 * (g % 2);
        const uint64_t low = pair & ELEMENT, high = pair >> BITS & ELEMENT;
        const uint64_t group = (p0 == p1 ? 0 : low << BITS * p0) | high << BITS * p1;

        dense[Run<T>::GROUP_WORDS * g] = (uint32_t)group;
        if (T::BYTES == 2)
            dense[2 * g + 1] = (uint32_t)(group >> 32);
    }
}

/* Column in the run of the first third non-zero of a group, or -1. */
template <class T> __device__ inline int find_third(const uint32_t (&dense)[DENSE_WORDS]) {
    int found = -1;

#pragma unroll
    for (int g = Run<T>::GROUPS - 1; g >= 0; g--) {
        int count = 0;

#pragma unroll
        for (int i = 0; i < 4; i++) {
            const bool is_third = T::key(dense + Run<T>::GROUP_WORDS * g, i) != 0 && ++count == 3;
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
