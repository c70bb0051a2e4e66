#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "buffer.h"
#include "layers.h"
#include "terminal.h"

/* Edges of the square blocks that a zero report counts. */
static const int block_edges[4] = {8, 16, 32, 64};

/* Adds ", " between the things of a list. */
static const char *comma(const cli_buffer *list) {
    return list->length > 0 ? ", " : "";
}

/* Patterns that the layer holds as it is: "2:4, rows 25 %, block 32x32 50 %". Shares are told from
 * one per cent on; blocks, where the zeros nearly all lie in whole ones. */
static void describe_holds(const tms_layer_row *row, cli_buffer *list) {
    const tms_zero_report *zeros = &row->zeros;
    double rows = cli_percent(zeros->zero_rows, row->n);
    double columns = cli_percent(zeros->zero_columns, row->k);
    double all = cli_percent(zeros->zeros, zeros->elements);

    if (zeros->zeros > 0 && (zeros->holds_1_4 || zeros->holds_2_4))
        cli_buffer_add(list, "%s", zeros->holds_1_4 ? "1:4" : "2:4");
    if (rows >= 1.0)
        cli_buffer_add(list, "%srows %.0f %%", comma(list), rows);
    if (columns >= 1.0)
        cli_buffer_add(list, "%scolumns %.0f %%", comma(list), columns);
    for (int i = 3; i >= 0; i--) { /* the largest that tell of them */
        double share = cli_percent(zeros->zero_blocks[i], zeros->blocks[i]);

        if (share >= 1.0 && share >= 0.9 * all) {
            cli_buffer_add(list, "%sblock %dx%d %.0f %%", comma(list), block_edges[i],
                           block_edges[i], share);
            break;
        }
    }
}

static void finish_layer(json_t *object, const tms_layer_row *row) {
    const tms_zero_report *zeros = &row->zeros;
    json_t *bytes = json_object(), *blocks = json_object();
    char key[16];

    for (int f = 0; f < TMS_FORMAT_COUNT; f++)
        json_object_set_new(bytes, tms_format_name((tms_format)f),
                            row->format_bytes[f] < 0 ? json_null()
                                                     : json_integer(row->format_bytes[f]));
    for (int i = 0; i < 4; i++) {
        snprintf(key, sizeof key, "%dx%d", block_edges[i], block_edges[i]);
        json_object_set_new(blocks, key,
                            json_pack("{sI sI}", "zero", (json_int_t)zeros->zero_blocks[i], "all",
                                      (json_int_t)zeros->blocks[i]));
    }
    json_object_set_new(object, "stored", json_string(tms_format_name(row->format)));
    json_object_set_new(object, "zeros", json_integer(zeros->zeros));
    json_object_set_new(object, "negative_zeros", json_integer(zeros->negative_zeros));
    json_object_set_new(object, "sparsity",
                        json_real(cli_percent(zeros->zeros, zeros->elements) / 100.0));
    json_object_set_new(object, "zero_rows", json_integer(zeros->zero_rows));
    json_object_set_new(object, "zero_columns", json_integer(zeros->zero_columns));
    json_object_set_new(object, "zero_blocks", blocks);
    json_object_set_new(object, "holds_2_4", json_boolean(zeros->holds_2_4));
    json_object_set_new(object, "holds_1_4", json_boolean(zeros->holds_1_4));
    json_object_set_new(object, "non_finite", json_integer(zeros->non_finite));
    json_object_set_new(object, "bytes", bytes);
}

static cli_exit print_json(const tms_checkpoint *checkpoint, const tms_job_desc *job,
                           const tms_layer_table *layers) {
    json_t *object = cli_job_json(job, layers, finish_layer);

    json_object_set_new(object, "architecture",
                        cli_json_text(tms_checkpoint_architecture(checkpoint)));
    json_object_set_new(object, "is_packed", json_boolean(tms_checkpoint_is_packed(checkpoint)));
    json_object_set_new(object, "tensors", json_integer(tms_checkpoint_tensor_count(checkpoint)));
    return cli_json_print(object);
}

