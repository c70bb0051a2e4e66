/* The demo's texts and times. */
#ifndef TAMIS_CLI_DEMO_SPEED_H
#define TAMIS_CLI_DEMO_SPEED_H

#include "demo.h"

/* Weight of both measurements in the progress bar. */
enum { DEMO_MODELS_WEIGHT = 80, DEMO_LAYERS_WEIGHT = 16 };
enum { DEMO_SPEED_WEIGHT = DEMO_MODELS_WEIGHT + DEMO_LAYERS_WEIGHT };

/* Texts that models are timed on: definitions of the dictionary, else words of the vocabulary. */
typedef struct demo_texts {
    const char **texts;
    size_t *lengths;
    int64_t count;
    char *owned; /* where they were made here */
} demo_texts;

cli_exit demo_texts_find(const demo_state *demo, const tms_eval *eval, demo_texts *out);
void demo_texts_free(demo_texts *texts);

/* Writes the calibration texts, the dictionary's or else `texts`, to a file of the demo's folder.
 */
cli_exit demo_texts_write(const demo_state *demo, const tms_eval *eval, const demo_texts *texts,
                          char out_path[DEMO_PATH_MAX]);

/* Texts a second of every row, all models in turns. */
cli_exit demo_time_models(demo_state *demo, const demo_texts *texts);
/* Microseconds of every layer of the last 2:4 row on all layers. */
cli_exit demo_time_layers(demo_state *demo);

/* The bar: what is done now, and its share of the whole. A tms_progress for it, whose user is the
 * demo. */
void demo_begin_step(demo_state *demo, const char *what, int64_t weight);
int32_t demo_progress(void *user, const char *what, int64_t done, int64_t total);

/* "OUT/folder/name"; false after it said that it is too long. */
bool demo_path(const demo_state *demo, const char *folder, const char *name,
               char out[DEMO_PATH_MAX]);

#endif
