/* Every choice is an integer division, so that anyone can make the same one: of n things in order,
 * m spread over them are numbers i * n / m. */
#include "model/dictionary.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "io/tree.h"
#include "model/wordnet.h"

/* What is chosen, before texts are copied out of the files' maps. */
typedef struct selection {
    const tmsi_wordnet *wordnet;
    const tmsi_dictionary_size *size;
    int64_t *queries;     /* numbers of synsets */
    tmsi_texts lemmas;    /* of the queries (u of them), then the other candidates */
    tmsi_texts others;    /* the other first lemmas there are (p) */
    int64_t *calibration; /* numbers of synsets */
} selection;

static int64_t spread(int64_t i, int64_t of, int64_t count) {
    return i * of / count;
}

static tms_status require(const char *what, int64_t found, int64_t needed) {
    if (found >= needed)
        return TMS_OK;
    return tmsi_fail(TMS_ERR_FORMAT, "WordNet here has %lld %s, but at least %lld are needed",
                     (long long)found, what, (long long)needed);
}

static tms_status choose_queries(selection *self) {
    tms_status status = TMS_OK;
    int64_t count = self->wordnet->count, number;

    TMS_TRY(require("eligible synsets", count, self->size->queries));
    TMS_TRY(tmsi_alloc(self->wordnet->context, (size_t)self->size->queries, sizeof *self->queries,
                       &self->queries));
    for (int64_t j = 0; j < self->size->queries; j++) {
        self->queries[j] = spread(j, count, self->size->queries);
        TMS_TRY(
            tmsi_texts_add(&self->lemmas, self->wordnet->synsets[self->queries[j]].lemma, &number));
    }
done:
    return status;
}

static tms_status choose_candidates(selection *self) {
    tms_status status = TMS_OK;
    int64_t missing = self->size->candidates - self->lemmas.count, number;

    for (int64_t i = 0; i < self->wordnet->count; i++)
        if (tmsi_texts_find(&self->lemmas, self->wordnet->synsets[i].lemma) < 0)
            TMS_TRY(tmsi_texts_add(&self->others, self->wordnet->synsets[i].lemma, &number));
    TMS_TRY(require("different first lemmas", self->lemmas.count + self->others.count,
                    self->size->candidates));
    for (int64_t i = 0; i < missing; i++)
        TMS_TRY(tmsi_texts_add(
            &self->lemmas, self->others.items[spread(i, self->others.count, missing)], &number));
done:
    return status;
}

static tms_status choose_calibration(selection *self) {
    tms_status status = TMS_OK;
    tms_context *context = self->wordnet->context;
    tmsi_texts asked = {.context = context};
    int64_t *free_synsets = NULL, free_count = 0, number;

    for (int64_t j = 0; j < self->size->queries; j++)
        TMS_TRY(
            tmsi_texts_add(&asked, self->wordnet->synsets[self->queries[j]].definition, &number));
    TMS_TRY(tmsi_alloc(context, (size_t)self->wordnet->count, sizeof *free_synsets, &free_synsets));
    for (int64_t i = 0; i < self->wordnet->count; i++)
        if (tmsi_texts_find(&asked, self->wordnet->synsets[i].definition) < 0)
            free_synsets[free_count++] = i;
    TMS_TRY(require("synsets whose definition is no query's", free_count, self->size->calibration));
    TMS_TRY(tmsi_alloc(context, (size_t)self->size->calibration, sizeof *self->calibration,
                       &self->calibration));
    for (int64_t c = 0; c < self->size->calibration; c++)
        self->calibration[c] = free_synsets[spread(c, free_count, self->size->calibration)];
done:
    tmsi_texts_free(&asked);
    tmsi_free(context, free_synsets);
    return status;
}

/* ---- Copies of the texts ---- */

static void put_text(tmsi_text_list *list, tmsi_text text, char blank, char **at) {
    memcpy(*at, text.at, text.bytes);
    for (size_t i = 0; i < text.bytes; i++)
        if ((*at)[i] == blank)
            (*at)[i] = ' ';
    (*at)[text.bytes] = 0;
    list->texts[list->count] = *at;
    list->lengths[list->count++] = text.bytes;
    *at += text.bytes + 1;
}

