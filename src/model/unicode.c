/* utf8proc knows the Unicode of its release; the `tokenizers` package takes categories and
 * decompositions from tables of Unicode 8.0 and knows no mark, sign or format character that came
 * later. The same ids need the same ignorance: newer_ranges. scripts/make_golden.py writes what the
 * package does with every code point, and a test compares. */
#include "model/unicode.h"

#include <utf8proc.h>

typedef struct code_range {
    int32_t first, last;
} code_range;

/* Ranges in which every nonspacing mark, punctuation sign, format character and decomposition was
 * assigned (or became one) after Unicode 8.0. */
static const code_range newer_ranges[] = {
    {0x061d, 0x061d},   {0x07fd, 0x07fd},   {0x0890, 0x08e2},   {0x09fd, 0x09fe},
    {0x0a76, 0x0a76},   {0x0afa, 0x0aff},   {0x0b55, 0x0b55},   {0x0c04, 0x0c3c},
    {0x0c77, 0x0c77},   {0x0c84, 0x0c84},   {0x0d00, 0x0d00},   {0x0d3b, 0x0d3c},
    {0x0d81, 0x0d81},   {0x0eba, 0x0eba},   {0x0ece, 0x0ece},   {0x180f, 0x1886},
    {0x1abf, 0x1ace},   {0x1b7d, 0x1b7e},   {0x1df6, 0x1dfb},   {0x2e43, 0x2e5d},
    {0xa82c, 0xa82c},   {0xa8c5, 0xa8c5},   {0xa8ff, 0xa8ff},   {0xa9bd, 0xa9bd},
    {0x10d24, 0x10f89}, {0x11070, 0x11074}, {0x110c2, 0x110cd}, {0x111cf, 0x111cf},
    {0x1123e, 0x11241}, {0x1133b, 0x1133b}, {0x11438, 0x1145e}, {0x11660, 0x1166c},
    {0x116b9, 0x116b9}, {0x1182f, 0x11fff}, {0x12ff1, 0x13455}, {0x16e97, 0x16f4f},
    {0x16fe2, 0x16fe4}, {0x1cf00, 0x1cf46}, {0x1e000, 0x1e4ef}, {0x1e944, 0x1e95f},
};

static const code_range ideograph_ranges[] = {
    {0x3400, 0x4dbf},   {0x4e00, 0x9fff},   {0xf900, 0xfaff},   {0x20000, 0x2a6df},
    {0x2a700, 0x2b81f}, {0x2b920, 0x2ceaf}, {0x2f800, 0x2fa1f},
};

enum {
    CODE_REPLACEMENT = 0xfffd,
    /* Three code points whose category changed after Unicode 8.0 the other way round. */
    CODE_CANADIAN_CHI = 0x166d,     /* was punctuation, is a symbol */
    CODE_SHARADA_SANDHI = 0x111c9,  /* was punctuation, is a mark */
    CODE_HANUNOO_PAMUDPOD = 0x1734, /* was a nonspacing mark, is a spacing one */
};

static bool is_in(const code_range *ranges, size_t count, int32_t code) {
    size_t low = 0, high = count;

    while (low < high) {
        size_t middle = (low + high) / 2;
        if (code > ranges[middle].last)
            low = middle + 1;
        else
            high = middle;
    }
    return low < count && code >= ranges[low].first;
}

static bool is_newer(int32_t code) {
    return code >= newer_ranges[0].first &&
           is_in(newer_ranges, sizeof newer_ranges / sizeof newer_ranges[0], code);
}

int32_t tmsi_unicode_next(const char *text, size_t bytes, size_t *out_bytes) {
    utf8proc_int32_t code;
    utf8proc_ssize_t used;

    if ((unsigned char)text[0] < 0x80) {
        *out_bytes = 1;
        return text[0];
    }
    /* A sequence has at most 4 bytes: a smaller length than is true changes nothing. */
    used = utf8proc_iterate((const utf8proc_uint8_t *)text,
                            (utf8proc_ssize_t)(bytes < 4 ? bytes : 4), &code);
    if (used <= 0) {
        *out_bytes = 1;
        return CODE_REPLACEMENT;
    }
    *out_bytes = (size_t)used;
    return code;
}

size_t tmsi_unicode_encode(int32_t code, char out[4]) {
    return (size_t)utf8proc_encode_char(code, (utf8proc_uint8_t *)out);
}

bool tmsi_unicode_is_dropped(int32_t code) {
    if (code < 0x80)
        return (code < 0x20 && code != '\t' && code != '\n' && code != '\r') || code == 0x7f;
    if (code == CODE_REPLACEMENT)
        return true;
    switch (utf8proc_category(code)) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CO:
        return !is_newer(code);
    default:
        return false;
    }
}

bool tmsi_unicode_is_space(int32_t code) {
    if (code < 0x80)
        return code == ' ' || (code >= '\t' && code <= '\r');
    return code == 0x85 || code == 0xa0 || code == 0x1680 || (code >= 0x2000 && code <= 0x200a) ||
           code == 0x2028 || code == 0x2029 || code == 0x202f || code == 0x205f || code == 0x3000;
}

bool tmsi_unicode_is_punctuation(int32_t code) {
    if (code < 0x80)
        return (code >= '!' && code <= '/') || (code >= ':' && code <= '@') ||
               (code >= '[' && code <= '`') || (code >= '{' && code <= '~');
    switch (utf8proc_category(code)) {
    case UTF8PROC_CATEGORY_PC:
    case UTF8PROC_CATEGORY_PD:
    case UTF8PROC_CATEGORY_PS:
    case UTF8PROC_CATEGORY_PE:
    case UTF8PROC_CATEGORY_PI:
    case UTF8PROC_CATEGORY_PF:
    case UTF8PROC_CATEGORY_PO:
        return !is_newer(code);
    default:
        return code == CODE_CANADIAN_CHI || code == CODE_SHARADA_SANDHI;
    }
}

bool tmsi_unicode_is_ideograph(int32_t code) {
    return code >= ideograph_ranges[0].first &&
           is_in(ideograph_ranges, sizeof ideograph_ranges / sizeof ideograph_ranges[0], code);
}

bool tmsi_unicode_is_mark(int32_t code) {
    if (code < 0x300)
        return false;
    if (utf8proc_category(code) != UTF8PROC_CATEGORY_MN)
        return code == CODE_HANUNOO_PAMUDPOD;
    return code != CODE_SHARADA_SANDHI && !is_newer(code);
}

int32_t tmsi_unicode_class(int32_t code) {
    if (code < 0x300 || is_newer(code))
        return 0;
    return utf8proc_get_property(code)->combining_class;
}

int32_t tmsi_unicode_lower(int32_t code) {
    if (code < 0x80)
        return code >= 'A' && code <= 'Z' ? code + ('a' - 'A') : code;
    return utf8proc_tolower(code);
}

int32_t tmsi_unicode_decompose(int32_t code, int32_t out[TMSI_DECOMPOSITION_MAX]) {
    utf8proc_ssize_t count;

    if (code >= 0xc0 && !is_newer(code)) {
        count =
            utf8proc_decompose_char(code, out, TMSI_DECOMPOSITION_MAX, UTF8PROC_DECOMPOSE, NULL);
        if (count > 0 && count <= TMSI_DECOMPOSITION_MAX)
            return (int32_t)count;
    }
    out[0] = code;
    return 1;
}
