#include "support/encoder.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/dtype.h"
#include "support/files.h"

static float round_to(tms_dtype dtype, double value) {
    if (dtype == TMS_BF16)
        return tmsi_f32_from_bf16(tmsi_bf16_from_f32((float)value));
    if (dtype == TMS_F16)
        return tmsi_f32_from_f16(tmsi_f16_from_f32((float)value));
    return (float)value;
}

static void add_tensor(test_encoder *self, test_random *random, const char *name, int64_t n,
                       int64_t k, double mean, double deviation) {
    test_encoder_tensor *tensor = &self->tensors[self->count++];
    int64_t elements = n * (k > 0 ? k : 1);

    assert_true(self->count <= TEST_ENCODER_TENSORS_MAX);
    snprintf(tensor->name, sizeof tensor->name, "%s", name);
    tensor->n = n;
    tensor->k = k;
    tensor->values = calloc((size_t)elements, sizeof(float));
    assert_non_null(tensor->values);
    for (int64_t i = 0; i < elements; i++)
        tensor->values[i] =
            round_to(self->shape.dtype, mean + deviation * test_random_normal(random));
}

static void add_pair(test_encoder *self, test_random *random, const char *name, int64_t n,
                     int64_t k) {
    char full[160];

    snprintf(full, sizeof full, "%s.weight", name);
    if (k > 0)
        add_tensor(self, random, full, n, k, 0.0, 1.0 / sqrt((double)k));
    else
        add_tensor(self, random, full, n, 0, 1.0, 0.2);
    snprintf(full, sizeof full, "%s.bias", name);
    add_tensor(self, random, full, n, 0, 0.0, 0.2);
}

test_encoder *test_encoder_create(const test_encoder_shape *shape, uint64_t seed) {
    static const char *const square[] = {"attention.self.query", "attention.self.key",
                                         "attention.self.value", "attention.output.dense"};
    test_encoder *self = calloc(1, sizeof *self);
    int64_t hidden = shape->hidden;
    test_random random;
    char name[128];

    assert_non_null(self);
    test_random_seed(&random, seed);
    self->shape = *shape;
    add_tensor(self, &random, "embeddings.word_embeddings.weight", TEST_ENCODER_VOCABULARY, hidden,
               0.0, 1.0);
    add_tensor(self, &random, "embeddings.position_embeddings.weight", TEST_ENCODER_POSITIONS,
               hidden, 0.0, 0.5);
    add_tensor(self, &random, "embeddings.token_type_embeddings.weight", 2, hidden, 0.0, 0.5);
    add_pair(self, &random, "embeddings.LayerNorm", hidden, 0);
    for (int64_t layer = 0; layer < shape->layers; layer++) {
        for (int i = 0; i < 4; i++) {
            snprintf(name, sizeof name, "encoder.layer.%lld.%s", (long long)layer, square[i]);
            add_pair(self, &random, name, hidden, hidden);
        }
        snprintf(name, sizeof name, "encoder.layer.%lld.attention.output.LayerNorm",
                 (long long)layer);
        add_pair(self, &random, name, hidden, 0);
        snprintf(name, sizeof name, "encoder.layer.%lld.intermediate.dense", (long long)layer);
        add_pair(self, &random, name, shape->intermediate, hidden);
        snprintf(name, sizeof name, "encoder.layer.%lld.output.dense", (long long)layer);
        add_pair(self, &random, name, hidden, shape->intermediate);
        snprintf(name, sizeof name, "encoder.layer.%lld.output.LayerNorm", (long long)layer);
        add_pair(self, &random, name, hidden, 0);
    }
    return self;
}

void test_encoder_free(test_encoder *encoder) {
    for (int i = 0; i < encoder->count; i++)
        free(encoder->tensors[i].values);
    free(encoder);
}

test_encoder_tensor *test_encoder_find(const test_encoder *encoder, const char *name) {
    for (int i = 0; i < encoder->count; i++)
        if (strcmp(encoder->tensors[i].name, name) == 0)
            return (test_encoder_tensor *)(uintptr_t)&encoder->tensors[i];
    fail_msg("the test encoder has no tensor %s", name);
    return NULL;
}

