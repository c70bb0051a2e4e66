/* WordPiece in one pass over the text, a code point at a time:
 *
 *   special tokens written out in the text ("[SEP]") are cut out first, case and all;
 *   cleaning       control characters go, white space becomes a blank;
 *   ideographs     stand alone;
 *   accents        canonical decomposition (NFD), then nonspacing marks go;
 *   lower case;
 *   words          split at blanks, and around each punctuation sign;
 *   pieces         of each word, from its front, the longest that the vocabulary has ("##" before
 *                  all but the first); a word that cannot be cut up so, or of more than 100
 *                  characters, is one [UNK].
 *
 * No buffer of the whole text is needed: NFD moves only combining characters, within a run that no
 * word is split in, so it is done in the word. A character goes before those behind the last
 * starter (combining class 0) whose class is higher; since marks are dropped, only where they
 * would have been a starter is kept (`sorted_from`). */
#include "model/tokenizer.h"

#include <string.h>

#include "base/memory.h"
#include "model/texts.h"
#include "model/unicode.h"

enum {
    WORD_CHARS_MAX = 100,   /* longer words are [UNK] */
    TOKEN_BYTES_MAX = 1024, /* of a vocabulary line */
    TOKENS_MAX = 1 << 24,
    CODE_CAPITAL_I_DOT = 0x130, /* the one letter whose small form is two: i and a dot above */
    CODE_DOT_ABOVE = 0x307,
};

enum { SPECIAL_UNK, SPECIAL_CLS, SPECIAL_SEP, SPECIAL_PAD, SPECIAL_MASK, SPECIAL_COUNT };

/* The first three must be there. */
static const char *const special_names[SPECIAL_COUNT] = {"[UNK]", "[CLS]", "[SEP]", "[PAD]",
                                                         "[MASK]"};
enum { SPECIAL_NEEDED = 3 };

struct tmsi_tokenizer {
    tmsi_tokenizer_rules rules;
    char *text;                     /* the vocabulary's lines */
    tmsi_texts vocabulary;          /* in text; numbers are ids */
    size_t longest;                 /* bytes of the longest token */
    int32_t special[SPECIAL_COUNT]; /* -1: not in the vocabulary */
};

/* A word being read, and where its pieces go. */
typedef struct encoder {
    const tmsi_tokenizer *tokenizer;
    int32_t *ids;
    int64_t count, limit; /* without [SEP] */
    int32_t chars;        /* of the word; past WORD_CHARS_MAX they are counted, not kept */
    int32_t sorted_from;
    int32_t codes[WORD_CHARS_MAX];
    int32_t classes[WORD_CHARS_MAX];
} encoder;

/* ---- The vocabulary ---- */

static tms_status check_token(tmsi_text token, int64_t line) {
    size_t used;

    if (token.bytes == 0)
        return tmsi_fail(TMS_ERR_FORMAT,
                         "line %lld of the vocabulary is empty, but every line is a token",
                         (long long)line);
    if (token.bytes > TOKEN_BYTES_MAX)
        return tmsi_fail(TMS_ERR_FORMAT,
                         "line %lld of the vocabulary has %zu bytes, but a token has at most %d",
                         (long long)line, token.bytes, TOKEN_BYTES_MAX);
    for (size_t i = 0; i < token.bytes; i += used)
        if (tmsi_unicode_next(token.at + i, token.bytes - i, &used) == 0xfffd && used == 1)
            return tmsi_fail(TMS_ERR_FORMAT,
                             "line %lld of the vocabulary is no UTF-8: its byte %zu is 0x%02x",
                             (long long)line, i, (unsigned char)token.at[i]);
    return TMS_OK;
}

static size_t line_length(const char *text, size_t bytes) {
    const char *end = memchr(text, '\n', bytes);
    return end != NULL ? (size_t)(end - text) : bytes;
}

