/* The shared epilogue: its activations over all of f32, and how values that do not fit are rounded.
 * Its order of operations is in tests/spmm.c. */
#include <float.h>
#include <math.h>

#include "base/dtype.h"
#include "spmm/epilogue.h"
#include "support/answer.h"
#include "support/matrices.h"

static void activations_err_by_at_most_a_millionth_of_z(void **state) {
    const uint32_t stride = 9973; /* prime: every exponent, many fractions */

    (void)state;
    for (tms_activation a = TMS_ACT_NONE; a < TMS_ACT_COUNT; a = (tms_activation)(a + 1))
        for (uint64_t bits = 0; bits < UINT64_C(1) << 32; bits += stride) {
            float z = tmsi_f32_from_bits((uint32_t)bits), got = tmsi_activate(a, z);
            double right = test_activate(a, (double)z), error = fabs((double)got - right);
            double allowed = fabs((double)z) * 0x1p-20 + 0x1p-149;

            if (!isfinite(z))
                continue;
            if (a == TMS_ACT_RELU2)
                allowed = right * 0x1p-24 + 0x1p-149;
            if (fabs(right) > (double)FLT_MAX ? !isinf(got) : !(error <= allowed))
                fail_msg("activation %d of %a is %a, but should be %a", (int)a, (double)z,
                         (double)got, right);
        }
}

static void activations_keep_nan_and_know_their_limits(void **state) {
    (void)state;
    for (tms_activation a = TMS_ACT_NONE; a < TMS_ACT_COUNT; a = (tms_activation)(a + 1)) {
        assert_true(isnan(tmsi_activate(a, NAN)));
        assert_true(tmsi_activate(a, INFINITY) == INFINITY);
        assert_true(tmsi_activate(a, -INFINITY) == (a == TMS_ACT_NONE ? -INFINITY : 0.0f));
    }
}

/* One sum through the epilogue of a 1 x 1 problem; y of i8. */
static int8_t to_i8(float sum, float scale_y) {
    tms_spmm_problem problem = tms_spmm_problem_default();
    tms_spmm_args args = tms_spmm_args_default();
    tmsi_spmm_run run = {.problem = &problem, .args = &args};
    int8_t y = 99;

    problem.n = problem.k = 1;
    problem.y_type = TMS_I8;
    args.t = args.ldy = 1;
    args.y = &y;
    args.scale_y = scale_y;
    tmsi_epilogue_rows(&run, 0, 0, 1, &sum);
    return y;
}

static void i8_rounds_to_even_and_saturates(void **state) {
    const struct {
        float sum, scale_y;
        int8_t y;
    } cases[] = {
        {0.5f, 1, 0},       {1.5f, 1, 2},       {-0.5f, 1, 0},        {-2.5f, 1, -2},
        {2.51f, 1, 3},      {126.6f, 1, 127},   {127.5f, 1, 127},     {1e30f, 1, 127},
        {-128.4f, 1, -128}, {-129, 1, -128},    {10, 4, 2},           {-14, 4, -4},
        {NAN, 1, 0},        {INFINITY, 1, 127}, {-INFINITY, 1, -128},
    };

    (void)state;
    for (size_t i = 0; i < TEST_COUNT(cases); i++)
        assert_int_equal(to_i8(cases[i].sum, cases[i].scale_y), cases[i].y);
}

static void larger_lets_nan_win(void **state) {
    (void)state;
    assert_true(tmsi_larger(1.0f, 2.0f) == 2.0f && tmsi_larger(2.0f, 1.0f) == 2.0f);
    assert_true(isnan(tmsi_larger(1.0f, NAN)) && isnan(tmsi_larger(NAN, 1.0f)));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(activations_err_by_at_most_a_millionth_of_z),
        cmocka_unit_test(activations_keep_nan_and_know_their_limits),
        cmocka_unit_test(i8_rounds_to_even_and_saturates),
        cmocka_unit_test(larger_lets_nan_win),
    };
    return cmocka_run_group_tests_name("epilogue", tests, NULL, NULL);
}