int64_t test_encoder_prune(test_encoder *encoder,
                           bool (*keeps)(int64_t row, int64_t column, uint64_t random)) {
    int64_t zeros = 0;
    test_random random;

    test_random_seed(&random, 7);
    for (int t = 0; t < encoder->count; t++) {
        test_encoder_tensor *tensor = &encoder->tensors[t];
        if (tensor->k == 0 || strncmp(tensor->name, "encoder.", 8) != 0)
            continue;
        for (int64_t i = 0; i < tensor->n * tensor->k; i++)
            if (!keeps(i / tensor->k, i % tensor->k, test_random_u64(&random)))
                tensor->values[i] = 0.0f;
        for (int64_t i = 0; i < tensor->n * tensor->k; i++)
            zeros += tensor->values[i] == 0.0f;
    }
    return zeros;
}

/* ---- The folder ---- */

/* The tensor's bytes in the encoder's dtype. */
static void *narrow(const test_encoder *self, const test_encoder_tensor *tensor) {
    int64_t elements = tensor->n * (tensor->k > 0 ? tensor->k : 1);
    uint16_t *halves;

    if (self->shape.dtype == TMS_F32)
        return tensor->values;
    halves = calloc((size_t)elements, sizeof *halves);
    assert_non_null(halves);
    for (int64_t i = 0; i < elements; i++)
        halves[i] = self->shape.dtype == TMS_BF16 ? tmsi_bf16_from_f32(tensor->values[i])
                                                  : tmsi_f16_from_f32(tensor->values[i]);
    return halves;
}

static void name_tensor(const test_encoder *self, const char *name, char out[256]) {
    const char *norm = strstr(name, "LayerNorm.");

    snprintf(out, 256, "%s%s", self->shape.prefix != NULL ? self->shape.prefix : "", name);
    if (self->shape.tf_norms && norm != NULL)
        strcpy(strstr(out, "LayerNorm.") + 10, strstr(name, ".weight") != NULL ? "gamma" : "beta");
}

static void write_tensors(const test_encoder *self, const char *folder) {
    tms_tensor tensors[TEST_ENCODER_TENSORS_MAX];
    char names[TEST_ENCODER_TENSORS_MAX][256], path[TEST_PATH_MAX];

    for (int i = 0; i < self->count; i++) {
        const test_encoder_tensor *tensor = &self->tensors[i];
        const int64_t shape[2] = {tensor->n, tensor->k};
        name_tensor(self, tensor->name, names[i]);
        tensors[i] = test_tensor(names[i], self->shape.dtype, tensor->k > 0 ? 2 : 1, shape,
                                 narrow(self, tensor));
    }
    test_path(folder, "model.safetensors", path);
    test_tensors_write(path, tensors, self->count, NULL);
    for (int i = 0; self->shape.dtype != TMS_F32 && i < self->count; i++)
        free((void *)(uintptr_t)tensors[i].data);
}

/* config.json; a key given is written with that value in the place of its own. */
void test_encoder_write_config(const test_encoder *encoder, const char *folder, const char *key,
                               const char *value) {
    const test_encoder_shape *shape = &encoder->shape;
    char values[9][64], text[1024] = "{", path[TEST_PATH_MAX];
    static const char *const keys[9] = {
        "model_type",        "hidden_size", "num_hidden_layers", "num_attention_heads",
        "intermediate_size", "vocab_size",  "layer_norm_eps",    "max_position_embeddings",
        "hidden_act"};

    snprintf(values[0], 64, "\"bert\"");
    snprintf(values[1], 64, "%lld", (long long)shape->hidden);
    snprintf(values[2], 64, "%lld", (long long)shape->layers);
    snprintf(values[3], 64, "%lld", (long long)shape->heads);
    snprintf(values[4], 64, "%lld", (long long)shape->intermediate);
    snprintf(values[5], 64, "%d", TEST_ENCODER_VOCABULARY);
    snprintf(values[6], 64, "1e-12");
    snprintf(values[7], 64, "%d", TEST_ENCODER_POSITIONS);
    snprintf(values[8], 64, "\"%s\"", shape->activation);
    for (int i = 0; i < 9; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s\"%s\": %s", i > 0 ? ", " : "",
                 keys[i], key != NULL && strcmp(key, keys[i]) == 0 ? value : values[i]);
    strcat(text, "}");
    test_path(folder, "config.json", path);
    test_file_write(path, text, strlen(text));
}