static tms_status read_vocabulary(tmsi_tokenizer *self, size_t bytes) {
    tms_status status = TMS_OK;
    size_t length;
    int64_t line = 1, id;

    for (size_t i = 0; i < bytes; i += length + 1, line++) {
        tmsi_text token = {self->text + i, length = line_length(self->text + i, bytes - i)};
        if (length > 0 && token.at[length - 1] == '\r')
            token.bytes--;
        if (line > TOKENS_MAX)
            TMS_TRY(tmsi_fail(TMS_ERR_FORMAT, "the vocabulary has more than %d lines", TOKENS_MAX));
        TMS_TRY(check_token(token, line));
        TMS_TRY(tmsi_texts_add(&self->vocabulary, token, &id));
        if (id != line - 1)
            TMS_TRY(tmsi_fail(TMS_ERR_FORMAT,
                              "lines %lld and %lld of the vocabulary are the same token \"%.*s\"",
                              (long long)id + 1, (long long)line, (int)token.bytes, token.at));
        if (token.bytes > self->longest)
            self->longest = token.bytes;
    }
done:
    return status;
}

static int32_t find_token(const tmsi_tokenizer *self, const char *token, size_t bytes) {
    return (int32_t)tmsi_texts_find(&self->vocabulary, (tmsi_text){token, bytes});
}

tms_status tmsi_tokenizer_create(tms_context *context, const char *vocab, size_t bytes,
                                 const tmsi_tokenizer_rules *rules,
                                 tmsi_tokenizer **out_tokenizer) {
    tms_status status = TMS_OK;
    tmsi_tokenizer *self = NULL;

    TMS_TRY(tmsi_alloc(context, 1, sizeof *self, &self));
    self->rules = *rules;
    self->vocabulary.context = context;
    TMS_TRY(tmsi_text_copy(context, vocab, bytes, &self->text));
    TMS_TRY(read_vocabulary(self, bytes));
    for (int i = 0; i < SPECIAL_COUNT; i++) {
        self->special[i] = find_token(self, special_names[i], strlen(special_names[i]));
        if (i < SPECIAL_NEEDED && self->special[i] < 0)
            TMS_TRY(tmsi_fail(TMS_ERR_FORMAT,
                              "the vocabulary (%lld tokens) has no line \"%s\", which texts need",
                              (long long)self->vocabulary.count, special_names[i]));
    }
    *out_tokenizer = self;
    self = NULL;
done:
    tmsi_tokenizer_destroy(context, self);
    return status;
}

void tmsi_tokenizer_destroy(tms_context *context, tmsi_tokenizer *tokenizer) {
    if (tokenizer == NULL)
        return;
    tmsi_texts_free(&tokenizer->vocabulary);
    tmsi_free(context, tokenizer->text);
    tmsi_free(context, tokenizer);
}

int64_t tmsi_tokenizer_count(const tmsi_tokenizer *tokenizer) {
    return tokenizer->vocabulary.count;
}

/* ---- Words to pieces ---- */

static void put_id(encoder *self, int32_t id) {
    if (self->count < self->limit)
        self->ids[self->count++] = id;
}

/* Ends of the word's characters: word bytes [0, ends[i]) are its first i + 1 characters. */
static void cut_word(encoder *self, const char *word, const size_t *ends) {
    const tmsi_tokenizer *tokenizer = self->tokenizer;
    int64_t before = self->count;
    char piece[2 + 4 * WORD_CHARS_MAX] = "##";

    for (int32_t first = 0; first < self->chars;) {
        size_t start = first > 0 ? ends[first - 1] : 0, bytes = 0;
        size_t lead = first > 0 ? 2 : 0;
        int32_t id = -1, end = self->chars;
        memcpy(piece + lead, word + start, ends[end - 1] - start);
        for (; end > first; end--) {
            bytes = lead + ends[end - 1] - start;
            if (bytes <= tokenizer->longest && (id = find_token(tokenizer, piece, bytes)) >= 0)
                break;
        }
        if (id < 0) {
            self->count = before;
            put_id(self, tokenizer->special[SPECIAL_UNK]);
            return;
        }
        put_id(self, id);
        first = end;
        if (first < self->chars)
            memcpy(piece, "##", 2);
    }
}

