#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "json.h"
#include "options.h"
#include "terminal.h"

typedef struct embed_line {
    const char *text, *out;
    int32_t force, dense_kernels;
} embed_line;

/* What the writer would refuse when all the work is done. */
static cli_exit check_output(const embed_line *line) {
    const char *slash = strrchr(line->out, '/');
    char folder[PATH_MAX] = ".";
    struct stat info;

    if (strcmp(line->out, "-") == 0)
        return CLI_GOOD;
    if (stat(line->out, &info) == 0 && !S_ISREG(info.st_mode))
        return cli_fail(CLI_FAILED, "output \"%s\" is no file, and is not replaced by one",
                        line->out);
    if (!line->force && lstat(line->out, &info) == 0)
        return cli_fail(CLI_FAILED, "output \"%s\" exists: --force replaces it", line->out);
    if (slash != NULL)
        snprintf(folder, sizeof folder, "%.*s", (int)(slash - line->out) + 1, line->out);
    if (access(folder, W_OK | X_OK) != 0)
        return cli_fail(CLI_FAILED, "output \"%s\" cannot be written: %s", line->out,
                        strerror(errno));
    return CLI_GOOD;
}

/* Weights of a size that no training gives can overflow on the way: no such vector has a length. */
static cli_exit check_finite(const float *embeddings, int64_t count, int64_t hidden) {
    for (int64_t i = 0; i < count * hidden; i++)
        if (!isfinite(embeddings[i]))
            return cli_fail(CLI_FAILED,
                            "the embedding of line %" PRId64 " (counted from 0) is %s at feature "
                            "%" PRId64 ": the model's weights overflow fp32",
                            i / hidden, isnan(embeddings[i]) ? "NaN" : "infinite", i % hidden);
    return CLI_GOOD;
}

/* One object a line: nine digits give an fp32 back bit for bit. */
static cli_exit print_lines(const float *embeddings, int64_t count, int64_t hidden) {
    for (int64_t i = 0; i < count && !cli_is_interrupted(); i++) {
        printf("{\"line\": %" PRId64 ", \"embedding\": [", i);
        for (int64_t h = 0; h < hidden; h++)
            printf("%s%.9g", h > 0 ? ", " : "", (double)embeddings[i * hidden + h]);
        printf("]}\n");
        if (ferror(stdout))
            break;
    }
    return cli_is_interrupted() ? cli_fail(CLI_INTERRUPTED, "interrupted") : CLI_GOOD;
}

static cli_exit write_file(const cli_session *session, const embed_line *line,
                           const float *embeddings, int64_t count, int64_t hidden) {
    const tms_tensor tensor = {.name = "embeddings",
                               .dtype = TMS_F32,
                               .rank = 2,
                               .shape = {count, hidden},
                               .data = embeddings,
                               .bytes = (size_t)(count * hidden) * sizeof *embeddings};
    tms_status status = tms_tensors_write(session->context, line->out, line->force, &tensor, 1);

    if (status != TMS_OK)
        return cli_fail_status(status);
    if (session->is_json)
        return cli_json_print(json_pack("{so sI sI}", "out", cli_json_text(line->out), "lines",
                                        (json_int_t)count, "hidden", (json_int_t)hidden));
    printf("%" PRId64 " texts, %" PRId64 " features each\nwrote ", count, hidden);
    cli_put(line->out);
    printf("\n");
    return CLI_GOOD;
}

static cli_exit embed(const cli_session *session, tms_model *model, const tms_lines *lines,
                      const embed_line *line) {
    tms_model_info info = {.struct_size = sizeof info};
    const char *const *texts;
    const size_t *lengths;
    int64_t count = tms_lines_get(lines, &texts, &lengths);
    tms_status status = tms_model_describe(model, &info);
    float *embeddings;
    cli_exit code;

    if (status != TMS_OK)
        return cli_fail_status(status);
    embeddings = malloc((size_t)count * (size_t)info.hidden * sizeof *embeddings + 1);
    if (embeddings == NULL)
        return cli_fail(CLI_FAILED, "out of memory: %" PRId64 " embeddings of %" PRId64 " features",
                        count, info.hidden);
    status = tms_model_embed(model, texts, lengths, count, cli_progress_step, NULL, embeddings);
    cli_progress_clear();
    code =
        status != TMS_OK ? cli_fail_status(status) : check_finite(embeddings, count, info.hidden);
    if (code == CLI_GOOD && strcmp(line->out, "-") == 0)
        code = print_lines(embeddings, count, info.hidden);
    else if (code == CLI_GOOD)
        code = write_file(session, line, embeddings, count, info.hidden);
    free(embeddings);
    return code;
}

static cli_exit run_embed(const cli_session *session, const char *path, const embed_line *line) {
    tms_model_desc desc = tms_model_desc_default();
    tms_model *model = NULL;
    tms_lines *lines = NULL;
    tms_status status;
    cli_exit code;

    if (line->text == NULL)
        return cli_fail(CLI_MISUSE, "which texts? --text FILE is missing");
    if (line->out == NULL)
        return cli_fail(CLI_MISUSE, "where to? -o OUT.safetensors (or -o -) is missing");
    code = check_output(line);
    if (code != CLI_GOOD)
        return code;
    desc.dense_kernels = line->dense_kernels;
    status = tms_lines_open(session->context, line->text, &lines);
    if (status == TMS_OK)
        status = tms_model_open(session->context, path, &desc, &model);
    code = status == TMS_OK ? embed(session, model, lines, line) : cli_fail_status(status);
    tms_model_close(model);
    tms_lines_close(lines);
    return code;
}

cli_exit cli_embed(int argc, char **argv) {
    cli_texts in = {0};
    embed_line line = {0};
    const cli_option options[] = {
        {"--text", NULL, "FILE", cli_take_text, &line.text,
         "the texts, UTF-8, a text a line; cut at 256 tokens"},
        {"--output", "-o", "OUT", cli_take_text, &line.out,
         "a safetensors file with one fp32 tensor \"embeddings\"\n[lines, hidden]; -: JSON lines "
         "on standard output"},
        {"--dense-kernels", NULL, NULL, cli_take_flag, &line.dense_kernels,
         "multiply zeros too, for comparison"},
        {"--force", "-f", NULL, cli_take_flag, &line.force, "replace an output that exists"},
    };
    const cli_page page = {
        .name = "embed",
        .usage = "MODEL --text FILE -o OUT.safetensors",
        .about =
            "Turns texts into vectors of unit length by a sentence encoder: a model folder of\n"
            "the BERT family (config.json, vocab.txt, safetensors), dense, pruned or packed.\n"
            "Every linear layer runs on the kernel that its zeros suggest.",
        .example = "tamis embed all-MiniLM-L6-v2 --text texts.txt -o embeddings.safetensors\n"
                   "tamis embed packed --text texts.txt -o - | head -1",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
        .operands = &in,
        .operands_min = 1,
        .operands_max = 1,
    };
    cli_session session = {0};
    cli_exit code = cli_begin(&page, argc, argv, &session);

    if (code == CLI_GO_ON)
        code = run_embed(&session, in.items[0], &line);
    free(in.items);
    return cli_end(&session, code);
}
