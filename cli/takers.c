/* Values of options: each says in a sentence what it did not understand. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"

/* A taker that has said what is wrong: `return refused(cli_fail(...))`. */
static bool refused(cli_exit code) {
    (void)code;
    return false;
}

/* Room for one more item of `bytes`; the lists of a command line are short. */
static void *grow(void *items, int32_t count, size_t bytes) {
    void *grown = realloc(items, ((size_t)count + 1) * bytes);

    if (grown == NULL)
        cli_fail(CLI_FAILED, "out of memory: %zu bytes were not to be had",
                 ((size_t)count + 1) * bytes);
    return grown;
}

/* A whole number at *text, in [1, limit]; moves *text behind it. */
static bool read_number(const char **text, int64_t limit, int64_t *out) {
    char *end = NULL;
    long long value;

    if (**text < '0' || **text > '9')
        return false;
    errno = 0;
    value = strtoll(*text, &end, 10);
    if (errno != 0 || value < 1 || value > limit)
        return false;
    *text = end;
    *out = value;
    return true;
}

bool cli_take_flag(const char *option, const char *text, void *target) {
    (void)option, (void)text;
    *(int32_t *)target = 1;
    return true;
}

bool cli_take_text(const char *option, const char *text, void *target) {
    const char **out = target;

    if (*out != NULL)
        return refused(
            cli_fail(CLI_MISUSE, "%s is given twice: \"%s\" and \"%s\"", option, *out, text));
    if (*text == '\0')
        return refused(cli_fail(CLI_MISUSE, "%s is empty", option));
    *out = text;
    return true;
}

bool cli_take_texts(const char *option, const char *text, void *target) {
    cli_texts *list = target;
    const char **items = grow(list->items, list->count, sizeof *items);

    (void)option;
    if (items == NULL)
        return false;
    list->items = items;
    list->items[list->count++] = text;
    return true;
}

bool cli_take_count(const char *option, const char *text, void *target) {
    const char *rest = text;
    int64_t value;

    if (!read_number(&rest, 4096, &value) || *rest != '\0')
        return refused(cli_fail(
            CLI_MISUSE, "%s is \"%s\", but must be a whole number from 1 to 4096", option, text));
    *(int32_t *)target = (int32_t)value;
    return true;
}

bool cli_take_isa(const char *option, const char *text, void *target) {
    static const struct {
        const char *name;
        uint32_t bits;
    } sets[] = {
        {"none", TMS_ISA_NONE}, {"avx2", TMS_ISA_AVX2}, {"avx512", TMS_ISA_AVX2 | TMS_ISA_AVX512},
        {"sm80", TMS_ISA_SM80}, {"sm90", TMS_ISA_SM90}, {"cublaslt", TMS_ISA_CUBLASLT}};
    uint32_t mask = 0;

    for (const char *at = text;;) {
        size_t length = strcspn(at, ",");
        uint32_t bits = 0;

        for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++)
            if (strlen(sets[i].name) == length && strncmp(at, sets[i].name, length) == 0)
                bits = sets[i].bits;
        if (bits == 0 || (mask != 0 && (bits | mask) & TMS_ISA_NONE))
            return refused(cli_fail(CLI_MISUSE,
                                    "%s is \"%s\", but must be none, or of avx2, avx512, sm80, "
                                    "sm90 and cublaslt, with commas between",
                                    option, text));
        mask |= bits;
        if (at[length] == '\0')
            break;
        at += length + 1;
    }
    *(uint32_t *)target = mask;
    return true;
}

bool cli_take_pattern(const char *option, const char *text, void *target) {
    tms_status status = tms_pattern_parse(text, target);

    (void)option; /* the sentence quotes the text */
    return status == TMS_OK || refused(cli_fail_status(status));
}

bool cli_take_zeros(const char *option, const char *text, void *target) {
    tms_pattern *out = target;

    if (out->kind != TMS_PATTERN_NONE)
        return refused(
            cli_fail(CLI_MISUSE, "%s is given twice, and \"%s\" is the second", option, text));
    if (!cli_take_pattern(option, text, out))
        return false;
    return out->kind != TMS_PATTERN_NONE ||
           refused(cli_fail(CLI_MISUSE,
                            "%s is \"%s\", but must say which weights are zero: 2:4, for one",
                            option, text));
}

bool cli_take_patterns(const char *option, const char *text, void *target) {
    cli_patterns *list = target;
    tms_pattern pattern, *items;

    if (!cli_take_pattern(option, text, &pattern))
        return false;
    items = grow(list->items, list->count, sizeof *items);
    if (items == NULL)
        return false;
    list->items = items;
    list->items[list->count++] = pattern;
    return true;
}

