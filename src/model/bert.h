/* The BERT encoder, by its definition (post-norm transformer, learned positions):
 *     x = norm(word[id] + position[i] + type[0])
 *     per block:  x = norm(x + Wo attention(Wq x, Wk x, Wv x))
 *                 x = norm(x + W2 act(W1 x))
 * with a bias behind each W. Attention sees one text and head at a time. What its files share;
 * others see tmsi_architecture_bert. */
#ifndef TAMIS_MODEL_BERT_H
#define TAMIS_MODEL_BERT_H

#include "model/encoder.h"

/* The linear layers of a block, in the order of its row in architecture.def. */
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

typedef struct tmsi_bert_norms {
    tmsi_norm_weights attention, output;
} tmsi_bert_norms;

typedef struct tmsi_bert {
    tmsi_encoder base; /* where q, k and v are stacked, they are the first one */
    double norm_eps;
    tms_activation activation;
    char prefix[TMSI_NAME_BYTES_MAX];
    const tms_tensor *words, *positions; /* tables in the map */
    float *type;                         /* [hidden]: all tokens are of type 0 */
    tmsi_norm_weights embedding_norm;
    tmsi_bert_norms *norms; /* [blocks] */
    /* Buffers for one batch. */
    float *qkv, *mixed, *inner, *attention_work;
    void *work; /* of the plan that needs most */
} tmsi_bert;

/* Sizes, norm_eps and activation from config.json. TMS_ERR_FORMAT for what is missing or out of
 * range, TMS_ERR_UNSUPPORTED for what cannot be run. */
tms_status tmsi_bert_configure(tmsi_bert *self);

/* tmsi_architecture_bert's. */
void tmsi_bert_embed(const tmsi_encoder *encoder, const tmsi_text_rows *texts, const int32_t *ids,
                     float *x);
void tmsi_bert_run_block(const tmsi_encoder *encoder, int64_t block, const tmsi_text_rows *texts,
                         tmsi_observe observe, void *user, float *x);

#endif
