#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "layers.h"

static void finish_layer(json_t *object, const tms_layer_row *row) {
    json_object_set_new(object, "dense_bytes", json_integer(row->dense_bytes));
}

static cli_exit print_text(const tms_job_desc *job, const tms_layer_table *layers) {
    char bytes[CLI_BYTES_TEXT], count[CLI_COUNT_TEXT];
    cli_totals totals = cli_layer_totals(layers);

    printf("%s unpacked: %s dense\nwrote ", cli_layer_count(totals.layers, count),
           cli_bytes(totals.dense_bytes, bytes));
    cli_put(job->out);
    printf("\n");
    return CLI_GOOD;
}

cli_exit cli_unpack(int argc, char **argv) {
    cli_texts in = {0};
    cli_session session = {0};
    tms_job_desc job = tms_job_desc_default();
    const cli_option options[] = {
        {"--output", "-o", "OUT", cli_take_text, &job.out,
         "the file to write; a folder where IN is one"},
        {"--force", "-f", NULL, cli_take_flag, &job.force, "replace an output that exists"},
    };
    const cli_page page = {
        .name = "unpack",
        .usage = "IN -o OUT",
        .about =
            "Gives back the dense checkpoint that `tamis pack` was given, bit for bit (but for\n"
            "-0.0, which pack turned to +0.0). Each packed layer's hash is checked.",
        .example = "tamis unpack packed -o pruned",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
        .operands = &in,
        .operands_min = 1,
        .operands_max = 1,
    };
    cli_exit code = cli_begin(&page, argc, argv, &session);

    if (code == CLI_GO_ON) {
        cli_job_inputs(&job, in.items[0], NULL);
        code = cli_job_run(&session, &job, tms_unpack_run, finish_layer, print_text);
    }
    free(in.items);
    return cli_end(&session, code);
}