bool cli_take_format(const char *option, const char *text, void *target) {
    cli_format *out = target;
    tms_status status = tms_format_parse(text, &out->format);

    if (out->is_given)
        return refused(
            cli_fail(CLI_MISUSE, "%s is given twice, and \"%s\" is the second", option, text));
    out->is_given = 1;
    return status == TMS_OK || refused(cli_fail_status(status));
}

bool cli_take_norm(const char *option, const char *text, void *target) {
    tms_norm *out = target;

    if (strcmp(text, "L1") == 0 || strcmp(text, "l1") == 0)
        *out = TMS_NORM_L1;
    else if (strcmp(text, "L2") == 0 || strcmp(text, "l2") == 0)
        *out = TMS_NORM_L2;
    else
        return refused(cli_fail(CLI_MISUSE, "%s is \"%s\", but must be L1 or L2", option, text));
    return true;
}

bool cli_take_shapes(const char *option, const char *text, void *target) {
    cli_shapes *list = target;
    tms_shape shape, *items;
    const char *at = text;

    if (!read_number(&at, 1 << 24, &shape.t) || *at++ != ',' ||
        !read_number(&at, 1 << 24, &shape.k) || *at++ != ',' ||
        !read_number(&at, 1 << 24, &shape.n) || *at != '\0')
        return refused(cli_fail(CLI_MISUSE,
                                "%s is \"%s\", but must be T,K,N: three whole numbers from 1 to "
                                "16777216",
                                option, text));
    items = grow(list->items, list->count, sizeof *items);
    if (items == NULL)
        return false;
    list->items = items;
    list->items[list->count++] = shape;
    return true;
}

/* cpu, cuda or cuda:INDEX; false where it is another word. */
static bool read_device(const char *text, cli_device *out) {
    const char *index = text + 5;
    int64_t value = 0;

    if (strcmp(text, "cpu") == 0)
        return true;
    if (strcmp(text, "cuda") != 0 && strcmp(text, "cuda:0") != 0 &&
        (strncmp(text, "cuda:", 5) != 0 || !read_number(&index, 4096, &value) || *index != '\0'))
        return false;
    out->kind = TMS_DEVICE_CUDA;
    out->index = (int32_t)value;
    return true;
}

static bool take_once(const char *option, const char *text, cli_device *out) {
    if (out->is_given)
        return refused(
            cli_fail(CLI_MISUSE, "%s is given twice, and \"%s\" is the second", option, text));
    out->is_given = 1;
    return true;
}

bool cli_take_device(const char *option, const char *text, void *target) {
    if (!take_once(option, text, target))
        return false;
    return read_device(text, target) ||
           refused(
               cli_fail(CLI_MISUSE,
                        "%s is \"%s\", but must be cpu, cuda, or cuda:INDEX with an index of at "
                        "most 4096",
                        option, text));
}

bool cli_take_machine(const char *option, const char *text, void *target) {
    cli_device *out = target;

    if (!take_once(option, text, out))
        return false;
    if (!read_device(text, out)) {
        out->kind = TMS_DEVICE_CUDA;
        out->machine = text;
    }
    return true;
}

bool cli_take_dtype(const char *option, const char *text, void *target) {
    static const tms_dtype types[] = {TMS_F32, TMS_BF16, TMS_F16, TMS_I8, TMS_E4M3};
    cli_dtype *out = target;

    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (strcmp(text, tms_dtype_name(types[i])) == 0) {
            out->is_given = 1;
            out->dtype = types[i];
            return true;
        }
    return refused(
        cli_fail(CLI_MISUSE, "%s is \"%s\", but must be f32, bf16, f16, i8 or e4m3", option, text));
}

bool cli_take_tokens(const char *option, const char *text, void *target) {
    cli_numbers *list = target;

    for (const char *at = text;; at++) {
        int64_t value, *items;

        if (!read_number(&at, 1 << 24, &value) || (*at != ',' && *at != '\0'))
            return refused(cli_fail(CLI_MISUSE,
                                    "%s is \"%s\", but must be whole numbers from 1 to 16777216 "
                                    "with commas",
                                    option, text));
        items = grow(list->items, list->count, sizeof *items);
        if (items == NULL)
            return false;
        list->items = items;
        list->items[list->count++] = value;
        if (*at == '\0')
            return true;
    }
}