void test_encoder_write_pooling(const char *folder, const char *text) {
    char path[TEST_PATH_MAX];

    test_path(folder, "1_Pooling", path);
    assert_true(mkdir(path, 0777) == 0 || errno == EEXIST);
    test_path(folder, "1_Pooling/config.json", path);
    test_file_write(path, text, strlen(text));
}

void test_encoder_write(const test_encoder *encoder, const char *folder) {
    char path[TEST_PATH_MAX];
    size_t bytes;
    void *vocabulary = test_file_read(TESTS_DIR "/golden/vocab.txt", &bytes);

    test_encoder_write_config(encoder, folder, NULL, NULL);
    test_path(folder, "vocab.txt", path);
    test_file_write(path, vocabulary, bytes);
    free(vocabulary);
    if (encoder->shape.cls_pooling)
        test_encoder_write_pooling(folder, "{\"pooling_mode_cls_token\": true, "
                                           "\"pooling_mode_mean_tokens\": false}");
    write_tensors(encoder, folder);
}

/* ---- The definition ---- */

static void linear(const test_encoder *self, const char *name, const double *x, int64_t t,
                   double *y) {
    char full[160];
    const test_encoder_tensor *weight, *bias;

    snprintf(full, sizeof full, "%s.weight", name);
    weight = test_encoder_find(self, full);
    snprintf(full, sizeof full, "%s.bias", name);
    bias = test_encoder_find(self, full);
    for (int64_t i = 0; i < t; i++)
        for (int64_t n = 0; n < weight->n; n++) {
            double sum = (double)bias->values[n];
            for (int64_t k = 0; k < weight->k; k++)
                sum += (double)weight->values[n * weight->k + k] * x[i * weight->k + k];
            y[i * weight->n + n] = sum;
        }
}

static void norm(const test_encoder *self, const char *name, double *x, int64_t t) {
    int64_t hidden = self->shape.hidden;
    char full[160];
    const float *weight, *bias;

    snprintf(full, sizeof full, "%s.weight", name);
    weight = test_encoder_find(self, full)->values;
    snprintf(full, sizeof full, "%s.bias", name);
    bias = test_encoder_find(self, full)->values;
    for (double *row = x; row < x + t * hidden; row += hidden) {
        double mean = 0.0, variance = 0.0;
        for (int64_t i = 0; i < hidden; i++)
            mean += row[i] / (double)hidden;
        for (int64_t i = 0; i < hidden; i++)
            variance += (row[i] - mean) * (row[i] - mean) / (double)hidden;
        for (int64_t i = 0; i < hidden; i++)
            row[i] = (row[i] - mean) / sqrt(variance + 1e-12) * (double)weight[i] + (double)bias[i];
    }
}

static double activate(const char *activation, double z) {
    if (strcmp(activation, "relu") == 0)
        return z > 0.0 ? z : 0.0;
    if (strcmp(activation, "gelu_new") == 0)
        return 0.5 * z * (1.0 + tanh(sqrt(2.0 / 3.141592653589793) * (z + 0.044715 * z * z * z)));
    return 0.5 * z * (1.0 + erf(z / sqrt(2.0)));
}

static void attend(const double *q, const double *k, const double *v, int64_t t, int64_t hidden,
                   int64_t size, double *out) {
    double *weights = calloc((size_t)t, sizeof *weights);

    for (int64_t first = 0; first < hidden; first += size)
        for (int64_t i = 0; i < t; i++) {
            double total = 0.0;
            for (int64_t j = 0; j < t; j++) {
                double score = 0.0;
                for (int64_t f = first; f < first + size; f++)
                    score += q[i * hidden + f] * k[j * hidden + f];
                weights[j] = exp(score / sqrt((double)size));
                total += weights[j];
            }
            for (int64_t f = first; f < first + size; f++) {
                out[i * hidden + f] = 0.0;
                for (int64_t j = 0; j < t; j++)
                    out[i * hidden + f] += weights[j] / total * v[j * hidden + f];
            }
        }
    free(weights);
}

