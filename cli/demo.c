/* The whole way in one command: prune, pack, judge, time, draw. */
#define _XOPEN_SOURCE 700
#include "demo.h"

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "demo_speed.h"
#include "json.h"
#include "options.h"
#include "terminal.h"

/* Names are letters and patterns, so that folders tell what is in them. */
const demo_recipe demo_recipes[DEMO_ROWS] = {
    {"dense", NULL, NULL, TMS_METHOD_MAGNITUDE, 'a', false},
    {"2-4-all-on-dense-kernels", "2:4", "2-4-all-magnitude", TMS_METHOD_MAGNITUDE, 'b', false},
    {"2-4-ffn-magnitude", "2:4", NULL, TMS_METHOD_MAGNITUDE, 'c', true},
    {"2-4-ffn-wanda", "2:4", NULL, TMS_METHOD_WANDA, 'd', true},
    {"2-4-all-magnitude", "2:4", NULL, TMS_METHOD_MAGNITUDE, 'e', false},
    {"2-4-all-wanda", "2:4", NULL, TMS_METHOD_WANDA, 'f', false},
    {"unstructured-50-ffn", "unstructured 50%", NULL, TMS_METHOD_MAGNITUDE, 'g', true},
    {"unstructured-80-all", "unstructured 80%", NULL, TMS_METHOD_MAGNITUDE, 'h', false},
    {"block-32x32-50-ffn", "block 32x32 50%", NULL, TMS_METHOD_MAGNITUDE, 'i', true},
};

/* Rough seconds of each step on two cores, so that the bar moves evenly. */
enum { PRUNE_WEIGHT = 1, CALIBRATED_WEIGHT = 8, PACK_WEIGHT = 2, EVAL_WEIGHT = 12 };

/* The 2:4 rows run the calibration texts whatever their method, so that their errors compare. */
static bool is_calibrated(const demo_recipe *recipe) {
    return strcmp(recipe->pattern, "2:4") == 0;
}

/* The names of the feed-forward layers: pointers into the open checkpoint. */
typedef struct layer_names {
    const char **items;
    int32_t count;
} layer_names;

void demo_begin_step(demo_state *demo, const char *what, int64_t weight) {
    demo->step_done += demo->step_weight;
    demo->step_weight = weight;
    snprintf(demo->step, sizeof demo->step, "%s", what);
}

int32_t demo_progress(void *user, const char *what, int64_t done, int64_t total) {
    enum { PARTS = 1000 }; /* of a second's weight: the library's steps are finer than ours */
    demo_state *demo = user;
    int64_t part = total > 0 ? demo->step_weight * PARTS * done / total : 0;

    (void)what;
    return cli_progress_step(NULL, demo->step, demo->step_done * PARTS + part,
                             demo->step_total * PARTS);
}

bool demo_path(const demo_state *demo, const char *folder, const char *name,
               char out[DEMO_PATH_MAX]) {
    int length = snprintf(out, DEMO_PATH_MAX, "%s%s%s%s%s", demo->out, *folder != '\0' ? "/" : "",
                          folder, *name != '\0' ? "/" : "", name);

    if (length < DEMO_PATH_MAX)
        return true;
    cli_fail(CLI_FAILED, "the path %s/%s/%s is longer than %d bytes", demo->out, folder, name,
             DEMO_PATH_MAX - 1);
    return false;
}

/* *is_new: it was not there before. */
static bool make_folder(const demo_state *demo, const char *name, bool may_exist, bool *is_new) {
    char path[DEMO_PATH_MAX];

    if (!demo_path(demo, name, "", path))
        return false;
    *is_new = mkdir(path, 0777) == 0;
    if (*is_new || (may_exist && errno == EEXIST))
        return true;
    cli_fail(CLI_FAILED, "folder %s cannot be made: %s%s", path, strerror(errno),
             errno == EEXIST ? "; --force writes into it" : "");
    return false;
}

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *place) {
    (void)info, (void)kind, (void)place;
    return remove(path);
}

/* A demo that did not end leaves nothing in a folder of its own making. */
static void remove_folder(const demo_state *demo) {
    enum { HANDLES = 8 };
    nftw(demo->out, remove_entry, HANDLES, FTW_DEPTH | FTW_PHYS);
}

