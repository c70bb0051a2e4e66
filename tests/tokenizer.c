/* The tokenizer against the `tokenizers` package (goldens by scripts/make_golden.py), its edges,
 * and vocabularies that lie. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "model/tokenizer.h"
#include "model/unicode.h"
#include "support/support.h"

static const tmsi_tokenizer_rules uncased = {true, true, true};
enum { MAX_TOKENS = 256 };

static char *read_golden(const char *name, size_t *out_bytes) {
    char path[512], *text;
    FILE *file;
    long bytes;

    snprintf(path, sizeof path, "%s/golden/%s", TESTS_DIR, name);
    file = fopen(path, "rb");
    assert_non_null(file);
    fseek(file, 0, SEEK_END);
    bytes = ftell(file);
    rewind(file);
    text = calloc((size_t)bytes + 1, 1);
    assert_non_null(text);
    assert_int_equal(fread(text, 1, (size_t)bytes, file), bytes);
    fclose(file);
    *out_bytes = (size_t)bytes;
    return text;
}

static tmsi_tokenizer *open_small(tms_context *context, const tmsi_tokenizer_rules *rules) {
    tmsi_tokenizer *tokenizer = NULL;
    size_t bytes;
    char *vocab = read_golden("vocab.txt", &bytes);

    assert_ok(tmsi_tokenizer_create(context, vocab, bytes, rules, &tokenizer));
    free(vocab);
    return tokenizer;
}

static void ids_equal_the_tokenizers_package(void **state) {
    tms_context *context = test_context(1, 0);
    tmsi_tokenizer *tokenizer = open_small(context, &uncased);
    size_t bytes;
    char *text = read_golden("rules.json", &bytes);
    json_t *cases = json_loadb(text, bytes, JSON_ALLOW_NUL, NULL), *row;
    int32_t ids[MAX_TOKENS];
    size_t i, j;
    (void)state;

    assert_true(json_array_size(cases) >= 400);
    json_array_foreach(cases, i, row) {
        const json_t *string = json_object_get(row, "text"),
                     *expected = json_object_get(row, "ids");
        int64_t count = tmsi_tokenizer_encode(tokenizer, json_string_value(string),
                                              json_string_length(string), MAX_TOKENS, ids);
        bool is_equal = count == (int64_t)json_array_size(expected);
        for (j = 0; is_equal && j < (size_t)count; j++)
            is_equal = ids[j] == json_integer_value(json_array_get(expected, j));
        if (!is_equal)
            fail_msg("text %zu \"%s\": %lld ids, first difference near %zu", i,
                     json_string_value(string), (long long)count, j);
    }
    json_decref(cases);
    free(text);
    tmsi_tokenizer_destroy(context, tokenizer);
    tms_context_destroy(context);
}

/* What the rules make of one code point, in the words of tests/golden/unicode.txt. */
static void describe_code(int32_t code, char out[96]) {
    int32_t parts[TMSI_DECOMPOSITION_MAX], count = tmsi_unicode_decompose(code, parts);
    char text[64] = "", plain[4];
    size_t bytes = 0;
    bool is_sign = false;

    if (tmsi_unicode_is_dropped(code)) {
        strcpy(out, "drop");
        return;
    }
    if (tmsi_unicode_is_space(code)) {
        strcpy(out, "space");
        return;
    }
    for (int32_t i = 0; i < count; i++) {
        int32_t lower = tmsi_unicode_lower(parts[i]);
        if (tmsi_unicode_is_mark(parts[i]))
            continue;
        is_sign = is_sign || tmsi_unicode_is_punctuation(parts[i]);
        bytes += tmsi_unicode_encode(lower, text + bytes);
    }
    strcpy(out, is_sign ? "sign" : "text");
    if (is_sign && bytes == tmsi_unicode_encode(code, plain) && memcmp(text, plain, bytes) == 0)
        return;
    strcat(out, " ");
    for (size_t i = 0; i < bytes; i++)
        snprintf(out + strlen(out), 4, "%02x", (unsigned char)text[i]);
}

static void check_code(int32_t code, const char *expected) {
    char found[96], plain[4], unchanged[16] = "text ";
    size_t bytes = tmsi_unicode_encode(code, plain);

    for (size_t i = 0; i < bytes; i++)
        snprintf(unchanged + strlen(unchanged), 4, "%02x", (unsigned char)plain[i]);
    describe_code(code, found);
    if (strcmp(found, expected != NULL ? expected : unchanged) == 0)
        return;
    /* A letter that this machine's utf8proc does not know yet has no small form there. */
    if (expected != NULL && strncmp(expected, "text ", 5) == 0 && strcmp(found, unchanged) == 0 &&
        utf8proc_category(code) == UTF8PROC_CATEGORY_CN)
        return;
    fail_msg("U+%04X: found \"%s\", but the tokenizers package has \"%s\"", (unsigned)code, found,
             expected != NULL ? expected : unchanged);
}

static void every_code_point_is_treated_as_the_tokenizers_package_does(void **state) {
    size_t bytes;
    char *golden = read_golden("unicode.txt", &bytes), *line = golden, what[96] = "";
    unsigned first = 0, last = 0;
    (void)state;

    for (int32_t code = 0; code < 0x110000; code++) {
        if (code >= 0xd800 && code <= 0xdfff) /* surrogates are no characters */
            continue;
        if (code >= 0xac00 && code <= 0xd7a3) /* Hangul: rules.json has some */
            continue;
        while (line != NULL && *line != 0 && (line == golden || (unsigned)code > last)) {
            assert_int_equal(sscanf(line, "%x %x %95[^\n]", &first, &last, what), 3);
            line = strchr(line, '\n') + 1;
        }
        check_code(code, (unsigned)code >= first && (unsigned)code <= last ? what : NULL);
    }
    free(golden);
}

