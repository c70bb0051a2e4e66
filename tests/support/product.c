#include "support/product.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/dtype.h"
#include "spmm/problem.h"

enum { MARGIN = 64, MARK = 0xa5 };

const char *test_kind_name(test_kind kind) {
    static const char *const names[] = {"integer", "random",    "cancelling",
                                        "huge",    "subnormal", "empty rows"};
    return names[kind];
}

static void *allocate(size_t bytes) {
    void *memory = calloc(1, bytes > 0 ? bytes : 1);
    assert_non_null(memory);
    return memory;
}

/* ---- Numbers --------------------------------------------------------------------------------- */

/* A weight or activation. */
static double draw(test_random *random, test_kind kind, tms_dtype dtype) {
    if (kind == TEST_INTEGER)
        return (double)test_random_int(random, -2, 2);
    return test_round(dtype, test_size_of(kind, dtype) * (4.0 * test_random_unit(random) - 2.0));
}

static float draw_scale(test_random *random, test_kind kind) {
    if (kind == TEST_INTEGER)
        return ldexpf(1.0f, (int)test_random_int(random, -1, 1));
    return (float)(0.5 + 1.5 * test_random_unit(random));
}

/* Scales of x or w; those of i8 bring sums back to where activations are not straight. */
static float *draw_scales(test_random *random, test_kind kind, tms_dtype dtype, int64_t count) {
    const float size = kind != TEST_INTEGER && dtype == TMS_I8 ? 0x1p-7f : 1.0f;
    float *scales = allocate((size_t)count * sizeof *scales);

    for (int64_t i = 0; i < count; i++)
        scales[i] = size * draw_scale(random, kind);
    return scales;
}

/* Such that most of y is in the type's range, and some of it saturates. */
static float draw_scale_y(const test_product *product, test_random *random) {
    double largest = 0x1p-60;

    for (int64_t i = 0; i < product->t * product->columns; i++)
        largest = fmax(largest, fabs(product->value[i]));
    return ldexpf(draw_scale(random, product->kind),
                  ilogb(fmin(largest, 0x1p60)) - ilogb(test_largest(product->problem.y_type)));
}

static bool row_is_empty(const test_product *product, int64_t n) {
    return product->kind == TEST_EMPTY_ROWS && n % 3 == 0;
}

/* Zeroes what the problem's format does not keep. A group of n:m may keep fewer, even none. */
static void apply_pattern(test_product *product, test_random *random) {
    const tms_spmm_problem *p = &product->problem;
    int64_t block_columns =
        p->block_columns > 0 ? (p->k + p->block_columns - 1) / p->block_columns : 0;
    uint8_t *kept_blocks = allocate((size_t)block_columns);

    for (int64_t n = 0; n < p->n; n++) {
        double *row = product->w + n * p->k;

        if (p->format == TMS_FORMAT_BSR && n % p->block_rows == 0)
            for (int64_t b = 0; b < block_columns; b++)
                kept_blocks[b] = test_random_unit(random) < 0.4;
        for (int64_t k = 0; k < p->k; k++) {
            bool keep = !row_is_empty(product, n);
            if (p->format == TMS_FORMAT_CSR)
                keep = keep && test_random_unit(random) < 0.3;
            else if (p->format == TMS_FORMAT_BSR)
                keep = keep && kept_blocks[k / p->block_columns];
            else if (p->format == TMS_FORMAT_NM && k % p->group == 0)
                for (int64_t drop = p->group - test_random_int(random, 3 * p->keep / 4, p->keep);
                     drop > 0;) {
                    int64_t at = k + test_random_int(random, 0, p->group - 1);
                    drop -= !isnan(row[at]);
                    row[at] = NAN; /* dropped; becomes 0 when the walk gets there */
                }
            if (!keep || isnan(row[k]))
                row[k] = 0.0;
        }
    }
    free(kept_blocks);
}

static void draw_weight(test_product *product, test_random *random) {
    const tms_spmm_problem *p = &product->problem;

    product->w = allocate((size_t)(p->n * p->k) * sizeof(double));
    for (int64_t i = 0; i < p->n * p->k; i++)
        product->w[i] = product->kind == TEST_CANCELLING && i % p->k % 2 == 1
                            ? product->w[i - 1]
                            : draw(random, product->kind, p->w_type);
    apply_pattern(product, random);
}