/* Bytes of the safetensors files in a folder. */
static int64_t weight_bytes(const char *folder) {
    DIR *directory = opendir(folder);
    int64_t bytes = 0;

    if (directory == NULL)
        return -1;
    for (const struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        size_t length = strlen(entry->d_name);
        char path[DEMO_PATH_MAX + 256];
        struct stat info;

        if (length < 12 || strcmp(entry->d_name + length - 12, ".safetensors") != 0)
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (stat(path, &info) == 0)
            bytes += (int64_t)info.st_size;
    }
    closedir(directory);
    return bytes;
}

static bool ends_with(const char *text, const char *end) {
    size_t length = strlen(text), tail = strlen(end);
    return length >= tail && strcmp(text + length - tail, end) == 0;
}

/* A BERT block's feed-forward layers; attention.output.dense is none of them. */
static bool is_ffn_layer(const char *name) {
    return ends_with(name, ".intermediate.dense.weight") ||
           (ends_with(name, ".output.dense.weight") &&
            !ends_with(name, ".attention.output.dense.weight"));
}

static cli_exit find_ffn_layers(const demo_state *demo, const tms_checkpoint *checkpoint,
                                layer_names *out) {
    int64_t count = tms_checkpoint_tensor_count(checkpoint);

    out->items = calloc((size_t)count + 1, sizeof *out->items);
    if (out->items == NULL)
        return cli_fail(CLI_FAILED, "out of memory for the names of layers");
    for (int64_t i = 0; i < count; i++) {
        tms_tensor tensor;

        if (tms_checkpoint_tensor(checkpoint, i, &tensor) == TMS_OK && is_ffn_layer(tensor.name))
            out->items[out->count++] = tensor.name;
    }
    if (out->count == 0)
        return cli_fail(CLI_FAILED, "%s has no feed-forward layers of a BERT encoder", demo->model);
    return CLI_GOOD;
}

static tms_status prune(demo_state *demo, demo_row *row, const layer_names *ffn,
                        const char *calibration, const char *out) {
    tms_job_desc job = tms_job_desc_default();
    tms_pattern pattern;
    tms_status status = tms_pattern_parse(row->recipe->pattern, &pattern);
    char step[128];

    if (status != TMS_OK)
        return status;
    snprintf(step, sizeof step, "pruning (%c)", row->recipe->letter);
    demo_begin_step(demo, step, is_calibrated(row->recipe) ? CALIBRATED_WEIGHT : PRUNE_WEIGHT);
    job.in = demo->model;
    job.out = out;
    job.force = demo->force;
    job.layers = row->recipe->is_ffn ? ffn->items : NULL;
    job.layer_count = row->recipe->is_ffn ? ffn->count : 0;
    job.pattern = &pattern;
    job.method = row->recipe->method;
    job.calibration = is_calibrated(row->recipe) ? calibration : NULL;
    job.progress = demo_progress;
    job.progress_user = demo;
    return tms_prune_run(demo->session->context, &job, &row->layers);
}

static tms_status pack(demo_state *demo, const demo_row *row, const char *in, const char *out) {
    tms_job_desc job = tms_job_desc_default();
    tms_layer_table *layers = NULL;
    tms_status status;
    char step[128];

    snprintf(step, sizeof step, "packing (%c)", row->recipe->letter);
    demo_begin_step(demo, step, PACK_WEIGHT);
    job.in = in;
    job.out = out;
    job.force = demo->force;
    job.progress = demo_progress;
    job.progress_user = demo;
    status = tms_pack_run(demo->session->context, &job, &layers);
    tms_layer_table_destroy(layers);
    return status;
}

/* Prunes and packs a row of its own weights; a dense row, or one on another's, has only a path. */
static cli_exit make_row(demo_state *demo, demo_row *row, const layer_names *ffn,
                         const char *calibration) {
    const demo_recipe *recipe = row->recipe;
    char pruned[DEMO_PATH_MAX];
    tms_status status;

    if (recipe->pattern == NULL) {
        snprintf(row->path, sizeof row->path, "%s", demo->model);
        return CLI_GOOD;
    }
    if (recipe->kernels_of != NULL)
        return demo_path(demo, "pruned", recipe->kernels_of, row->path) ? CLI_GOOD : CLI_FAILED;
    if (!demo_path(demo, "pruned", recipe->name, pruned) ||
        !demo_path(demo, "packed", recipe->name, row->path))
        return CLI_FAILED;
    status = prune(demo, row, ffn, calibration, pruned);
    if (status == TMS_OK)
        status = pack(demo, row, pruned, row->path);
    return status == TMS_OK ? CLI_GOOD : cli_fail_status(status);
}