static tms_status create_list(tms_context *context, int64_t count, tmsi_text_list *out) {
    tms_status status = tmsi_alloc(context, (size_t)count, sizeof *out->texts, &out->texts);

    if (status != TMS_OK)
        return status;
    return tmsi_alloc(context, (size_t)count, sizeof *out->lengths, &out->lengths);
}

static tms_status copy_texts(const selection *self, tmsi_dictionary *out) {
    const tmsi_synset *synsets = self->wordnet->synsets;
    const tmsi_dictionary_size *size = self->size;
    tms_status status = TMS_OK;
    size_t bytes = 0;
    char *at;

    for (int64_t i = 0; i < size->queries; i++)
        bytes += synsets[self->queries[i]].definition.bytes + 1;
    for (int64_t i = 0; i < self->lemmas.count; i++)
        bytes += self->lemmas.items[i].bytes + 1;
    for (int64_t i = 0; i < size->calibration; i++)
        bytes += synsets[self->calibration[i]].definition.bytes + 1;
    TMS_TRY(tmsi_alloc(out->context, bytes, 1, &out->buffer));
    TMS_TRY(create_list(out->context, size->queries, &out->queries));
    TMS_TRY(create_list(out->context, self->lemmas.count, &out->candidates));
    TMS_TRY(create_list(out->context, size->calibration, &out->calibration));
    at = out->buffer;
    for (int64_t i = 0; i < size->queries; i++)
        put_text(&out->queries, synsets[self->queries[i]].definition, ' ', &at);
    for (int64_t i = 0; i < self->lemmas.count; i++)
        put_text(&out->candidates, self->lemmas.items[i], '_', &at);
    for (int64_t i = 0; i < size->calibration; i++)
        put_text(&out->calibration, synsets[self->calibration[i]].definition, ' ', &at);
done:
    return status;
}