static void draw_x(test_product *product, test_random *random) {
    const tms_spmm_problem *p = &product->problem;
    int64_t k_count = p->k, elements;

    product->ldx = k_count + test_random_int(random, 0, 3);
    elements = product->t > 0 ? (product->t - 1) * product->ldx + k_count : 0;
    product->x = allocate((size_t)elements * tmsi_dtype_bytes(p->x_type));
    product->x_values = allocate((size_t)(product->t * k_count) * sizeof(double));
    for (int64_t i = 0; i < elements; i++)
        test_write(product->x, p->x_type, i, NAN);
    for (int64_t i = 0; i < product->t * k_count; i++) {
        double value = draw(random, product->kind, p->x_type);
        if (product->kind == TEST_CANCELLING && i % k_count % 2 == 1)
            value = test_round(p->x_type, -product->x_values[i - 1] *
                                              (1.0 + 0x1p-12 * test_random_unit(random)));
        product->x_values[i] = value;
        test_write(product->x, p->x_type, i / k_count * product->ldx + i % k_count, value);
    }
}

/* Index of y[t, column] in an array whose rows are ld apart. */
static int64_t element_at(const test_product *product, int64_t ld, int64_t t, int64_t column) {
    return product->problem.y_order == TMS_ORDER_NT ? column * ld + t : t * ld + column;
}

static int64_t row_elements(const test_product *product) {
    return product->problem.y_order == TMS_ORDER_NT ? product->t : product->columns;
}

static int64_t row_count(const test_product *product) {
    return product->problem.y_order == TMS_ORDER_NT ? product->columns : product->t;
}

static void draw_residual(test_product *product, test_random *random) {
    tms_dtype dtype = tmsi_spmm_residual_type(product->problem.y_type);

    product->ldr = row_elements(product) + test_random_int(random, 0, 3);
    product->residual =
        allocate((size_t)(row_count(product) * product->ldr) * tmsi_dtype_bytes(dtype));
    product->residual_values = allocate((size_t)(product->t * product->columns) * sizeof(double));
    for (int64_t i = 0; i < product->t * product->columns; i++) {
        double value = draw(random, product->kind, dtype);
        product->residual_values[i] = value;
        test_write(product->residual, dtype,
                   element_at(product, product->ldr, i / product->columns, i % product->columns),
                   value);
    }
}

/* ---- The answer ------------------------------------------------------------------------------ */

static test_sum sum_of(const test_product *product, int64_t t, int64_t n) {
    int64_t k_count = product->problem.k;
    const double *w = product->w + n * k_count, *x = product->x_values + t * k_count;
    test_sum row = {0.0, 0.0, 0.0, 1.0, 0.0};

    for (int64_t k = 0; k < k_count; k++) {
        row.sum += w[k] * x[k];
        row.magnitude += fabs(w[k] * x[k]);
        row.nnz += w[k] != 0.0;
    }
    if (product->scale_n != NULL)
        row.scale *= (double)product->scale_n[n];
    if (product->scale_t != NULL)
        row.scale *= (double)product->scale_t[t];
    if (product->bias != NULL)
        row.bias = (double)product->bias[n];
    return row;
}

static void answer(test_product *product, int64_t t, int64_t column) {
    const tms_spmm_problem *p = &product->problem;
    const test_rule rule = {test_accumulator_unit(p->device, p->x_type), p->activation, p->y_type};
    bool is_gated = tmsi_spmm_has(p, TMS_EPILOGUE_GATE);
    int64_t i = t * product->columns + column;
    const double *residual = product->residual != NULL ? &product->residual_values[i] : NULL;
    test_sum row = sum_of(product, t, is_gated ? 2 * column : column), up = {0};
    test_value right;

    if (is_gated)
        up = sum_of(product, t, 2 * column + 1);
    right = test_finish(&rule, row, is_gated ? &up : NULL, residual);
    product->value[i] = right.value;
    product->bound[i] = right.bound;
    /* The exact test needs sums that the kernel's accumulators hold exactly. */
    if (product->kind == TEST_INTEGER) {
        assert_true(fabs(right.value) + (residual != NULL ? fabs(*residual) : 0.0) < 0x1p23);
        assert_true(row.magnitude < (p->x_type == TMS_E4M3 ? 0x1p13 : 0x1p24));
    }
}