/* Opens the row's model, counts its zeros, and asks it the dictionary where there is one. */
static cli_exit judge_row(demo_state *demo, demo_row *row, const tms_eval *eval) {
    tms_model_desc desc = tms_model_desc_default();
    tms_model_info info = {.struct_size = sizeof info};
    tms_model *model = NULL;
    tms_status status;
    char step[128];

    snprintf(step, sizeof step, "judging (%c)", row->recipe->letter);
    demo_begin_step(demo, step, EVAL_WEIGHT);
    desc.dense_kernels = row->recipe->kernels_of != NULL;
    status = tms_model_open(demo->session->context, row->path, &desc, &model);
    if (status == TMS_OK)
        status = tms_model_describe(model, &info);
    if (status == TMS_OK && eval != NULL)
        status = tms_eval_run(eval, model, demo_progress, demo, &row->result);
    tms_model_close(model);
    row->report.struct_size = sizeof row->report;
    if (status == TMS_OK && row->result != NULL)
        status = tms_eval_compare(row->result, demo->rows[0].result, &row->report);
    if (status != TMS_OK)
        return cli_fail_status(status);
    row->zeros =
        info.linear_weights > 0 ? (double)info.linear_zeros / (double)info.linear_weights : 0.0;
    row->bytes = weight_bytes(row->path);
    return CLI_GOOD;
}

static cli_exit make_rows(demo_state *demo, const tms_eval *eval, const char *calibration) {
    tms_checkpoint *checkpoint = NULL;
    tms_status status = tms_checkpoint_open(demo->session->context, demo->model, &checkpoint);
    layer_names ffn = {0};
    cli_exit code;

    if (status != TMS_OK)
        return cli_fail_status(status);
    code = find_ffn_layers(demo, checkpoint, &ffn);
    for (int i = 0; i < DEMO_ROWS && code == CLI_GOOD; i++)
        code = make_row(demo, &demo->rows[i], &ffn, calibration);
    for (int i = 0; i < DEMO_ROWS && code == CLI_GOOD; i++)
        code = judge_row(demo, &demo->rows[i], eval);
    free(ffn.items);
    tms_checkpoint_close(checkpoint);
    return code;
}

static cli_exit write_text(const demo_state *demo, const char *name, const char *text,
                           size_t bytes) {
    char path[DEMO_PATH_MAX];
    tms_status status;

    if (!demo_path(demo, "", name, path))
        return CLI_FAILED;
    status = tms_file_write(demo->session->context, path, demo->force, text, bytes);
    return status == TMS_OK ? CLI_GOOD : cli_fail_status(status);
}

static cli_exit show(const demo_state *demo) {
    cli_buffer page = {0};
    char *json = NULL;
    cli_exit code = demo_json(demo, &json);

    demo_report(demo, &page);
    if (code == CLI_GOOD && page.is_broken)
        code = cli_fail(CLI_FAILED, "out of memory while the report was drawn");
    if (code == CLI_GOOD)
        code = write_text(demo, "demo.json", json, strlen(json));
    if (code == CLI_GOOD)
        code = write_text(demo, "report.html", page.text, page.length);
    if (code == CLI_GOOD && demo->session->is_json)
        puts(json);
    else if (code == CLI_GOOD)
        code = demo_print_table(demo);
    free(json);
    cli_buffer_free(&page);
    return code;
}

/* All texts that the demo needs: what models are timed on, and a calibration file. */
static cli_exit run_with_texts(demo_state *demo, const tms_eval *eval, const demo_texts *texts) {
    char calibration[DEMO_PATH_MAX];
    cli_exit code = demo_texts_write(demo, eval, texts, calibration);

    if (code == CLI_GOOD)
        code = make_rows(demo, eval, calibration);
    if (code == CLI_GOOD)
        code = demo_time_models(demo, texts);
    if (code == CLI_GOOD)
        code = demo_time_layers(demo);
    cli_progress_clear();
    return code == CLI_GOOD ? show(demo) : code;
}