static int compare_numbers(const void *a, const void *b) {
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

/* The candidates among a synset's lemmas, ascending and distinct. */
static tms_status add_answers(const selection *self, const tmsi_synset *synset,
                              tmsi_dictionary *out) {
    tms_status status = TMS_OK;
    tmsi_text others = synset->others;
    int64_t first = out->answer_count, kept = first;

    TMS_TRY(tmsi_grow(out->context, &out->answers, &out->answer_capacity,
                      first + 1 + synset->other_count, sizeof *out->answers));
    out->answers[out->answer_count++] = tmsi_texts_find(&self->lemmas, synset->lemma);
    for (int32_t i = 0; i < synset->other_count; i++) {
        int64_t number = tmsi_texts_find(&self->lemmas, tmsi_synset_next(&others));
        if (number >= 0)
            out->answers[out->answer_count++] = number;
    }
    qsort(out->answers + first, (size_t)(out->answer_count - first), sizeof *out->answers,
          compare_numbers);
    for (int64_t i = first; i < out->answer_count; i++)
        if (i == first || out->answers[i] != out->answers[i - 1])
            out->answers[kept++] = out->answers[i];
    out->answer_count = kept;
done:
    return status;
}

static tms_status find_answers(const selection *self, tmsi_dictionary *out) {
    tms_status status = TMS_OK;

    TMS_TRY(tmsi_alloc(out->context, (size_t)self->size->queries + 1, sizeof *out->answer_offsets,
                       &out->answer_offsets));
    for (int64_t j = 0; j < self->size->queries; j++) {
        TMS_TRY(add_answers(self, &self->wordnet->synsets[self->queries[j]], out));
        out->answer_offsets[j + 1] = out->answer_count;
    }
done:
    return status;
}

tms_status tmsi_dictionary_create(tms_context *context, const char *wordnet_dir,
                                  const tmsi_dictionary_size *size, tmsi_dictionary *out) {
    tms_status status = TMS_OK;
    tmsi_wordnet wordnet = {0};
    tmsi_dictionary self = {.context = context};
    selection chosen = {&wordnet, size, NULL, {.context = context}, {.context = context}, NULL};

    TMS_TRY(tmsi_wordnet_open(context, wordnet_dir, &wordnet));
    TMS_TRY(choose_queries(&chosen));
    TMS_TRY(choose_candidates(&chosen));
    TMS_TRY(choose_calibration(&chosen));
    TMS_TRY(copy_texts(&chosen, &self));
    TMS_TRY(find_answers(&chosen, &self));
    *out = self;
    self = (tmsi_dictionary){.context = context};
done:
    tmsi_dictionary_free(&self);
    tmsi_free(context, chosen.queries);
    tmsi_free(context, chosen.calibration);
    tmsi_texts_free(&chosen.lemmas);
    tmsi_texts_free(&chosen.others);
    tmsi_wordnet_close(&wordnet);
    return status;
}

static void free_list(tms_context *context, tmsi_text_list *list) {
    tmsi_free(context, list->texts);
    tmsi_free(context, list->lengths);
}

void tmsi_dictionary_free(tmsi_dictionary *dictionary) {
    tms_context *context = dictionary->context;

    if (context == NULL)
        return;
    free_list(context, &dictionary->queries);
    free_list(context, &dictionary->candidates);
    free_list(context, &dictionary->calibration);
    tmsi_free(context, dictionary->answer_offsets);
    tmsi_free(context, dictionary->answers);
    tmsi_free(context, dictionary->buffer);
}

/* ---- The dump ---- */

static tms_status write_file(tms_context *context, const char *folder, const char *name,
                             const char *text, size_t bytes) {
    tms_status status = TMS_OK;
    char *path = NULL;

    TMS_TRY(tmsi_path_join(context, folder, name, &path));
    TMS_TRY(tmsi_file_write(context, path, false, text, bytes));
done:
    tmsi_free(context, path);
    return status;
}

static tms_status write_list(tms_context *context, const char *folder, const char *name,
                             const tmsi_text_list *list) {
    tms_status status = TMS_OK;
    size_t bytes = 0;
    char *text = NULL, *at;

    for (int64_t i = 0; i < list->count; i++)
        bytes += list->lengths[i] + 1;
    TMS_TRY(tmsi_alloc(context, bytes, 1, &text));
    at = text;
    for (int64_t i = 0; i < list->count; i++) {
        memcpy(at, list->texts[i], list->lengths[i]);
        at += list->lengths[i];
        *at++ = '\n';
    }
    TMS_TRY(write_file(context, folder, name, text, bytes));
done:
    tmsi_free(context, text);
    return status;
}

/* A line a query: numbers of candidates, from 0, parted by blanks. */
static tms_status write_answers(const tmsi_dictionary *self, const char *folder) {
    enum { NUMBER_BYTES = 21 }; /* an int64_t and what follows it */
    tms_status status = TMS_OK;
    char *text = NULL;
    size_t used = 0, bytes = (size_t)self->answer_count * NUMBER_BYTES + 1;

    TMS_TRY(tmsi_alloc(self->context, bytes, 1, &text));
    for (int64_t j = 0; j < self->queries.count; j++)
        for (int64_t i = self->answer_offsets[j]; i < self->answer_offsets[j + 1]; i++)
            used +=
                (size_t)snprintf(text + used, bytes - used, "%lld%c", (long long)self->answers[i],
                                 i + 1 < self->answer_offsets[j + 1] ? ' ' : '\n');
    TMS_TRY(write_file(self->context, folder, "answers.txt", text, used));
done:
    tmsi_free(self->context, text);
    return status;
}

tms_status tmsi_dictionary_dump(const tmsi_dictionary *dictionary, const char *folder) {
    tms_context *context = dictionary->context;
    tms_status status = TMS_OK;
    char *staging = NULL; /* so that a full disk leaves no dump rather than half of one */

    if (tmsi_path_look(folder) != TMSI_PATH_NONE)
        return tmsi_fail(TMS_ERR_IO, "\"%s\" exists, and a dump replaces nothing", folder);
    TMS_TRY(tmsi_path_check_new(folder));
    TMS_TRY(tmsi_tree_stage(context, folder, &staging));
    TMS_TRY(write_list(context, staging, "queries.txt", &dictionary->queries));
    TMS_TRY(write_list(context, staging, "candidates.txt", &dictionary->candidates));
    TMS_TRY(write_answers(dictionary, staging));
    TMS_TRY(write_list(context, staging, "calibration.txt", &dictionary->calibration));
    TMS_TRY(tmsi_tree_place(context, staging, folder));
done:
    if (staging != NULL)
        tmsi_tree_remove(staging); /* renamed away if all went well */
    tmsi_free(context, staging);
    return status;
}
