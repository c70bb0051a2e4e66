/* Prices of GPU kernels from rows of JSON: what `tamis tune --json` or `bench_gpu tiles` printed.
 *
 *     bench_fit DEVICE PROCESSORS < rows.jsonl
 *     bench_fit DEVICE PROCESSORS table < rows.jsonl     judges the library's own prices instead
 *
 * prints rows for src/spmm/cuda/tuning/<chip>.def, each with how far the model is off its times
 * (root of the mean square), and at the end how much longer than the fastest the chosen kernels
 * took. bf16 stands for f16 too. No GPU is needed. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/dtype.h"
#include "measure/fit.h"
#include "spmm/kernel.h"
#include "spmm/problem.h"

enum { ROWS_MAX = 20000 };

typedef struct row {
    int32_t kernel;
    tms_dtype type;
    int64_t t, k, n;
    double us, modelled_us;
} row;

static tmsi_hardware hardware = {"", 0, 0, 0, TMS_ISA_ALL, 0, 50 << 20, 0, 132, 0, 0};
static tmsi_spmm_table table;
static row rows[ROWS_MAX];
static int row_count;

static tms_spmm_problem problem_of(const row *r) {
    return tmsi_spmm_problem_24(r->type, r->n, r->k, r->t);
}

/* False for rows of rivals, of fused epilogues and of kernels that are gone. */
static bool read_row(const char *line, row *out) {
    json_t *object = json_loads(line, 0, NULL);
    const char *kernel = NULL, *dtype = NULL, *epilogue = "none";
    json_int_t t = 0, k = 0, n = 0;
    bool is_good = json_unpack(object, "{s:s, s:s, s:I, s:I, s:I, s:F}", "kernel", &kernel, "dtype",
                               &dtype, "t", &t, "k", &k, "n", &n, "us", &out->us) == 0;

    json_unpack(object, "{s:s}", "epilogue", &epilogue);
    out->kernel = -1;
    for (int32_t i = 0; is_good && i < table.count; i++)
        if (strcmp(table.kernels[i].name, kernel) == 0)
            out->kernel = i;
    out->type = TMS_BF16;
    for (int d = 0; is_good && d < TMS_DTYPE_COUNT; d++)
        if (strcmp(tms_dtype_name((tms_dtype)d), dtype) == 0)
            out->type = (tms_dtype)d;
    out->t = t, out->k = k, out->n = n;
    is_good = is_good && out->kernel >= 0 && out->us > 0.0 && strcmp(epilogue, "none") == 0;
    json_decref(object);
    return is_good;
}

static void read_rows(void) {
    static char line[1 << 16];

    while (row_count < ROWS_MAX && fgets(line, sizeof line, stdin) != NULL)
        row_count += read_row(line, &rows[row_count]);
}

/* "spmm_nm24_*16_64x64_sm90" for bf16. */
static void print_name(const char *kernel) {
    const char *type = strstr(kernel, "bf16");
    char name[80];

    if (type != NULL)
        snprintf(name, sizeof name, "\"%.*s*%s\",", (int)(type - kernel), kernel, type + 2);
    else
        snprintf(name, sizeof name, "\"%s\",", kernel);
    printf("TMS_PRICE(%-38s", name);
}

static void fit_kernel(int32_t kernel, const double *prior) {
    static tmsi_sample samples[ROWS_MAX];
    double price[TMSI_TERM_COUNT], error;
    int64_t count = 0;
    int last = 0;

    for (int i = 0; i < row_count; i++) {
        const tms_spmm_problem problem = problem_of(&rows[i]);

        if (rows[i].kernel != kernel)
            continue;
        tmsi_spmm_terms(&table.kernels[kernel], &problem, rows[i].t, &hardware,
                        samples[count].terms);
        samples[count++].us = rows[i].us;
    }
    if (count == 0)
        return;
    error = tmsi_fit(samples, count, prior, price);
    for (int term = 0; term < TMSI_TERM_COUNT; term++)
        last = price[term] > 0.0 ? term : last;
    print_name(table.kernels[kernel].name);
    for (int term = 0; term <= last; term++)
        printf(" %.4f%s", price[term], term < last ? "," : "");
    printf(") /* %lld times, %.0f %% */\n", (long long)count, 100.0 * error);
    count = 0;
    for (int i = 0; i < row_count; i++)
        if (rows[i].kernel == kernel)
            rows[i].modelled_us = tmsi_tuning_time(samples[count++].terms, price);
}

