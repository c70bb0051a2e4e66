/* What the demo measured: demo.c fills it, demo_table.c and report.c show it. */
#ifndef TAMIS_CLI_DEMO_H
#define TAMIS_CLI_DEMO_H

#include "buffer.h"
#include "cli.h"

/* One row of the demo: which weights, on which kernels. */
typedef struct demo_recipe {
    const char *name;       /* of its folders */
    const char *pattern;    /* NULL: dense */
    const char *kernels_of; /* not NULL: the weights of that row, on dense kernels */
    tms_prune_method method;
    char letter; /* what tables and charts call it */
    bool is_ffn; /* the feed-forward layers alone */
} demo_recipe;

enum { DEMO_ROWS = 9, DEMO_PATH_MAX = 1024 };
extern const demo_recipe demo_recipes[DEMO_ROWS];

typedef struct demo_row {
    const demo_recipe *recipe;
    char path[DEMO_PATH_MAX]; /* what is run: packed, or dense weights */
    tms_layer_table *layers;  /* of its prune job, or NULL */
    int64_t bytes;            /* of the safetensors file it is run from */
    double zeros;             /* share of the linear layers' weights */
    tms_eval_result *result;  /* NULL without WordNet */
    tms_eval_report report;
    double us, us_min, us_max, texts_per_second, ratio; /* ratio: x dense */
} demo_row;

/* A linear layer of the pruned model that the report times, dense and sparse. */
typedef struct demo_layer {
    char name[256];
    double dense_us, sparse_us;
} demo_layer;

typedef struct demo_state {
    const cli_session *session;
    const char *model, *out, *wordnet;
    int32_t is_seed, force;
    demo_row rows[DEMO_ROWS];
    demo_layer *layers;
    int32_t layer_count;
    int64_t text_count;
    int32_t rounds;
    int64_t tokens; /* of the layers' times */
    char device[128], isa[32], versions[160], commit[64], date[16];
    int64_t step_done, step_weight, step_total; /* of the progress bar: see begin_step */
    char step[128];
} demo_state;

/* "all", "FFN"; "magnitude"; "-" where a dense row has none. */
const char *demo_layers_text(const demo_row *row);
const char *demo_method_text(const demo_row *row);
/* "dense", "2:4", "2:4, dense kernels". */
enum { DEMO_PATTERN_MAX = TMS_PATTERN_TEXT_MAX + 32 };
void demo_pattern_text(const demo_row *row, char out[DEMO_PATTERN_MAX]);

/* The sentence that marks every table of a model made from a seed; NULL for a real one. */
const char *demo_seed_text(const demo_state *demo);

cli_exit demo_print_table(const demo_state *demo);
/* The whole demo as JSON text: what demo.json holds and --json prints. */
cli_exit demo_json(const demo_state *demo, char **out_text);
/* report.html. */
void demo_report(const demo_state *demo, cli_buffer *page);

#endif
