/* Every kernel of the GPU over a grid of 2:4 products in each type, and over the shapes asked for.
 */
#include <string.h>

#include "base/memory.h"
#include "measure/gpu_case.h"
#include "measure/tune.h"
#include "spmm/problem.h"

/* n and k: small layers to large ones, square, wide and deep. Tokens, from decoding to training. */
static const int64_t weights[][2] = {{1024, 1024}, {3072, 1024},  {1536, 6144},  {6144, 2048},
                                     {4096, 4096}, {14336, 4096}, {4096, 14336}, {8192, 8192}};
static const int64_t tokens[] = {1, 8, 24, 64, 160, 384, 1024, 3072, 8192};
static const tms_dtype types[] = {TMS_BF16, TMS_E4M3, TMS_I8}; /* f16 runs as bf16 */

#define COUNT_OF(array) ((int64_t)(sizeof(array) / sizeof(array)[0]))

/* Microseconds that are not counted, and that are. */
typedef struct span {
    double warm_us, timed_us;
} span;
static const span brief = {2000.0, 4000.0};
/* Products so long bring the GPU to its power cap, after some 100 ms of them, and there a kernel
 * that moves fewer bytes beats one of fewer cycles: those near the best are measured again, so. */
static const span sustained = {200000.0, 100000.0};
static const double heavy_us = 50.0, near_best = 1.25;
/* A kernel so many times slower than the best is not measured with more tokens. */
static const double hopeless = 8.0;

typedef struct grid {
    tmsi_tuner *tuner;
    tmsi_gpu_clock *clock;
    double *us;      /* of each kernel; 0: not measured */
    double *last_us; /* of each with the tokens before */
    double least_us; /* of them */
} grid;

int64_t tmsi_tune_gpu_products(const tmsi_tuner *tuner) {
    return COUNT_OF(types) *
           (COUNT_OF(weights) * COUNT_OF(tokens) + (int64_t)tuner->desc->shape_count);
}

/* All kernels that still have hope, with t tokens; of those that took above 0, but at most
 * `at_most`, where that is not 0. */
static tms_status time_kernels(grid *self, tmsi_gpu_case *product, int64_t t, const span *each,
                               double at_most, double *us) {
    const tmsi_spmm_table *table = &self->tuner->table;
    tms_status status = TMS_OK;

    for (int32_t i = 0; i < table->count; i++) {
        const tmsi_spmm_kernel *kernel = &table->kernels[i];

        if (at_most > 0.0 ? us[i] == 0.0 || us[i] > at_most
                          : !tmsi_gpu_case_serves(product, kernel) ||
                                self->last_us[i] > hopeless * self->least_us)
            continue;
        TMS_TRY(tmsi_gpu_case_time(product, kernel, t, each->warm_us, each->timed_us, &us[i]));
    }
done:
    return status;
}

static double least_of(const double *us, int32_t count) {
    double least = 0.0;

    for (int32_t i = 0; i < count; i++)
        if (us[i] > 0.0 && (least == 0.0 || us[i] < least))
            least = us[i];
    return least;
}

static tms_status measure_tokens(grid *self, tmsi_gpu_case *product, int64_t t, bool is_asked) {
    tmsi_tuner *tuner = self->tuner;
    const int32_t count = tuner->table.count;
    double *us = self->us;
    tms_status status;

    TMS_TRY(tmsi_tune_step(tuner));
    memset(us, 0, (size_t)count * sizeof *us);
    TMS_TRY(time_kernels(self, product, t, &brief, 0.0, us));
    if (least_of(us, count) > heavy_us)
        TMS_TRY(time_kernels(self, product, t, &sustained, near_best * least_of(us, count), us));
    self->least_us = least_of(us, count);
    for (int32_t i = 0; i < count; i++)
        if (us[i] > 0.0) {
            self->last_us[i] = us[i];
            TMS_TRY(tmsi_tune_keep(tuner, i, &product->problem, t, us[i], is_asked));
        }
done:
    return status;
}

static tms_status measure_weight(grid *self, tms_dtype type, int64_t n, int64_t k,
                                 const int64_t *ts, int64_t t_count, bool is_asked) {
    const tms_spmm_problem problem = tmsi_spmm_problem_24(type, n, k, ts[t_count - 1]);
    tmsi_tuner *tuner = self->tuner;
    tmsi_gpu_case product = {0};
    tms_status status;

    memset(self->last_us, 0, (size_t)tuner->table.count * sizeof *self->last_us);
    self->least_us = 0.0;
    TMS_TRY(tmsi_gpu_case_open(tuner->context, self->clock, &problem, &product));
    for (int64_t t = 0; t < t_count; t++)
        TMS_TRY(measure_tokens(self, &product, ts[t], is_asked));
done:
    tmsi_gpu_case_close(&product);
    return status;
}

tms_status tmsi_tune_gpu(tmsi_tuner *tuner) {
    const tms_tune_desc *desc = tuner->desc;
    grid self = {tuner, NULL, NULL, NULL, 0.0};
    tms_status status;

    TMS_TRY(tmsi_alloc(tuner->context, (size_t)tuner->table.count, sizeof *self.us, &self.us));
    TMS_TRY(tmsi_alloc(tuner->context, (size_t)tuner->table.count, sizeof *self.last_us,
                       &self.last_us));
    TMS_TRY(tmsi_gpu_clock_open(tuner->context, &self.clock));
    for (int64_t d = 0; d < COUNT_OF(types); d++) {
        for (int64_t w = 0; w < COUNT_OF(weights); w++)
            TMS_TRY(measure_weight(&self, types[d], weights[w][0], weights[w][1], tokens,
                                   COUNT_OF(tokens), false));
        for (int32_t s = 0; s < desc->shape_count; s++)
            TMS_TRY(measure_weight(&self, types[d], desc->shapes[s].n, desc->shapes[s].k,
                                   &desc->shapes[s].t, 1, true));
    }
done:
    tmsi_gpu_clock_close(tuner->context, self.clock);
    tmsi_free(tuner->context, self.last_us);
    tmsi_free(tuner->context, self.us);
    return status;
}
