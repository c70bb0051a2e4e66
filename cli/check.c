#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "layers.h"
#include "terminal.h"

static void finish_layer(json_t *object, const tms_layer_row *row) {
    const tms_check_report *check = &row->check;

    json_object_set_new(object, "holds", json_boolean(check->holds));
    json_object_set_new(object, "row", check->row < 0 ? json_null() : json_integer(check->row));
    json_object_set_new(object, "column",
                        check->column < 0 ? json_null() : json_integer(check->column));
    json_object_set_new(object, "zeros_found", json_integer(check->zeros_found));
    json_object_set_new(object, "zeros_needed", json_integer(check->zeros_needed));
    json_object_set_new(object, "text", cli_json_text(check->text));
}

static cli_exit print_json(const tms_job_desc *job, int32_t holds, const tms_layer_table *layers) {
    json_t *object = cli_job_json(job, layers, finish_layer);

    json_object_set_new(object, "holds", json_boolean(holds));
    return cli_json_print(object);
}

static cli_exit print_table(int32_t holds, const tms_layer_table *layers) {
    static const char *const heads[] = {"layer", "rows x columns", "pattern", "finding"};
    char pattern[TMS_PATTERN_TEXT_MAX], text[CLI_COUNT_TEXT];
    int64_t count = tms_layer_table_count(layers), broken = 0;
    cli_table table;
    cli_exit code;

    cli_table_begin(&table, "lrll", heads);
    for (int64_t i = 0; i < count; i++) {
        const tms_layer_row *row = tms_layer_table_row(layers, i);

        broken += !row->check.holds;
        cli_layer_cells(&table, row);
        cli_table_add(&table, "%s", cli_pattern_text(&row->pattern, pattern));
        cli_table_add(&table, "%s", row->check.text);
    }
    code = cli_table_end(&table);
    if (holds)
        printf("\nof %s, all hold the pattern\n", cli_layer_count(count, text));
    else
        printf("\nof %s, %" PRId64 " break the pattern\n", cli_layer_count(count, text), broken);
    return code;
}

cli_exit cli_check(int argc, char **argv) {
    cli_texts in = {0}, globs = {0};
    cli_session session = {0};
    tms_pattern pattern = {0};
    const cli_option options[] = {
        {"--pattern", "-p", "PATTERN", cli_take_zeros, &pattern,
         "check this pattern (`tamis prune --help` lists them) instead of\nthe one recorded in "
         "the file"},
        {"--layers", NULL, "GLOB", cli_take_texts, &globs,
         "check layers of this name alone (* ? [a-z]; may repeat)"},
    };
    const cli_page page = {
        .name = "check",
        .usage = "IN [--pattern PATTERN]",
        .about = "Says of each layer whether it holds its pattern, and if not, where it breaks it\n"
                 "first: row, column (counted from 0) and values. Pattern and layers are those\n"
                 "that `tamis prune` recorded in the file, unless they are given.\n"
                 "Exit code 0: every layer holds; 1: some layer does not.",
        .example = "tamis check pruned\n"
                   "tamis check pruned --pattern 2:4 --layers '*.query.weight'",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
        .operands = &in,
        .operands_min = 1,
        .operands_max = 1,
    };
    tms_job_desc job = tms_job_desc_default();
    tms_layer_table *layers = NULL;
    int32_t holds = 0;
    cli_exit code = cli_begin(&page, argc, argv, &session);

    if (code == CLI_GO_ON) {
        tms_status status;

        cli_job_inputs(&job, in.items[0], &globs);
        job.pattern = pattern.kind != TMS_PATTERN_NONE ? &pattern : NULL;
        status = tms_check_run(session.context, &job, &holds, &layers);
        cli_progress_clear();
        if (status != TMS_OK)
            code = cli_fail_status(status);
        else
            code = session.is_json ? print_json(&job, holds, layers) : print_table(holds, layers);
        if (code == CLI_GOOD && !holds)
            code = CLI_FAILED;
    }
    tms_layer_table_destroy(layers);
    free(in.items);
    free(globs.items);
    return cli_end(&session, code);
}
