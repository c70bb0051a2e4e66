/* WordNet's data files, read as text: synsets with their words and definition. */
#ifndef TAMIS_MODEL_WORDNET_H
#define TAMIS_MODEL_WORDNET_H

#include "io/file.h"
#include "model/texts.h"

enum { TMSI_WORDNET_FILES = 4 };

/* One line of a data file. Lemmas are as in the file, '_' for a blank, but cut at the first '('
 * (adjectives carry their position there). Texts are in the file's map. */
typedef struct tmsi_synset {
    tmsi_text definition;
    tmsi_text lemma;  /* the first */
    tmsi_text others; /* the fields behind it: see tmsi_synset_next */
    int32_t other_count;
} tmsi_synset;

/* The synsets that may be asked for, in file order (noun, verb, adj, adv): the first lemma has only
 * [a-z ] and at least 3 bytes, the definition 20 to 200 bytes and no quotation mark. */
typedef struct tmsi_wordnet {
    tms_context *context;
    tmsi_mapping maps[TMSI_WORDNET_FILES];
    tmsi_synset *synsets;
    int64_t count, capacity;
} tmsi_wordnet;

/* Reads data.noun, data.verb, data.adj and data.adv in a folder. Returns TMS_OK, TMS_ERR_IO,
 * TMS_ERR_FORMAT (file and line) or TMS_ERR_MEMORY. */
tms_status tmsi_wordnet_open(tms_context *context, const char *folder, tmsi_wordnet *out);
void tmsi_wordnet_close(tmsi_wordnet *wordnet); /* takes a zero-filled one */

/* Takes the next lemma off *others. */
tmsi_text tmsi_synset_next(tmsi_text *others);

#endif
