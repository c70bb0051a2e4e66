/* Which kernel computes a problem, and which parts an image should have. Pure functions of problem,
 * hardware, kernel table and tuning table: no clock, no environment, no state. */
#ifndef TAMIS_SPMM_CHOOSE_H
#define TAMIS_SPMM_CHOOSE_H

#include "spmm/kernel.h"

typedef struct tmsi_spmm_choice {
    const tmsi_spmm_kernel *kernel; /* NULL: none fits */
    tms_part part;                  /* that it reads */
    int32_t part_index;             /* in the layout; -1: of no layout yet */
    double cost_us;                 /* modelled, for one thread */
} tmsi_spmm_choice;

/* A range of tokens that one kernel serves: (the previous range's last, last]. */
typedef struct tmsi_spmm_range {
    int64_t last;
    tmsi_spmm_choice choice; /* its cost at `last` tokens */
} tmsi_spmm_range;

/* Costs are compared at t = 1, 2, 3, 4, 6, 8, 12 ..., at most 63 up to the largest t, and where the
 * tuning table has measured times; were there more ranges than this, the last would be one. */
enum { TMSI_SPMM_RANGE_MAX = 64 };

/* The part that a kernel asks for; the problem fits it. */
tms_part tmsi_spmm_wanted_part(const tmsi_spmm_kernel *kernel, const tms_spmm_problem *problem,
                               const tmsi_hardware *hardware);

/* What a problem runs on, as the choice sees it. */
typedef struct tmsi_machine {
    const tmsi_hardware *hardware;
    const tmsi_tuning *tuning;
} tmsi_machine;

/* What of a context a problem runs on. */
tmsi_machine tmsi_spmm_machine(const tms_context *context, const tms_spmm_problem *problem);

/* Cheapest kernel for t tokens among those that read a part of the layout. Ties go to the earlier
 * row; a reference only where nothing else fits. */
tmsi_spmm_choice tmsi_spmm_choose(const tms_spmm_problem *problem, int64_t t,
                                  const tmsi_machine *machine, const tms_layout *layout);

/* Kernels for t = 1 .. problem->t_max: fills ranges in ascending order, their number in *out_count.
 * TMS_ERR_UNSUPPORTED where no kernel can use the layout. */
tms_status tmsi_spmm_ranges(const tms_spmm_problem *problem, const tmsi_machine *machine,
                            const tms_layout *layout,
                            tmsi_spmm_range out_ranges[TMSI_SPMM_RANGE_MAX], int32_t *out_count);

/* The contract of tms_spmm_layout_choose. A dense part is taken where the problem is dense, where
 * keep_dense asks for it, and where the sparse format has nothing but a reference; a further part
 * only where it gains a tenth for some t. */
tms_status tmsi_spmm_layout_choose(const tms_spmm_problem *problem, const tmsi_machine *machine,
                                   int64_t t_min, int64_t t_max, bool keep_dense, tms_layout *out);

#endif
