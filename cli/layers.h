/* What the jobs on checkpoints (inspect, prune, check, pack, unpack) share: filling the job's desc,
 * and the columns that each of their tables begins with. */
#ifndef TAMIS_CLI_LAYERS_H
#define TAMIS_CLI_LAYERS_H

#include "json.h"
#include "options.h"
#include "table.h"

/* Sets what every job reads: the input, the layers (may be NULL) and the progress bar. */
void cli_job_inputs(tms_job_desc *job, const char *in, const cli_texts *layers);

/* Adds the layer's name and its shape, "384 x 1536". */
void cli_layer_cells(cli_table *table, const tms_layer_row *row);

/* {"in", "out" where the job writes, "layers": one object a layer, each begun with "name", "n",
 * "k", "dtype" and "pattern" (null where none is recorded) and finished by `finish`}. Needs no
 * check: jansson's setters take the NULL of an exhausted memory, and cli_json_print says it. */
json_t *cli_job_json(const tms_job_desc *job, const tms_layer_table *layers,
                     void (*finish)(json_t *object, const tms_layer_row *row));

typedef tms_status (*cli_job_verb)(tms_context *, const tms_job_desc *, tms_layer_table **);

/* Runs a job that writes, and prints what became of the layers: JSON as cli_job_json has it, or by
 * `print`. */
cli_exit cli_job_run(const cli_session *session, const tms_job_desc *job, cli_job_verb verb,
                     void (*finish)(json_t *object, const tms_layer_row *row),
                     cli_exit (*print)(const tms_job_desc *job, const tms_layer_table *layers));

/* The pattern's text; "-" for none. */
const char *cli_pattern_text(const tms_pattern *pattern, char out[TMS_PATTERN_TEXT_MAX]);

/* Sums over the layers; elements and zeros are of those that were not skipped. */
typedef struct cli_totals {
    int64_t layers, skipped, elements, zeros, dense_bytes, stored_bytes, negative_zeros;
    double seconds;
} cli_totals;
cli_totals cli_layer_totals(const tms_layer_table *layers);

/* "1 layer", "2 layers". */
enum { CLI_COUNT_TEXT = 40 };
const char *cli_layer_count(int64_t count, char out[CLI_COUNT_TEXT]);

#endif
