/* Unicode as the uncased BERT tokenizer sees it. */
#ifndef TAMIS_MODEL_UNICODE_H
#define TAMIS_MODEL_UNICODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The most code points that one decomposes into (canonically: 4 in Unicode 15). */
enum { TMSI_DECOMPOSITION_MAX = 8 };

/* The code point at text (bytes > 0 are left) and in *out_bytes how many bytes it takes. A byte
 * that begins no valid UTF-8 sequence is U+FFFD, one byte long. */
int32_t tmsi_unicode_next(const char *text, size_t bytes, size_t *out_bytes);

/* Writes UTF-8, at most 4 bytes; returns how many. */
size_t tmsi_unicode_encode(int32_t code, char out[4]);

/* Control, format and private-use characters, U+0000 and U+FFFD, which cleaning drops. Tab, line
 * feed and carriage return are spaces; what is not assigned stays. */
bool tmsi_unicode_is_dropped(int32_t code);
/* The property White_Space. */
bool tmsi_unicode_is_space(int32_t code);
/* ASCII signs that are neither letter nor digit ("$" too), and the general categories P*. */
bool tmsi_unicode_is_punctuation(int32_t code);
/* The blocks of ideographs that become words of their own. */
bool tmsi_unicode_is_ideograph(int32_t code);
/* Nonspacing marks (Mn): accents, once decomposed. */
bool tmsi_unicode_is_mark(int32_t code);
/* Canonical combining class; 0: a starter. */
int32_t tmsi_unicode_class(int32_t code);
int32_t tmsi_unicode_lower(int32_t code);
/* Full canonical decomposition; returns how many code points it has. */
int32_t tmsi_unicode_decompose(int32_t code, int32_t out[TMSI_DECOMPOSITION_MAX]);

#endif
