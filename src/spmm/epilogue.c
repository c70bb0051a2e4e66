#include "spmm/epilogue.h"

#include <math.h>

#include "spmm/problem.h"

/* z/2 (1 + erf(z/sqrt 2)); erfc keeps the digits that 1 + erf loses for negative z. */
static float gelu(float z) {
    const float half_root = 0.70710678118654752f; /* sqrt(1/2) */
    return 0.5f * z * erfcf(-z * half_root);
}

/* z/2 (1 + tanh u) = z / (1 + exp(-2u)), u = sqrt(2/pi) (z + 0.044715 z^3): the right form does not
 * cancel for negative z. */
static float gelu_tanh(float z) {
    const float two_root = 1.59576912160573071f; /* 2 sqrt(2/pi) */
    return z / (1.0f + expf(-two_root * (z + 0.044715f * z * z * z)));
}

float tmsi_activate(tms_activation activation, float z) {
    switch (activation) {
    case TMS_ACT_RELU:
        return z < 0.0f ? 0.0f : z;
    case TMS_ACT_RELU2:
        return z < 0.0f ? 0.0f : z * z;
    case TMS_ACT_GELU:
        return z == -INFINITY ? 0.0f : gelu(z);
    case TMS_ACT_GELU_TANH:
        return z == -INFINITY ? 0.0f : gelu_tanh(z);
    case TMS_ACT_SILU:
        return z == -INFINITY ? 0.0f : z / (1.0f + expf(-z));
    default:
        return z;
    }
}

static float scaled_sum(const tms_spmm_args *args, int64_t t, int64_t row, float sum) {
    if (args->scale_n != NULL)
        sum *= args->scale_n[row];
    if (args->scale_t != NULL)
        sum *= args->scale_t[t];
    if (args->bias != NULL)
        sum += args->bias[row];
    return sum;
}

static int8_t round_i8(float value) {
    if (isnan(value))
        return 0;
    return (int8_t)rintf(value < -128.0f ? -128.0f : value > 127.0f ? 127.0f : value);
}

static void store(tms_dtype type, void *y, int64_t at, float scale_y, float value) {
    switch (type) {
    case TMS_F32:
        ((float *)y)[at] = value;
        break;
    case TMS_BF16:
        ((uint16_t *)y)[at] = tmsi_bf16_from_f32(value);
        break;
    case TMS_F16:
        ((uint16_t *)y)[at] = tmsi_f16_from_f32(value);
        break;
    case TMS_I8:
        ((int8_t *)y)[at] = round_i8(value / scale_y);
        break;
    default:
        ((uint8_t *)y)[at] = tmsi_e4m3_from_f32(value / scale_y);
        break;
    }
}

float tmsi_epilogue_rows(const tmsi_spmm_run *run, int64_t t, int64_t row, int64_t count,
                         const float *sums) {
    const tms_spmm_problem *problem = run->problem;
    const tms_spmm_args *args = run->args;
    bool is_transposed = problem->y_order == TMS_ORDER_NT;
    int64_t step = tmsi_spmm_has(problem, TMS_EPILOGUE_GATE) ? 2 : 1;
    float largest = 0.0f;

    for (int64_t i = 0; i < count; i += step) {
        int64_t column = (row + i) / step;
        float value = tmsi_activate(problem->activation, scaled_sum(args, t, row + i, sums[i]));

        if (step == 2)
            value *= scaled_sum(args, t, row + i + 1, sums[i + 1]);
        if (args->residual != NULL)
            value += tmsi_load_f32(args->residual, tmsi_spmm_residual_type(problem->y_type),
                                   is_transposed ? column * args->ldr + t : t * args->ldr + column);
        largest = tmsi_larger(largest, fabsf(value));
        store(problem->y_type, args->y,
              is_transposed ? column * args->ldy + t : t * args->ldy + column, args->scale_y,
              value);
    }
    return largest;
}