/* One block on x [t, hidden]; buffer has room for 5 such arrays and one [t, intermediate]. */
static void run_block(const test_encoder *self, int64_t layer, double *x, int64_t t,
                      double *buffer) {
    static const char *const parts[] = {"attention.self.query", "attention.self.key",
                                        "attention.self.value"};
    int64_t hidden = self->shape.hidden, size = t * hidden;
    double *qkv = buffer, *mixed = buffer + 3 * size, *y = buffer + 4 * size,
           *inner = buffer + 5 * size;
    char at[64], name[160];

    snprintf(at, sizeof at, "encoder.layer.%lld", (long long)layer);
    for (int i = 0; i < 3; i++) {
        snprintf(name, sizeof name, "%s.%s", at, parts[i]);
        linear(self, name, x, t, qkv + i * size);
    }
    attend(qkv, qkv + size, qkv + 2 * size, t, hidden, hidden / self->shape.heads, mixed);
    snprintf(name, sizeof name, "%s.attention.output.dense", at);
    linear(self, name, mixed, t, y);
    for (int64_t i = 0; i < size; i++)
        x[i] += y[i];
    snprintf(name, sizeof name, "%s.attention.output.LayerNorm", at);
    norm(self, name, x, t);
    snprintf(name, sizeof name, "%s.intermediate.dense", at);
    linear(self, name, x, t, inner);
    for (int64_t i = 0; i < t * self->shape.intermediate; i++)
        inner[i] = activate(self->shape.activation, inner[i]);
    snprintf(name, sizeof name, "%s.output.dense", at);
    linear(self, name, inner, t, y);
    for (int64_t i = 0; i < size; i++)
        x[i] += y[i];
    snprintf(name, sizeof name, "%s.output.LayerNorm", at);
    norm(self, name, x, t);
}

void test_encoder_embed(const test_encoder *encoder, const int32_t *ids, int64_t count,
                        double *out) {
    int64_t hidden = encoder->shape.hidden;
    const float *words = test_encoder_find(encoder, "embeddings.word_embeddings.weight")->values;
    const float *positions =
        test_encoder_find(encoder, "embeddings.position_embeddings.weight")->values;
    const float *types =
        test_encoder_find(encoder, "embeddings.token_type_embeddings.weight")->values;
    double *x = calloc((size_t)(count * hidden), sizeof *x), length = 0.0;
    double *buffer =
        calloc((size_t)(count * (5 * hidden + encoder->shape.intermediate)), sizeof *buffer);

    for (int64_t i = 0; i < count * hidden; i++)
        x[i] = (double)words[ids[i / hidden] * hidden + i % hidden] + (double)positions[i] +
               (double)types[i % hidden];
    norm(encoder, "embeddings.LayerNorm", x, count);
    for (int64_t layer = 0; layer < encoder->shape.layers; layer++)
        run_block(encoder, layer, x, count, buffer);
    memset(out, 0, (size_t)hidden * sizeof *out);
    for (int64_t i = 0; i < (encoder->shape.cls_pooling ? 1 : count) * hidden; i++)
        out[i % hidden] += x[i];
    for (int64_t i = 0; i < hidden; i++)
        length += out[i] * out[i];
    for (int64_t i = 0; i < hidden; i++)
        out[i] /= sqrt(length);
    free(x);
    free(buffer);
}

/* ---- Texts ---- */

const char *const test_texts[TEST_TEXT_COUNT] = {
    "the theory of fire and water",
    "a",
    "",
    "unmaking things without a name is not easy",
    "large trees",
    "one two three four five six seven eight nine ten eleven",
    "a small dog",
    "the end of the day, and of the year.",
    "earth"};

void test_text_lengths(size_t lengths[TEST_TEXT_COUNT]) {
    for (int i = 0; i < TEST_TEXT_COUNT; i++)
        lengths[i] = strlen(test_texts[i]);
}

double test_cosine(const float *a, const double *b, int64_t count) {
    double dot = 0.0, aa = 0.0, bb = 0.0;

    for (int64_t i = 0; i < count; i++) {
        dot += (double)a[i] * b[i];
        aa += (double)a[i] * (double)a[i];
        bb += b[i] * b[i];
    }
    return dot / sqrt(aa * bb);
}
