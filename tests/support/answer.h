/* What y should be, in float64, and how far a kernel may be from it (DESIGN: "Numbers"). One text
 * for the host's tests and, compiled by nvcc, for the GPU's. */
#ifndef TAMIS_TESTS_ANSWER_H
#define TAMIS_TESTS_ANSWER_H

#include "support/number.h"

/* What the numbers are like. */
typedef enum test_kind {
    TEST_INTEGER,    /* small whole numbers, scales powers of two: every bit must be right */
    TEST_RANDOM,     /* uniform in [-2, 2); i8: in all of its range */
    TEST_CANCELLING, /* neighbours along k nearly cancel */
    TEST_HUGE,       /* sums near the largest f32, or the largest of the type */
    TEST_SUBNORMAL,  /* sums near the smallest */
    TEST_EMPTY_ROWS, /* every third row of the weight is zero */
    TEST_KIND_COUNT
} test_kind;

/* What a number in [-2, 2) is multiplied by. Products of huge ones stay below 2^116 (2^28 in f16,
 * 2^16 in e4m3), so that sums of some hundred, four times scaled, are finite in f32; huge i8 are
 * -128 or 127. */
TEST_SHARED double test_size_of(test_kind kind, tms_dtype dtype) {
    if (kind == TEST_HUGE)
        return dtype == TMS_F16 ? 0x1p12 : dtype == TMS_E4M3 ? 0x1p7 : 0x1p56;
    if (kind == TEST_SUBNORMAL)
        return dtype == TMS_F16    ? 0x1p-20
               : dtype == TMS_E4M3 ? 0x1p-8
               : dtype == TMS_I8   ? 1.0
                                   : 0x1p-73;
    return dtype == TMS_I8 ? 64.0 : 1.0;
}

/* One weight row with one token: sum of products, of their magnitudes, and how many there are;
 * then what the epilogue does to it. */
typedef struct test_sum {
    double sum, magnitude, nnz, scale, bias;
} test_sum;

typedef struct test_value {
    double value, bound; /* before rounding to y's type; allowed error */
} test_value;

/* How the sum was taken and what comes behind it. */
typedef struct test_rule {
    double unit; /* relative error of an addition: test_accumulator_unit */
    tms_activation activation;
    tms_dtype y_type;
} test_rule;

/* Whole numbers are added exactly. Tensor cores cut off what they shift out, rather than round;
 * their fast sums of e4m3 keep 13 bits. */
TEST_SHARED double test_accumulator_unit(tms_device device, tms_dtype x_type) {
    if (x_type == TMS_I8)
        return 0.0;
    if (device == TMS_DEVICE_CPU)
        return 0x1p-24;
    return x_type == TMS_E4M3 ? 0x1p-13 : 0x1p-23;
}

TEST_SHARED double test_activate(tms_activation activation, double z) {
    switch (activation) {
    case TMS_ACT_RELU:
        return z > 0.0 ? z : 0.0;
    case TMS_ACT_RELU2:
        return z > 0.0 ? z * z : 0.0;
    case TMS_ACT_GELU:
        return 0.5 * z * erfc(-z * 0.7071067811865475244);
    case TMS_ACT_GELU_TANH:
        return 0.5 * z * (1.0 + tanh(0.7978845608028653559 * (z + 0.044715 * z * z * z)));
    case TMS_ACT_SILU:
        return z / (1.0 + exp(-z));
    default:
        return z;
    }
}

/* Largest slope of an activation around z. */
TEST_SHARED double test_lipschitz(tms_activation activation, double z, double error) {
    switch (activation) {
    case TMS_ACT_RELU2:
        return 2.0 * (fabs(z) + error);
    case TMS_ACT_GELU:
    case TMS_ACT_GELU_TANH:
        return 1.13;
    case TMS_ACT_SILU:
        return 1.1;
    default:
        return 1.0;
    }
}

/* Error that computing act(z) itself may add. Squaring rounds once. */
TEST_SHARED double test_activation_error(const test_rule *rule, double z) {
    if (rule->activation == TMS_ACT_RELU2)
        return 0x1p-24 * z * z;
    if (rule->activation == TMS_ACT_NONE || rule->activation == TMS_ACT_RELU)
        return 0.0;
    return fabs(z) * (rule->y_type == TMS_F32 ? 0x1p-20 : 0x1p-11);
}

/* z and its bound; the residual counts in the bound, as its sum is rounded too. */
TEST_SHARED test_value test_linear(const test_rule *rule, test_sum row, double residual) {
    const double scale = fabs(row.scale);
    test_value z;

    z.value = row.sum * row.scale + row.bias;
    z.bound = row.nnz * rule->unit * scale * row.magnitude +
              8.0 * 0x1p-24 * (scale * row.magnitude + fabs(row.bias) + fabs(residual)) +
              (row.nnz + 8.0) * 0x1p-149 * fmax(1.0, scale);
    return z;
}

/* Without a residual the sign of a zero is kept. up: NULL without gate. */
TEST_SHARED test_value test_finish(const test_rule *rule, test_sum row, const test_sum *up,
                                   const double *residual) {
    const double added = residual != NULL ? *residual : 0.0;
    const test_value z = test_linear(rule, row, added);
    test_value out;

    out.value = test_activate(rule->activation, z.value);
    out.bound = test_lipschitz(rule->activation, z.value, z.bound) * z.bound +
                test_activation_error(rule, z.value);
    if (up != NULL) {
        const test_value factor = test_linear(rule, *up, 0.0);

        out.bound = out.bound * fabs(factor.value) + fabs(out.value) * factor.bound +
                    out.bound * factor.bound + 0x1p-24 * fabs(out.value * factor.value) + 0x1p-149;
        out.value *= factor.value;
    }
    if (residual != NULL)
        out.value += added;
    return out;
}

/* Whether got, read from y, may stand for the right value: equal where sums are exact, else within
 * the bound and half a unit of the type. */
TEST_SHARED bool test_is_right(bool is_exact, test_value right, tms_dtype dtype, double got) {
    const double max = test_largest(dtype);
    double value = right.value, bound = right.bound;

    if (is_exact) {
        const double expected = test_round(dtype, value);
        return got == expected && (dtype == TMS_I8 || signbit(got) == signbit(expected));
    }
    bound += 0.5 * test_unit(dtype, fabs(value) + bound);
    if (dtype == TMS_I8)
        value = fmin(fmax(value, -128.0), 127.0);
    else if (dtype == TMS_E4M3)
        value = fmin(fmax(value, -max), max);
    else if (isinf(got)) /* right where the bound passes the largest number on that side */
        return (got > 0.0 ? value : -value) + bound > max;
    return fabs(got - value) <= bound; /* false for NaN */
}

#endif
