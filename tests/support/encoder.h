/* Small random BERT encoders: written as model folders, and computed in double by the definition.
 * The vocabulary is tests/golden/vocab.txt. */
#ifndef TAMIS_TESTS_ENCODER_H
#define TAMIS_TESTS_ENCODER_H

#include "support/support.h"

typedef struct test_encoder_shape {
    int64_t layers, hidden, heads, intermediate;
    const char *activation; /* hidden_act */
    const char *prefix;     /* of tensor names; NULL: none */
    tms_dtype dtype;
    bool tf_norms;    /* gamma and beta */
    bool cls_pooling; /* said in 1_Pooling/config.json; else there is no such file */
} test_encoder_shape;

enum { TEST_ENCODER_VOCABULARY = 435, TEST_ENCODER_POSITIONS = 20, TEST_ENCODER_TENSORS_MAX = 64 };

typedef struct test_encoder_tensor {
    char name[128]; /* without the prefix; norms as weight and bias */
    int64_t n, k;   /* k 0: a vector */
    float *values;  /* as the dtype rounds them */
} test_encoder_tensor;

typedef struct test_encoder {
    test_encoder_shape shape;
    test_encoder_tensor tensors[TEST_ENCODER_TENSORS_MAX];
    int count;
} test_encoder;

test_encoder *test_encoder_create(const test_encoder_shape *shape, uint64_t seed);
void test_encoder_free(test_encoder *encoder);
test_encoder_tensor *test_encoder_find(const test_encoder *encoder, const char *name);

/* Sets weights of linear layers to zero where keeps says no; returns how many are zero. */
int64_t test_encoder_prune(test_encoder *encoder,
                           bool (*keeps)(int64_t row, int64_t column, uint64_t random));

/* config.json, vocab.txt, model.safetensors and, where it must be said, the pooling. */
void test_encoder_write(const test_encoder *encoder, const char *folder);
void test_encoder_write_pooling(const char *folder, const char *text);
void test_encoder_write_config(const test_encoder *encoder, const char *folder, const char *key,
                               const char *value);

/* The unit vector of one text by the definition, [hidden]. */
void test_encoder_embed(const test_encoder *encoder, const int32_t *ids, int64_t count,
                        double *out);

/* Texts that tests embed: short, empty, longer than TEST_ENCODER_POSITIONS tokens. */
enum { TEST_TEXT_COUNT = 9 };
extern const char *const test_texts[TEST_TEXT_COUNT];
void test_text_lengths(size_t lengths[TEST_TEXT_COUNT]);
/* Of an embedding and what it should be. */
double test_cosine(const float *a, const double *b, int64_t count);

#endif
