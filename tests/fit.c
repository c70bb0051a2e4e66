/* Prices are found again from times that they made. */
#include <math.h>
#include <string.h>

#include "measure/fit.h"
#include "support/support.h"

enum { SAMPLES = 60 };

static const double truth[TMSI_TERM_COUNT] = {[TMSI_TERM_LAUNCH] = 2.5,
                                              [TMSI_TERM_BLOCK] = 0.8,
                                              [TMSI_TERM_TILE] = 1.9,
                                              [TMSI_TERM_MEMORY] = 0.4,
                                              [TMSI_TERM_PASS] = 0.7};

/* Products where now steps bind, now memory; every third has a second pass. */
static void make_samples(tmsi_sample samples[SAMPLES]) {
    for (int i = 0; i < SAMPLES; i++) {
        double *terms = samples[i].terms;

        memset(&samples[i], 0, sizeof samples[i]);
        terms[TMSI_TERM_LAUNCH] = 1.0 + i % 2;
        terms[TMSI_TERM_BLOCK] = 1.0 + (i * 7) % 50;
        terms[TMSI_TERM_TILE] = 1.0 + (i * 5) % 9;
        terms[TMSI_TERM_MEMORY] = (i * 11) % 100;
        terms[TMSI_TERM_PASS] = i % 3 == 0 ? i : 0.0;
        samples[i].us = tmsi_tuning_time(terms, truth);
    }
}

static void fit_finds_the_prices_that_made_the_times(void **state) {
    const double prior[TMSI_TERM_COUNT] = {1, 1, 1, 1, 1, 0};
    tmsi_sample samples[SAMPLES];
    double price[TMSI_TERM_COUNT];

    (void)state;
    make_samples(samples);
    assert_true(tmsi_fit(samples, SAMPLES, prior, price) < 0.02);
    for (int i = 0; i < TMSI_TERM_COUNT; i++)
        if (!(fabs(price[i] - truth[i]) < 0.05))
            fail_msg("%s is %g, but the times were made by %g", tmsi_term_name((tmsi_term)i),
                     price[i], truth[i]);
}

/* A prior of 0 for memory hides that some products are bound by it. */
static void memory_is_found_though_it_was_free_before(void **state) {
    const double prior[TMSI_TERM_COUNT] = {1, 1, 1, 0, 1, 0};
    tmsi_sample samples[SAMPLES];
    double price[TMSI_TERM_COUNT];

    (void)state;
    make_samples(samples);
    assert_true(tmsi_fit(samples, SAMPLES, prior, price) < 0.02);
    assert_true(fabs(price[TMSI_TERM_MEMORY] - truth[TMSI_TERM_MEMORY]) < 0.05);
}

static void price_that_no_sample_depends_on_stays(void **state) {
    const double prior[TMSI_TERM_COUNT] = {1, 1, 1, 1, 3.25, 0};
    tmsi_sample samples[SAMPLES];
    double price[TMSI_TERM_COUNT];

    (void)state;
    make_samples(samples);
    for (int i = 0; i < SAMPLES; i++) {
        samples[i].terms[TMSI_TERM_PASS] = 0.0;
        samples[i].us = tmsi_tuning_time(samples[i].terms, truth);
    }
    tmsi_fit(samples, SAMPLES, prior, price);
    assert_true(fabs(price[TMSI_TERM_PASS] - 3.25) < 1e-12);
    tmsi_fit(samples, 0, prior, price);
    assert_memory_equal(price, prior, sizeof price);
}

/* Times that a negative price would fit best. */
static void no_price_is_negative(void **state) {
    const double prior[TMSI_TERM_COUNT] = {1, 1, 1, 0, 0, 0};
    tmsi_sample samples[SAMPLES];
    double price[TMSI_TERM_COUNT];

    (void)state;
    make_samples(samples);
    for (int i = 0; i < SAMPLES; i++) {
        samples[i].terms[TMSI_TERM_MEMORY] = samples[i].terms[TMSI_TERM_PASS] = 0.0;
        samples[i].us =
            20.0 + samples[i].terms[TMSI_TERM_BLOCK] - 1.5 * samples[i].terms[TMSI_TERM_TILE];
    }
    tmsi_fit(samples, SAMPLES, prior, price);
    for (int i = 0; i < TMSI_TERM_COUNT; i++)
        assert_true(price[i] >= 0.0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fit_finds_the_prices_that_made_the_times),
        cmocka_unit_test(memory_is_found_though_it_was_free_before),
        cmocka_unit_test(price_that_no_sample_depends_on_stays),
        cmocka_unit_test(no_price_is_negative),
    };
    return cmocka_run_group_tests_name("fit", tests, NULL, NULL);
}
