/* Tuning tables as text: docs/tuning.md has the grammar. The text comes from a file that anybody
 * may have written, so every line is checked, those for other machines too; names of kernels are
 * looked up for this machine alone, since another has others. */
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "spmm/kernel.h"
#include "spmm/tuning.h"

enum { TEXT_MAX = 1 << 20, LINE_BYTES_MAX = 400, WORDS_MAX = 16, POINTS_MAX = 4096 };

static const double number_max = 1e9;

typedef struct word {
    const char *text;
    size_t bytes;
} word;

typedef struct reader {
    const tmsi_hardware *hardware;
    tmsi_spmm_table table;
    tmsi_tuning *out; /* NULL: points are only counted */
    int32_t points;
    long long line;         /* from 1 */
    bool has_device;        /* a section has begun */
    bool is_named, is_ours; /* by its device line; and by its processors line */
    word words[WORDS_MAX];  /* of the line */
    int32_t count;
} reader;

#define FAIL(r, format, ...)                                                                       \
    tmsi_fail(TMS_ERR_FORMAT, "tuning table, line %lld: " format, (r)->line, __VA_ARGS__)

static bool is_word(const word *w, const char *text) {
    return strlen(text) == w->bytes && memcmp(w->text, text, w->bytes) == 0;
}

/* Digits, perhaps with a point and more digits: what the tuner writes. No locale has a say. */
static bool read_number(const word *w, double *out) {
    double value = 0.0, unit = 1.0;
    size_t i = 0, digits = 0;

    for (; i < w->bytes && w->text[i] >= '0' && w->text[i] <= '9'; i++, digits++)
        value = value * 10.0 + (w->text[i] - '0');
    if (i < w->bytes && w->text[i] == '.')
        for (i++; i < w->bytes && w->text[i] >= '0' && w->text[i] <= '9'; i++, digits++) {
            unit /= 10.0;
            value += (w->text[i] - '0') * unit;
        }
    *out = value;
    return i == w->bytes && digits > 0 && digits <= 20 && value <= number_max;
}

/* The number behind a name, words i and i + 1. */
static tms_status take_number(const reader *r, int32_t i, const char *name, bool is_whole,
                              double *out) {
    const word *value = &r->words[i + 1];

    if (i + 1 >= r->count || !is_word(&r->words[i], name))
        return FAIL(r, "\"%s\" and its number are missing", name);
    if (!read_number(value, out) || (is_whole && (*out < 1.0 || *out != (double)(int64_t)*out)))
        return FAIL(r, "%s is \"%.*s\", but must be %s up to 1000000000", name, (int)value->bytes,
                    value->text, is_whole ? "a whole number from 1" : "a number from 0");
    return TMS_OK;
}

static tms_status read_device(reader *r, const char *line, size_t bytes) {
    const char *name = r->words[1].text;
    const size_t name_bytes = bytes - (size_t)(name - line);

    if (r->count < 2)
        return FAIL(r, "%s", "a device has no name");
    r->has_device = true;
    r->is_named =
        name_bytes == strlen(r->hardware->name) && memcmp(name, r->hardware->name, name_bytes) == 0;
    r->is_ours = false;
    return TMS_OK;
}

static tms_status read_processors(reader *r) {
    double value = 0.0;

    if (r->count != 2 || !read_number(&r->words[1], &value) || value > 65536.0)
        return FAIL(r, "%s", "processors must be one number from 0 (a CPU) to 65536");
    r->is_ours = r->is_named && (int32_t)value == r->hardware->processors;
    return TMS_OK;
}

/* Copies a word that has to be a kernel's name, or with one * several ones'. */
static tms_status take_kernel(const reader *r, char out[64]) {
    const word *w = &r->words[1];

    if (r->count < 2 || w->bytes >= 64)
        return FAIL(r, "the kernel's name has %zu bytes, but must have 1 to 63",
                    r->count < 2 ? (size_t)0 : w->bytes);
    memcpy(out, w->text, w->bytes);
    out[w->bytes] = '\0';
    return TMS_OK;
}

static tms_status read_price(reader *r) {
    double price[TMSI_TERM_COUNT] = {0.0};
    char name[64];
    tms_status status = TMS_OK;

    TMS_TRY(take_kernel(r, name));
    if (r->count < 4)
        return FAIL(r, "%s has no prices", name);
    for (int32_t i = 2; i < r->count; i += 2) {
        int term = 0;

        while (term < TMSI_TERM_COUNT && !is_word(&r->words[i], tmsi_term_name((tmsi_term)term)))
            term++;
        if (term == TMSI_TERM_COUNT)
            return FAIL(r, "\"%.*s\" is no price", (int)r->words[i].bytes, r->words[i].text);
        TMS_TRY(take_number(r, i, tmsi_term_name((tmsi_term)term), false, &price[term]));
    }
    for (int32_t i = 0; r->is_ours && r->out != NULL && i < r->table.count; i++)
        if (tmsi_tuning_matches(name, r->table.kernels[i].name))
            memcpy(r->out->price[i], price, sizeof price);
done:
    return status;
}

static void add_point(reader *r, const char *name, double t, double k, double n, double us) {
    for (int32_t i = 0; r->is_ours && i < r->table.count; i++)
        if (strcmp(name, r->table.kernels[i].name) == 0) {
            if (r->out != NULL) {
                tmsi_tuning_point *point = &r->out->points[r->points];
                point->kernel = i;
                point->t = (int64_t)t;
                point->k = (int64_t)k;
                point->n = (int64_t)n;
                point->us = us;
            }
            r->points++;
        }
}

