#include "spmm/plan.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/memory.h"

tms_status tmsi_spmm_plan_create(tms_context *context, const tms_spmm_problem *problem,
                                 const tms_layout *layout, tms_spmm_plan **out_plan) {
    const tmsi_machine machine = tmsi_spmm_machine(context, problem);
    tms_spmm_plan *plan = NULL;
    tms_status status = TMS_OK;

    TMS_TRY(tmsi_alloc(context, 1, sizeof *plan, &plan));
    plan->context = context;
    plan->problem = *problem;
    plan->layout = *layout;
    TMS_TRY(tmsi_spmm_ranges(problem, &machine, layout, plan->ranges, &plan->range_count));
    for (int32_t i = 0; i < plan->range_count; i++) {
        const tmsi_spmm_range *range = &plan->ranges[i];
        size_t bytes =
            range->choice.kernel->work(problem, &range->choice.part, range->last, context->threads);
        if (bytes > plan->work_bytes)
            plan->work_bytes = bytes;
    }
    *out_plan = plan;
    plan = NULL;
done:
    tmsi_spmm_plan_destroy(plan);
    return status;
}

void tmsi_spmm_plan_destroy(tms_spmm_plan *plan) {
    if (plan != NULL)
        tmsi_free(plan->context, plan);
}

const tmsi_spmm_choice *tmsi_spmm_plan_choice(const tms_spmm_plan *plan, int64_t t) {
    const tmsi_spmm_range *range = plan->ranges;

    while (range->last < t)
        range++;
    return &range->choice;
}

/* Why a choice may surprise. */
static const char *remark(const tms_spmm_problem *problem, const tmsi_spmm_choice *choice) {
    if (tmsi_spmm_is_reference(choice->kernel))
        return " (reference: nothing faster fits)";
    if (choice->kernel->format != problem->format)
        return " (on dense weights)";
    return "";
}

size_t tmsi_spmm_plan_describe(const tms_spmm_plan *plan, char *text, size_t text_bytes) {
    int64_t first = 1;
    size_t used = 0;

    for (int32_t i = 0; i < plan->range_count; i++) {
        const tmsi_spmm_range *range = &plan->ranges[i];
        const tmsi_spmm_choice *choice = &range->choice;
        char part[TMSI_PART_TEXT_MAX];
        bool has_room = used < text_bytes;

        tmsi_part_print(&choice->part, part);
        used +=
            (size_t)snprintf(has_room ? text + used : NULL, has_room ? text_bytes - used : 0,
                             "t %" PRId64 "..%" PRId64 ": %s from %s, %.4g us at t %" PRId64 "%s\n",
                             first, range->last, choice->kernel->name, part, choice->cost_us,
                             range->last, remark(&plan->problem, choice));
        first = range->last + 1;
    }
    return used;
}

static tmsi_spmm_run make_run(const tms_spmm_plan *plan, const tmsi_spmm_choice *choice,
                              const tms_spmm_args *args, tms_stream stream) {
    const tms_image *image = args->image;
    tmsi_spmm_run run = {plan->context, &plan->problem, &choice->part, NULL,
                         args,          args->work,     stream};

    run.weight = (const char *)image->data + image->part_offset[choice->part_index];
    return run;
}

void tmsi_spmm_plan_run(const tms_spmm_plan *plan, const tms_spmm_args *args) {
    const tmsi_spmm_choice *choice = tmsi_spmm_plan_choice(plan, args->t);
    const tmsi_spmm_run run = make_run(plan, choice, args, NULL);

    choice->kernel->run(&run);
}

tms_status tmsi_spmm_plan_launch(const tms_spmm_plan *plan, const tms_spmm_args *args,
                                 tms_stream stream) {
    const tmsi_spmm_choice *choice = tmsi_spmm_plan_choice(plan, args->t);
    const tmsi_spmm_run run = make_run(plan, choice, args, stream);

    return choice->kernel->launch(&run);
}
