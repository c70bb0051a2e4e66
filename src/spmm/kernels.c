#include "spmm/kernel.h"

#define COLUMNS(fits, part, accepts, cost, work)                                                   \
    bool tmsi_spmm_##fits(const tms_spmm_problem *problem);                                        \
    void tmsi_spmm_##part(const tms_spmm_problem *problem, const tmsi_hardware *hardware,          \
                          tms_part *out);                                                          \
    bool tmsi_spmm_##accepts(const tms_spmm_problem *problem, const tms_part *part_);              \
    double tmsi_spmm_##cost(const tms_spmm_problem *problem, int64_t t,                            \
                            const tmsi_hardware *hardware);                                        \
    size_t tmsi_spmm_##work(const tms_spmm_problem *problem, const tms_part *part_, int64_t t_max, \
                            int32_t threads);
#define TMS_KERNEL(name, needs, layout, format, fits, part, accepts, cost, work)                   \
    void tmsi_##name(const tmsi_spmm_run *run);                                                    \
    COLUMNS(fits, part, accepts, cost, work)
#define TMS_DEVICE_KERNEL(name, needs, layout, format, fits, part, accepts, cost, work)            \
    tms_status tmsi_##name(const tmsi_spmm_run *run);                                              \
    COLUMNS(fits, part, accepts, cost, work)
#include "spmm/kernels.def"
#ifdef TAMIS_CUDA
#include "spmm/cuda/kernels.def"
#endif
#undef TMS_KERNEL
#undef TMS_DEVICE_KERNEL

#define ENTRY(name, needs, layout, format, fits, part, accepts, cost, work, run, launch)           \
    {name,                                                                                         \
     needs,                                                                                        \
     TMSI_LAYOUT_##layout,                                                                         \
     TMS_FORMAT_##format,                                                                          \
     tmsi_spmm_##fits,                                                                             \
     tmsi_spmm_##part,                                                                             \
     tmsi_spmm_##accepts,                                                                          \
     tmsi_spmm_##cost,                                                                             \
     tmsi_spmm_##work,                                                                             \
     run,                                                                                          \
     launch},

const tmsi_spmm_kernel tmsi_spmm_kernels[] = {
#define TMS_KERNEL(name, needs, layout, format, fits, part, accepts, cost, work)                   \
    ENTRY(#name, needs, layout, format, fits, part, accepts, cost, work, tmsi_##name, NULL)
#include "spmm/kernels.def"
#undef TMS_KERNEL
};

const int32_t tmsi_spmm_kernel_count =
    (int32_t)(sizeof tmsi_spmm_kernels / sizeof tmsi_spmm_kernels[0]);

#ifdef TAMIS_CUDA
static const tmsi_spmm_kernel device_kernels[] = {
#define TMS_DEVICE_KERNEL(name, needs, layout, format, fits, part, accepts, cost, work)            \
    ENTRY(#name, needs, layout, format, fits, part, accepts, cost, work, NULL, tmsi_##name)
#include "spmm/cuda/kernels.def"
#undef TMS_DEVICE_KERNEL
};
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
