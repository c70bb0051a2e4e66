/* Patterns as text. The grammar is each kind's example in TMS_PATTERN_MAP, word for word; a scope
 * may follow. The text is tried against every kind, and the try that got furthest says what was
 * expected there. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "pattern/kind.h"

static const char *const examples[TMS_PATTERN_KIND_COUNT] = {
#define ROW(id, name, example) example,
    TMS_PATTERN_MAP(ROW)
#undef ROW
};

const char *tmsi_pattern_example(tms_pattern_kind kind) {
    return examples[kind];
}

bool tmsi_example_next(const char **at, tmsi_example_word *out) {
    const char *text = *at + strspn(*at, " ");
    size_t bytes = strcspn(text, " ");

    if (bytes == 0)
        return false;
    out->text = text;
    out->bytes = (int32_t)bytes;
    if (!isdigit((unsigned char)text[0]))
        out->field = TMSI_FIELD_WORD;
    else if (text[bytes - 1] == '%')
        out->field = TMSI_FIELD_SHARE;
    else
        out->field = memchr(text, ':', bytes) != NULL ? TMSI_FIELD_NM : TMSI_FIELD_BLOCK;
    *at = text + bytes;
    return true;
}

/* Where reading stands, and what it wanted when it failed. */
typedef struct reader {
    const char *at;
    char expected[64];
} reader;

static bool expect(reader *r, const char *what) {
    snprintf(r->expected, sizeof r->expected, "%s", what);
    return false;
}

static void skip_spaces(reader *r) {
    r->at += strspn(r->at, " \t");
}

static bool at_word_end(const reader *r) {
    return *r->at == 0 || *r->at == ' ' || *r->at == '\t';
}

static int lower(char c) {
    return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c;
}

static bool read_word(reader *r, const char *word, int32_t bytes) {
    reader start;

    skip_spaces(r);
    start = *r;
    for (int32_t i = 0; i < bytes; i++, r->at++)
        if (lower(*r->at) != word[i])
            goto other;
    if (at_word_end(r))
        return true;
other:
    *r = start;
    snprintf(r->expected, sizeof r->expected, "\"%.*s\"", bytes, word);
    return false;
}

/* A whole number below 10^9, which every field's range lies within. */
static bool read_number(reader *r, int32_t *out) {
    int32_t value = 0, digits = 0;

    for (; *r->at >= '0' && *r->at <= '9'; r->at++, digits++) {
        if (digits == 9)
            return expect(r, "a number of at most 9 digits");
        value = value * 10 + (*r->at - '0');
    }
    if (digits == 0)
        return expect(r, "a whole number");
    *out = value;
    return true;
}

/* "<first><mark><second>" as one word. */
static bool read_pair(reader *r, char mark, int32_t *first, int32_t *second) {
    char what[16];

    skip_spaces(r);
    if (!read_number(r, first))
        return false;
    if (lower(*r->at) != mark) {
        snprintf(what, sizeof what, "'%c'", mark);
        return expect(r, what);
    }
    r->at++;
    return read_number(r, second) && (at_word_end(r) || expect(r, "a space"));
}

/* "80%", "12.5%", "80 %": whole percents and up to seven decimals, as billionths. */
static bool read_share(reader *r, int64_t *out) {
    int32_t whole, decimals = 0;
    int64_t scale = 10000000, ppb;

    skip_spaces(r);
    if (!read_number(r, &whole))
        return false;
    ppb = whole * scale;
    if (*r->at == '.') {
        for (r->at++; *r->at >= '0' && *r->at <= '9'; r->at++, decimals++) {
            if (decimals == 7)
                return expect(r, "'%' after at most seven decimals");
            scale /= 10;
            ppb += (*r->at - '0') * scale;
        }
        if (decimals == 0)
            return expect(r, "a decimal after the point");
    }
    skip_spaces(r);
    if (*r->at != '%')
        return expect(r, "'%'");
    r->at++;
    *out = ppb;
    return at_word_end(r) || expect(r, "a space");
}

static bool read_scope(reader *r, tms_scope *out) {
    skip_spaces(r);
    if (*r->at == 0)
        return true;
    if (!read_word(r, "per", 3))
        return expect(r, "the end, \"per tensor\" or \"per row\"");
    if (read_word(r, "tensor", 6))
        *out = TMS_SCOPE_PER_TENSOR;
    else if (read_word(r, "row", 3))
        *out = TMS_SCOPE_PER_ROW;
    else
        return expect(r, "\"tensor\" or \"row\"");
    skip_spaces(r);
    return *r->at == 0 || expect(r, "the end");
}

