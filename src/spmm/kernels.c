#include "spmm/kernel.h"

#include <math.h>
#include <string.h>

#define COLUMNS(fits, part, accepts, work)                                                         \
    bool tmsi_spmm_##fits(const tms_spmm_problem *problem);                                        \
    void tmsi_spmm_##part(const tms_spmm_problem *problem, const tmsi_hardware *hardware,          \
                          tms_part *out);                                                          \
    bool tmsi_spmm_##accepts(const tms_spmm_problem *problem, const tms_part *part_);              \
    size_t tmsi_spmm_##work(const tms_spmm_problem *problem, const tms_part *part_, int64_t t_max, \
                            int32_t threads);
#define TMS_KERNEL(name, needs, layout, format, fits, part, accepts, cost, work)                   \
    void tmsi_##name(const tmsi_spmm_run *run);                                                    \
    double tmsi_spmm_##cost(const tms_spmm_problem *problem, int64_t t,                            \
                            const tmsi_hardware *hardware);                                        \
    COLUMNS(fits, part, accepts, work)
#define TMS_DEVICE_KERNEL(name, needs, layout, format, fits, part, accepts, cost, work)            \
    tms_status tmsi_##name(const tmsi_spmm_run *run);                                              \
    void tmsi_spmm_##cost(const tms_spmm_problem *problem, int64_t t,                              \
                          const tmsi_hardware *hardware, double out[TMSI_TERM_COUNT]);             \
    COLUMNS(fits, part, accepts, work)
#define TMS_PLANNED_KERNEL(name, needs, layout, format, fits, part, accepts, cost, work)           \
    tms_status tmsi_##name##_open(tms_context *context, const tms_spmm_problem *problem,           \
                                  int64_t first, int64_t last, void **out_state,                   \
                                  size_t *work_bytes);                                             \
    void tmsi_##name##_close(tms_context *context, void *state);                                   \
    TMS_DEVICE_KERNEL(name, needs, layout, format, fits, part, accepts, cost, work)
#include "spmm/kernels.def"
#ifdef TAMIS_CUDA
#include "spmm/cuda/kernels.def"
#endif
#undef TMS_KERNEL
#undef TMS_DEVICE_KERNEL
#undef TMS_PLANNED_KERNEL

#define ENTRY(name, needs, layout, format, fits, part, accepts, cost, terms, work, ...)            \
    {name,                                                                                         \
     needs,                                                                                        \
     TMSI_LAYOUT_##layout,                                                                         \
     TMS_FORMAT_##format,                                                                          \
     tmsi_spmm_##fits,                                                                             \
     tmsi_spmm_##part,                                                                             \
     tmsi_spmm_##accepts,                                                                          \
     cost,                                                                                         \
     terms,                                                                                        \
     tmsi_spmm_##work,                                                                             \
     __VA_ARGS__},

