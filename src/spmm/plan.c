#include "spmm/plan.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/memory.h"

tms_status tmsi_spmm_plan_ready(tms_spmm_plan *plan) {
    tms_context *context = plan->context;
    int64_t first = 1;
    tms_status status = TMS_OK;

    for (int32_t i = 0; i < plan->range_count; i++) {
        const tmsi_spmm_range *range = &plan->ranges[i];
        const tmsi_spmm_kernel *kernel = range->choice.kernel;
        size_t bytes =
            kernel->work(&plan->problem, &range->choice.part, range->last, context->threads);

        if (kernel->open != NULL)
            TMS_TRY(kernel->open(context, &plan->problem, first, range->last, &plan->states[i],
                                 &bytes));
        if (bytes > plan->work_bytes)
            plan->work_bytes = bytes;
        first = range->last + 1;
    }
done:
    return status;
}

void tmsi_spmm_plan_unready(tms_spmm_plan *plan) {
    for (int32_t i = 0; i < plan->range_count; i++)
        if (plan->states[i] != NULL) {
            plan->ranges[i].choice.kernel->close(plan->context, plan->states[i]);
            plan->states[i] = NULL;
        }
}

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
    TMS_TRY(tmsi_spmm_plan_ready(plan));
    *out_plan = plan;
    plan = NULL;
done:
    tmsi_spmm_plan_destroy(plan);
    return status;
}

void tmsi_spmm_plan_fill(tms_spmm_plan *plan, tms_context *context, const tms_spmm_problem *problem,
                         const tmsi_spmm_kernel *kernel) {
    const tmsi_machine machine = tmsi_spmm_machine(context, problem);

    plan->context = context;
    plan->problem = *problem;
    plan->layout.struct_size = sizeof plan->layout;
    plan->layout.n = problem->n;
    plan->layout.k = problem->k;
    plan->layout.part_count = 1;
    plan->layout.parts[0] = tmsi_spmm_wanted_part(kernel, problem, machine.hardware);
    plan->range_count = 1;
    plan->ranges[0].last = problem->t_max;
    plan->ranges[0].choice.kernel = kernel;
    plan->ranges[0].choice.part = plan->layout.parts[0];
}

tms_status tmsi_spmm_plan_force(tms_context *context, const tms_spmm_problem *problem,
                                const tmsi_spmm_kernel *kernel, tms_spmm_plan **out_plan) {
    tms_spmm_plan *plan = NULL;
    tms_status status = TMS_OK;

    TMS_TRY(tmsi_alloc(context, 1, sizeof *plan, &plan));
    tmsi_spmm_plan_fill(plan, context, problem, kernel);
    TMS_TRY(tmsi_spmm_plan_ready(plan));
    *out_plan = plan;
    plan = NULL;
done:
    tmsi_spmm_plan_destroy(plan);
    return status;
}

void tmsi_spmm_plan_destroy(tms_spmm_plan *plan) {
    if (plan == NULL)
        return;
    tmsi_spmm_plan_unready(plan);
    tmsi_free(plan->context, plan);
}

static int32_t find_range(const tms_spmm_plan *plan, int64_t t) {
    int32_t i = 0;

    while (plan->ranges[i].last < t)
        i++;
    return i;
}

const tmsi_spmm_choice *tmsi_spmm_plan_choice(const tms_spmm_plan *plan, int64_t t) {
    return &plan->ranges[find_range(plan, t)].choice;
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
    if (plan->problem.device == TMS_DEVICE_CUDA && plan->context->cublaslt == NULL) {
        bool has_room = used < text_bytes;

        used += (size_t)snprintf(has_room ? text + used : NULL, has_room ? text_bytes - used : 0,
                                 "dense is no candidate: %s\n", plan->context->cublaslt_text);
    }
    return used;
}

/* The kernel of a call, and what it is given. */
static const tmsi_spmm_kernel *make_run(const tms_spmm_plan *plan, const tms_spmm_args *args,
                                        tms_stream stream, tmsi_spmm_run *out) {
    const int32_t range = find_range(plan, args->t);
    const tmsi_spmm_choice *choice = &plan->ranges[range].choice;
    const tms_image *image = args->image;

    out->context = plan->context;
    out->problem = &plan->problem;
    out->part = &choice->part;
    out->weight = (const char *)image->data + image->part_offset[choice->part_index];
    out->args = args;
    out->work = args->work;
    out->stream = stream;
    out->state = plan->states[range];
    out->split = plan->split;
    return choice->kernel;
}

void tmsi_spmm_plan_run(const tms_spmm_plan *plan, const tms_spmm_args *args) {
    tmsi_spmm_run run;

    make_run(plan, args, NULL, &run)->run(&run);
}

tms_status tmsi_spmm_plan_launch(const tms_spmm_plan *plan, const tms_spmm_args *args,
                                 tms_stream stream) {
    tmsi_spmm_run run;

    return make_run(plan, args, stream, &run)->launch(&run);
}