static bool read_kind(reader *r, tms_pattern_kind kind, tms_pattern *out) {
    const char *example = examples[kind];
    tmsi_example_word word;

    memset(out, 0, sizeof *out);
    out->kind = kind;
    while (tmsi_example_next(&example, &word)) {
        bool good = false;
        switch (word.field) {
        case TMSI_FIELD_WORD:
            good = read_word(r, word.text, word.bytes);
            break;
        case TMSI_FIELD_NM:
            good = read_pair(r, ':', &out->keep, &out->group);
            break;
        case TMSI_FIELD_BLOCK:
            good = read_pair(r, 'x', &out->block_rows, &out->block_columns);
            break;
        case TMSI_FIELD_SHARE:
            good = read_share(r, &out->share_ppb);
            break;
        }
        if (!good)
            return false;
    }
    return read_scope(r, &out->scope);
}

/* Said apart, since other tools have it and a user may look for it. */
static bool ends_in_global(const char *text) {
    reader r = {text, ""};

    while (*r.at != 0) {
        if (read_word(&r, "global", 6))
            return true;
        r.at += strcspn(r.at, " \t");
        skip_spaces(&r);
    }
    return false;
}

static tms_status fail_unknown(const char *text) {
    char list[256] = "";
    size_t used = 0;

    for (int kind = 0; kind < TMS_PATTERN_KIND_COUNT && used < sizeof list; kind++)
        used += (size_t)snprintf(list + used, sizeof list - used, "%s\"%s\"", kind > 0 ? ", " : "",
                                 examples[kind]);
    return tmsi_fail(TMS_ERR_INVALID, "\"%.60s\" begins like no pattern; patterns look like %s",
                     text, list);
}

tms_status tmsi_pattern_parse(const char *text, tms_pattern *out) {
    const char *start = text + strspn(text, " \t");
    reader best = {start, ""};
    tms_pattern_kind best_kind = TMS_PATTERN_NONE;

    for (int kind = 0; kind < TMS_PATTERN_KIND_COUNT; kind++) {
        reader r = {text, ""};
        tms_pattern pattern;
        if (read_kind(&r, (tms_pattern_kind)kind, &pattern)) {
            tms_status status = tmsi_pattern_valid(&pattern);
            if (status == TMS_OK)
                *out = pattern;
            return status;
        }
        if (r.at > best.at) {
            best = r;
            best_kind = (tms_pattern_kind)kind;
        }
    }
    if (ends_in_global(text))
        return tmsi_fail(TMS_ERR_INVALID,
                         "\"%.60s\": scope 'global' is not offered; scopes are 'per tensor' and "
                         "'per row'",
                         text);
    if (best.at == start)
        return fail_unknown(text);
    return tmsi_fail(TMS_ERR_INVALID, "\"%.60s\": expected %s at byte %lld, as in \"%s\"", text,
                     best.expected, (long long)(best.at - text), examples[best_kind]);
}

/* Percent as an exact decimal, without closing zeros. */
static void print_share(int64_t ppb, char text[24]) {
    int length = snprintf(text, 24, "%d.%07d", (int)(ppb / 10000000), (int)(ppb % 10000000));

    while (text[length - 1] == '0')
        length--;
    if (text[length - 1] == '.')
        length--;
    snprintf(text + length, (size_t)(24 - length), "%%");
}

void tmsi_pattern_print(const tms_pattern *pattern, char out[TMS_PATTERN_TEXT_MAX]) {
    static const char *const scopes[TMS_SCOPE_COUNT] = {"", " per tensor", " per row"};
    const char *example = examples[pattern->kind], *space = "";
    tmsi_example_word word;
    char part[40];
    size_t used = 0;

    while (tmsi_example_next(&example, &word)) {
        switch (word.field) {
        case TMSI_FIELD_WORD:
            snprintf(part, sizeof part, "%.*s", word.bytes, word.text);
            break;
        case TMSI_FIELD_NM:
            snprintf(part, sizeof part, "%d:%d", pattern->keep, pattern->group);
            break;
        case TMSI_FIELD_BLOCK:
            snprintf(part, sizeof part, "%dx%d", pattern->block_rows, pattern->block_columns);
            break;
        case TMSI_FIELD_SHARE:
            print_share(pattern->share_ppb, part);
            break;
        }
        used += (size_t)snprintf(out + used, TMS_PATTERN_TEXT_MAX - used, "%s%s", space, part);
        space = " ";
    }
    snprintf(out + used, TMS_PATTERN_TEXT_MAX - used, "%s", scopes[pattern->scope]);
}
