#define _POSIX_C_SOURCE 200809L
#include "bench.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "explain.h"
#include "options.h"
#include "table.h"
#include "terminal.h"

enum { BENCH_MODELS_MAX = 16 };

void cli_bench_prepare(const tms_context *context) {
    const char *isa = tms_context_isa_text(context);
    const char *core = strstr(isa, "avx512") != NULL ? "SkylakeX"
                       : strstr(isa, "avx2") != NULL ? "Haswell"
                                                     : "Prescott";

    setenv("OPENBLAS_CORETYPE", core, 1);
    setenv("OPENBLAS_THREAD_TIMEOUT", "20", 1); /* 2^20 cycles */
    unsetenv("OPENBLAS_L2_SIZE");
}

/* A line of JSON as soon as the row is known. */
static int32_t print_json_row(void *user, const tms_bench_row *row) {
    char text[4096];

    (void)user;
    if (tms_bench_row_print(row, text, sizeof text) < sizeof text)
        puts(text);
    return cli_is_interrupted() || fflush(stdout) != 0;
}

/* A number of four digits or so. */
static void add_number(cli_table *table, double value) {
    if (isfinite(value))
        cli_table_add(table, "%.*f", value < 10.0 ? 2 : value < 1000.0 ? 1 : 0, value);
    else
        cli_table_add(table, "-");
}

/* What is printed below the table of the last row's machine. */
typedef struct table_view {
    cli_table table;
    char machine[512];
} table_view;

static int32_t add_table_row(void *user, const tms_bench_row *row) {
    table_view *view = user;
    cli_table *table = &view->table;
    bool is_product = row->t >= 0;

    cli_table_add(table, "%s", row->label != NULL ? row->label : "random weights");
    if (is_product)
        cli_table_add(table, "%" PRId64 ",%" PRId64 ",%" PRId64, row->t, row->k, row->n);
    else
        cli_table_add(table, "-");
    cli_table_add(table, "%s", row->who);
    cli_table_add(table, "%s",
                  row->pattern != NULL  ? row->pattern
                  : row->format != NULL ? row->format
                                        : row->op);
    cli_table_add(table, "%s", row->kernel != NULL ? row->kernel : "-");
    add_number(table, row->us);
    add_number(table, row->us_min);
    add_number(table, row->us_max);
    cli_table_add(table, isfinite(row->quiet) ? "%.0f %%" : "-", 100.0 * row->quiet);
    add_number(table, is_product ? 2e-3 * (double)row->t * (double)row->k * (double)row->n / row->us
                                 : row->texts_per_second);
    cli_table_add(table, isfinite(row->ratio_dense) ? "%.2f" : "-", row->ratio_dense);
    snprintf(view->machine, sizeof view->machine, "%s, %s, %d threads, %d rounds, %s; %s; %s",
             row->device, row->isa, (int)row->threads, (int)row->rounds,
             row->state != NULL ? row->state : "warm", row->versions, row->date);
    return cli_is_interrupted();
}

static cli_exit run_table(const cli_session *session, const tms_bench_desc *desc) {
    static const char *const heads[] = {"what", "T,K,N",     "who",   "pattern", "kernel", "us",
                                        "from", "to (95 %)", "quiet", NULL,      "x dense"};
    const char *own_heads[sizeof heads / sizeof heads[0]];
    table_view view = {0};
    tms_status status;
    cli_exit code;

    memcpy(own_heads, heads, sizeof heads);
    own_heads[9] = desc->model_count > 0 ? "texts/s" : "dense GF/s";
    cli_table_begin(&view.table, "lrlllrrrrrr", own_heads);
    status = tms_bench_run(session->context, desc, add_table_row, &view);
    cli_progress_clear();
    if (status != TMS_OK)
        cli_table_drop(&view.table);
    if (status != TMS_OK)
        return cli_fail_status(status);
    code = cli_table_end(&view.table);
    printf("\n");
    cli_put(view.machine);
    printf("\n");
    return code;
}

static cli_exit run_json(const cli_session *session, const tms_bench_desc *desc) {
    tms_status status = tms_bench_run(session->context, desc, print_json_row, NULL);

    cli_progress_clear();
    return status == TMS_OK ? CLI_GOOD : cli_fail_status(status);
}