static void long_texts_are_cut_and_keep_sep(void **state) {
    tms_context *context = test_context(1, 0);
    tmsi_tokenizer *tokenizer = open_small(context, &uncased);
    int32_t whole[16], cut[4];
    (void)state;

    assert_int_equal(tmsi_tokenizer_encode(tokenizer, "the a the a", 11, 16, whole), 6);
    assert_int_equal(tmsi_tokenizer_encode(tokenizer, "the a the a", 11, 4, cut), 4);
    assert_memory_equal(cut, whole, 3 * sizeof cut[0]);
    assert_int_equal(cut[3], whole[5]);
    assert_int_equal(tmsi_tokenizer_encode(tokenizer, "the", 3, 2, cut), 2);
    tmsi_tokenizer_destroy(context, tokenizer);
    tms_context_destroy(context);
}

static void bytes_that_are_no_utf8_are_dropped(void **state) {
    static const char *const broken[] = {"th\377e",         "\xc3the",     "the\xe2\x82",
                                         "t\xed\xa0\x80he", "t\xc0\x80he", "\x80t\xf5he"};
    tms_context *context = test_context(1, 0);
    tmsi_tokenizer *tokenizer = open_small(context, &uncased);
    int32_t expected[8], ids[8];
    int64_t count = tmsi_tokenizer_encode(tokenizer, "the", 3, 8, expected);
    (void)state;

    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        assert_int_equal(tmsi_tokenizer_encode(tokenizer, broken[i], strlen(broken[i]), 8, ids),
                         count);
        assert_memory_equal(ids, expected, (size_t)count * sizeof ids[0]);
    }
    tmsi_tokenizer_destroy(context, tokenizer);
    tms_context_destroy(context);
}

static void cased_rules_keep_case_and_accents(void **state) {
    static const char vocab[] =
        "[UNK]\n[CLS]\n[SEP]\nCaf\xc3\xa9\ncafe\n\xe6\x9d\xb1\xe4\xba\xac\r\n";
    static const tmsi_tokenizer_rules cased = {false, false, false};
    tms_context *context = test_context(1, 0);
    tmsi_tokenizer *tokenizer = NULL;
    int32_t ids[8];
    (void)state;

    assert_ok(tmsi_tokenizer_create(context, vocab, sizeof vocab - 1, &cased, &tokenizer));
    assert_int_equal(tmsi_tokenizer_count(tokenizer), 6);
    assert_int_equal(
        tmsi_tokenizer_encode(tokenizer, "Caf\xc3\xa9 \xe6\x9d\xb1\xe4\xba\xac", 12, 8, ids), 4);
    assert_int_equal(ids[1], 3);
    assert_int_equal(ids[2], 5);
    tmsi_tokenizer_destroy(context, tokenizer);
    tms_context_destroy(context);
}

static void create_refuses_broken_vocabularies(void **state) {
    static const struct {
        const char *vocab, *sentence;
    } cases[] = {
        {"", "the vocabulary (0 tokens) has no line \"[UNK]\""},
        {"[UNK]\n[CLS]\n", "no line \"[SEP]\""},
        {"[UNK]\n[CLS]\n\n[SEP]\n", "line 3 of the vocabulary is empty"},
        {"[UNK]\n[CLS]\n[SEP]\na\nb\na\n",
         "lines 4 and 6 of the vocabulary are the same token \"a\""},
        {"[UNK]\n[CLS]\n[SEP]\nab\xff\n",
         "line 4 of the vocabulary is no UTF-8: its byte 2 is 0xff"},
    };
    tms_context *context = test_context(1, 0);
    tmsi_tokenizer *tokenizer = NULL;
    char longest[2048];
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_fails(tmsi_tokenizer_create(context, cases[i].vocab, strlen(cases[i].vocab),
                                           &uncased, &tokenizer),
                     TMS_ERR_FORMAT, cases[i].sentence);
    memset(longest, 'a', sizeof longest);
    assert_fails(tmsi_tokenizer_create(context, longest, sizeof longest, &uncased, &tokenizer),
                 TMS_ERR_FORMAT, "line 1 of the vocabulary has 2048 bytes");
    assert_null(tokenizer);
    tms_context_destroy(context);
}

static tms_status create_once(tms_context *context, void *user) {
    static const char vocab[] = "[UNK]\n[CLS]\n[SEP]\n";
    tmsi_tokenizer *tokenizer = NULL;
    tms_status status =
        tmsi_tokenizer_create(context, vocab, sizeof vocab - 1, &uncased, &tokenizer);
    (void)user;
    tmsi_tokenizer_destroy(context, tokenizer);
    return status;
}

static void create_survives_running_out_of_memory(void **state) {
    (void)state;
    test_every_allocation_fails_once(create_once, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_equal_the_tokenizers_package),
        cmocka_unit_test(every_code_point_is_treated_as_the_tokenizers_package_does),
        cmocka_unit_test(long_texts_are_cut_and_keep_sep),
        cmocka_unit_test(bytes_that_are_no_utf8_are_dropped),
        cmocka_unit_test(cased_rules_keep_case_and_accents),
        cmocka_unit_test(create_refuses_broken_vocabularies),
        cmocka_unit_test(create_survives_running_out_of_memory),
    };
    return cmocka_run_group_tests_name("tokenizer", tests, NULL, NULL);
}
