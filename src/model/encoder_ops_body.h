/* Included by encoder_ops.c and encoder_ops_avx2.c, which define BODY(name). Loops run over LANES
 * independent sums, which any compiler turns into vectors without changing their order; so the bits
 * are the same for every vector length. */
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "model/encoder_ops.h"

enum { LANES = 16 };

static inline float add_lanes(const float lanes[LANES]) {
    float sums[LANES];

    memcpy(sums, lanes, sizeof sums);
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int i = 0; i < half; i++)
            sums[i] += sums[i + half];
    return sums[0];
}

/* e^x for x <= 0, relative error below 2^-22: 2^n e^r with |r| <= ln(2)/2, e^r by its Taylor
 * polynomial. Below -87, where the result would be subnormal, e^-87. */
static inline float exp_negative(float x) {
    const float round_bias = 12582912.0f; /* 1.5 * 2^23: its last bit counts ones */
    float clamped = x < -87.0f ? -87.0f : x;
    float n = (clamped * 1.44269504f + round_bias) - round_bias;
    float r = (clamped - n * 0.693359375f) - n * -2.12194440e-4f; /* ln 2 in two parts */
    float p = 1.0f / 720.0f;
    int32_t exponent = ((int32_t)n + 127) * (1 << 23);
    float scale;

    p = p * r + 1.0f / 120.0f;
    p = p * r + 1.0f / 24.0f;
    p = p * r + 1.0f / 6.0f;
    p = p * r + 0.5f;
    p = p * r + 1.0f;
    p = p * r + 1.0f;
    memcpy(&scale, &exponent, sizeof scale);
    return p * scale;
}

/* scores[j] = q . k_j for the keys of one text, transposed: keys[f * padded + j]. */
static inline void score_keys(const float *q, const float *keys, int64_t head_size, int64_t padded,
                              float scale, float *scores) {
    for (int64_t j = 0; j < padded; j += LANES) {
        float sums[LANES] = {0.0f};
        for (int64_t f = 0; f < head_size; f++)
            for (int i = 0; i < LANES; i++)
                sums[i] += q[f] * keys[f * padded + j + i];
        for (int i = 0; i < LANES; i++)
            scores[j + i] = sums[i] * scale;
    }
}

/* Scores to weights that add up to 1; those of the padding become 0. */
static inline void softmax(float *scores, int64_t count, int64_t padded) {
    float largest = scores[0], sums[LANES] = {0.0f}, inverse;

    for (int64_t j = 1; j < count; j++)
        largest = scores[j] > largest ? scores[j] : largest;
    for (int64_t j = 0; j < padded; j++)
        scores[j] = exp_negative(scores[j] - largest);
    for (int64_t j = count; j < padded; j++)
        scores[j] = 0.0f;
    for (int64_t j = 0; j < padded; j += LANES)
        for (int i = 0; i < LANES; i++)
            sums[i] += scores[j + i];
    inverse = 1.0f / add_lanes(sums);
    for (int64_t j = 0; j < padded; j++)
        scores[j] *= inverse;
}

/* out[f] = sum over j of weights[j] * v_j[f]. */
static inline void mix_values(const float *weights, const float *values, int64_t count,
                              int64_t stride, int64_t head_size, float *out) {
    for (int64_t f = 0; f < head_size; f++)
        out[f] = 0.0f;
    for (int64_t j = 0; j < count; j++)
        for (int64_t f = 0; f < head_size; f++)
            out[f] += weights[j] * values[j * stride + f];
}

void BODY(tmsi_attention_task)(void *arg, int64_t task) {
    const tmsi_attention *self = arg;
    const int64_t *offsets = self->texts->offsets;
    int64_t text = task / self->heads, head = task % self->heads;
    int64_t first = offsets[text], count = offsets[text + 1] - first;
    int64_t padded = (count + LANES - 1) / LANES * LANES, size = self->head_size;
    int64_t hidden = self->heads * size, stride = 3 * hidden;
    const float *q = self->qkv + first * stride + head * size;
    const float *k = q + hidden, *v = k + hidden;
    float *out = self->out + first * hidden + head * size;
    /* Text i has room for its tokens and LANES more. */
    float *keys =
        self->work + (first + LANES * text) * self->heads * (size + 1) + head * padded * (size + 1);
    float *scores = keys + padded * size;
    float scale = 1.0f / sqrtf((float)size);

    for (int64_t f = 0; f < size; f++) {
        for (int64_t j = 0; j < count; j++)
            keys[f * padded + j] = k[j * stride + f];
        for (int64_t j = count; j < padded; j++)
            keys[f * padded + j] = 0.0f;
    }
    for (int64_t i = 0; i < count; i++) {
        score_keys(q + i * stride, keys, size, padded, scale, scores);
        softmax(scores, count, padded);
        mix_values(scores, v, count, stride, size, out + i * hidden);
    }
}

static inline void norm_row(float *x, const tmsi_norm *self) {
    int64_t hidden = self->hidden, whole = hidden - hidden % LANES;
    float sums[LANES] = {0.0f}, squares[LANES] = {0.0f}, mean, inverse;

    for (int64_t j = 0; j < whole; j += LANES)
        for (int i = 0; i < LANES; i++)
            sums[i] += x[j + i];
    for (int64_t j = whole; j < hidden; j++)
        sums[j - whole] += x[j];
    mean = add_lanes(sums) / (float)hidden;
    for (int64_t j = 0; j < hidden; j++)
        x[j] -= mean;
    for (int64_t j = 0; j < whole; j += LANES)
        for (int i = 0; i < LANES; i++)
            squares[i] += x[j + i] * x[j + i];
    for (int64_t j = whole; j < hidden; j++)
        squares[j - whole] += x[j] * x[j];
    inverse = 1.0f / sqrtf(add_lanes(squares) / (float)hidden + self->epsilon);
    for (int64_t j = 0; j < hidden; j++)
        x[j] = x[j] * inverse * self->weight[j] + self->bias[j];
}

void BODY(tmsi_norm_task)(void *arg, int64_t band) {
    const tmsi_norm *self = arg;
    int64_t last = (band + 1) * TMSI_NORM_BAND;

    for (int64_t row = band * TMSI_NORM_BAND; row < last && row < self->tokens; row++)
        norm_row(self->x + row * self->hidden, self);
}
