/* An encoder as the rest of the room sees it: tokens are embedded, then go through blocks of linear
 * layers. What is an architecture's own stands behind tmsi_architecture_ops, which its file fills;
 * the row of checkpoint/architecture.def names both. Texts of a batch lie one behind the other,
 * unpadded: linear layers see one [tokens, features] array. */
#ifndef TAMIS_MODEL_ENCODER_H
#define TAMIS_MODEL_ENCODER_H

#include "checkpoint/checkpoint.h"
#include "checkpoint/layers.h"
#include "model/encoder_ops.h"
#include "model/linear.h"
#include "prune/network.h"

enum {
    /* Tokens of a batch: enough for the kernels' tiles, few enough that the widest activation (of
     * the feed-forward layer) stays within a usual L3 cache. No text is longer. */
    TMSI_BATCH_TOKENS = 1024,
    TMSI_BATCH_TEXTS = 256,
};

typedef struct tmsi_encoder_options {
    bool dense_kernels, keep_dense; /* as tms_model_desc has them */
    bool is_split;                  /* no layers stacked, so that each can be replaced */
} tmsi_encoder_options;

typedef struct tmsi_encoder_sizes {
    int64_t blocks, hidden, heads, intermediate, vocabulary, positions;
} tmsi_encoder_sizes;

typedef struct tmsi_architecture_ops tmsi_architecture_ops;

/* The first member of each architecture's own struct. */
typedef struct tmsi_encoder {
    const tmsi_architecture_ops *ops;
    const tmsi_architecture *architecture;
    tms_context *context;
    tms_checkpoint *checkpoint;
    tmsi_encoder_sizes sizes;
    /* [blocks, layers of a block], in the row's order. One that is stacked into a layer before it
     * is zero-filled. */
    tmsi_linear *layers;
} tmsi_encoder;

struct tmsi_architecture_ops {
    size_t bytes; /* of its own struct */
    /* Fills sizes, layers and what is its own from the checkpoint and its config.json, and checks
     * every tensor's presence, shape, type and finiteness. */
    tms_status (*create)(tmsi_encoder *encoder, const tmsi_encoder_options *options);
    /* Frees what is its own; takes a half-made one. */
    void (*destroy)(tmsi_encoder *encoder);
    /* x is [tokens, hidden]; a batch has at most TMSI_BATCH_TOKENS tokens, ids below the
     * vocabulary's size, and at most TMSI_BATCH_TEXTS texts, none longer than there are positions.
     * embed writes x; run_block runs one block on it in place, observe (or NULL) seeing what enters
     * each layer. One call at a time per encoder. */
    void (*embed)(const tmsi_encoder *encoder, const tmsi_text_rows *texts, const int32_t *ids,
                  float *x);
    void (*run_block)(const tmsi_encoder *encoder, int64_t block, const tmsi_text_rows *texts,
                      tmsi_observe observe, void *user, float *x);
};

#define TMSI_ARCHITECTURE(word, ...) extern const tmsi_architecture_ops tmsi_architecture_##word;
#include "checkpoint/architecture.def"
#undef TMSI_ARCHITECTURE

/* The architecture is that of config.json's model_type, or, without one, of the tensors' names.
 * On success the checkpoint is the encoder's, which may read from its map. */
tms_status tmsi_encoder_create(tms_checkpoint *checkpoint, const tmsi_encoder_options *options,
                               tmsi_encoder **out_encoder);
void tmsi_encoder_destroy(tmsi_encoder *encoder);

static inline tmsi_linear *tmsi_encoder_layer(const tmsi_encoder *encoder, int64_t block,
                                              int64_t layer) {
    return &encoder->layers[block * encoder->architecture->layer_count + layer];
}

/* Linear layers as they run, one by one; NULL past the last. */
const tmsi_linear *tmsi_encoder_linear(const tmsi_encoder *encoder, int64_t i);

#endif
