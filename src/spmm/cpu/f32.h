/* What the fp32 kernels of all families have in common. */
#ifndef TAMIS_SPMM_CPU_F32_H
#define TAMIS_SPMM_CPU_F32_H

#include "spmm/kernel.h"

/* x and w in f32. Any y: what the vector epilogue lacks, the portable one does. The maximum over a
 * token's row is not kept, since a task has only some of its columns. */
static inline bool tmsi_spmm_is_f32(const tms_spmm_problem *problem) {
    return problem->x_type == TMS_F32 && problem->w_type == TMS_F32 &&
           (problem->epilogue & TMS_EPILOGUE_ABSMAX_T) == 0;
}

#endif
