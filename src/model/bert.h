/* The BERT encoder, by its definition (post-norm transformer, learned positions):
 *     x = norm(word[id] + position[i] + type[0])
 *     per block:  x = norm(x + Wo attention(Wq x, Wk x, Wv x))
 *                 x = norm(x + W2 act(W1 x))
 * with a bias behind each W. Texts of a batch lie one behind the other, unpadded: linear layers see
 * one [tokens, features] array, attention one text and head at a time. */
#ifndef TAMIS_MODEL_BERT_H
#define TAMIS_MODEL_BERT_H

#include "checkpoint/checkpoint.h"
#include "model/encoder_ops.h"
#include "model/linear.h"
#include "prune/network.h"

enum {
    /* Tokens of a batch: enough for the kernels' tiles, few enough that the widest activation (of
     * the feed-forward layer) stays within a usual L3 cache. No text is longer. */
    TMSI_BERT_BATCH_TOKENS = 1024,
    TMSI_BERT_BATCH_TEXTS = 256,
};

typedef struct tmsi_bert_config {
    int64_t layers, hidden, heads, intermediate, vocabulary, positions;
    double norm_eps;
    tms_activation activation;
} tmsi_bert_config;

/* From config.json's object. TMS_ERR_FORMAT for what is missing or out of range,
 * TMS_ERR_UNSUPPORTED for another architecture. */
tms_status tmsi_bert_config_read(const json_t *config, tmsi_bert_config *out);

/* The linear layers of a block, in the order that networks number them. */
enum {
    TMSI_BERT_QUERY,
    TMSI_BERT_KEY,
    TMSI_BERT_VALUE,
    TMSI_BERT_ATTENTION_OUTPUT,
    TMSI_BERT_INTERMEDIATE,
    TMSI_BERT_OUTPUT,
    TMSI_BERT_BLOCK_LAYERS
};

typedef struct tmsi_norm_weights {
    float *weight, *bias; /* [hidden] */
} tmsi_norm_weights;

typedef struct tmsi_bert_block {
    /* Where q, k and v are stacked, they are the first one, and the next two are zero-filled. */
    tmsi_linear layers[TMSI_BERT_BLOCK_LAYERS];
    const char *names[TMSI_BERT_BLOCK_LAYERS]; /* of the weights' tensors */
    tmsi_norm_weights attention_norm, output_norm;
} tmsi_bert_block;

typedef struct tmsi_bert {
    tms_context *context;
    tms_checkpoint *checkpoint;
    tmsi_bert_config config;
    char prefix[TMSI_NAME_BYTES_MAX];
    const tms_tensor *words, *positions; /* tables in the map */
    float *type;                         /* [hidden]: all tokens are of type 0 */
    tmsi_norm_weights embedding_norm;
    tmsi_bert_block *blocks;
    /* Buffers for one batch. */
    float *qkv, *mixed, *inner, *attention_work;
    void *work; /* of the plan that needs most */
} tmsi_bert;

typedef struct tmsi_bert_options {
    bool dense_kernels, keep_dense; /* as tms_model_desc has them */
    bool split_qkv;                 /* q, k and v apart, so that each can be replaced */
} tmsi_bert_options;

/* Checks every tensor's presence, shape, type and finiteness. On success the checkpoint is the
 * encoder's, which reads embeddings from its map. */
tms_status tmsi_bert_create(tms_checkpoint *checkpoint, const tmsi_bert_options *options,
                            tmsi_bert **out_bert);
void tmsi_bert_destroy(tmsi_bert *bert);

/* Linear layers as they run, one by one; NULL past the last. */
const tmsi_linear *tmsi_bert_linear(const tmsi_bert *bert, int64_t i);

/* x is [tokens, hidden]; a batch has at most TMSI_BERT_BATCH_TOKENS tokens, ids below the
 * vocabulary's size, and at most TMSI_BERT_BATCH_TEXTS texts, none longer than there are positions.
 * embed writes x; block runs one block on it in place, observe (or NULL) seeing what enters each
 * layer; pool writes out [texts, hidden]: the mean of a text's tokens, at unit length. One call at
 * a time per encoder. */
void tmsi_bert_embed(const tmsi_bert *bert, const tmsi_text_rows *texts, const int32_t *ids,
                     float *x);
void tmsi_bert_run_block(const tmsi_bert *bert, int64_t block, const tmsi_text_rows *texts,
                         tmsi_observe observe, void *user, float *x);
void tmsi_bert_pool(const tmsi_bert *bert, const tmsi_text_rows *texts, const float *x, float *out);

#endif
