/* Tuning tables: which a machine gets, what they must hold, and what scaling does. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "spmm/choose.h"
#include "support/support.h"

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

static const tmsi_hardware gpus[] = {
    {"NVIDIA H100 80GB HBM3", 0, 0, 0, TMS_ISA_ALL, 0, 50 << 20, 0, 132, 1980, 3352},
    {"NVIDIA H200", 0, 0, 0, TMS_ISA_ALL, 0, 50 << 20, 0, 132, 1980, 4800},
    {"NVIDIA A100-SXM4-80GB", 0, 0, 0, TMS_ISA_ALL, 0, 40 << 20, 0, 108, 1410, 2039},
};

static void chip_is_found_by_name_and_processors(void **state) {
    tmsi_hardware pcie = gpus[0];
    tmsi_tuning tuning;

    (void)state;
    tmsi_tuning_fill(&gpus[0], &tuning);
    assert_string_equal(tuning.source, "H100");
    tmsi_tuning_fill(&gpus[1], &tuning);
    assert_string_equal(tuning.source, "H200");
    pcie.processors = 114;
    pcie.mhz = 1755;
    tmsi_tuning_fill(&pcie, &tuning);
    assert_string_not_equal(tuning.source, "H100");
}

/* Twice the clock halves a multiprocessor's times, half the bandwidth doubles memory's; what a
 * launch takes is the driver's. */
static void other_gpus_get_the_first_chips_prices_scaled(void **state) {
    tmsi_hardware other = {"a chip to come", 0, 0, 0, TMS_ISA_ALL, 0, 0, 0, 200, 3960, 1676};
    const tmsi_spmm_table table = tmsi_spmm_table_of(&other);
    tmsi_tuning first, scaled;

    (void)state;
    tmsi_tuning_fill(&gpus[0], &first);
    tmsi_tuning_fill(&other, &scaled);
    for (int32_t i = 0; i < table.count; i++) {
        const double *a = first.price[i], *b = scaled.price[i];

        assert_true(fabs(b[TMSI_TERM_LAUNCH] - a[TMSI_TERM_LAUNCH]) < 1e-12);
        assert_true(fabs(b[TMSI_TERM_BLOCK] - a[TMSI_TERM_BLOCK] / 2.0) < 1e-12);
        assert_true(fabs(b[TMSI_TERM_TILE] - a[TMSI_TERM_TILE] / 2.0) < 1e-12);
        assert_true(fabs(b[TMSI_TERM_MEMORY] - a[TMSI_TERM_MEMORY] * 2.0) < 1e-12);
        assert_true(fabs(b[TMSI_TERM_PASS] - a[TMSI_TERM_PASS] * 2.0) < 1e-12);
    }
    other.mhz = other.gb_per_s = 0.0; /* not known */
    tmsi_tuning_fill(&other, &scaled);
    for (int32_t i = 0; i < table.count; i++)
        assert_memory_equal(first.price[i], scaled.price[i], sizeof first.price[i]);
}

/* A row that a table forgets would never be chosen. */
static void every_kernel_has_a_price_on_every_chip(void **state) {
    (void)state;
    for (size_t g = 0; g < COUNT_OF(gpus); g++) {
        const tmsi_spmm_table table = tmsi_spmm_table_of(&gpus[g]);
        tmsi_tuning tuning;

        tmsi_tuning_fill(&gpus[g], &tuning);
        for (int32_t i = 0; i < table.count; i++) {
            double sum = 0.0;

            for (int term = 0; term < TMSI_TERM_COUNT; term++) {
                assert_true(tuning.price[i][term] >= 0.0);
                sum += tuning.price[i][term];
            }
            if (!(sum > 0.0))
                fail_msg("%s has no price on %s", table.kernels[i].name, gpus[g].name);
        }
    }
}

/* Nor may a price be for a kernel that is gone. */
static void every_price_is_some_kernels(void **state) {
    const tmsi_spmm_table table = tmsi_spmm_table_of(&gpus[0]);

    (void)state;
    for (int32_t c = 0; table.count > 0 && c < tmsi_chip_count; c++)
        for (int32_t p = 0; p < tmsi_chips[c].price_count; p++) {
            const char *name = tmsi_chips[c].prices[p].kernel;
            int matches = 0;

            for (int32_t i = 0; i < table.count; i++)
                matches += tmsi_tuning_matches(name, table.kernels[i].name);
            if (matches == 0)
                fail_msg("%s has a price for %s, which no kernel is", tmsi_chips[c].name, name);
        }
}

