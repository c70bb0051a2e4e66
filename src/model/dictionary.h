/* The reverse dictionary: which WordNet definitions look for their word among which candidates, and
 * which texts calibrate. docs/evaluation.md has the rules. */
#ifndef TAMIS_MODEL_DICTIONARY_H
#define TAMIS_MODEL_DICTIONARY_H

#include "base/status.h"

typedef struct tmsi_dictionary_size {
    int64_t queries, candidates, calibration; /* each >= 1 */
} tmsi_dictionary_size;

/* Texts with a closing 0, and how long they are without it. */
typedef struct tmsi_text_list {
    const char **texts;
    size_t *lengths;
    int64_t count;
} tmsi_text_list;

typedef struct tmsi_dictionary {
    tms_context *context;
    tmsi_text_list queries; /* definitions */
    tmsi_text_list candidates;
    tmsi_text_list calibration;
    int64_t *answer_offsets; /* [queries + 1] into answers */
    int64_t *answers;        /* candidates that are a query's words, ascending */
    int64_t answer_count, answer_capacity;
    char *buffer; /* the texts */
} tmsi_dictionary;

/* The same texts for the same folder, always. TMS_ERR_FORMAT where WordNet is too small for the
 * size. *out is untouched on failure. */
tms_status tmsi_dictionary_create(tms_context *context, const char *wordnet_dir,
                                  const tmsi_dictionary_size *size, tmsi_dictionary *out);
void tmsi_dictionary_free(tmsi_dictionary *dictionary); /* takes a zero-filled one */

/* Writes queries.txt, candidates.txt, answers.txt and calibration.txt, a line each, into the
 * folder, made if it is not there. Refuses to replace a file. */
tms_status tmsi_dictionary_dump(const tmsi_dictionary *dictionary, const char *folder);

#endif
