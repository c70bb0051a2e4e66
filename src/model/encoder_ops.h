/* What an encoder does between its linear layers: attention of texts that lie one behind the other,
 * and normalisation. One body, compiled for each instruction set; the bits are the same. */
#ifndef TAMIS_MODEL_ENCODER_OPS_H
#define TAMIS_MODEL_ENCODER_OPS_H

#include "base/context.h"

/* Where the texts of a batch lie: text i in the rows [offsets[i], offsets[i + 1]), offsets[0] = 0,
 * each with at least one row. */
typedef struct tmsi_text_rows {
    const int64_t *offsets; /* [count + 1] */
    int64_t count;
} tmsi_text_rows;

typedef struct tmsi_attention {
    const tmsi_text_rows *texts;
    const float
        *qkv;   /* [tokens, 3 * hidden]: q, k and v side by side, heads side by side in each */
    float *out; /* [tokens, hidden] */
    int64_t heads, head_size;
    float *work; /* tmsi_attention_work_floats */
} tmsi_attention;

typedef struct tmsi_norm {
    float *x; /* [tokens, hidden], in place */
    int64_t tokens, hidden;
    const float *weight, *bias; /* [hidden] */
    float epsilon;
} tmsi_norm;

/* Rows of scores that are worked on at a time. */
enum { TMSI_ATTENTION_QUERIES = 4 };

static inline size_t tmsi_attention_work_floats(int64_t texts, int64_t tokens, int64_t heads,
                                                int64_t head_size) {
    /* The keys and some scores a token; texts are padded to multiples of 16 of them. */
    return (size_t)((tokens + 16 * texts) * heads * (head_size + TMSI_ATTENTION_QUERIES));
}

/* softmax(q k^T / sqrt(head_size)) v for every text and head. */
void tmsi_attention_run(const tms_context *context, tmsi_attention *attention);

/* Each row less its mean, over its standard deviation, times weight, plus bias. */
void tmsi_norm_run(const tms_context *context, tmsi_norm *norm);

/* The bodies: attention of head i % heads of text i / heads; rows of band i. */
enum { TMSI_NORM_BAND = 32 };
void tmsi_attention_task(void *attention, int64_t i);
void tmsi_attention_task_avx2(void *attention, int64_t i);
void tmsi_norm_task(void *norm, int64_t i);
void tmsi_norm_task_avx2(void *norm, int64_t i);

#endif
