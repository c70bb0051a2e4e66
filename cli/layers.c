#include "layers.h"

#include <inttypes.h>
#include <stdio.h>

#include "terminal.h"

void cli_job_inputs(tms_job_desc *job, const char *in, const cli_texts *layers) {
    job->in = in;
    if (layers != NULL) {
        job->layers = layers->items;
        job->layer_count = layers->count;
    }
    job->progress = cli_progress_step;
}

void cli_layer_cells(cli_table *table, const tms_layer_row *row) {
    cli_table_add(table, "%s", row->name);
    cli_table_add(table, "%" PRId64 " x %" PRId64, row->n, row->k);
}

const char *cli_pattern_text(const tms_pattern *pattern, char out[TMS_PATTERN_TEXT_MAX]) {
    if (pattern->kind == TMS_PATTERN_NONE || tms_pattern_print(pattern, out) != TMS_OK)
        snprintf(out, TMS_PATTERN_TEXT_MAX, "-");
    return out;
}

static json_t *layer_json(const tms_layer_row *row) {
    char pattern[TMS_PATTERN_TEXT_MAX];
    json_t *object = json_object();

    cli_pattern_text(&row->pattern, pattern);
    json_object_set_new(object, "name", cli_json_text(row->name));
    json_object_set_new(object, "n", json_integer(row->n));
    json_object_set_new(object, "k", json_integer(row->k));
    json_object_set_new(object, "dtype", json_string(tms_dtype_name(row->dtype)));
    json_object_set_new(object, "pattern",
                        row->pattern.kind == TMS_PATTERN_NONE ? json_null() : json_string(pattern));
    return object;
}

json_t *cli_job_json(const tms_job_desc *job, const tms_layer_table *layers,
                     void (*finish)(json_t *object, const tms_layer_row *row)) {
    json_t *object = json_object(), *array = json_array();

    for (int64_t i = 0; i < tms_layer_table_count(layers); i++) {
        const tms_layer_row *row = tms_layer_table_row(layers, i);
        json_t *layer = layer_json(row);

        finish(layer, row);
        json_array_append_new(array, layer);
    }
    json_object_set_new(object, "in", cli_json_text(job->in));
    if (job->out != NULL)
        json_object_set_new(object, "out", cli_json_text(job->out));
    json_object_set_new(object, "layers", array);
    return object;
}

cli_exit cli_job_run(const cli_session *session, const tms_job_desc *job, cli_job_verb verb,
                     void (*finish)(json_t *object, const tms_layer_row *row),
                     cli_exit (*print)(const tms_job_desc *job, const tms_layer_table *layers)) {
    tms_layer_table *layers = NULL;
    tms_status status;
    cli_exit code;

    if (job->out == NULL)
        return cli_fail(CLI_MISUSE, "where to? -o OUT is missing");
    status = verb(session->context, job, &layers);
    cli_progress_clear();
    if (status != TMS_OK)
        code = cli_fail_status(status);
    else if (session->is_json)
        code = cli_json_print(cli_job_json(job, layers, finish));
    else
        code = print(job, layers);
    tms_layer_table_destroy(layers);
    return code;
}

cli_totals cli_layer_totals(const tms_layer_table *layers) {
    cli_totals totals = {0};

    for (int64_t i = 0; i < tms_layer_table_count(layers); i++) {
        const tms_layer_row *row = tms_layer_table_row(layers, i);
        int64_t stored = row->format_bytes[row->format];

        totals.layers++;
        totals.skipped += row->is_skipped;
        if (!row->is_skipped) { /* of those nothing was counted */
            totals.elements += row->n * row->k;
            totals.zeros += row->zeros.zeros;
        }
        totals.dense_bytes += row->dense_bytes;
        totals.stored_bytes += stored > 0 ? stored : 0;
        totals.negative_zeros += row->negative_zeros;
        totals.seconds += row->seconds;
    }
    return totals;
}

const char *cli_layer_count(int64_t count, char out[CLI_COUNT_TEXT]) {
    snprintf(out, CLI_COUNT_TEXT, "%" PRId64 " layer%s", count, count == 1 ? "" : "s");
    return out;
}
