#define _POSIX_C_SOURCE 200809L
#include "measure/rows.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#if defined(__clang__)
#define COMPILER "clang " __clang_version__
#elif defined(__GNUC__)
#define COMPILER "gcc " __VERSION__
#else
#define COMPILER "unknown compiler"
#endif

/* The widest set of a context says it all: kernels for narrower ones are candidates too. */
static const char *isa_name(uint32_t isa) {
    return isa & TMS_ISA_AVX512 ? "avx512" : isa & TMS_ISA_AVX2 ? "avx2" : "none";
}

void tmsi_row_frame_fill(const tms_context *context, const char *rivals, tmsi_row_frame *out) {
    tms_bench_row *row = &out->row;
    time_t now = time(NULL);
    struct tm utc;

    memset(out, 0, sizeof *out);
    row->struct_size = sizeof *row;
    row->sparsity = row->us = row->us_min = row->us_max = row->quiet = row->cycles = NAN;
    row->ratio_dense = row->tokens_per_second = row->texts_per_second = NAN;
    row->t = row->k = row->n = row->bytes = row->resident_bytes = -1;
    row->isa = isa_name(context->hardware.isa);
    row->threads = context->threads;
    row->device = context->hardware.name;
    snprintf(out->versions, sizeof out->versions, "tamis %s, %s%s%s", tms_version_text(), COMPILER,
             rivals != NULL && *rivals != '\0' ? ", " : "", rivals != NULL ? rivals : "");
    row->versions = out->versions;
    row->commit = tms_commit_text();
    if (gmtime_r(&now, &utc) != NULL)
        strftime(out->date, sizeof out->date, "%Y-%m-%d", &utc);
    row->date = out->date;
}

void tmsi_row_set_timing(tms_bench_row *row, const tmsi_timing *timing) {
    row->us = timing->us;
    row->us_min = timing->us_min;
    row->us_max = timing->us_max;
    row->rounds = timing->rounds;
    row->quiet = timing->quiet;
}

/* Text that grows as snprintf lets it: `length` is what it would have. */
typedef struct json_line {
    char *text;
    size_t bytes, length;
} json_line;

__attribute__((format(printf, 2, 3))) static void put(json_line *line, const char *format, ...) {
    bool has_room = line->length < line->bytes;
    va_list arguments;
    int length;

    va_start(arguments, format);
    length = vsnprintf(has_room ? line->text + line->length : NULL,
                       has_room ? line->bytes - line->length : 0, format, arguments);
    va_end(arguments);
    line->length += length > 0 ? (size_t)length : 0;
}

static void put_key(json_line *line, const char *key) {
    put(line, "%s\"%s\": ", line->length > 1 ? ", " : "", key);
}

static void put_text(json_line *line, const char *key, const char *text) {
    put_key(line, key);
    if (text == NULL) {
        put(line, "null");
        return;
    }
    put(line, "\"");
    for (const unsigned char *c = (const unsigned char *)text; *c != '\0'; c++)
        if (*c == '"' || *c == '\\')
            put(line, "\\%c", *c);
        else if (*c < 0x20)
            put(line, "\\u%04x", *c);
        else
            put(line, "%c", *c);
    put(line, "\"");
}

static void put_number(json_line *line, const char *key, double value) {
    put_key(line, key);
    if (isfinite(value))
        put(line, "%.6g", value);
    else
        put(line, "null");
}

static void put_count(json_line *line, const char *key, int64_t value) {
    put_key(line, key);
    if (value >= 0)
        put(line, "%" PRId64, value);
    else
        put(line, "null");
}

size_t tmsi_row_print(const tms_bench_row *row, char *text, size_t text_bytes) {
    json_line line = {text, text_bytes, 0};

    put(&line, "{");
    put_text(&line, "op", row->op);
    put_text(&line, "who", row->who);
    put_text(&line, "kernel", row->kernel);
    put_text(&line, "format", row->format);
    put_text(&line, "pattern", row->pattern);
    put_number(&line, "sparsity", row->sparsity);
    put_text(&line, "dtype", row->dtype);
    put_text(&line, "isa", row->isa);
    put_count(&line, "threads", row->threads);
    put_count(&line, "t", row->t);
    put_count(&line, "k", row->k);
    put_count(&line, "n", row->n);
    put_text(&line, "epilogue", row->epilogue);
    put_text(&line, "state", row->state);
    put_number(&line, "us", row->us);
    put_number(&line, "us_min", row->us_min);
    put_number(&line, "us_max", row->us_max);
    put_count(&line, "rounds", row->rounds);
    put_number(&line, "quiet", row->quiet);
    put_number(&line, "cycles", row->cycles);
    put_count(&line, "bytes", row->bytes);
    put_count(&line, "resident_bytes", row->resident_bytes);
    put_number(&line, "ratio_dense", row->ratio_dense);
    put_text(&line, "device", row->device);
    put_text(&line, "versions", row->versions);
    put_text(&line, "commit", row->commit);
    put_text(&line, "date", row->date);
    /* Beside the schema that all benches share: only where they apply. */
    if (row->label != NULL)
        put_text(&line, "label", row->label);
    if (isfinite(row->texts_per_second))
        put_number(&line, "texts_per_second", row->texts_per_second);
    if (isfinite(row->tokens_per_second))
        put_number(&line, "tokens_per_second", row->tokens_per_second);
    put(&line, "}");
    return line.length;
}
