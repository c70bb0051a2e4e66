/* The demo's rows as a table and as JSON. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "demo.h"
#include "json.h"
#include "table.h"

const char *demo_layers_text(const demo_row *row) {
    return row->recipe->pattern == NULL ? "-" : row->recipe->is_ffn ? "FFN" : "all";
}

const char *demo_method_text(const demo_row *row) {
    return row->recipe->pattern == NULL ? "-" : tms_method_name(row->recipe->method);
}

void demo_pattern_text(const demo_row *row, char out[DEMO_PATTERN_MAX]) {
    const demo_recipe *recipe = row->recipe;

    snprintf(out, DEMO_PATTERN_MAX, "%s%s", recipe->pattern != NULL ? recipe->pattern : "dense",
             recipe->kernels_of != NULL ? ", dense kernels" : "");
}

const char *demo_seed_text(const demo_state *demo) {
    return demo->is_seed ? "The model is a stand-in of the same shape, made from a seed: speed "
                           "holds, accuracy means nothing."
                         : NULL;
}

static void add_share(cli_table *table, bool is_there, const tms_share *share) {
    if (is_there)
        cli_table_add(table, "%.1f (%.1f-%.1f)", 100.0 * share->value, 100.0 * share->low,
                      100.0 * share->high);
    else
        cli_table_add(table, "-");
}

cli_exit demo_print_table(const demo_state *demo) {
    static const char *const heads[] = {"",       "pattern", "method",        "layers",
                                        "zeros",  "bytes",   "recall@1 in %", "recall@10 in %",
                                        "cosine", "texts/s", "x dense"};
    cli_table table;
    cli_exit code;

    cli_table_begin(&table, "llllrrrrrrr", heads);
    for (int i = 0; i < DEMO_ROWS; i++) {
        const demo_row *row = &demo->rows[i];
        char pattern[DEMO_PATTERN_MAX], bytes[CLI_BYTES_TEXT];

        demo_pattern_text(row, pattern);
        cli_table_add(&table, "%c", row->recipe->letter);
        cli_table_add(&table, "%s", pattern);
        cli_table_add(&table, "%s", demo_method_text(row));
        cli_table_add(&table, "%s", demo_layers_text(row));
        cli_table_add(&table, "%.1f %%", 100.0 * row->zeros);
        cli_table_add(&table, "%s", cli_bytes(row->bytes, bytes));
        add_share(&table, row->result != NULL, &row->report.recall1);
        add_share(&table, row->result != NULL, &row->report.recall10);
        cli_table_add(&table, row->result != NULL ? "%.4f" : "-", row->report.cosine);
        cli_table_add(&table, "%.0f", row->texts_per_second);
        cli_table_add(&table, "%.2f", row->ratio);
    }
    code = cli_table_end(&table);
    printf("\n%s, %s, %d threads; %d rounds of %d texts in turns; %s; %s\n", demo->device,
           demo->isa, (int)tms_context_threads(demo->session->context), (int)demo->rounds,
           (int)demo->text_count, demo->versions, demo->date);
    if (demo_seed_text(demo) != NULL)
        printf("%s\n", demo_seed_text(demo));
    printf("wrote ");
    cli_put(demo->out);
    printf("/report.html and demo.json\n");
    return code;
}

static json_t *share_json(bool is_there, const tms_share *share) {
    if (!is_there)
        return json_null();
    return json_pack("{so so so}", "value", cli_json_number(share->value), "low",
                     cli_json_number(share->low), "high", cli_json_number(share->high));
}

/* Relative error of each layer that the row's job pruned. */
static json_t *errors_json(const demo_row *row) {
    json_t *object = json_object();

    for (int64_t i = 0; i < tms_layer_table_count(row->layers); i++) {
        const tms_layer_row *layer = tms_layer_table_row(row->layers, i);
        json_object_set_new(object, layer->name, cli_json_number(layer->error));
    }
    return object;
}

static json_t *row_json(const demo_row *row) {
    const tms_eval_report *r = &row->report;
    bool is_judged = row->result != NULL;
    char pattern[DEMO_PATTERN_MAX], letter[2] = {row->recipe->letter, '\0'};
    json_t *object = json_object();

    demo_pattern_text(row, pattern);
    json_object_set_new(object, "row", json_string(letter));
    json_object_set_new(object, "pattern", json_string(pattern));
    json_object_set_new(object, "method", json_string(demo_method_text(row)));
    json_object_set_new(object, "layers", json_string(demo_layers_text(row)));
    json_object_set_new(object, "path", cli_json_text(row->path));
    json_object_set_new(object, "zeros", cli_json_number(row->zeros));
    json_object_set_new(object, "bytes", json_integer(row->bytes));
    json_object_set_new(object, "recall1", share_json(is_judged, &r->recall1));
    json_object_set_new(object, "recall10", share_json(is_judged, &r->recall10));
    json_object_set_new(object, "mrr", share_json(is_judged, &r->mrr));
    json_object_set_new(object, "recall1_change", share_json(is_judged, &r->recall1_change));
    json_object_set_new(object, "recall10_change", share_json(is_judged, &r->recall10_change));
    json_object_set_new(object, "cosine", is_judged ? cli_json_number(r->cosine) : json_null());
    json_object_set_new(object, "texts_per_second", cli_json_number(row->texts_per_second));
    json_object_set_new(object, "us", cli_json_number(row->us));
    json_object_set_new(object, "us_min", cli_json_number(row->us_min));
    json_object_set_new(object, "us_max", cli_json_number(row->us_max));
    json_object_set_new(object, "ratio_dense", cli_json_number(row->ratio));
    json_object_set_new(object, "layer_errors", errors_json(row));
    return object;
}

static json_t *layers_json(const demo_state *demo) {
    json_t *array = json_array();

    for (int32_t i = 0; i < demo->layer_count; i++) {
        const demo_layer *layer = &demo->layers[i];
        json_array_append_new(array, json_pack("{so so so}", "name", cli_json_text(layer->name),
                                               "dense_us", cli_json_number(layer->dense_us),
                                               "sparse_us", cli_json_number(layer->sparse_us)));
    }
    return array;
}

cli_exit demo_json(const demo_state *demo, char **out_text) {
    json_t *object = json_object(), *rows = json_array();

    for (int i = 0; i < DEMO_ROWS; i++)
        json_array_append_new(rows, row_json(&demo->rows[i]));
    json_object_set_new(object, "model", cli_json_text(demo->model));
    json_object_set_new(object, "is_seed_model", json_boolean(demo->is_seed));
    json_object_set_new(object, "device", json_string(demo->device));
    json_object_set_new(object, "isa", json_string(demo->isa));
    json_object_set_new(object, "threads",
                        json_integer(tms_context_threads(demo->session->context)));
    json_object_set_new(object, "rounds", json_integer(demo->rounds));
    json_object_set_new(object, "texts", json_integer(demo->text_count));
    json_object_set_new(object, "versions", json_string(demo->versions));
    json_object_set_new(object, "commit", json_string(demo->commit));
    json_object_set_new(object, "date", json_string(demo->date));
    json_object_set_new(object, "rows", rows);
    json_object_set_new(object, "layer_tokens", json_integer(demo->tokens));
    json_object_set_new(object, "layer_times", layers_json(demo));
    *out_text = json_dumps(object, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    json_decref(object);
    return *out_text != NULL ? CLI_GOOD
                             : cli_fail(CLI_FAILED, "out of memory while the JSON was built");
}