static void plan_steps(demo_state *demo) {
    demo->step_total = DEMO_SPEED_WEIGHT;
    for (int i = 0; i < DEMO_ROWS; i++) {
        const demo_recipe *recipe = &demo_recipes[i];

        demo->rows[i].recipe = recipe;
        demo->step_total += EVAL_WEIGHT;
        if (recipe->pattern != NULL && recipe->kernels_of == NULL)
            demo->step_total +=
                PACK_WEIGHT + (is_calibrated(recipe) ? CALIBRATED_WEIGHT : PRUNE_WEIGHT);
    }
}

static cli_exit fill_folder(demo_state *demo) {
    char data[DEMO_PATH_MAX];
    tms_eval *eval = NULL;
    demo_texts texts = {0};
    cli_exit code = CLI_GOOD;
    bool is_new;

    if (!make_folder(demo, "pruned", demo->force, &is_new) ||
        !make_folder(demo, "packed", demo->force, &is_new))
        return CLI_FAILED;
    snprintf(data, sizeof data, "%s/data.noun", demo->wordnet);
    if (access(data, F_OK) == 0) {
        tms_status status = tms_eval_create(demo->session->context, demo->wordnet, &eval);
        code = status == TMS_OK ? CLI_GOOD : cli_fail_status(status);
    } else if (!demo->session->is_json) {
        printf("no WordNet at ");
        cli_put(demo->wordnet);
        printf(": speed is measured, accuracy is not\n");
    }
    if (code == CLI_GOOD)
        code = demo_texts_find(demo, eval, &texts);
    if (code == CLI_GOOD)
        code = run_with_texts(demo, eval, &texts);
    demo_texts_free(&texts);
    for (int i = 0; i < DEMO_ROWS; i++) {
        tms_layer_table_destroy(demo->rows[i].layers);
        tms_eval_result_destroy(demo->rows[i].result);
    }
    free(demo->layers);
    tms_eval_destroy(eval);
    return code;
}

static cli_exit run_demo(demo_state *demo) {
    bool is_new;
    cli_exit code;

    plan_steps(demo);
    if (!make_folder(demo, "", demo->force, &is_new))
        return CLI_FAILED;
    code = fill_folder(demo);
    if (code != CLI_GOOD && is_new)
        remove_folder(demo);
    return code;
}

cli_exit cli_demo(int argc, char **argv) {
    cli_session session = {0};
    demo_state demo = {.session = &session};
    const cli_option options[] = {
        {"--model", "-m", "DIR", cli_take_text, &demo.model,
         "the dense sentence encoder (all-MiniLM-L6-v2)"},
        {"--wordnet", NULL, "DIR", cli_take_text, &demo.wordnet,
         "the folder of data.noun and its like (else\n" CLI_WORDNET_DIR ")"},
        {"--output", "-o", "DIR", cli_take_text, &demo.out,
         "the folder to make; holds the pruned and packed models, some\n1 GB, demo.json and "
         "report.html"},
        {"--seed-model", NULL, NULL, cli_take_flag, &demo.is_seed,
         "the model was made from a seed: say in every table that\naccuracy means nothing"},
        {"--force", "-f", NULL, cli_take_flag, &demo.force,
         "write into a folder that exists, replacing files"},
    };
    const cli_page page = {
        .name = "demo",
        .usage = "--model DIR -o DIR",
        .about =
            "A real sentence encoder pruned in eight ways, packed, judged and timed: what each\n"
            "costs in accuracy and what it gains in speed, in one table and report.html.\n"
            "Accuracy is the reverse dictionary's (`tamis eval --help`); speed is measured\n"
            "over all models in turns, in this process, on the dictionary's definitions. Rows\n"
            "where sparse loses are shown as they are. `make demo` fetches the model first.",
        .example = "tamis demo --model all-MiniLM-L6-v2 -o demo",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
    };
    cli_exit code = cli_begin(&page, argc, argv, &session);

    if (code == CLI_GO_ON && demo.model == NULL)
        code = cli_fail(CLI_MISUSE, "which model? --model DIR is missing");
    if (code == CLI_GO_ON && demo.out == NULL)
        code = cli_fail(CLI_MISUSE, "where to? -o DIR is missing");
    if (code == CLI_GO_ON) {
        if (demo.wordnet == NULL)
            demo.wordnet = CLI_WORDNET_DIR;
        code = run_demo(&demo);
    }
    return cli_end(&session, code);
}
