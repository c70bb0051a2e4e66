#include "measure/tune.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "io/file.h"

tms_status tmsi_tune_step(tmsi_tuner *tuner) {
    const tms_tune_desc *desc = tuner->desc;

    if (desc->progress != NULL &&
        desc->progress(desc->progress_user, "products", tuner->done, tuner->total) != 0)
        return tmsi_fail(TMS_ERR_CANCELLED, "stopped at product %" PRId64 " of %" PRId64,
                         tuner->done, tuner->total);
    tuner->done++;
    return TMS_OK;
}

static tms_status emit(tmsi_tuner *tuner, const tmsi_spmm_kernel *kernel,
                       const tms_spmm_problem *problem, int64_t t, double us) {
    tms_bench_row row = tuner->frame.row;

    if (tuner->sink == NULL)
        return TMS_OK;
    row.op = "spmm";
    row.who = "tamis";
    row.kernel = kernel->name;
    row.format = tms_format_name(kernel->format);
    row.sparsity = kernel->format == TMS_FORMAT_DENSE ? 0.0 : 1.0 - problem->density;
    row.dtype = tms_dtype_name(problem->x_type);
    row.t = t;
    row.k = problem->k;
    row.n = problem->n;
    row.epilogue = "none";
    row.us = row.us_min = row.us_max = us;
    row.rounds = 1;
    if (tuner->sink(tuner->sink_user, &row) != 0)
        return tmsi_fail(TMS_ERR_CANCELLED, "the sink wanted no more rows");
    return TMS_OK;
}

tms_status tmsi_tune_keep(tmsi_tuner *tuner, int32_t i, const tms_spmm_problem *problem, int64_t t,
                          double us, bool is_asked) {
    const tmsi_spmm_kernel *kernel = &tuner->table.kernels[i];
    tmsi_kernel_samples *samples = &tuner->samples[i];
    tmsi_sample *sample;
    tms_status status;

    TMS_TRY(tmsi_grow(tuner->context, &samples->items, &samples->capacity, samples->count + 1,
                      sizeof *samples->items));
    sample = &samples->items[samples->count++];
    tmsi_spmm_terms(kernel, problem, t, tuner->machine.hardware, sample->terms);
    sample->us = us;
    if (is_asked) {
        const tmsi_tuning_point point = {i, t, problem->k, problem->n, us};

        TMS_TRY(tmsi_grow(tuner->context, &tuner->points, &tuner->point_capacity,
                          tuner->point_count + 1, sizeof point));
        tuner->points[tuner->point_count++] = point;
    }
    TMS_TRY(emit(tuner, kernel, problem, t, us));
done:
    return status;
}

/* ---- The table as text ----------------------------------------------------------------------- */

enum { LINE_BYTES = 400 };

typedef struct text {
    char *bytes;
    size_t used, room;
} text;

__attribute__((format(printf, 2, 3))) static void put(text *out, const char *format, ...) {
    va_list arguments;
    int length;

    va_start(arguments, format);
    length = vsnprintf(out->bytes + out->used, out->room - out->used, format, arguments);
    va_end(arguments);
    out->used += length > 0 ? (size_t)length : 0;
}

/* With six decimals; not by %f, whose point the locale chooses. */
static void put_number(text *out, double value) {
    const int64_t millionths = (int64_t)(value * 1e6 + 0.5);

    put(out, "%" PRId64 ".%06d", millionths / 1000000, (int)(millionths % 1000000));
}

/* What is measured in bf16 holds in f16 too: the kernel of that type, or -1. *out_both is the name
 * of the two. */
static int32_t find_twin(const tmsi_tuner *tuner, const char *name, char out_both[64]) {
    const char *type = strstr(name, "bf16");

    snprintf(out_both, 64, "%.*s*%s", type != NULL ? (int)(type - name) : 0, name,
             type != NULL ? type + 2 : "");
    for (int32_t i = 0; type != NULL && i < tuner->table.count; i++)
        if (strstr(tuner->table.kernels[i].name, "_f16") != NULL &&
            tmsi_tuning_matches(out_both, tuner->table.kernels[i].name))
            return i;
    return -1;
}

static void put_price(text *out, const tmsi_tuner *tuner, int32_t i) {
    const tmsi_kernel_samples *samples = &tuner->samples[i];
    const char *name = tuner->table.kernels[i].name;
    double price[TMSI_TERM_COUNT];
    char both[64];
    const double error =
        tmsi_fit(samples->items, samples->count, tuner->machine.tuning->price[i], price);

    put(out, "# %" PRId64 " times, off by %d %% (root of the mean square)\nprice %s",
        samples->count, (int)(100.0 * error + 0.5),
        find_twin(tuner, name, both) >= 0 ? both : name);
    for (int term = 0; term < TMSI_TERM_COUNT; term++)
        if (price[term] > 0.0) {
            put(out, " %s ", tmsi_term_name((tmsi_term)term));
            put_number(out, price[term]);
        }
    put(out, "\n");
}

static void put_time(text *out, const char *kernel, const tmsi_tuning_point *point) {
    put(out, "time %s t %" PRId64 " k %" PRId64 " n %" PRId64 " us ", kernel, point->t, point->k,
        point->n);
    put_number(out, point->us);
    put(out, "\n");
}

