/* Text to token ids: the uncased BERT tokenizer, as the `tokenizers` package has it. */
#ifndef TAMIS_MODEL_TOKENIZER_H
#define TAMIS_MODEL_TOKENIZER_H

#include <stdbool.h>

#include "base/status.h"

typedef struct tmsi_tokenizer tmsi_tokenizer;

/* What tokenizer_config.json may say; uncased BERT: all true. */
typedef struct tmsi_tokenizer_rules {
    bool lowercase;
    bool strip_accents;
    bool split_ideographs; /* each CJK ideograph is a word */
} tmsi_tokenizer_rules;

/* vocab holds a token a line, its number the line's; copied. Refuses a vocabulary without [UNK],
 * [CLS] and [SEP], with empty, double or over-long lines or bytes that are no UTF-8. Returns
 * TMS_OK, TMS_ERR_FORMAT or TMS_ERR_MEMORY. */
tms_status tmsi_tokenizer_create(tms_context *context, const char *vocab, size_t bytes,
                                 const tmsi_tokenizer_rules *rules, tmsi_tokenizer **out_tokenizer);
void tmsi_tokenizer_destroy(tms_context *context, tmsi_tokenizer *tokenizer);

/* Lines of the vocabulary: ids are below it. */
int64_t tmsi_tokenizer_count(const tmsi_tokenizer *tokenizer);

/* Writes [CLS], the text's tokens and [SEP] to ids, at most max_tokens (>= 2) in all: the text's
 * last tokens are cut. Returns how many were written. Any bytes will do: those that are no UTF-8
 * count as U+FFFD, which cleaning drops. Allocates nothing; time is linear in the text up to the
 * cut. */
int64_t tmsi_tokenizer_encode(const tmsi_tokenizer *tokenizer, const char *text, size_t bytes,
                              int64_t max_tokens, int32_t *ids);

#endif
