#include "explain.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "table.h"

enum { ROWS_MAX = 256, TEXT_BYTES = 96 };

/* One product: its candidates, copied out of the callback. */
typedef struct product {
    const cli_session *session;
    char title[200];
    tms_explain_row rows[ROWS_MAX];
    char parts[ROWS_MAX][TEXT_BYTES], machine[TEXT_BYTES], prices[TEXT_BYTES];
    int count;
} product;

static int32_t keep_row(void *user, const tms_explain_row *row) {
    product *self = user;

    if (self->count == ROWS_MAX)
        return 1;
    self->rows[self->count] = *row;
    snprintf(self->parts[self->count], TEXT_BYTES, "%s", row->part);
    self->rows[self->count].part = self->parts[self->count];
    snprintf(self->machine, TEXT_BYTES, "%s", row->machine);
    snprintf(self->prices, TEXT_BYTES, "%s", row->prices);
    self->count++;
    return 0;
}

/* References last, then by time. */
static int compare(const void *a, const void *b) {
    const tms_explain_row *x = a, *y = b;

    if (x->is_reference != y->is_reference)
        return x->is_reference - y->is_reference;
    return (x->us > y->us) - (x->us < y->us);
}

static void add_us(cli_table *table, double us) {
    if (!isfinite(us))
        cli_table_add(table, "no price");
    else if (us > 0.0)
        cli_table_add(table, "%.2f", us);
    else
        cli_table_add(table, "-");
}

/* Why it is, or is not, what runs. */
static void add_reason(cli_table *table, const tms_explain_row *row) {
    const char *measured = row->is_measured ? ", by a measured time" : "";

    if (row->is_chosen)
        cli_table_add(table, "chosen for t %" PRId64 "..%" PRId64 "%s", row->first, row->last,
                      measured);
    else if (row->is_reference)
        cli_table_add(table, "reference: where nothing else fits");
    else if (!row->has_part)
        cli_table_add(table, "the image has not its part");
    else
        cli_table_add(table, "slower%s", measured);
}

static cli_exit print_product(product *self) {
    static const char *const heads[] = {"kernel", "reads",  "us",   "launch",
                                        "steps",  "memory", "pass", ""};
    cli_table table;
    cli_exit code;

    cli_put(self->title);
    printf("\non ");
    cli_put(self->machine);
    printf("; prices: ");
    cli_put(self->prices);
    printf("\n\n");
    cli_table_begin(&table, "llrrrrrl", heads);
    for (int i = 0; i < self->count; i++) {
        const tms_explain_row *row = &self->rows[i];

        cli_table_add(&table, "%s", row->kernel);
        cli_table_add(&table, "%s", row->part);
        add_us(&table, row->us);
        add_us(&table, row->launch_us);
        add_us(&table, row->steps_us);
        add_us(&table, row->memory_us);
        add_us(&table, row->pass_us);
        add_reason(&table, row);
    }
    code = cli_table_end(&table);
    printf("\n");
    return code;
}

static cli_exit print_json(const product *self, const tms_spmm_problem *problem) {
    cli_exit code = CLI_GOOD;

    for (int i = 0; i < self->count && code == CLI_GOOD; i++) {
        const tms_explain_row *row = &self->rows[i];
        json_t *us = isfinite(row->us) ? json_real(row->us) : json_null();

        code = cli_json_line(json_pack(
            "{ss ss sI sI sI ss so sf sf sf sf sb sI sI sb sb sb ss ss}", "kernel", row->kernel,
            "part", row->part, "t", (json_int_t)row->t, "k", (json_int_t)problem->k, "n",
            (json_int_t)problem->n, "dtype", tms_dtype_name(problem->x_type), "us", us, "launch_us",
            row->launch_us, "steps_us", row->steps_us, "memory_us", row->memory_us, "pass_us",
            row->pass_us, "is_chosen", row->is_chosen, "first", (json_int_t)row->first, "last",
            (json_int_t)row->last, "has_part", row->has_part, "is_reference", row->is_reference,
            "is_measured", row->is_measured, "machine", self->machine, "prices", self->prices));
    }
    return code;
}

static cli_exit explain_product(const cli_session *session, const cli_explanation *what,
                                const char *title, tms_spmm_problem *problem) {
    tms_explain_desc desc = tms_explain_desc_default();
    product *self = calloc(1, sizeof *self);
    tms_status status;
    cli_exit code;

    if (self == NULL)
        return cli_fail(CLI_FAILED, "out of memory: %zu bytes were not to be had", sizeof *self);
    problem->x_type = problem->w_type = what->dtype;
    problem->y_type = what->dtype == TMS_I8 || what->dtype == TMS_E4M3 ? TMS_BF16 : what->dtype;
    problem->device = session->device.kind;
    desc.problem = problem;
    desc.t = problem->t_max;
    desc.keep_dense = what->keep_dense;
    desc.machine = session->device.machine;
    snprintf(self->title, sizeof self->title, "%s %s, t %" PRId64 ", k %" PRId64 ", n %" PRId64,
             title, tms_dtype_name(what->dtype), problem->t_max, problem->k, problem->n);
    status = tms_spmm_explain(session->context, &desc, keep_row, self);
    qsort(self->rows, (size_t)self->count, sizeof self->rows[0], compare);
    code = status != TMS_OK   ? cli_fail_status(status)
           : session->is_json ? print_json(self, problem)
                              : print_product(self);
    free(self);
    return code;
}