void test_product_make(test_product *out, tms_context *context, const tms_spmm_problem *problem,
                       int64_t t, test_kind kind, uint64_t seed) {
    test_random random;
    uint32_t epilogue = problem->epilogue;
    int64_t elements;

    memset(out, 0, sizeof *out);
    test_random_seed(&random, seed);
    out->problem = *problem;
    out->problem.density = problem->format == TMS_FORMAT_CSR   ? 0.3
                           : problem->format == TMS_FORMAT_BSR ? 0.4
                                                               : 1.0;
    assert_ok(tmsi_spmm_problem_check(&out->problem));
    out->t = t;
    out->columns = tmsi_spmm_columns(problem);
    out->kind = kind;
    out->seed = seed;
    draw_weight(out, &random);
    out->weight = test_weight_encode(context, problem, out->w);
    draw_x(out, &random);
    if (epilogue & TMS_EPILOGUE_SCALE_N)
        out->scale_n = draw_scales(&random, kind, problem->x_type, problem->n);
    if (epilogue & TMS_EPILOGUE_SCALE_T)
        out->scale_t = draw_scales(&random, kind, problem->x_type, t);
    if (epilogue & TMS_EPILOGUE_BIAS) {
        out->bias = allocate((size_t)problem->n * sizeof *out->bias);
        for (int64_t n = 0; n < problem->n; n++)
            out->bias[n] = (float)draw(&random, kind, TMS_F32);
    }
    if (epilogue & TMS_EPILOGUE_RESIDUAL)
        draw_residual(out, &random);
    elements = t * out->columns;
    out->value = allocate((size_t)elements * sizeof(double));
    out->bound = allocate((size_t)elements * sizeof(double));
    for (int64_t i = 0; i < elements; i++)
        answer(out, i / out->columns, i % out->columns);
    out->scale_y = tmsi_spmm_is_scaled(problem->y_type) ? draw_scale_y(out, &random) : 1.0f;
}

void test_product_free(test_product *product) {
    test_weight_free(&product->weight);
    free(product->w);
    free(product->x);
    free(product->x_values);
    free(product->scale_n);
    free(product->scale_t);
    free(product->bias);
    free(product->residual);
    free(product->residual_values);
    free(product->value);
    free(product->bound);
}

tms_matrix test_weight_encode(tms_context *context, const tms_spmm_problem *problem,
                              const double *w) {
    tms_format_desc desc = tms_format_desc_default(problem->format);
    int64_t elements = problem->n * problem->k;
    void *values = allocate((size_t)elements * tmsi_dtype_bytes(problem->w_type));
    tms_matrix dense = tms_matrix_dense(problem->w_type, problem->n, problem->k, values);
    tms_matrix matrix;

    for (int64_t i = 0; i < elements; i++)
        test_write(values, problem->w_type, i, w[i]);
    if (problem->format == TMS_FORMAT_DENSE)
        return dense;
    desc.keep = problem->keep;
    desc.group = problem->group;
    desc.block_rows = problem->block_rows;
    desc.block_columns = problem->block_columns;
    assert_ok(tms_matrix_size(context, &dense, &desc, &matrix));
    for (int32_t i = 0; i < matrix.component_count; i++)
        matrix.components[i].data = allocate(matrix.components[i].bytes);
    assert_ok(tms_matrix_encode(context, &dense, &matrix, NULL));
    free(values);
    return matrix;
}

void test_weight_free(tms_matrix *matrix) {
    for (int32_t i = 0; i < matrix->component_count; i++)
        free(matrix->components[i].data);
}

/* ---- y and its comparison -------------------------------------------------------------------- */

void test_output_make(test_output *out, const test_product *product, bool residual_is_y) {
    size_t element = tmsi_dtype_bytes(product->problem.y_type);

    memset(out, 0, sizeof *out);
    out->ldy = row_elements(product) + (int64_t)(product->seed % 4);
    out->memory_bytes = 2 * MARGIN + (size_t)(row_count(product) * out->ldy) * element;
    out->memory = allocate(out->memory_bytes);
    memset(out->memory, MARK, out->memory_bytes);
    out->y = out->memory + MARGIN;
    if (product->problem.epilogue & TMS_EPILOGUE_ABSMAX_T) {
        out->absmax_t = allocate((size_t)product->t * sizeof(float));
        memset(out->absmax_t, MARK, (size_t)product->t * sizeof(float));
    }
    for (int64_t i = 0; residual_is_y && i < product->t * product->columns; i++)
        test_write(out->y, product->problem.y_type,
                   element_at(product, out->ldy, i / product->columns, i % product->columns),
                   product->residual_values[i]);
}

void test_output_free(test_output *output) {
    free(output->memory);
    free(output->absmax_t);
}