static tms_status read_time(reader *r) {
    double t = 0.0, k = 0.0, n = 0.0, us = 0.0;
    char name[64];
    tms_status status = TMS_OK;

    TMS_TRY(take_kernel(r, name));
    TMS_TRY(take_number(r, 2, "t", true, &t));
    TMS_TRY(take_number(r, 4, "k", true, &k));
    TMS_TRY(take_number(r, 6, "n", true, &n));
    TMS_TRY(take_number(r, 8, "us", false, &us));
    if (r->count != 10)
        return FAIL(r, "%d words stand behind us", r->count - 10);
    if (us <= 0.0)
        return FAIL(r, "us is %g, but must be above 0", us);
    if (r->points >= POINTS_MAX)
        return FAIL(r, "a machine has more than %d times", POINTS_MAX);
    add_point(r, name, t, k, n, us);
done:
    return status;
}

static tms_status split(reader *r, const char *line, size_t bytes) {
    r->count = 0;
    for (size_t i = 0; i < bytes;) {
        size_t first;

        while (i < bytes && line[i] == ' ')
            i++;
        first = i;
        while (i < bytes && line[i] != ' ') {
            if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
                return FAIL(r, "byte %zu is 0x%02x, a control character", i + 1,
                            (unsigned)(unsigned char)line[i]);
            i++;
        }
        if (i > first && r->count == WORDS_MAX)
            return FAIL(r, "it has more than %d words", WORDS_MAX);
        if (i > first) {
            r->words[r->count].text = line + first;
            r->words[r->count++].bytes = i - first;
        }
    }
    return TMS_OK;
}

static tms_status read_line(reader *r, const char *line, size_t bytes) {
    const word *verb = &r->words[0];
    tms_status status = TMS_OK;

    if (bytes > LINE_BYTES_MAX)
        return FAIL(r, "it has %zu bytes, but lines have at most %d", bytes, LINE_BYTES_MAX);
    if (r->line > 1 && bytes > 0 && line[0] == '#')
        return TMS_OK;
    TMS_TRY(split(r, line, bytes));
    if (r->line == 1) {
        if (r->count != 2 || !is_word(verb, "tamis-tuning") || !is_word(&r->words[1], "1"))
            return FAIL(r, "%s", "it must be \"tamis-tuning 1\"");
        return TMS_OK;
    }
    if (r->count == 0)
        return TMS_OK;
    if (is_word(verb, "device"))
        return read_device(r, line, bytes);
    if (!r->has_device)
        return FAIL(r, "\"%.*s\" stands before any device", (int)verb->bytes, verb->text);
    if (is_word(verb, "processors"))
        return read_processors(r);
    if (is_word(verb, "price"))
        return read_price(r);
    if (is_word(verb, "time"))
        return read_time(r);
    return FAIL(r, "\"%.*s\" is none of device, processors, price and time", (int)verb->bytes,
                verb->text);
done:
    return status;
}

static tms_status read_all(reader *r, const char *text, size_t bytes) {
    tms_status status = TMS_OK;

    r->line = 0;
    r->points = 0;
    r->has_device = false;
    for (size_t at = 0; at < bytes || r->line == 0;) {
        const char *end = at < bytes ? memchr(text + at, '\n', bytes - at) : NULL;
        const size_t length = end != NULL ? (size_t)(end - text) - at : bytes - at;

        r->line++;
        TMS_TRY(read_line(r, text + at, length));
        at += length + 1;
    }
done:
    return status;
}

/* By t, so that who looks for the next measured one finds it. */
static void sort_points(tmsi_tuning *out) {
    for (int32_t i = 1; i < out->point_count; i++) {
        const tmsi_tuning_point point = out->points[i];
        int32_t at = i;

        for (; at > 0 && out->points[at - 1].t > point.t; at--)
            out->points[at] = out->points[at - 1];
        out->points[at] = point;
    }
}

tms_status tmsi_tuning_create(tms_context *context, const tmsi_hardware *hardware, const char *text,
                              size_t text_bytes, tmsi_tuning **out) {
    reader r = {0};
    tmsi_tuning *tuning = NULL;
    tms_status status = TMS_OK;

    r.hardware = hardware;
    r.table = tmsi_spmm_table_of(hardware);
    if (text_bytes > TEXT_MAX)
        return tmsi_fail(TMS_ERR_FORMAT, "the tuning table has %zu bytes, but may have at most %d",
                         text_bytes, TEXT_MAX);
    if (text != NULL)
        TMS_TRY(read_all(&r, text, text_bytes));
    TMS_TRY(tmsi_alloc(context, 1, sizeof *tuning + (size_t)r.points * sizeof *tuning->points,
                       &tuning));
    tmsi_tuning_fill(hardware, tuning);
    tuning->points = (tmsi_tuning_point *)(tuning + 1);
    r.out = tuning;
    if (text != NULL)
        TMS_TRY(read_all(&r, text, text_bytes));
    tuning->point_count = r.points;
    sort_points(tuning);
    if (text != NULL && r.has_device && r.is_ours)
        snprintf(tuning->source, sizeof tuning->source, "the context's table");
    *out = tuning;
    tuning = NULL;
done:
    tmsi_free(context, tuning);
    return status;
}
