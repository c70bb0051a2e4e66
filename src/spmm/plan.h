/* Plans: the kernels chosen for a problem on a layout, by range of T. The contracts are those of
 * the public twins; below, arguments are checked already. */
#ifndef TAMIS_SPMM_PLAN_H
#define TAMIS_SPMM_PLAN_H

#include "spmm/choose.h"

struct tms_spmm_plan {
    tms_context *context;
    tms_spmm_problem problem;
    tms_layout layout;
    size_t work_bytes;
    int32_t range_count;
    tmsi_spmm_range ranges[TMSI_SPMM_RANGE_MAX];
    void *states[TMSI_SPMM_RANGE_MAX]; /* what each range's kernel keeps with the plan, or NULL */
    int32_t split;                     /* of its runs, for tests: 0 */
};

tms_status tmsi_spmm_plan_create(tms_context *context, const tms_spmm_problem *problem,
                                 const tms_layout *layout, tms_spmm_plan **out_plan);
/* A plan of one kernel, which fits the problem, on the part that it asks for; and its fields but
 * for work_bytes and states, where the plan is zeros before. */
tms_status tmsi_spmm_plan_force(tms_context *context, const tms_spmm_problem *problem,
                                const tmsi_spmm_kernel *kernel, tms_spmm_plan **out_plan);
void tmsi_spmm_plan_fill(tms_spmm_plan *plan, tms_context *context, const tms_spmm_problem *problem,
                         const tmsi_spmm_kernel *kernel);
void tmsi_spmm_plan_destroy(tms_spmm_plan *plan);
/* Their parts for a plan whose ranges are filled by other means: sets work_bytes and states; frees
 * states, but not the plan. */
tms_status tmsi_spmm_plan_ready(tms_spmm_plan *plan);
void tmsi_spmm_plan_unready(tms_spmm_plan *plan);
size_t tmsi_spmm_plan_describe(const tms_spmm_plan *plan, char *text, size_t text_bytes);
/* The choice for 1 <= t <= t_max. */
const tmsi_spmm_choice *tmsi_spmm_plan_choice(const tms_spmm_plan *plan, int64_t t);
/* args are complete: t >= 1, see tmsi_spmm_run. The first is for plans on the CPU, which cannot
 * fail, the second for plans on a GPU. */
void tmsi_spmm_plan_run(const tms_spmm_plan *plan, const tms_spmm_args *args);
tms_status tmsi_spmm_plan_launch(const tms_spmm_plan *plan, const tms_spmm_args *args,
                                 tms_stream stream);

#endif