/* A problem's format from a pattern of random weights. */
static void set_pattern(const tms_pattern *pattern, tms_spmm_problem *out) {
    out->format = TMS_FORMAT_CSR;
    out->density = 1.0 - 1e-9 * (double)pattern->share_ppb;
    if (pattern->kind == TMS_PATTERN_NM) {
        out->format = TMS_FORMAT_NM;
        out->keep = pattern->keep;
        out->group = pattern->group;
    } else if (pattern->kind == TMS_PATTERN_BLOCK || pattern->kind == TMS_PATTERN_NM_IN_BLOCK) {
        out->format = TMS_FORMAT_BSR;
        out->block_rows = pattern->block_rows;
        out->block_columns = pattern->block_columns;
    }
}

static cli_exit explain_shapes(const cli_session *session, const cli_explanation *what) {
    static const char *const texts[] = {"2:4", "unstructured 80%", "block 32x32 80%"};
    const int fallbacks = session->device.kind == TMS_DEVICE_CUDA ? 1 : 3;
    const int count = what->patterns->count > 0 ? what->patterns->count : fallbacks;
    cli_exit code = CLI_GOOD;

    for (int i = 0; i < what->shapes->count; i++)
        for (int p = 0; p < count && code == CLI_GOOD; p++) {
            tms_spmm_problem problem = tms_spmm_problem_default();
            char text[TMS_PATTERN_TEXT_MAX];
            tms_pattern pattern;

            if (what->patterns->count > 0)
                pattern = what->patterns->items[p];
            else
                tms_pattern_parse(texts[p], &pattern);
            tms_pattern_print(&pattern, text);
            set_pattern(&pattern, &problem);
            problem.t_max = what->shapes->items[i].t;
            problem.k = what->shapes->items[i].k;
            problem.n = what->shapes->items[i].n;
            code = explain_product(session, what, text, &problem);
        }
    return code;
}

/* What a layer would run as: 2:4 where that holds, else as the file stores it; dense weights that
 * are mostly zeros as csr. */
static const char *set_layer(const tms_layer_row *row, tms_spmm_problem *out) {
    const double share = (double)row->zeros.zeros / (double)(row->n * row->k);

    out->n = row->n;
    out->k = row->k;
    out->format = row->format;
    out->density = 1.0 - share;
    if (row->zeros.holds_2_4 && row->format != TMS_FORMAT_BSR) {
        out->format = TMS_FORMAT_NM;
        out->keep = 2;
        out->group = 4;
        return "2:4";
    }
    if (row->format == TMS_FORMAT_BSR) {
        out->block_rows = row->pattern.block_rows;
        out->block_columns = row->pattern.block_columns;
    } else if (row->format == TMS_FORMAT_NM) {
        out->keep = row->pattern.keep;
        out->group = row->pattern.group;
    } else if (share > 0.5) {
        out->format = TMS_FORMAT_CSR;
    }
    return tms_format_name(out->format);
}

/* Layers alike are explained once. */
static bool was_seen(const tms_layer_table *layers, int64_t i) {
    tms_spmm_problem mine = tms_spmm_problem_default(), other;

    set_layer(tms_layer_table_row(layers, i), &mine);
    for (int64_t j = 0; j < i; j++) {
        other = tms_spmm_problem_default();
        set_layer(tms_layer_table_row(layers, j), &other);
        if (other.n == mine.n && other.k == mine.k && other.format == mine.format &&
            fabs(other.density - mine.density) < 0.02)
            return true;
    }
    return false;
}

static cli_exit explain_layers(const cli_session *session, const cli_explanation *what,
                               const tms_layer_table *layers) {
    static const int64_t usual[] = {1, 64, 256};
    const int64_t *tokens = what->tokens->count > 0 ? what->tokens->items : usual;
    const int count = what->tokens->count > 0 ? what->tokens->count : 3;
    cli_exit code = CLI_GOOD;

    for (int64_t i = 0; i < tms_layer_table_count(layers); i++)
        for (int t = 0; t < count && code == CLI_GOOD && !was_seen(layers, i); t++) {
            const tms_layer_row *row = tms_layer_table_row(layers, i);
            tms_spmm_problem problem = tms_spmm_problem_default();
            char title[160];

            snprintf(title, sizeof title, "%.100s, %s", row->name, set_layer(row, &problem));
            problem.t_max = tokens[t];
            code = explain_product(session, what, title, &problem);
        }
    return code;
}

static cli_exit explain_checkpoint(const cli_session *session, const cli_explanation *what) {
    tms_job_desc job = tms_job_desc_default();
    tms_layer_table *layers = NULL;
    tms_status status;
    cli_exit code;

    job.in = what->checkpoint;
    job.layers = what->globs->items;
    job.layer_count = what->globs->count;
    status = tms_inspect_run(session->context, &job, &layers);
    if (status != TMS_OK)
        return cli_fail_status(status);
    code = explain_layers(session, what, layers);
    tms_layer_table_destroy(layers);
    return code;
}

cli_exit cli_explain(const cli_session *session, const cli_explanation *what) {
    cli_exit code = explain_shapes(session, what);

    if (code == CLI_GOOD && what->checkpoint != NULL)
        code = explain_checkpoint(session, what);
    return code;
}