typedef struct verdict {
    const row *chosen, *fastest, *dense; /* of one product; dense may be NULL */
} verdict;

static bool is_same(const row *a, const row *b) {
    return a->t == b->t && a->k == b->k && a->n == b->n && a->type == b->type;
}

/* False where an earlier row stood for the product already. */
static bool judge_product(int i, verdict *out) {
    *out = (verdict){&rows[i], &rows[i], NULL};
    for (int j = 0; j < row_count; j++) {
        const row *r = &rows[j];

        if (!is_same(r, &rows[i]))
            continue;
        if (j < i)
            return false;
        out->chosen = r->modelled_us < out->chosen->modelled_us ? r : out->chosen;
        out->fastest = r->us < out->fastest->us ? r : out->fastest;
        if (table.kernels[r->kernel].format == TMS_FORMAT_DENSE)
            out->dense = r;
    }
    return true;
}

/* The time of the kernel that the model prefers, with dense kept, over that of the fastest, and
 * over that of dense. */
static void judge(void) {
    double sum = 0.0, worst = 1.0, worst_dense = 1.0;
    int products = 0, slower = 0;

    for (int i = 0; i < row_count; i++) {
        verdict v;

        if (!judge_product(i, &v))
            continue;
        products++;
        sum += log(v.chosen->us / v.fastest->us);
        worst = fmax(worst, v.chosen->us / v.fastest->us);
        if (v.dense != NULL) {
            slower += v.chosen->us > 1.05 * v.dense->us;
            worst_dense = fmax(worst_dense, v.chosen->us / v.dense->us);
        }
        if (v.chosen->us > 1.1 * v.fastest->us)
            printf("/* %s t %lld k %lld n %lld: %s, %.1f us, for %s, %.1f us */\n",
                   tms_dtype_name(rows[i].type), (long long)rows[i].t, (long long)rows[i].k,
                   (long long)rows[i].n, table.kernels[v.chosen->kernel].name, v.chosen->us,
                   table.kernels[v.fastest->kernel].name, v.fastest->us);
    }
    printf(
        "/* %d products: the chosen took %.1f %% longer than the fastest in the mean, %.0f %% at "
        "most; %d took over 5 %% longer than dense, %.0f %% at most */\n",
        products, 100.0 * (exp(sum / products) - 1.0), 100.0 * (worst - 1.0), slower,
        100.0 * (worst_dense - 1.0));
}

int main(int argc, char **argv) {
    tmsi_tuning tuning;

    if (argc < 3 || argc > 4) {
        fprintf(stderr, "usage: bench_fit DEVICE PROCESSORS [table] < rows.jsonl\n");
        return 2;
    }
    snprintf(hardware.name, sizeof hardware.name, "%s", argv[1]);
    hardware.processors = (int32_t)strtol(argv[2], NULL, 10);
    table = tmsi_spmm_table_of(&hardware);
    tmsi_tuning_fill(&hardware, &tuning);
    read_rows();
    for (int32_t i = 0; argc == 3 && i < table.count; i++)
        fit_kernel(i, tuning.price[i]);
    for (int i = 0; argc == 4 && i < row_count; i++) {
        const tms_spmm_problem problem = problem_of(&rows[i]);

        rows[i].modelled_us =
            tmsi_spmm_cost(rows[i].kernel, &problem, rows[i].t, &hardware, &tuning);
    }
    if (row_count > 0)
        judge();
    return row_count > 0 ? 0 : 1;
}
