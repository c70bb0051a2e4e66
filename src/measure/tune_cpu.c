/* Every kernel of the CPU on layers of a small encoder: the factor between its model and the clock.
 * Products are in fp32, with the context's threads. References are left out: they are taken only
 * where nothing else fits. */
#include <string.h>

#include "base/memory.h"
#include "measure/noise.h"
#include "measure/product.h"
#include "measure/timing.h"
#include "measure/tune.h"
#include "measure/weights.h"
#include "pattern/pattern.h"
#include "spmm/problem.h"

static const int64_t weights[][2] = {{384, 384}, {1536, 384}, {384, 1536}};
static const int64_t tokens[] = {1, 3, 8, 32, 64, 256};
/* What each format's weight looks like, by tms_format. */
static const char *const patterns[TMS_FORMAT_COUNT] = {NULL, "2:4", "unstructured 80%",
                                                       "block 32x32 80%"};

#define COUNT_OF(array) ((int64_t)(sizeof(array) / sizeof(array)[0]))

static const double block_us = 1000.0;
enum { ROUNDS = 5 };

/* A weight in one format, and what multiplies it. */
typedef struct cpu_case {
    tms_matrix matrix;
    void *memory; /* of its components */
    float *w, *x, *y;
} cpu_case;

int64_t tmsi_tune_cpu_products(const tmsi_tuner *tuner) {
    return TMS_FORMAT_COUNT *
           (COUNT_OF(weights) * COUNT_OF(tokens) + (int64_t)tuner->desc->shape_count);
}

static void close_case(tms_context *context, cpu_case *self) {
    tmsi_free(context, self->memory);
    tmsi_free(context, self->w);
    tmsi_free(context, self->x);
    tmsi_free(context, self->y);
}

static tms_status open_case(tms_context *context, int format, int64_t n, int64_t k, int64_t t_max,
                            cpu_case *out) {
    tms_pattern pattern;
    tms_status status;

    TMS_TRY(tmsi_alloc(context, (size_t)(n * k), sizeof *out->w, &out->w));
    TMS_TRY(tmsi_alloc(context, (size_t)(t_max * k), sizeof *out->x, &out->x));
    TMS_TRY(tmsi_alloc(context, (size_t)(t_max * n), sizeof *out->y, &out->y));
    tmsi_noise_fill(out->w, n * k, 2);
    tmsi_noise_fill(out->x, t_max * k, 1);
    out->matrix = tms_matrix_dense(TMS_F32, n, k, out->w);
    if (patterns[format] == NULL)
        return TMS_OK;
    TMS_TRY(tmsi_pattern_parse(patterns[format], &pattern));
    TMS_TRY(tmsi_weight_make(context, &pattern, out->w, n, k, &out->matrix, &out->memory));
done:
    return status;
}

static tms_status time_kernel(tmsi_tuner *tuner, const tmsi_spmm_kernel *kernel,
                              const tms_spmm_problem *problem, const cpu_case *given, double *us) {
    const tmsi_timing_settings settings = {ROUNDS, block_us, "products", NULL, NULL, 0, 0};
    tmsi_product product = {0};
    tmsi_candidate candidate = {tmsi_product_run, &product};
    tmsi_timing timing;
    tms_status status;

    TMS_TRY(tmsi_product_force(tuner->context, &given->matrix, problem, kernel, given->x, given->y,
                               &product));
    TMS_TRY(tmsi_time(tuner->context, &candidate, 1, &settings, &timing));
    *us = timing.us;
done:
    tmsi_product_destroy(&product);
    return status;
}

static tms_status measure(tmsi_tuner *tuner, const cpu_case *given, int64_t t, bool is_asked) {
    tms_spmm_problem problem = tmsi_product_problem(&given->matrix);
    tms_status status;

    problem.t_max = t;
    TMS_TRY(tmsi_tune_step(tuner));
    TMS_TRY(tmsi_spmm_problem_check(&problem));
    for (int32_t i = 0; i < tuner->table.count; i++) {
        const tmsi_spmm_kernel *kernel = &tuner->table.kernels[i];
        double us = 0.0;

        if (tmsi_spmm_is_reference(kernel) || kernel->format != problem.format ||
            (kernel->needs & ~tuner->machine.hardware->isa) != 0 || !kernel->fits(&problem))
            continue;
        TMS_TRY(time_kernel(tuner, kernel, &problem, given, &us));
        TMS_TRY(tmsi_tune_keep(tuner, i, &problem, t, us, is_asked));
    }
done:
    return status;
}

static tms_status measure_weight(tmsi_tuner *tuner, int format, int64_t n, int64_t k,
                                 const int64_t *ts, int64_t t_count, bool is_asked) {
    cpu_case given;
    tms_status status;

    memset(&given, 0, sizeof given);
    TMS_TRY(open_case(tuner->context, format, n, k, ts[t_count - 1], &given));
    for (int64_t t = 0; t < t_count; t++)
        TMS_TRY(measure(tuner, &given, ts[t], is_asked));
done:
    close_case(tuner->context, &given);
    return status;
}

tms_status tmsi_tune_cpu(tmsi_tuner *tuner) {
    const tms_tune_desc *desc = tuner->desc;
    tms_status status = TMS_OK;

    for (int format = 0; format < TMS_FORMAT_COUNT; format++) {
        for (int64_t w = 0; w < COUNT_OF(weights); w++)
            TMS_TRY(measure_weight(tuner, format, weights[w][0], weights[w][1], tokens,
                                   COUNT_OF(tokens), false));
        for (int32_t s = 0; s < desc->shape_count; s++)
            TMS_TRY(measure_weight(tuner, format, desc->shapes[s].n, desc->shapes[s].k,
                                   &desc->shapes[s].t, 1, true));
    }
done:
    return status;
}
