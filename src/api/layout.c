#include <inttypes.h>

#include "api/arguments.h"
#include "base/context.h"
#include "spmm/choose.h"
#include "spmm/problem.h"

tms_status tms_spmm_layout_choose(tms_context *context, const tms_spmm_problem *given,
                                  int64_t t_min, int64_t t_max, int32_t keep_dense,
                                  tms_layout *out_layout) {
    tms_spmm_problem problem;
    tmsi_machine machine;
    tms_status status = TMS_OK;

    tmsi_enter(__func__);
    TMSI_NEED(context);
    TMSI_NEED(out_layout);
    TMS_TRY(tmsi_struct_read("problem", given, sizeof problem, &problem));
    TMS_TRY(tmsi_spmm_problem_check(&problem));
    TMS_TRY(tmsi_spmm_device_check(context, &problem));
    if (t_min < 0 || t_max < 1 || t_min > t_max || t_max > INT32_MAX)
        return tmsi_fail(TMS_ERR_INVALID,
                         "t_min is %" PRId64 " and t_max %" PRId64
                         ", but they must be 0 <= t_min <= t_max, 1 <= t_max <= %d",
                         t_min, t_max, INT32_MAX);
    machine = tmsi_spmm_machine(context, &problem);
    TMS_TRY(tmsi_spmm_layout_choose(&problem, &machine, t_min, t_max, keep_dense != 0, out_layout));
done:
    return status;
}
