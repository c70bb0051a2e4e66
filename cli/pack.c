#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "layers.h"

static void finish_layer(json_t *object, const tms_layer_row *row) {
    json_object_set_new(object, "format", json_string(tms_format_name(row->format)));
    json_object_set_new(object, "dense_bytes", json_integer(row->dense_bytes));
    json_object_set_new(object, "bytes", json_integer(row->format_bytes[row->format]));
    json_object_set_new(object, "negative_zeros", json_integer(row->negative_zeros));
}

static cli_exit print_table(const tms_job_desc *job, const tms_layer_table *layers) {
    static const char *const heads[] = {"layer", "rows x columns", "format", "dense", "packed"};
    char before[CLI_BYTES_TEXT], after[CLI_BYTES_TEXT], count[CLI_COUNT_TEXT];
    cli_totals totals = cli_layer_totals(layers);
    cli_table table;
    cli_exit code;

    cli_table_begin(&table, "lrlrr", heads);
    for (int64_t i = 0; i < totals.layers; i++) {
        const tms_layer_row *row = tms_layer_table_row(layers, i);

        cli_layer_cells(&table, row);
        cli_table_add(&table, "%s", tms_format_name(row->format));
        cli_table_add(&table, "%s", cli_bytes(row->dense_bytes, before));
        cli_table_add(&table, "%s", cli_bytes(row->format_bytes[row->format], after));
    }
    code = cli_table_end(&table);
    printf("\n%s: %s dense, %s packed (%.1f %%)\n", cli_layer_count(totals.layers, count),
           cli_bytes(totals.dense_bytes, before), cli_bytes(totals.stored_bytes, after),
           cli_percent(totals.stored_bytes, totals.dense_bytes));
    if (totals.negative_zeros > 0)
        printf("%" PRId64 " zeros were -0.0 and are +0.0 now\n", totals.negative_zeros);
    printf("wrote ");
    cli_put(job->out);
    printf("\n");
    return code;
}

cli_exit cli_pack(int argc, char **argv) {
    cli_texts in = {0}, globs = {0};
    cli_session session = {0};
    cli_format format = {0};
    tms_job_desc job = tms_job_desc_default();
    const cli_option options[] = {
        {"--output", "-o", "OUT", cli_take_text, &job.out,
         "the file to write; a folder where IN is one"},
        {"--format", NULL, "NAME", cli_take_format, &format,
         "store every layer in this format (dense, nm, csr, bsr) instead of\nthe smallest one that "
         "holds it"},
        {"--layers", NULL, "GLOB", cli_take_texts, &globs,
         "pack layers of this name alone (* ? [a-z]; may repeat)"},
        {"--force", "-f", NULL, cli_take_flag, &job.force, "replace an output that exists"},
    };
    const cli_page page = {
        .name = "pack",
        .usage = "IN -o OUT",
        .about =
            "Stores the layers of a pruned checkpoint without their zeros, each in the smallest\n"
            "format that holds it, and nothing else changed. The file is a safetensors file\n"
            "whose parts docs/formats.md specifies to the bit. Lossless: `tamis unpack` gives\n"
            "every bit back, except that -0.0 becomes +0.0, which is counted and printed.",
        .example = "tamis pack pruned -o packed\n"
                   "tamis pack model.safetensors --format csr -o model.csr.safetensors",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
        .operands = &in,
        .operands_min = 1,
        .operands_max = 1,
    };
    cli_exit code = cli_begin(&page, argc, argv, &session);

    if (code == CLI_GO_ON) {
        cli_job_inputs(&job, in.items[0], &globs);
        job.has_format = format.is_given;
        job.format = format.format;
        code = cli_job_run(&session, &job, tms_pack_run, finish_layer, print_table);
    }
    free(in.items);
    free(globs.items);
    return cli_end(&session, code);
}
