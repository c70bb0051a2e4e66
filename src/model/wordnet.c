/* A line of a data file (wndb(5) of WordNet 3.0):
 *     offset lex_file type count word id [word id ...] pointers ... | gloss
 * fields parted by one blank, count (of words) two hexadecimal digits. The gloss is a definition
 * and, behind "; ", examples in quotation marks. Lines of the licence begin with a blank. */
#include "model/wordnet.h"

#include <string.h>

#include "base/memory.h"

enum {
    FIELDS_BEFORE_COUNT = 3, /* offset, lex_file, type */
    LEMMA_BYTES_MIN = 3,
    DEFINITION_BYTES_MIN = 20,
    DEFINITION_BYTES_MAX = 200,
};

static const char *const file_names[TMSI_WORDNET_FILES] = {"data.noun", "data.verb", "data.adj",
                                                           "data.adv"};

/* Takes bytes up to the separator, and the separator, off *rest. */
static tmsi_text take_field(tmsi_text *rest, char separator) {
    const char *end = rest->bytes > 0 ? memchr(rest->at, separator, rest->bytes) : NULL;
    tmsi_text field = {rest->at, end != NULL ? (size_t)(end - rest->at) : rest->bytes};
    size_t taken = field.bytes + (end != NULL ? 1 : 0);

    rest->at += taken;
    rest->bytes -= taken;
    return field;
}

static tmsi_text cut_lemma(tmsi_text word) {
    const char *mark = word.bytes > 0 ? memchr(word.at, '(', word.bytes) : NULL;
    return mark != NULL ? (tmsi_text){word.at, (size_t)(mark - word.at)} : word;
}

tmsi_text tmsi_synset_next(tmsi_text *others) {
    tmsi_text lemma = cut_lemma(take_field(others, ' '));
    take_field(others, ' ');
    return lemma;
}

static int32_t hex_digit(char digit) {
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

/* Two digits, at least 1; else -1. */
static int32_t read_word_count(tmsi_text field) {
    if (field.bytes != 2 || hex_digit(field.at[0]) < 0 || hex_digit(field.at[1]) < 0)
        return -1;
    return hex_digit(field.at[0]) * 16 + hex_digit(field.at[1]) > 0
               ? hex_digit(field.at[0]) * 16 + hex_digit(field.at[1])
               : -1;
}

static bool is_blank(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Cut where examples begin, blanks around it off. */
static tmsi_text cut_definition(tmsi_text gloss) {
    tmsi_text text = gloss;

    for (size_t i = 0; i + 3 <= gloss.bytes; i++)
        if (memcmp(gloss.at + i, "; \"", 3) == 0) {
            text.bytes = i;
            break;
        }
    while (text.bytes > 0 && is_blank(text.at[text.bytes - 1]))
        text.bytes--;
    while (text.bytes > 0 && is_blank(text.at[0]))
        text.at++, text.bytes--;
    return text;
}

static bool is_eligible(const tmsi_synset *synset) {
    const tmsi_text *lemma = &synset->lemma, *definition = &synset->definition;

    for (size_t i = 0; i < lemma->bytes; i++)
        if ((lemma->at[i] < 'a' || lemma->at[i] > 'z') && lemma->at[i] != '_')
            return false;
    return lemma->bytes >= LEMMA_BYTES_MIN && definition->bytes >= DEFINITION_BYTES_MIN &&
           definition->bytes <= DEFINITION_BYTES_MAX &&
           memchr(definition->at, '"', definition->bytes) == NULL;
}

/* Words and definition of a line; false where it has not the shape above. */
static bool read_synset(tmsi_text line, tmsi_synset *out) {
    tmsi_text fields = take_field(&line, '|'), gloss = line;
    int32_t words;

    for (int i = 0; i < FIELDS_BEFORE_COUNT; i++)
        take_field(&fields, ' ');
    words = read_word_count(take_field(&fields, ' '));
    if (words < 0)
        return false;
    out->lemma = tmsi_synset_next(&fields);
    out->others = fields;
    out->other_count = words - 1;
    for (int32_t i = 1; i < words; i++)
        tmsi_synset_next(&fields);
    out->definition = cut_definition(gloss);
    return fields.bytes > 0 && gloss.bytes > 0; /* at least a count of pointers is left */
}

static tms_status read_file(tmsi_wordnet *self, const char *name, tmsi_mapping map) {
    tms_status status = TMS_OK;
    tmsi_text rest = {(const char *)map.data, map.bytes};
    tmsi_synset synset;

    for (int64_t number = 1; rest.bytes > 0; number++) {
        tmsi_text line = take_field(&rest, '\n');
        if (line.bytes > 0 && line.at[0] == ' ')
            continue;
        if (!read_synset(line, &synset))
            TMS_TRY(tmsi_fail(
                TMS_ERR_FORMAT,
                "line %lld of %s is no synset: \"%.*s\" should be offset, file, type, "
                "count, words, pointers, | and a gloss",
                (long long)number, name, (int)(line.bytes < 60 ? line.bytes : 60), line.at));
        if (!is_eligible(&synset))
            continue;
        TMS_TRY(tmsi_grow(self->context, &self->synsets, &self->capacity, self->count + 1,
                          sizeof *self->synsets));
        self->synsets[self->count++] = synset;
    }
done:
    return status;
}

tms_status tmsi_wordnet_open(tms_context *context, const char *folder, tmsi_wordnet *out) {
    tms_status status = TMS_OK;
    tmsi_wordnet self = {.context = context};
    char *path = NULL;

    for (int i = 0; i < TMSI_WORDNET_FILES; i++) {
        TMS_TRY(tmsi_path_join(context, folder, file_names[i], &path));
        TMS_TRY(tmsi_file_map(path, &self.maps[i]));
        TMS_TRY(read_file(&self, path, self.maps[i]));
        tmsi_free(context, path);
        path = NULL;
    }
    *out = self;
    self = (tmsi_wordnet){.context = context};
done:
    tmsi_free(context, path);
    tmsi_wordnet_close(&self);
    return status;
}

void tmsi_wordnet_close(tmsi_wordnet *wordnet) {
    if (wordnet->context == NULL)
        return;
    for (int i = 0; i < TMSI_WORDNET_FILES; i++)
        tmsi_file_unmap(&wordnet->maps[i]);
    tmsi_free(wordnet->context, wordnet->synsets);
}