const tmsi_spmm_kernel tmsi_spmm_kernels[] = {
#define TMS_KERNEL(name, needs, layout, format, fits, part, accepts, cost, work)                   \
    ENTRY(#name, needs, layout, format, fits, part, accepts, tmsi_spmm_##cost, NULL, work,         \
          tmsi_##name, NULL, NULL, NULL)
#include "spmm/kernels.def"
#undef TMS_KERNEL
};

const int32_t tmsi_spmm_kernel_count =
    (int32_t)(sizeof tmsi_spmm_kernels / sizeof tmsi_spmm_kernels[0]);

_Static_assert(sizeof tmsi_spmm_kernels / sizeof tmsi_spmm_kernels[0] <= TMSI_TUNING_KERNELS_MAX,
               "a tuning table has room for every row");

#ifdef TAMIS_CUDA
static const tmsi_spmm_kernel device_kernels[] = {
#define TMS_DEVICE_KERNEL(name, needs, layout, format, fits, part, accepts, cost, work)            \
    ENTRY(#name, needs, layout, format, fits, part, accepts, NULL, tmsi_spmm_##cost, work, NULL,   \
          tmsi_##name, NULL, NULL)
#define TMS_PLANNED_KERNEL(name, needs, layout, format, fits, part, accepts, cost, work)           \
    ENTRY(#name, needs, layout, format, fits, part, accepts, NULL, tmsi_spmm_##cost, work, NULL,   \
          tmsi_##name, tmsi_##name##_open, tmsi_##name##_close)
#include "spmm/cuda/kernels.def"
#undef TMS_DEVICE_KERNEL
#undef TMS_PLANNED_KERNEL
};
_Static_assert(sizeof device_kernels / sizeof device_kernels[0] <= TMSI_TUNING_KERNELS_MAX,
               "a tuning table has room for every row");
#endif

tmsi_spmm_table tmsi_spmm_table_of(const tmsi_hardware *hardware) {
    tmsi_spmm_table table = {tmsi_spmm_kernels, tmsi_spmm_kernel_count};

    if (hardware->processors > 0) {
#ifdef TAMIS_CUDA
        table.kernels = device_kernels;
        table.count = (int32_t)(sizeof device_kernels / sizeof device_kernels[0]);
#else
        table.count = 0;
#endif
    }
    return table;
}

void tmsi_spmm_terms(const tmsi_spmm_kernel *kernel, const tms_spmm_problem *problem, int64_t t,
                     const tmsi_hardware *hardware, double out[TMSI_TERM_COUNT]) {
    memset(out, 0, TMSI_TERM_COUNT * sizeof *out);
    if (kernel->terms != NULL)
        kernel->terms(problem, t, hardware, out);
    else
        out[TMSI_TERM_MODEL] = kernel->cost(problem, t, hardware);
}

/* Measured over modelled time of the plain product nearest in t, within a factor of 2; 1 where none
 * was measured. */
static double correction(int32_t i, const tms_spmm_problem *problem, int64_t t,
                         const tmsi_hardware *hardware, const tmsi_tuning *tuning) {
    const tmsi_tuning_point *nearest = NULL;
    tms_spmm_problem plain = *problem;
    double terms[TMSI_TERM_COUNT], least = 2.0;

    for (int32_t p = 0; p < tuning->point_count; p++) {
        const tmsi_tuning_point *point = &tuning->points[p];
        const double away =
            point->t > t ? (double)point->t / (double)t : (double)t / (double)point->t;

        if (point->kernel == i && point->n == problem->n && point->k == problem->k &&
            away < least) {
            nearest = point;
            least = away;
        }
    }
    if (nearest == NULL)
        return 1.0;
    plain.epilogue = 0;
    plain.activation = TMS_ACT_NONE;
    plain.y_order = TMS_ORDER_TN;
    if (plain.device == TMS_DEVICE_CUDA)
        plain.y_type = TMS_BF16; /* as the tuner measures */
    tmsi_spmm_terms(&tmsi_spmm_table_of(hardware).kernels[i], &plain, nearest->t, hardware, terms);
    return nearest->us / tmsi_tuning_time(terms, tuning->price[i]);
}

double tmsi_spmm_cost(int32_t i, const tms_spmm_problem *problem, int64_t t,
                      const tmsi_hardware *hardware, const tmsi_tuning *tuning) {
    const double *price = tuning->price[i];
    double terms[TMSI_TERM_COUNT], us;
    bool is_priced = false;

    for (int term = 0; term < TMSI_TERM_COUNT; term++)
        is_priced |= price[term] > 0.0;
    if (!is_priced)
        return INFINITY;
    tmsi_spmm_terms(&tmsi_spmm_table_of(hardware).kernels[i], problem, t, hardware, terms);
    us = tmsi_tuning_time(terms, price);
    return tuning->point_count > 0 ? us * correction(i, problem, t, hardware, tuning) : us;
}

bool tmsi_spmm_fits_any(const tms_spmm_problem *problem) {
    (void)problem;
    return true;
}

bool tmsi_spmm_accepts_any(const tms_spmm_problem *problem, const tms_part *part) {
    (void)problem, (void)part;
    return true;
}

void tmsi_spmm_part_bare(const tms_spmm_problem *problem, const tmsi_hardware *hardware,
                         tms_part *out) {
    (void)problem, (void)hardware, (void)out;
}

size_t tmsi_spmm_work_none(const tms_spmm_problem *problem, const tms_part *part, int64_t t_max,
                           int32_t threads) {
    (void)problem, (void)part, (void)t_max, (void)threads;
    return 0;
}