/* What the command line asks for beyond the fields of the desc. */
typedef struct bench_line {
    cli_texts in, globs;
    cli_shapes shapes;
    cli_patterns patterns;
    cli_numbers tokens;
    const char *texts;
    int32_t is_whole, is_explained, keep_dense;
    cli_dtype dtype;
} bench_line;

/* Whole models: the first is the baseline; one alone is compared with itself on dense kernels. */
static cli_exit run_models(const cli_session *session, const bench_line *line,
                           const tms_bench_desc *given) {
    enum { MODELS_MAX = BENCH_MODELS_MAX + 1 };
    tms_bench_desc desc = *given; /* points to what lives here */
    tms_model_desc model_descs[MODELS_MAX];
    const char *models[MODELS_MAX];
    tms_lines *lines = NULL;
    cli_exit code = CLI_GOOD;
    tms_status status;
    int count = 0;

    for (int i = 0; i < line->in.count; i++) {
        if (line->in.count == 1) {
            model_descs[count] = tms_model_desc_default();
            model_descs[count].dense_kernels = 1;
            models[count++] = line->in.items[i];
        }
        model_descs[count] = tms_model_desc_default();
        models[count++] = line->in.items[i];
    }
    desc.models = models;
    desc.model_descs = model_descs;
    desc.model_count = count;
    status = tms_lines_open(session->context, line->texts, &lines);
    if (status != TMS_OK)
        return cli_fail_status(status);
    desc.text_count = tms_lines_get(lines, &desc.texts, &desc.lengths);
    if (desc.text_count == 0)
        code = cli_fail(CLI_FAILED, "%s has no lines", line->texts);
    else
        code = session->is_json ? run_json(session, &desc) : run_table(session, &desc);
    tms_lines_close(lines);
    return code;
}

static cli_exit run_explain(const cli_session *session, const bench_line *line) {
    const tms_dtype usual = session->device.kind == TMS_DEVICE_CUDA ? TMS_BF16 : TMS_F32;
    const cli_explanation what = {line->in.count > 0 ? line->in.items[0] : NULL,
                                  &line->globs,
                                  &line->shapes,
                                  &line->patterns,
                                  &line->tokens,
                                  line->dtype.is_given ? line->dtype.dtype : usual,
                                  line->keep_dense};

    if (line->is_whole)
        return cli_fail(CLI_MISUSE, "--explain tells of layers and shapes, not of --whole models");
    return cli_explain(session, &what);
}

/* Numbers that only a clock can give. */
static cli_exit check_measured(const cli_session *session, const bench_line *line) {
    const bool is_gpu = session->device.kind == TMS_DEVICE_CUDA;

    if (session->device.machine != NULL)
        return cli_fail(CLI_MISUSE,
                        "--device is \"%s\", but must be cpu, cuda or cuda:INDEX: only --explain "
                        "tells of a machine that is not here",
                        session->device.machine);
    if (line->keep_dense)
        return cli_fail(CLI_MISUSE, "--keep-dense is for --explain: measured dense is anyway");
    if (!is_gpu && line->dtype.is_given && line->dtype.dtype != TMS_F32)
        return cli_fail(CLI_MISUSE, "--dtype is %s, but CPU kernels are measured in f32",
                        tms_dtype_name(line->dtype.dtype));
    if (is_gpu && line->dtype.is_given && line->dtype.dtype == TMS_F32)
        return cli_fail(CLI_MISUSE, "--dtype is f32, but sparse tensor cores take bf16, f16, i8 "
                                    "and e4m3");
    return CLI_GO_ON;
}

static cli_exit run_bench(const cli_session *session, const bench_line *line,
                          tms_bench_desc *desc) {
    if (line->is_whole && line->in.count == 0)
        return cli_fail(CLI_MISUSE, "--whole needs a model");
    if (line->is_whole && line->texts == NULL)
        return cli_fail(CLI_MISUSE, "--whole needs texts: --text FILE");
    if (!line->is_whole && line->in.count > 1)
        return cli_fail(CLI_MISUSE,
                        "layers are measured of one checkpoint; --whole compares models");
    if (line->in.count == 0 && line->shapes.count == 0)
        return cli_fail(CLI_MISUSE, "what shall be measured? a checkpoint, or --shape T,K,N");
    if (line->is_explained)
        return run_explain(session, line);
    if (check_measured(session, line) != CLI_GO_ON)
        return CLI_MISUSE;
    cli_bench_prepare(session->context);
    desc->device = session->device.kind;
    desc->dtype = line->dtype.dtype;
    desc->shapes = line->shapes.items;
    desc->shape_count = line->shapes.count;
    desc->patterns = line->patterns.items;
    desc->pattern_count = line->patterns.count;
    desc->tokens = line->tokens.items;
    desc->token_count = line->tokens.count;
    desc->layers = line->globs.items;
    desc->layer_count = line->globs.count;
    desc->progress = cli_progress_step;
    if (line->is_whole)
        return run_models(session, line, desc);
    desc->checkpoint = line->in.count > 0 ? line->in.items[0] : NULL;
    return session->is_json ? run_json(session, desc) : run_table(session, desc);
}

