/* Patterns as text, their ranges, and the shapes they fit. */
#include <string.h>

#include "pattern/pattern.h"
#include "support/support.h"

static tms_pattern parse(const char *text) {
    tms_pattern pattern;
    assert_ok(tms_pattern_parse(text, &pattern));
    return pattern;
}

static void assert_pattern(const tms_pattern *found, const tms_pattern *expected) {
    assert_int_equal(found->kind, expected->kind);
    assert_int_equal(found->scope, expected->scope);
    assert_int_equal(found->keep, expected->keep);
    assert_int_equal(found->group, expected->group);
    assert_int_equal(found->block_rows, expected->block_rows);
    assert_int_equal(found->block_columns, expected->block_columns);
    assert_int_equal(found->share_ppb, expected->share_ppb);
}

static void parse_reads_every_kind_and_scope(void **state) {
    static const struct {
        const char *text;
        tms_pattern pattern;
        const char *printed; /* NULL: text itself */
    } cases[] = {
        {"dense", {.kind = TMS_PATTERN_NONE}, NULL},
        {"unstructured 80%", {.kind = TMS_PATTERN_UNSTRUCTURED, .share_ppb = 800000000}, NULL},
        {"unstructured 50% per row",
         {.kind = TMS_PATTERN_UNSTRUCTURED, .scope = TMS_SCOPE_PER_ROW, .share_ppb = 500000000},
         NULL},
        {"unstructured 0% per tensor",
         {.kind = TMS_PATTERN_UNSTRUCTURED, .scope = TMS_SCOPE_PER_TENSOR},
         NULL},
        {"2:4", {.kind = TMS_PATTERN_NM, .keep = 2, .group = 4}, NULL},
        {"63:64", {.kind = TMS_PATTERN_NM, .keep = 63, .group = 64}, NULL},
        {"block 32x16 90%",
         {.kind = TMS_PATTERN_BLOCK, .block_rows = 32, .block_columns = 16, .share_ppb = 900000000},
         NULL},
        {"block 1x65536 12.5% per row",
         {.kind = TMS_PATTERN_BLOCK,
          .scope = TMS_SCOPE_PER_ROW,
          .block_rows = 1,
          .block_columns = 65536,
          .share_ppb = 125000000},
         NULL},
        {"rows 50%", {.kind = TMS_PATTERN_ROWS, .share_ppb = 500000000}, NULL},
        {"columns 100% per tensor",
         {.kind = TMS_PATTERN_COLUMNS, .scope = TMS_SCOPE_PER_TENSOR, .share_ppb = 1000000000},
         NULL},
        {"2:4 in block 64x64 50%",
         {.kind = TMS_PATTERN_NM_IN_BLOCK,
          .keep = 2,
          .group = 4,
          .block_rows = 64,
          .block_columns = 64,
          .share_ppb = 500000000},
         NULL},
        {"  UnStructured\t 7.0000001 %   PER  Row ",
         {.kind = TMS_PATTERN_UNSTRUCTURED, .scope = TMS_SCOPE_PER_ROW, .share_ppb = 70000001},
         "unstructured 7.0000001% per row"},
        {"block 8X8 012.500%",
         {.kind = TMS_PATTERN_BLOCK, .block_rows = 8, .block_columns = 8, .share_ppb = 125000000},
         "block 8x8 12.5%"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char printed[TMS_PATTERN_TEXT_MAX];
        tms_pattern pattern = parse(cases[i].text);
        assert_pattern(&pattern, &cases[i].pattern);
        assert_ok(tms_pattern_print(&pattern, printed));
        assert_string_equal(printed, cases[i].printed ? cases[i].printed : cases[i].text);
    }
}

static void every_kind_prints_as_its_example(void **state) {
    static const char *const examples[TMS_PATTERN_KIND_COUNT] = {
#define EXAMPLE(id, name, example) example,
        TMS_PATTERN_MAP(EXAMPLE)
#undef EXAMPLE
    };
    (void)state;
    for (int kind = 0; kind < TMS_PATTERN_KIND_COUNT; kind++) {
        char printed[TMS_PATTERN_TEXT_MAX];
        tms_pattern pattern = parse(examples[kind]);
        assert_int_equal(pattern.kind, kind);
        assert_ok(tms_pattern_print(&pattern, printed));
        assert_string_equal(printed, examples[kind]);
    }
}

static void parse_says_what_it_expected_and_where(void **state) {
    static const struct {
        const char *text, *sentence;
    } cases[] = {
        {"", "begins like no pattern; patterns look like \"dense\", \"unstructured 80%\", \"2:4\""},
        {"sparse", "\"sparse\" begins like no pattern"},
        {"unstructured", "expected a whole number at byte 12, as in \"unstructured 80%\""},
        {"unstructured 80", "expected '%' at byte 15"},
        {"unstructured 80.%", "expected a decimal after the point at byte 16"},
        {"unstructured 0.12345678%", "expected '%' after at most seven decimals at byte 22"},
        {"unstructured .5%", "expected a whole number at byte 13"},
        {"unstructured -5%", "expected a whole number at byte 13"},
        {"unstructured 80%x", "expected a space at byte 16"},
        {"unstructured 100.0000001%", "the share of zeros is 100.0000001%, but must be 0% to 100%"},
        {"unstructured 101%", "the share of zeros is 101%, but must be 0% to 100%"},
        {"2:", "expected a whole number at byte 2, as in \"2:4\""},
        {"2-4", "expected ':' at byte 1, as in \"2:4\""},
        {"2:4444444444", "expected a number of at most 9 digits at byte 11"},
        {"4:4", "4:4 keeps 4 of 4, but must keep 1 to 3"},
        {"0:4", "0:4 keeps 0 of 4, but must keep 1 to 3"},
        {"2:65", "the group of 2:65 is 65, but must be 2 to 64"},
        {"block 32 90%", "expected 'x' at byte 8, as in \"block 32x32 90%\""},
        {"block 0x32 90%", "the block is 0x32, but must be 1x1 to 65536x65536"},
        {"block 32x65537 90%", "the block is 32x65537"},
        {"2:4 in blok 64x64 50%", "expected \"block\" at byte 7"},
        {"2:4 in block 64x6 50%", "the block is 64x6, but 2:4 in it needs whole groups: its "
                                  "columns must be a multiple of 4"},
        {"rows 50% per", "expected \"tensor\" or \"row\" at byte 12"},
        {"unstructured 50% per rowing", "expected \"tensor\" or \"row\" at byte 21"},
        {"rows 50% each", "expected the end, \"per tensor\" or \"per row\" at byte 9"},
        {"unstructured 50% per row per row", "expected the end at byte 25"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tms_pattern pattern = {.share_ppb = -7};
        assert_fails(tms_pattern_parse(cases[i].text, &pattern), TMS_ERR_INVALID,
                     cases[i].sentence);
        assert_int_equal(pattern.share_ppb, -7);
    }
}

static void scopes_without_meaning_are_refused(void **state) {
    tms_pattern pattern;
    (void)state;
    assert_fails(tms_pattern_parse("2:4 per row", &pattern), TMS_ERR_INVALID,
                 "'per row' has no meaning for a pattern like \"2:4\": every group keeps its own");
    assert_fails(tms_pattern_parse("2:4 per tensor", &pattern), TMS_ERR_INVALID,
                 "'per tensor' has no meaning");
    assert_fails(tms_pattern_parse("rows 50% per row", &pattern), TMS_ERR_INVALID,
                 "a row stays or goes whole");
    assert_fails(tms_pattern_parse("columns 50% per row", &pattern), TMS_ERR_INVALID,
                 "a column is dropped in every row");
    assert_fails(tms_pattern_parse("dense per row", &pattern), TMS_ERR_INVALID,
                 "nothing is dropped");
}

static void scope_global_is_refused_by_naming_the_two(void **state) {
    tms_pattern pattern;
    (void)state;
    assert_fails(tms_pattern_parse("unstructured 80% global", &pattern), TMS_ERR_INVALID,
                 "scope 'global' is not offered; scopes are 'per tensor' and 'per row'");
    assert_fails(tms_pattern_parse("2:4 Global", &pattern), TMS_ERR_INVALID, "'per row'");
}

static void print_refuses_what_parse_would(void **state) {
    tms_pattern pattern = {.kind = TMS_PATTERN_KIND_COUNT};
    char text[TMS_PATTERN_TEXT_MAX] = "untouched";
    (void)state;
    assert_fails(tms_pattern_print(&pattern, text), TMS_ERR_INVALID,
                 "tms_pattern_print: the pattern's kind is 7");
    pattern.kind = TMS_PATTERN_UNSTRUCTURED;
    pattern.share_ppb = -1;
    assert_fails(tms_pattern_print(&pattern, text), TMS_ERR_INVALID, "must be 0% to 100%");
    pattern.share_ppb = 0;
    pattern.scope = (tms_scope)9;
    assert_fails(tms_pattern_print(&pattern, text), TMS_ERR_INVALID, "scope is 9");
    assert_string_equal(text, "untouched");
}

static void null_arguments_are_named(void **state) {
    tms_pattern pattern = {0};
    char text[TMS_PATTERN_TEXT_MAX];
    (void)state;
    assert_fails(tms_pattern_parse(NULL, &pattern), TMS_ERR_INVALID, "text is NULL");
    assert_fails(tms_pattern_parse("2:4", NULL), TMS_ERR_INVALID, "out_pattern is NULL");
    assert_fails(tms_pattern_print(NULL, text), TMS_ERR_INVALID, "pattern is NULL");
    assert_fails(tms_pattern_print(&pattern, NULL), TMS_ERR_INVALID, "out_text is NULL");
    assert_fails(tms_pattern_fits(NULL, 1, 1), TMS_ERR_INVALID, "pattern is NULL");
    assert_fails(tms_pattern_fits(&pattern, -1, 1), TMS_ERR_INVALID, "n is -1");
    assert_fails(tms_pattern_fits(&pattern, 1, -4), TMS_ERR_INVALID, "k is -4");
}

/* Any valid pattern survives print and parse, whatever its numbers. */
static void print_and_parse_give_the_same_pattern(void **state) {
    test_random random;
    (void)state;
    test_random_seed(&random, test_seed());
    for (int i = 0; i < 20000; i++) {
        tms_pattern pattern = {0};
        tms_pattern again;
        char text[TMS_PATTERN_TEXT_MAX];
        pattern.kind = (tms_pattern_kind)test_random_int(&random, 0, TMS_PATTERN_KIND_COUNT - 1);
        pattern.scope = (tms_scope)test_random_int(&random, 0, TMS_SCOPE_COUNT - 1);
        if (pattern.kind == TMS_PATTERN_NM || pattern.kind == TMS_PATTERN_NM_IN_BLOCK) {
            pattern.group = (int32_t)test_random_int(&random, 2, 64);
            pattern.keep = (int32_t)test_random_int(&random, 1, pattern.group - 1);
        }
        if (pattern.kind == TMS_PATTERN_BLOCK || pattern.kind == TMS_PATTERN_NM_IN_BLOCK) {
            pattern.block_rows = (int32_t)test_random_int(&random, 1, 65536);
            pattern.block_columns = (int32_t)test_random_int(&random, 1, 65536);
            if (pattern.group > 0)
                pattern.block_columns = pattern.group * (1 + pattern.block_columns % 1000);
        }
        if (pattern.kind != TMS_PATTERN_NM && pattern.kind != TMS_PATTERN_NONE)
            pattern.share_ppb = test_random_int(&random, 0, 1000000000);
        if (tmsi_pattern_valid(&pattern) != TMS_OK)
            continue; /* a scope that the kind has not */
        assert_ok(tms_pattern_print(&pattern, text));
        assert_ok(tms_pattern_parse(text, &again));
        assert_pattern(&again, &pattern);
    }
}

static void the_longest_text_fits(void **state) {
    tms_pattern pattern = parse("63:64 in block 65536x65472 99.9999999% per tensor");
    char text[TMS_PATTERN_TEXT_MAX];
    (void)state;
    assert_ok(tms_pattern_print(&pattern, text));
    assert_string_equal(text, "63:64 in block 65536x65472 99.9999999% per tensor");
}

static void nm_fits_only_multiples_of_the_group(void **state) {
    tms_pattern nm = parse("2:4"), in_block = parse("2:4 in block 64x64 50%");
    tms_pattern block = parse("block 32x32 90%");
    (void)state;
    assert_ok(tms_pattern_fits(&nm, 3, 8));
    assert_ok(tms_pattern_fits(&nm, 0, 0));
    assert_fails(tms_pattern_fits(&nm, 3, 10), TMS_ERR_PATTERN,
                 "tms_pattern_fits: the matrix is 3 x 10, but 2:4 keeps 2 of every 4 along k: k "
                 "must be a multiple of 4, and 10 is not");
    assert_ok(tms_pattern_fits(&in_block, 5, 12));
    assert_fails(tms_pattern_fits(&in_block, 5, 13), TMS_ERR_PATTERN, "a multiple of 4");
    assert_ok(tms_pattern_fits(&block, 1, 1));
}

static void drop_counts_are_exact(void **state) {
    static const struct {
        int64_t share_ppb, count, dropped;
    } cases[] = {
        {500000000, 3, 2},                  /* 1.5 + 0.5 */
        {800000000, 147456, 117965},        /* 117964.8 */
        {333333333, 3, 1},                  /* 0.999999999 */
        {499999999, 1, 0},                  /* 0.499999999 */
        {500000000, 1, 1},                  /* the half goes up */
        {1000000000, INT64_MAX, INT64_MAX}, /* no overflow */
        {1, 500000000, 1},                  /* 0.5 */
        {1, 499999999, 0},                  /* 0.499999999 */
        {999999999, 1000000000000, 999999999000},
        {0, INT64_MAX, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tms_pattern pattern = {.kind = TMS_PATTERN_UNSTRUCTURED, .share_ppb = cases[i].share_ppb};
        assert_int_equal(tmsi_pattern_drop_count(&pattern, cases[i].count), cases[i].dropped);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parse_reads_every_kind_and_scope),
        cmocka_unit_test(every_kind_prints_as_its_example),
        cmocka_unit_test(parse_says_what_it_expected_and_where),
        cmocka_unit_test(scopes_without_meaning_are_refused),
        cmocka_unit_test(scope_global_is_refused_by_naming_the_two),
        cmocka_unit_test(print_refuses_what_parse_would),
        cmocka_unit_test(null_arguments_are_named),
        cmocka_unit_test(print_and_parse_give_the_same_pattern),
        cmocka_unit_test(the_longest_text_fits),
        cmocka_unit_test(nm_fits_only_multiples_of_the_group),
        cmocka_unit_test(drop_counts_are_exact),
    };
    return cmocka_run_group_tests_name("pattern", tests, NULL, NULL);
}