tms_spmm_args test_product_args(const test_product *product, const test_output *output,
                                bool residual_is_y) {
    tms_spmm_args args = tms_spmm_args_default();

    args.t = product->t;
    args.x = product->x;
    args.ldx = product->ldx;
    args.y = output->y;
    args.ldy = output->ldy;
    args.scale_n = product->scale_n;
    args.scale_t = product->scale_t;
    args.bias = product->bias;
    args.residual = residual_is_y ? output->y : product->residual;
    args.ldr = residual_is_y ? output->ldy : product->ldr;
    args.scale_y = product->scale_y;
    args.absmax_t = output->absmax_t;
    return args;
}

static bool is_right(const test_product *product, double value, double bound, tms_dtype dtype,
                     double got) {
    const test_value right = {value, bound};

    return test_is_right(product->kind == TEST_INTEGER, right, dtype, got);
}

static bool marks_are_whole(const test_product *product, const test_output *output) {
    size_t element = tmsi_dtype_bytes(product->problem.y_type);

    for (size_t i = 0; i < output->memory_bytes; i++) {
        int64_t at = i < MARGIN ? -1 : (int64_t)((i - MARGIN) / element);
        bool is_y = at >= 0 && at < row_count(product) * output->ldy &&
                    at % output->ldy < row_elements(product);
        if (!is_y && output->memory[i] != MARK)
            return false;
    }
    return true;
}

/* absmax_t[t] against the largest |value| of its row. */
static bool absmax_is_right(const test_product *product, int64_t t, double got, double *expected,
                            double *bound) {
    *expected = 0.0;
    *bound = 0.0;
    for (int64_t i = t * product->columns; i < (t + 1) * product->columns; i++) {
        *expected = fmax(*expected, fabs(product->value[i]));
        *bound = fmax(*bound, product->bound[i]);
    }
    return is_right(product, *expected, *bound, TMS_F32, got);
}

bool test_output_matches(const test_product *product, const test_output *output,
                         char message[512]) {
    tms_dtype dtype = product->problem.y_type;
    double scale = (double)product->scale_y;
    char name[256];

    test_product_print(product, name);
    for (int64_t i = 0; i < product->t * product->columns; i++) {
        int64_t t = i / product->columns, column = i % product->columns;
        double got = test_read(output->y, dtype, element_at(product, output->ldy, t, column));
        if (!is_right(product, product->value[i] / scale, product->bound[i] / scale, dtype, got)) {
            snprintf(message, 512,
                     "%s: y[%" PRId64 ",%" PRId64 "] is %.9g, but should be %.9g +- %.3g", name, t,
                     column, got, product->value[i] / scale, product->bound[i] / scale);
            return false;
        }
    }
    for (int64_t t = 0; output->absmax_t != NULL && t < product->t; t++) {
        double expected, bound;
        if (!absmax_is_right(product, t, (double)output->absmax_t[t], &expected, &bound)) {
            snprintf(message, 512, "%s: absmax_t[%" PRId64 "] is %.9g, but should be %.9g +- %.3g",
                     name, t, (double)output->absmax_t[t], expected, bound);
            return false;
        }
    }
    if (!marks_are_whole(product, output)) {
        snprintf(message, 512, "%s: bytes outside y were written", name);
        return false;
    }
    return true;
}

void test_product_print(const test_product *product, char text[256]) {
    static const char *const activations[] = {"",      " relu",      " relu2",
                                              " gelu", " gelu-tanh", " silu"};
    const tms_spmm_problem *p = &product->problem;
    char format[48];

    snprintf(format, sizeof format, "%s", tms_format_name(p->format));
    if (p->format == TMS_FORMAT_NM)
        snprintf(format, sizeof format, "%d:%d", p->keep, p->group);
    else if (p->format == TMS_FORMAT_BSR)
        snprintf(format, sizeof format, "block %dx%d", p->block_rows, p->block_columns);
    snprintf(text, 256,
             "n %" PRId64 " k %" PRId64 " t %" PRId64 " %s x %s w %s y %s%s epilogue 0x%x%s, %s, "
             "seed 0x%" PRIx64,
             p->n, p->k, product->t, format, tms_dtype_name(p->x_type), tms_dtype_name(p->w_type),
             tms_dtype_name(p->y_type), p->y_order == TMS_ORDER_NT ? " transposed" : "",
             p->epilogue, activations[p->activation], test_kind_name(product->kind), product->seed);
}