static void end_word(encoder *self) {
    char word[4 * WORD_CHARS_MAX];
    size_t ends[WORD_CHARS_MAX], bytes = 0;

    if (self->chars > WORD_CHARS_MAX) {
        put_id(self, self->tokenizer->special[SPECIAL_UNK]);
    } else if (self->chars > 0) {
        for (int32_t i = 0; i < self->chars; i++) {
            bytes += tmsi_unicode_encode(self->codes[i], word + bytes);
            ends[i] = bytes;
        }
        cut_word(self, word, ends);
    }
    self->chars = 0;
    self->sorted_from = 0;
}

/* ---- Characters to words ---- */

/* A character of the word, decomposed and ordered as far as the rules say. */
static void put_char(encoder *self, int32_t code) {
    bool is_decomposed = self->tokenizer->rules.strip_accents;
    int32_t class = is_decomposed ? tmsi_unicode_class(code) : 0, i = self->chars;

    if (is_decomposed && tmsi_unicode_is_mark(code)) {
        if (class == 0)
            self->sorted_from = self->chars;
        return;
    }
    self->chars++;
    if (self->chars > WORD_CHARS_MAX) {
        self->chars = WORD_CHARS_MAX + 1;
        return;
    }
    for (; class > 0 && i > self->sorted_from && self->classes[i - 1] > class; i--) {
        self->codes[i] = self->codes[i - 1];
        self->classes[i] = self->classes[i - 1];
    }
    self->codes[i] = code;
    self->classes[i] = class;
}

static void put_lowered(encoder *self, int32_t code) {
    if (!self->tokenizer->rules.lowercase) {
        put_char(self, code);
    } else if (code == CODE_CAPITAL_I_DOT) {
        put_char(self, 'i');
        put_char(self, CODE_DOT_ABOVE);
    } else {
        put_char(self, tmsi_unicode_lower(code));
    }
}

/* A cleaned code point; decomposed before the word splits at it, since a decomposition may hold a
 * sign (U+037E, the Greek question mark, is a semicolon). */
static void put_code(encoder *self, int32_t code) {
    int32_t parts[TMSI_DECOMPOSITION_MAX] = {code}, count = 1;
    bool stands_alone = self->tokenizer->rules.split_ideographs && tmsi_unicode_is_ideograph(code);

    if (self->tokenizer->rules.strip_accents)
        count = tmsi_unicode_decompose(code, parts);
    if (stands_alone)
        end_word(self);
    for (int32_t i = 0; i < count; i++) {
        bool is_sign = tmsi_unicode_is_punctuation(parts[i]);
        if (is_sign)
            end_word(self);
        if (!tmsi_unicode_is_space(parts[i]))
            put_lowered(self, parts[i]);
        if (is_sign || tmsi_unicode_is_space(parts[i]))
            end_word(self);
    }
    if (stands_alone)
        end_word(self);
}

/* The special token written out at text, or -1; its length in *out_bytes. */
static int32_t match_special(const tmsi_tokenizer *self, const char *text, size_t bytes,
                             size_t *out_bytes) {
    if (text[0] != '[')
        return -1;
    for (int i = 0; i < SPECIAL_COUNT; i++) {
        size_t length = strlen(special_names[i]);
        if (self->special[i] >= 0 && length <= bytes &&
            memcmp(text, special_names[i], length) == 0) {
            *out_bytes = length;
            return self->special[i];
        }
    }
    return -1;
}

int64_t tmsi_tokenizer_encode(const tmsi_tokenizer *tokenizer, const char *text, size_t bytes,
                              int64_t max_tokens, int32_t *ids) {
    encoder self = {.tokenizer = tokenizer, .ids = ids, .limit = max_tokens - 1};
    size_t used = 0;
    int32_t special, code;

    put_id(&self, tokenizer->special[SPECIAL_CLS]);
    for (size_t i = 0; i < bytes && self.count < self.limit; i += used) {
        special = match_special(tokenizer, text + i, bytes - i, &used);
        if (special >= 0) {
            end_word(&self);
            put_id(&self, special);
            continue;
        }
        code = tmsi_unicode_next(text + i, bytes - i, &used);
        if (!tmsi_unicode_is_dropped(code))
            put_code(&self, code);
    }
    end_word(&self);
    ids[self.count++] = tokenizer->special[SPECIAL_SEP];
    return self.count;
}
