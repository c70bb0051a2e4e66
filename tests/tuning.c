/* Tuning tables: which a machine gets, what they must hold, and what scaling does. */
#include <math.h>
#include <string.h>

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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chip_is_found_by_name_and_processors),
        cmocka_unit_test(other_gpus_get_the_first_chips_prices_scaled),
        cmocka_unit_test(every_kernel_has_a_price_on_every_chip),
        cmocka_unit_test(every_price_is_some_kernels),
        cmocka_unit_test(star_stands_for_any_text),
        cmocka_unit_test(kernel_without_a_price_is_never_cheaper),
    };
    return cmocka_run_group_tests_name("tuning", tests, NULL, NULL);
}
