#include "measure/noise.h"

#include <math.h>

/* splitmix64: one multiply-xor-shift chain a number is plenty for test data. */
static uint64_t next_bits(uint64_t *state) {
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static float next_unit(uint64_t *state) { /* (0, 1] */
    return (float)((next_bits(state) >> 40) + 1) * 0x1p-24f;
}

/* Pairs by Box and Muller. */
void tmsi_noise_fill(float *out, int64_t count, uint64_t seed) {
    for (int64_t i = 0; i < count; i += 2) {
        float radius = sqrtf(-2.0f * logf(next_unit(&seed)));
        float angle = 6.2831853f * next_unit(&seed);

        out[i] = radius * cosf(angle);
        if (i + 1 < count)
            out[i + 1] = radius * sinf(angle);
    }
}
