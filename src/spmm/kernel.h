/* What a kernel is to the rest of the house: one row of a .def table, one function. */
#ifndef TAMIS_SPMM_KERNEL_H
#define TAMIS_SPMM_KERNEL_H

#include <stdbool.h>

#include "base/context.h"
#include "format/layout.h"

/* One call, all checked: leading dimensions and scale_y are set, pointers that the epilogue needs
 * are there, the image's layout is the plan's. */
typedef struct tmsi_spmm_run {
    const tms_context *context; /* for tmsi_parallel_for and threads */
    const tms_spmm_problem *problem;
    const tms_part *part;
    const void *weight; /* the part's bytes, 64-byte aligned */
    const tms_spmm_args *args;
    void *work; /* row's work_bytes, 64-byte aligned */
} tmsi_spmm_run;

typedef struct tmsi_spmm_kernel {
    const char *name; /* "spmm_nm24_f32_1x64_avx2" */
    uint32_t needs;   /* TMS_ISA_ bits; 0 for a reference */
    tmsi_layout_id layout;
    tms_format format; /* of the weight that it serves; dense parts serve every format */
    /* Whether the kernel computes this problem at all (types, pattern, epilogue, order). */
    bool (*fits)(const tms_spmm_problem *problem);
    /* Parameters of the part it wants for this problem on this hardware (block sizes). */
    void (*part)(const tms_spmm_problem *problem, const tmsi_hardware *hardware, tms_part *out);
    /* Whether a part of that layout with other parameters will do; NULL: any. */
    bool (*accepts)(const tms_spmm_problem *problem, const tms_part *part);
    /* Modelled microseconds for t tokens on one thread at its calibrated clock; see cost.h. */
    double (*cost)(const tms_spmm_problem *problem, int64_t t, const tmsi_hardware *hardware);
    size_t (*work_bytes)(const tms_spmm_problem *problem, const tms_part *part, int64_t t_max,
                         int32_t threads);
    void (*run)(const tmsi_spmm_run *run);
} tmsi_spmm_kernel;

/* Every kernel there is, references first; choosing, tests and bench walk it. */
extern const tmsi_spmm_kernel tmsi_spmm_kernels[];
extern const int32_t tmsi_spmm_kernel_count;

#endif