static void star_stands_for_any_text(void **state) {
    (void)state;
    assert_true(tmsi_tuning_matches("spmm_nm24_*_sm90", "spmm_nm24_bf16_64x64_sm90"));
    assert_true(tmsi_tuning_matches("spmm_*", "spmm_"));
    assert_true(tmsi_tuning_matches("a*a", "aa"));
    assert_false(tmsi_tuning_matches("a*a", "a"));
    assert_false(tmsi_tuning_matches("spmm_nm24_*16_sm90", "spmm_nm24_i8_sm90"));
    assert_false(tmsi_tuning_matches("spmm", "spmm_"));
}

/* A kernel without a price is dearer than any other, and no kernel is free. */
static void kernel_without_a_price_is_never_cheaper(void **state) {
    const tmsi_spmm_table table = tmsi_spmm_table_of(&gpus[0]);
    tms_spmm_problem problem = tms_spmm_problem_default();
    tmsi_tuning tuning;

    (void)state;
    problem.n = problem.k = 64;
    tmsi_tuning_fill(&gpus[0], &tuning);
    for (int32_t i = 0; i < table.count; i++) {
        assert_true(tmsi_spmm_cost(i, &problem, 64, &gpus[0], &tuning) > 0.0);
        memset(tuning.price[i], 0, sizeof tuning.price[i]);
        assert_true(isinf(tmsi_spmm_cost(i, &problem, 64, &gpus[0], &tuning)));
    }
}

/* ---- Text ------------------------------------------------------------------------------------ */

#define HEAD "tamis-tuning 1\ndevice NVIDIA H200\nprocessors 132\n"

static tmsi_tuning *read_text(tms_context *context, const tmsi_hardware *hardware,
                              const char *text) {
    tmsi_tuning *tuning = NULL;

    assert_ok(tmsi_tuning_create(context, hardware, text, strlen(text), &tuning));
    return tuning;
}

static int32_t find_kernel(const tmsi_spmm_table *table, const char *name) {
    for (int32_t i = 0; i < table->count; i++)
        if (strcmp(table->kernels[i].name, name) == 0)
            return i;
    return -1;
}

static void text_replaces_prices_of_its_own_machine_alone(void **state) {
    static const char text[] = "tamis-tuning 1\n# comment\n\ndevice Zen\nprocessors 0\n"
                               "price spmm_nm_any_1x1_ref scale 2.5\n"
                               "device Zen\nprocessors 12\nprice spmm_nm_any_1x1_ref scale 9\n"
                               "device Other CPU\nprocessors 0\nprice * scale 7\n";
    tmsi_hardware zen = {0};
    tms_context *context = test_context(1, 0);
    tmsi_tuning *tuning;
    tmsi_spmm_table table;

    (void)state;
    strcpy(zen.name, "Zen");
    tuning = read_text(context, &zen, text);
    table = tmsi_spmm_table_of(&zen);
    for (int32_t i = 0; i < table.count; i++) {
        const double expected = strcmp(table.kernels[i].name, "spmm_nm_any_1x1_ref") ? 1.0 : 2.5;

        assert_true(fabs(tuning->price[i][TMSI_TERM_MODEL] - expected) < 1e-12);
    }
    tmsi_free(context, tuning);
    tms_context_destroy(context);
}

/* A measured time is the cost of its product, pulls its neighbours within a factor of 2 along, and
 * leaves other weights alone. */
