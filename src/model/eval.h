/* The reverse dictionary, asked of a model: ranks, recall, and how near a pruned model stays to its
 * dense one. The contracts are those of the public twins. */
#ifndef TAMIS_MODEL_EVAL_H
#define TAMIS_MODEL_EVAL_H

#include "model/dictionary.h"

struct tms_eval {
    tms_context *context;
    tmsi_dictionary dictionary;
};

struct tms_eval_result {
    tms_context *context;
    int64_t queries, candidates, hidden;
    int64_t *ranks;     /* [queries], from 1 */
    float *definitions; /* [queries, hidden], unit length */
    double seconds;     /* both embeddings */
};

tms_status tmsi_eval_create(tms_context *context, const char *wordnet_dir,
                            const tmsi_dictionary_size *size, tms_eval **out_eval);
void tmsi_eval_destroy(tms_eval *eval);

tms_status tmsi_eval_run(const tms_eval *eval, tms_model *model, tms_progress progress,
                         void *progress_user, tms_eval_result **out_result);
void tmsi_eval_result_destroy(tms_eval_result *result);

/* Ranks of each query's best answer among the candidates: 1 + how many have a cosine strictly
 * above. Embeddings [.., hidden] of unit length. Cosines are those of the fp32 embeddings, as a sum
 * in double in order of the features: fp32 settles all candidates but those too near to call. */
tms_status tmsi_eval_rank(const tms_eval *eval, const float *definitions, const float *candidates,
                          int64_t hidden, int64_t *out_ranks);

/* Results are of one dictionary; dense may be NULL. */
void tmsi_eval_compare(const tms_eval_result *result, const tms_eval_result *dense,
                       tms_eval_report *out_report);

#endif