static void add_row(cli_table *table, const tms_layer_row *row) {
    char bytes[CLI_BYTES_TEXT];
    cli_buffer holds = {0};

    cli_layer_cells(table, row);
    cli_table_add(table, "%s", tms_dtype_name(row->dtype));
    cli_table_add(table, "%s", tms_format_name(row->format));
    cli_table_add(table, "%.1f %%", cli_percent(row->zeros.zeros, row->zeros.elements));
    if (row->zeros.non_finite > 0)
        cli_buffer_add(&holds, "%" PRId64 " NaN or Inf, first at row %" PRId64 ", column %" PRId64,
                       row->zeros.non_finite, row->zeros.first_non_finite_row,
                       row->zeros.first_non_finite_column);
    else
        describe_holds(row, &holds);
    cli_table_add(table, "%s", holds.length > 0 ? holds.text : "-");
    cli_buffer_free(&holds);
    for (int f = 0; f < TMS_FORMAT_COUNT; f++)
        cli_table_add(table, "%s",
                      row->format_bytes[f] < 0 ? "-" : cli_bytes(row->format_bytes[f], bytes));
}

static cli_exit print_table(const tms_checkpoint *checkpoint, const tms_layer_table *layers) {
    static const char *const heads[] = {"layer", "rows x columns", "type", "stored", "zeros",
                                        "holds", "dense",          "nm",   "csr",    "bsr"};
    const char *architecture = tms_checkpoint_architecture(checkpoint);
    cli_totals totals = cli_layer_totals(layers);
    cli_table table;
    cli_exit code;

    cli_table_begin(&table, "lrllrlrrrr", heads);
    for (int64_t i = 0; i < totals.layers; i++)
        add_row(&table, tms_layer_table_row(layers, i));
    code = cli_table_end(&table);
    printf("\n%" PRId64 " tensors, %" PRId64 " of them layers (%s, %s): %" PRId64
           " weights, %.1f %% zeros\n",
           tms_checkpoint_tensor_count(checkpoint), totals.layers,
           architecture != NULL ? architecture : "architecture not known",
           tms_checkpoint_is_packed(checkpoint) ? "packed" : "dense file", totals.elements,
           cli_percent(totals.zeros, totals.elements));
    return code;
}

cli_exit cli_inspect(int argc, char **argv) {
    cli_texts in = {0}, globs = {0};
    const cli_option options[] = {
        {"--layers", NULL, "GLOB", cli_take_texts, &globs,
         "look at layers of this name alone (* ? [a-z]; may repeat)"},
    };
    const cli_page page = {
        .name = "inspect",
        .usage = "IN",
        .about =
            "Lists a checkpoint's layers: shape, type, how it is stored, zeros that are there\n"
            "already, patterns that happen to hold, and the bytes each format would need\n"
            "(\"-\": it can't hold the layer; bsr in whichever blocks take least).",
        .example = "tamis inspect all-MiniLM-L6-v2\n"
                   "tamis inspect model.safetensors --layers '*.dense.weight' --json",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
        .operands = &in,
        .operands_min = 1,
        .operands_max = 1,
    };
    cli_session session = {0};
    tms_checkpoint *checkpoint = NULL;
    tms_layer_table *layers = NULL;
    cli_exit code = cli_begin(&page, argc, argv, &session);

    if (code == CLI_GO_ON) {
        tms_job_desc job = tms_job_desc_default();
        tms_status status = tms_checkpoint_open(session.context, in.items[0], &checkpoint);

        cli_job_inputs(&job, in.items[0], &globs);
        if (status == TMS_OK)
            status = tms_inspect_run(session.context, &job, &layers);
        cli_progress_clear();
        if (status != TMS_OK)
            code = cli_fail_status(status);
        else if (session.is_json)
            code = print_json(checkpoint, &job, layers);
        else
            code = print_table(checkpoint, layers);
    }
    tms_layer_table_destroy(layers);
    tms_checkpoint_close(checkpoint);
    free(in.items);
    free(globs.items);
    return cli_end(&session, code);
}