static void measured_time_replaces_the_modelled_one(void **state) {
    static const char text[] = "tamis-tuning 1\ndevice Zen\nprocessors 0\n"
                               "time spmm_nm_any_1x1_ref t 64 k 128 n 256 us 123.5\n";
    tmsi_hardware zen = {0};
    tms_context *context = test_context(1, 0);
    tms_spmm_problem problem = tms_spmm_problem_default();
    tmsi_tuning *tuning, plain;
    int32_t kernel;
    tmsi_spmm_table table;

    (void)state;
    strcpy(zen.name, "Zen");
    table = tmsi_spmm_table_of(&zen);
    kernel = find_kernel(&table, "spmm_nm_any_1x1_ref");
    tuning = read_text(context, &zen, text);
    tmsi_tuning_fill(&zen, &plain);
    problem.n = 256;
    problem.k = 128;
    problem.format = TMS_FORMAT_NM;
    problem.density = 0.5;
    assert_int_equal(tuning->point_count, 1);
#define COST(t, table) tmsi_spmm_cost(kernel, &problem, t, &zen, table)
    assert_true(fabs(COST(64, tuning) - 123.5) < 1e-9);
    assert_true(fabs(COST(96, tuning) / COST(96, &plain) - 123.5 / COST(64, &plain)) < 1e-9);
    assert_true(fabs(COST(128, tuning) - COST(128, &plain)) < 1e-9);
    assert_true(fabs(COST(32, tuning) - COST(32, &plain)) < 1e-9);
    problem.n = 257;
    assert_true(fabs(COST(64, tuning) - COST(64, &plain)) < 1e-9);
#undef COST
    tmsi_free(context, tuning);
    tms_context_destroy(context);
}

static void ranges_end_where_a_time_was_measured(void **state) {
    static const char text[] = "tamis-tuning 1\ndevice Zen\nprocessors 0\n"
                               "time spmm_nm24_f32_1x64_avx2 t 70 k 384 n 1152 us 1\n";
    tms_context *context = test_context(1, 0);
    tms_spmm_problem problem = tms_spmm_problem_default();
    tmsi_hardware zen = {0};
    tmsi_spmm_range ranges[TMSI_SPMM_RANGE_MAX];
    tmsi_machine machine = {&zen, NULL};
    tms_layout layout;
    int32_t count = 0;
    tmsi_tuning *tuning;

    (void)state;
    strcpy(zen.name, "Zen");
    zen.isa = TMS_ISA_AVX2;
    tuning = read_text(context, &zen, text);
    machine.tuning = tuning;
    problem.n = 1152;
    problem.k = 384;
    problem.t_max = 256;
    problem.format = TMS_FORMAT_NM;
    problem.keep = 2;
    problem.group = 4;
    problem.density = 0.5;
    assert_ok(tmsi_spmm_layout_choose(&problem, &machine, 1, 256, false, &layout));
    assert_ok(tmsi_spmm_ranges(&problem, &machine, &layout, ranges, &count));
    assert_int_equal(ranges[count - 1].last, 256);
    assert_string_equal(tmsi_spmm_choose(&problem, 70, &machine, &layout).kernel->name,
                        "spmm_nm24_f32_1x64_avx2");
    assert_true(fabs(tmsi_spmm_choose(&problem, 70, &machine, &layout).cost_us - 1.0) < 1e-9);
    tmsi_free(context, tuning);
    tms_context_destroy(context);
}

