#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "layers.h"
#include "terminal.h"

static bool take_method(const char *option, const char *text, void *target) {
    tms_status status = tms_method_parse(text, target);

    (void)option; /* the sentence quotes the text */
    if (status != TMS_OK)
        cli_fail_status(status);
    return status == TMS_OK;
}

static void finish_layer(json_t *object, const tms_layer_row *row) {
    json_object_set_new(object, "is_skipped", json_boolean(row->is_skipped));
    json_object_set_new(object, "zeros_before", json_integer(row->zeros_before));
    json_object_set_new(object, "zeros", json_integer(row->zeros.zeros));
    json_object_set_new(object, "holds", json_boolean(row->check.holds));
    json_object_set_new(object, "error", cli_json_number(row->error));
    json_object_set_new(object, "seconds", json_real(row->seconds));
}

static cli_exit print_json(const tms_job_desc *job, const tms_layer_table *layers) {
    json_t *object = cli_job_json(job, layers, finish_layer);

    json_object_set_new(object, "method", json_string(tms_method_name(job->method)));
    return cli_json_print(object);
}

static cli_exit print_table(const tms_job_desc *job, const tms_layer_table *layers) {
    static const char *const heads[] = {"layer",        "rows x columns", "pattern",
                                        "zeros before", "zeros",          "relative error"};
    char pattern[TMS_PATTERN_TEXT_MAX], count[CLI_COUNT_TEXT];
    cli_totals totals = cli_layer_totals(layers);
    cli_table table;
    cli_exit code;

    cli_table_begin(&table, "lrlrrr", heads);
    for (int64_t i = 0; i < totals.layers; i++) {
        const tms_layer_row *row = tms_layer_table_row(layers, i);

        cli_layer_cells(&table, row);
        cli_table_add(&table, "%s",
                      row->is_skipped ? "skipped: does not fit"
                                      : cli_pattern_text(&row->pattern, pattern));
        cli_table_add(&table, row->is_skipped ? "-" : "%.1f %%",
                      cli_percent(row->zeros_before, row->n * row->k));
        cli_table_add(&table, row->is_skipped ? "-" : "%.1f %%",
                      cli_percent(row->zeros.zeros, row->n * row->k));
        cli_table_add(&table, row->is_skipped || !isfinite(row->error) ? "-" : "%.4f", row->error);
    }
    code = cli_table_end(&table);
    printf("\n%s pruned by %s", cli_layer_count(totals.layers - totals.skipped, count),
           tms_method_name(job->method));
    if (totals.skipped > 0)
        printf(", %" PRId64 " left dense since the pattern does not fit them", totals.skipped);
    printf(": %.1f %% of %" PRId64 " weights are zero\nwrote ",
           cli_percent(totals.zeros, totals.elements), totals.elements);
    cli_put(job->out);
    printf("\n");
    return code;
}

/* What is missing on the command line, or CLI_GO_ON. */
static cli_exit check_line(const tms_job_desc *job, const tms_pattern *pattern) {
    if (pattern->kind == TMS_PATTERN_NONE)
        return cli_fail(CLI_MISUSE, "which pattern? --pattern 2:4, for one");
    if (job->out == NULL)
        return cli_fail(CLI_MISUSE, "where to? -o OUT is missing");
    if (job->method == TMS_METHOD_WANDA && job->calibration == NULL)
        return cli_fail(CLI_MISUSE, "wanda needs calibration texts: --calib FILE");
    return CLI_GO_ON;
}

static cli_exit run_prune(const cli_session *session, const tms_job_desc *job) {
    tms_layer_table *layers = NULL;
    tms_status status = tms_prune_run(session->context, job, &layers);
    cli_exit code;

    cli_progress_clear();
    if (status != TMS_OK)
        code = cli_fail_status(status);
    else
        code = session->is_json ? print_json(job, layers) : print_table(job, layers);
    tms_layer_table_destroy(layers);
    return code;
}

cli_exit cli_prune(int argc, char **argv) {
    cli_texts in = {0}, globs = {0};
    cli_session session = {0};
    tms_pattern pattern = {0};
    tms_job_desc job = tms_job_desc_default();
    const cli_option options[] = {
        {"--pattern", "-p", "PATTERN", cli_take_zeros, &pattern,
         "which zeros: \"2:4\" (any n:m; n are kept), \"unstructured 80%\",\n"
         "\"block 32x32 90%\", \"rows 50%\", \"columns 50%\",\n"
         "\"2:4 in block 64x64 50%\"; a share is that of zeros; \"per row\"\n"
         "behind it makes each row hold it"},
        {"--method", "-m", "NAME", take_method, &job.method,
         "magnitude (default): the largest weights stay; wanda: weights\n"
         "times the norm of their input over the calibration texts"},
        {"--calib", NULL, "FILE", cli_take_text, &job.calibration,
         "calibration texts, a text a line: wanda needs them; magnitude\nonly measures its error "
         "on them"},
        {"--output", "-o", "OUT", cli_take_text, &job.out,
         "the file to write; a folder where IN is one"},
        {"--layers", NULL, "GLOB", cli_take_texts, &globs,
         "prune layers of this name alone (* ? [a-z]; may repeat)"},
        {"--block-norm", NULL, "L1|L2", cli_take_norm, &job.block_norm,
         "how a block, row or column is judged: by the mean of its\n"
         "scores (L1, default) or of their squares (L2)"},
        {"--skip-unfit", NULL, NULL, cli_take_flag, &job.skip_unfit,
         "leave layers dense that the pattern can't fit, instead of\nrefusing them"},
        {"--force", "-f", NULL, cli_take_flag, &job.force, "replace an output that exists"},
    };
    const cli_page page = {
        .name = "prune",
        .usage = "IN --pattern PATTERN [--method NAME] -o OUT",
        .about = "Sets weights to zero so that each chosen layer holds the pattern, and writes a\n"
                 "standard checkpoint: other tensors and metadata stay as they are, what was done\n"
                 "is recorded under \"tamis.prune\". In a known architecture the linear layers of\n"
                 "its blocks are chosen, in an unknown file every matrix. The relative error is\n"
                 "that of the layer's outputs over the calibration texts, or of its weights where\n"
                 "there are none.",
        .example = "tamis prune all-MiniLM-L6-v2 --pattern 2:4 --method magnitude -o pruned\n"
                   "tamis prune all-MiniLM-L6-v2 --pattern 2:4 --method wanda \\\n"
                   "    --calib texts.txt --layers '*.output.dense.weight' -o pruned",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
        .operands = &in,
        .operands_min = 1,
        .operands_max = 1,
    };
    cli_exit code = cli_begin(&page, argc, argv, &session);

    if (code == CLI_GO_ON)
        code = check_line(&job, &pattern);
    if (code == CLI_GO_ON) {
        cli_job_inputs(&job, in.items[0], &globs);
        job.pattern = &pattern;
        code = run_prune(&session, &job);
    }
    free(in.items);
    free(globs.items);
    return cli_end(&session, code);
}