static void put_table(text *out, const tmsi_tuner *tuner) {
    const tms_bench_row *row = &tuner->frame.row;

    put(out, "device %s\nprocessors %d\n# %s, tamis %s (%s)\n", tuner->machine.hardware->name,
        tuner->machine.hardware->processors, row->date, tms_version_text(), tms_commit_text());
    for (int32_t i = 0; i < tuner->table.count; i++)
        if (tuner->samples[i].count > 0)
            put_price(out, tuner, i);
    for (int64_t p = 0; p < tuner->point_count; p++) {
        const char *name = tuner->table.kernels[tuner->points[p].kernel].name;
        char both[64];
        const int32_t twin = find_twin(tuner, name, both);

        put_time(out, name, &tuner->points[p]);
        if (twin >= 0)
            put_time(out, tuner->table.kernels[twin].name, &tuner->points[p]);
    }
}

/* What a table that is there says of other machines stays. */
static void put_others(text *out, const tmsi_tuner *tuner, const tmsi_mapping *old) {
    const char *own = tuner->machine.hardware->name;
    bool is_other = false;

    for (size_t at = 0; at < old->bytes;) {
        const char *line = (const char *)old->data + at;
        const char *end = memchr(line, '\n', old->bytes - at);
        const size_t length = end != NULL ? (size_t)(end - line) : old->bytes - at;

        if (length > 7 && memcmp(line, "device ", 7) == 0)
            is_other = strlen(own) != length - 7 || memcmp(line + 7, own, length - 7) != 0;
        if (is_other)
            put(out, "%.*s\n", (int)length, line);
        at += length + 1;
    }
}

/* The table that is there, if any. One that is malformed is refused: it may be something else. */
static tms_status read_old(const tmsi_tuner *tuner, tmsi_mapping *out) {
    tmsi_tuning *checked = NULL;
    tms_status status = TMS_OK;

    if (tmsi_path_look(tuner->desc->out) != TMSI_PATH_FILE)
        return TMS_OK;
    TMS_TRY(tmsi_file_map(tuner->desc->out, out));
    if (out->bytes > 0)
        TMS_TRY(tmsi_tuning_create(tuner->context, tuner->machine.hardware, (const char *)out->data,
                                   out->bytes, &checked));
done:
    tmsi_free(tuner->context, checked);
    return status;
}

static tms_status write_table(const tmsi_tuner *tuner) {
    const char *path = tuner->desc->out;
    tmsi_mapping old = {0};
    text out = {0};
    tms_status status = TMS_OK;

    TMS_TRY(read_old(tuner, &old));
    out.room = old.bytes +
               LINE_BYTES * ((size_t)tuner->table.count * 2 + (size_t)tuner->point_count * 2 + 8);
    TMS_TRY(tmsi_alloc(tuner->context, out.room, 1, &out.bytes));
    put(&out, "tamis-tuning 1\n");
    put_table(&out, tuner);
    put_others(&out, tuner, &old);
    TMS_TRY(tmsi_file_write(tuner->context, path, true, out.bytes, out.used));
done:
    tmsi_file_unmap(&old);
    tmsi_free(tuner->context, out.bytes);
    return status;
}

/* What cannot be written is better known before the measuring. */
static tms_status check_out(const tmsi_tuner *tuner) {
    tmsi_writer *writer = NULL;
    tmsi_mapping old = {0};
    tms_status status = TMS_OK;

    if (tuner->desc->out == NULL)
        return TMS_OK;
    TMS_TRY(tmsi_writer_create(tuner->context, tuner->desc->out, true, 0, &writer));
    TMS_TRY(read_old(tuner, &old));
done:
    tmsi_file_unmap(&old);
    tmsi_writer_destroy(writer);
    return status;
}

tms_status tmsi_tune_run(tms_context *context, const tms_tune_desc *desc, tms_bench_sink sink,
                         void *sink_user) {
    const bool is_gpu = desc->device == TMS_DEVICE_CUDA;
    tms_spmm_problem problem = tms_spmm_problem_default();
    tmsi_tuner tuner;
    tms_status status;

    memset(&tuner, 0, sizeof tuner);
    tuner.context = context;
    tuner.desc = desc;
    tuner.sink = sink;
    tuner.sink_user = sink_user;
    problem.device = desc->device;
    tuner.machine = tmsi_spmm_machine(context, &problem);
    tuner.table = tmsi_spmm_table_of(tuner.machine.hardware);
    tmsi_row_frame_fill(context, is_gpu ? context->cublaslt_text : NULL, &tuner.frame);
    tuner.frame.row.state = is_gpu ? "sustained" : "warm";
    if (is_gpu)
        tuner.frame.row.device = context->device_text;
    tuner.total = is_gpu ? tmsi_tune_gpu_products(&tuner) : tmsi_tune_cpu_products(&tuner);
    TMS_TRY(check_out(&tuner));
    TMS_TRY(tmsi_alloc(context, (size_t)tuner.table.count, sizeof *tuner.samples, &tuner.samples));
    TMS_TRY(is_gpu ? tmsi_tune_gpu(&tuner) : tmsi_tune_cpu(&tuner));
    if (desc->out != NULL)
        TMS_TRY(write_table(&tuner));
done:
    for (int32_t i = 0; tuner.samples != NULL && i < tuner.table.count; i++)
        tmsi_free(context, tuner.samples[i].items);
    tmsi_free(context, tuner.samples);
    tmsi_free(context, tuner.points);
    return status;
}