static void malformed_text_is_refused_with_its_line(void **state) {
    static const struct {
        const char *text, *sentence;
    } cases[] = {
        {"", "tuning table, line 1: it must be \"tamis-tuning 1\""},
        {"tamis-tuning 2\n", "line 1: it must be"},
        {"tamis-tuning 1\nprice a scale 1\n", "line 2: \"price\" stands before any device"},
        {"tamis-tuning 1\ndevice\n", "line 2: a device has no name"},
        {HEAD "processors x\n", "line 4: processors must be one number from 0 (a CPU) to 65536"},
        {HEAD "processors 70000\n", "line 4: processors"},
        {HEAD "prize a scale 1\n", "line 4: \"prize\" is none of device, processors, price and "
                                   "time"},
        {HEAD "price a\n", "line 4: a has no prices"},
        {HEAD "price a weight_us 1\n", "line 4: \"weight_us\" is no price"},
        {HEAD "price a launch_us\n", "line 4: a has no prices"},
        {HEAD "price a launch_us 1 tile_us\n", "\"tile_us\" and its number are missing"},
        {HEAD "price a launch_us -1\n", "launch_us is \"-1\", but must be a number from 0"},
        {HEAD "price a launch_us nan\n", "launch_us is \"nan\""},
        {HEAD "price a launch_us 1e3\n", "launch_us is \"1e3\""},
        {HEAD "price a launch_us .\n", "launch_us is \".\""},
        {HEAD "price a launch_us 2000000000\n", "up to 1000000000"},
        {HEAD "time a t 1 k 1 n 1 us 0\n", "us is 0, but must be above 0"},
        {HEAD "time a t 0 k 1 n 1 us 1\n", "t is \"0\", but must be a whole number from 1"},
        {HEAD "time a t 1.5 k 1 n 1 us 1\n", "t is \"1.5\""},
        {HEAD "time a t 1 k 1 n 1\n", "\"us\" and its number are missing"},
        {HEAD "time a t 1 k 1 n 1 us 1 x\n", "1 words stand behind us"},
        {HEAD "price a\tb scale 1\n", "byte 8 is 0x09, a control character"},
    };
    tms_context *context = test_context(1, 0);

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        tmsi_tuning *tuning = NULL;

        assert_fails(
            tmsi_tuning_create(context, &gpus[1], cases[i].text, strlen(cases[i].text), &tuning),
            TMS_ERR_FORMAT, cases[i].sentence);
        assert_null(tuning);
    }
    tms_context_destroy(context);
}

static void long_lines_and_texts_are_refused(void **state) {
    tms_context *context = test_context(1, 0);
    tmsi_tuning *tuning = NULL;
    char *text = calloc(1, (1 << 20) + 2);

    (void)state;
    assert_non_null(text);
    strcpy(text, HEAD "price ");
    memset(text + strlen(text), 'a', 400);
    assert_fails(tmsi_tuning_create(context, &gpus[1], text, strlen(text), &tuning), TMS_ERR_FORMAT,
                 "line 4: it has 406 bytes, but lines have at most 400");
    strcpy(text, HEAD "price ");
    memset(text + sizeof HEAD "price " - 1, 'a', 64);
    text[sizeof HEAD "price " - 1 + 64] = '\0';
    strcat(text, " scale 1\n");
    assert_fails(tmsi_tuning_create(context, &gpus[1], text, strlen(text), &tuning), TMS_ERR_FORMAT,
                 "the kernel's name has 64 bytes, but must have 1 to 63");
    assert_fails(tmsi_tuning_create(context, &gpus[1], text, (1 << 20) + 1, &tuning),
                 TMS_ERR_FORMAT,
                 "the tuning table has 1048577 bytes, but may have at most 1048576");
    free(text);
    tms_context_destroy(context);
}

/* As a caller gives it. */
static void context_takes_a_table_or_says_what_is_wrong_with_it(void **state) {
    tms_context_desc desc = tms_context_desc_default();
    tms_context *context = NULL;

    (void)state;
    desc.threads = 1;
    desc.tuning = "tamis-tuning 1\nfoo\n";
    assert_fails(tms_context_create(&desc, &context), TMS_ERR_FORMAT,
                 "tms_context_create: tuning table, line 2: \"foo\" stands before any device");
    desc.tuning_bytes = 15;
    assert_ok(tms_context_create(&desc, &context));
    tms_context_destroy(context);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chip_is_found_by_name_and_processors),
        cmocka_unit_test(other_gpus_get_the_first_chips_prices_scaled),
        cmocka_unit_test(every_kernel_has_a_price_on_every_chip),
        cmocka_unit_test(every_price_is_some_kernels),
        cmocka_unit_test(star_stands_for_any_text),
        cmocka_unit_test(kernel_without_a_price_is_never_cheaper),
        cmocka_unit_test(text_replaces_prices_of_its_own_machine_alone),
        cmocka_unit_test(measured_time_replaces_the_modelled_one),
        cmocka_unit_test(ranges_end_where_a_time_was_measured),
        cmocka_unit_test(malformed_text_is_refused_with_its_line),
        cmocka_unit_test(long_lines_and_texts_are_refused),
        cmocka_unit_test(context_takes_a_table_or_says_what_is_wrong_with_it),
    };
    return cmocka_run_group_tests_name("tuning", tests, NULL, NULL);
}
