/* Included by encoder_ops.c and encoder_ops_avx2.c, which define BODY(name). Loops run over LANES
 * independent sums, which any compiler turns into vectors without changing their order; so the bits
 * are the same for every vector length. */
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "model/encoder_ops.h"

enum { LANES = 16, WIDTH = LANES / 2, QUERIES = TMSI_ATTENTION_QUERIES };

/* Half of the lanes: one AVX register, two of SSE. The loose one may lie anywhere. */
typedef float vector __attribute__((vector_size(WIDTH * sizeof(float))));
typedef int32_t int_vector __attribute__((vector_size(WIDTH * sizeof(int32_t))));
typedef vector loose_vector __attribute__((aligned(sizeof(float)), may_alias));

static inline float add_lanes(const float lanes[LANES]) {
    float sums[LANES];

    memcpy(sums, lanes, sizeof sums);
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int i = 0; i < half; i++)
            sums[i] += sums[i + half];
    return sums[0];
}

/* values[i] = e^(values[i] - shift), arguments <= 0, relative error below 2^-22: 2^n e^r with
 * |r| <= ln(2)/2, e^r by its Taylor polynomial. Below -87, where the result would be subnormal,
 * e^-87. */
static inline void exp_shifted(float *values, float shift) {
    const float round_bias = 12582912.0f; /* 1.5 * 2^23: its last bit counts ones */
    const vector lowest = (vector){0.0f} - 87.0f;
    vector x = *(loose_vector *)values - shift, n, r, p;
    int_vector is_low = x < lowest, exponent;

    x = (vector)(((int_vector)x & ~is_low) | ((int_vector)lowest & is_low));
    n = (x * 1.44269504f + round_bias) - round_bias;
    r = (x - n * 0.693359375f) - n * -2.12194440e-4f; /* ln 2 in two parts */
    p = r * (1.0f / 720.0f) + 1.0f / 120.0f;
    p = p * r + 1.0f / 24.0f;
    p = p * r + 1.0f / 6.0f;
    p = p * r + 0.5f;
    p = p * r + 1.0f;
    p = p * r + 1.0f;
    exponent = (__builtin_convertvector(n, int_vector) + 127) << 23;
    *(loose_vector *)values = p * (vector)exponent;
}

/* scores[r * padded + j] = q_r . k_j * scale, the keys of one text transposed:
 * keys[f * padded + j]. Four queries at a time share each load and hide the adds' latency. */
static inline void score_keys(const float *const q[QUERIES], const float *keys, int64_t size,
                              int64_t padded, float scale, float *scores) {
    for (int64_t j = 0; j < padded; j += LANES) {
        vector low[QUERIES], high[QUERIES];
        for (int r = 0; r < QUERIES; r++)
            low[r] = high[r] = (vector){0.0f};
        for (int64_t f = 0; f < size; f++) {
            vector k_low = *(const loose_vector *)(keys + f * padded + j);
            vector k_high = *(const loose_vector *)(keys + f * padded + j + WIDTH);
            for (int r = 0; r < QUERIES; r++) {
                low[r] += q[r][f] * k_low;
                high[r] += q[r][f] * k_high;
            }
        }
        for (int r = 0; r < QUERIES; r++) {
            *(loose_vector *)(scores + r * padded + j) = low[r] * scale;
            *(loose_vector *)(scores + r * padded + j + WIDTH) = high[r] * scale;
        }
    }
}

/* Scores to weights that add up to 1; those of the padding become 0. */
static inline void softmax(float *scores, int64_t count, int64_t padded) {
    float largest = scores[0], sums[LANES] = {0.0f}, inverse;

    for (int64_t j = 1; j < count; j++)
        largest = scores[j] > largest ? scores[j] : largest;
    for (int64_t j = count; j < padded; j++)
        scores[j] = largest;
    for (int64_t j = 0; j < padded; j += WIDTH)
        exp_shifted(scores + j, largest);
    for (int64_t j = count; j < padded; j++)
        scores[j] = 0.0f;
    for (int64_t j = 0; j < padded; j += LANES)
        for (int i = 0; i < LANES; i++)
            sums[i] += scores[j + i];
    inverse = 1.0f / add_lanes(sums);
    for (int64_t j = 0; j < padded; j++)
        scores[j] *= inverse;
}

/* out_r[f] = sum over j of weights[r * padded + j] * v_j[f]. */
static inline void mix_values(const float *weights, int64_t padded, const float *values,
                              int64_t count, int64_t stride, int64_t size,
                              float *const out[QUERIES]) {
    int64_t f = 0;

    for (; f + LANES <= size; f += LANES) {
        vector low[QUERIES], high[QUERIES];
        for (int r = 0; r < QUERIES; r++)
            low[r] = high[r] = (vector){0.0f};
        for (int64_t j = 0; j < count; j++) {
            vector v_low = *(const loose_vector *)(values + j * stride + f);
            vector v_high = *(const loose_vector *)(values + j * stride + f + WIDTH);
            for (int r = 0; r < QUERIES; r++) {
                low[r] += weights[r * padded + j] * v_low;
                high[r] += weights[r * padded + j] * v_high;
            }
        }
        for (int r = 0; r < QUERIES; r++) {
            *(loose_vector *)(out[r] + f) = low[r];
            *(loose_vector *)(out[r] + f + WIDTH) = high[r];
        }
    }
    for (; f < size; f++)
        for (int r = 0; r < QUERIES; r++) {
            float sum = 0.0f;
            for (int64_t j = 0; j < count; j++)
                sum += weights[r * padded + j] * values[j * stride + f];
            out[r][f] = sum;
        }
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
        self->work + ((first + LANES * text) * self->heads + head * padded) * (size + QUERIES);
    float *scores = keys + padded * size;
    float scale = 1.0f / sqrtf((float)size);

    for (int64_t f = 0; f < size; f++) {
        for (int64_t j = 0; j < count; j++)
            keys[f * padded + j] = k[j * stride + f];
        for (int64_t j = count; j < padded; j++)
            keys[f * padded + j] = 0.0f;
    }
    for (int64_t i = 0; i < count; i += QUERIES) {
        const float *rows[QUERIES];
        float *outs[QUERIES];
        for (int r = 0; r < QUERIES; r++) { /* past the last row it is computed again */
            int64_t row = i + r < count ? i + r : count - 1;
            rows[r] = q + row * stride;
            outs[r] = out + row * hidden;
        }
        score_keys(rows, keys, size, padded, scale, scores);
        for (int r = 0; r < QUERIES; r++)
            softmax(scores + r * padded, count, padded);
        mix_values(scores, padded, v, count, stride, size, outs);
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