cli_exit cli_bench(int argc, char **argv) {
    bench_line line = {0};
    cli_session session = {0};
    tms_bench_desc desc = tms_bench_desc_default();
    const cli_option options[] = {
        {"--shape", "-s", "T,K,N", cli_take_shapes, &line.shapes,
         "products of T tokens with random N x K weights (may repeat)"},
        {"--pattern", "-p", "PATTERN", cli_take_patterns, &line.patterns,
         "patterns of random weights (may repeat; else 2:4,\nunstructured 80%, block 32x32 80%)"},
        {"--tokens", "-t", "T,T,...", cli_take_tokens, &line.tokens,
         "tokens that layers of IN are given (else 1,64,256)"},
        {"--layers", NULL, "GLOB", cli_take_texts, &line.globs,
         "layers of this name alone (* ? [a-z]; may repeat)"},
        {"--whole", "-w", NULL, cli_take_flag, &line.is_whole,
         "whole models; the first is what the others are compared with,\n"
         "one alone is compared with itself on dense kernels"},
        {"--text", NULL, "FILE", cli_take_text, &line.texts,
         "the texts that whole models embed, a text a line"},
        {"--device", "-d", "DEVICE", cli_take_machine, &session.device,
         "cpu (the default), cuda or cuda:INDEX; with --explain also\nh100 or h200, which need not "
         "be here"},
        {"--dtype", NULL, "TYPE", cli_take_dtype, &line.dtype,
         "of activations and weights on a GPU: bf16 (else), f16, i8, e4m3"},
        {"--explain", "-e", NULL, cli_take_flag, &line.is_explained,
         "measure nothing: print every kernel that could compute each\nproduct, its modelled time, "
         "and which one is taken for which tokens"},
        {"--keep-dense", NULL, NULL, cli_take_flag, &line.keep_dense,
         "with --explain: as if dense weights were kept beside sparse ones"},
        {"--rounds", "-r", "N", cli_take_count, &desc.rounds,
         "samples of each (else 9, fewer than 6 give no 95 % interval)"},
        {"--cold", NULL, NULL, cli_take_flag, &desc.is_cold,
         "rotate over copies of the weights that leave the caches"},
    };
    const cli_page page = {
        .name = "bench",
        .usage = "[IN | --shape T,K,N | --whole MODEL... --text FILE]",
        .about =
            "Measures dense beside sparse, in turns, in one process: the layers of a checkpoint\n"
            "as it stores them, products of given shapes, or whole models. Dense is our own\n"
            "kernel and, where it can be loaded, OpenBLAS, held to the same instruction sets.\n"
            "us is the median of the rounds with its 95 % interval; quiet, how many samples no\n"
            "stranger on the core disturbed; x dense, the fastest dense over this row.\n"
            "On a GPU, products of shapes in 2:4 beside cuBLASLt: the GPU's time, sustained.\n"
            "docs/measuring.md explains every column; --json prints one row a line.",
        .example = "tamis bench --shape 64,384,1536 --pattern 2:4 --threads 1\n"
                   "tamis bench packed --tokens 64 --json > rows.jsonl\n"
                   "tamis bench --device cuda --shape 4096,4096,12288 --dtype bf16\n"
                   "tamis bench --explain --device h100 --shape 64,4096,4096\n"
                   "tamis bench --whole all-MiniLM-L6-v2 packed --text texts.txt",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
        .operands = &line.in,
        .operands_max = BENCH_MODELS_MAX,
    };
    cli_exit code = cli_begin(&page, argc, argv, &session);

    if (code == CLI_GO_ON)
        code = run_bench(&session, &line, &desc);
    free(line.in.items);
    free(line.globs.items);
    free(line.shapes.items);
    free(line.patterns.items);
    free(line.tokens.items);
    return cli_end(&session, code);
}
