#include "spmm/choose.h"

#include <inttypes.h>

#include "base/memory.h"

/* Whether kernel a is the better one: one that is no reference, then the cheaper one. */
static bool is_better(const tmsi_spmm_choice *a, const tmsi_spmm_choice *b) {
    if (a->kernel == NULL || b->kernel == NULL)
        return a->kernel != NULL;
    if (tmsi_spmm_is_reference(a->kernel) != tmsi_spmm_is_reference(b->kernel))
        return !tmsi_spmm_is_reference(a->kernel);
    return a->cost_us < b->cost_us;
}

static bool runs_on(const tmsi_spmm_kernel *kernel, const tmsi_hardware *hardware) {
    return (kernel->needs & ~hardware->isa) == 0;
}

tmsi_machine tmsi_spmm_machine(const tms_context *context, const tms_spmm_problem *problem) {
    const bool is_gpu = problem->device == TMS_DEVICE_CUDA;
    const tmsi_machine machine = {is_gpu ? &context->gpu : &context->hardware,
                                  is_gpu ? context->gpu_tuning : context->tuning};

    return machine;
}

tms_part tmsi_spmm_wanted_part(const tmsi_spmm_kernel *kernel, const tms_spmm_problem *problem,
                               const tmsi_hardware *hardware) {
    tms_part part = {0};

    part.id = (int32_t)kernel->layout;
    part.version = tmsi_layouts[kernel->layout].version;
    part.format = (int32_t)kernel->format;
    part.dtype = (int32_t)problem->w_type;
    if (kernel->format == TMS_FORMAT_NM) {
        part.keep = problem->keep;
        part.group = problem->group;
    } else if (kernel->format == TMS_FORMAT_BSR) {
        part.block_rows = problem->block_rows;
        part.block_columns = problem->block_columns;
    }
    kernel->part(problem, hardware, &part);
    return part;
}

/* Whether a kernel can read a part: the one it asks for, up to parameters that it accepts. */
static bool can_read(const tmsi_spmm_kernel *kernel, const tms_spmm_problem *problem,
                     const tmsi_hardware *hardware, const tms_part *part) {
    tms_part wanted = tmsi_spmm_wanted_part(kernel, problem, hardware);

    for (int i = 0; i < 4; i++)
        wanted.parameters[i] = part->parameters[i];
    return tmsi_part_equal(&wanted, part) && kernel->accepts(problem, part);
}

/* Cheapest kernel over any part that could be built: dense ones, or those of the problem's own
 * format. */
static tmsi_spmm_choice propose(const tms_spmm_problem *problem, int64_t t,
                                const tmsi_machine *machine, tms_format format) {
    const tmsi_hardware *hardware = machine->hardware;
    const tmsi_spmm_table table = tmsi_spmm_table_of(hardware);
    tmsi_spmm_choice best = {0};

    for (int32_t i = 0; i < table.count; i++) {
        const tmsi_spmm_kernel *kernel = &table.kernels[i];
        tmsi_spmm_choice choice = {kernel, {0}, -1, 0.0};

        if (kernel->format != format || !runs_on(kernel, hardware) || !kernel->fits(problem))
            continue;
        choice.part = tmsi_spmm_wanted_part(kernel, problem, hardware);
        choice.cost_us = tmsi_spmm_cost(i, problem, t, hardware, machine->tuning);
        if (is_better(&choice, &best))
            best = choice;
    }
    return best;
}

tmsi_spmm_choice tmsi_spmm_choose(const tms_spmm_problem *problem, int64_t t,
                                  const tmsi_machine *machine, const tms_layout *layout) {
    const tmsi_hardware *hardware = machine->hardware;
    const tmsi_spmm_table table = tmsi_spmm_table_of(hardware);
    tmsi_spmm_choice best = {0};

    for (int32_t i = 0; i < table.count; i++) {
        const tmsi_spmm_kernel *kernel = &table.kernels[i];

        if ((kernel->format != problem->format && kernel->format != TMS_FORMAT_DENSE) ||
            !runs_on(kernel, hardware) || !kernel->fits(problem))
            continue;
        for (int32_t p = 0; p < layout->part_count; p++) {
            tmsi_spmm_choice choice = {kernel, layout->parts[p], p, 0.0};

            if (!can_read(kernel, problem, hardware, &layout->parts[p]))
                continue;
            choice.cost_us = tmsi_spmm_cost(i, problem, t, hardware, machine->tuning);
            if (is_better(&choice, &best))
                best = choice;
        }
    }
    return best;
}

/* The next t at which costs are compared: 1, 2, 3, 4, 6, 8, 12 ...; t_max is the last. */
static int64_t next_point(int64_t t, int64_t t_max) {
    int64_t power = 1;

    while (power * 2 <= t)
        power *= 2;
    if (t >= power + power / 2 || power == 1)
        t = t < 1 ? 1 : power * 2;
    else
        t = power + power / 2;
    return tmsi_min(t, t_max);
}

/* ... or the next that was measured for such a weight. */
static int64_t next_point_of(const tms_spmm_problem *problem, int64_t t,
                             const tmsi_tuning *tuning) {
    const int64_t next = next_point(t, problem->t_max);

    for (int32_t p = 0; p < tuning->point_count; p++) {
        const tmsi_tuning_point *point = &tuning->points[p];

        if (point->n == problem->n && point->k == problem->k && point->t > t && point->t < next)
            return point->t;
    }
    return next;
}

tms_status tmsi_spmm_ranges(const tms_spmm_problem *problem, const tmsi_machine *machine,
                            const tms_layout *layout,
                            tmsi_spmm_range out_ranges[TMSI_SPMM_RANGE_MAX], int32_t *out_count) {
    char text[TMSI_LAYOUT_TEXT_MAX];
    int32_t count = 0;

    for (int64_t t = 0; t < problem->t_max;) {
        tmsi_spmm_choice choice;

        t = next_point_of(problem, t, machine->tuning);
        choice = tmsi_spmm_choose(problem, t, machine, layout);
        if (choice.kernel == NULL) {
            tmsi_layout_print(layout, text);
            return tmsi_fail(
                TMS_ERR_UNSUPPORTED, "no kernel computes %s weights of type %s from layout %s",
                tms_format_name(problem->format), tms_dtype_name(problem->w_type), text);
        }
        if (count == 0 || (count < TMSI_SPMM_RANGE_MAX &&
                           (out_ranges[count - 1].choice.kernel != choice.kernel ||
                            out_ranges[count - 1].choice.part_index != choice.part_index)))
            count++;
        out_ranges[count - 1].choice = choice;
        out_ranges[count - 1].last = t;
    }
    *out_count = count;
    return TMS_OK;
}

/* A second part doubles the weight's bytes for some range of T, so it has to gain this much there
 * over the parts that are there already. */
static const double PART_GAIN = 1.1;

static bool is_worth_a_part(const tmsi_spmm_choice *choice, const tmsi_spmm_choice *there) {
    tmsi_spmm_choice dearer = *choice;

    dearer.cost_us *= PART_GAIN;
    return is_better(&dearer, there);
}

static void add_part(tms_layout *layout, const tmsi_spmm_choice *choice) {
    if (choice->kernel != NULL && layout->part_count < TMS_PART_MAX)
        layout->parts[layout->part_count++] = choice->part;
}

tms_status tmsi_spmm_layout_choose(const tms_spmm_problem *problem, const tmsi_machine *machine,
                                   int64_t t_min, int64_t t_max, bool keep_dense, tms_layout *out) {
    bool is_dense = problem->format == TMS_FORMAT_DENSE;
    tms_layout layout = {0};

    layout.struct_size = sizeof layout;
    layout.n = problem->n;
    layout.k = problem->k;
    if (keep_dense && !is_dense) {
        tmsi_spmm_choice dense = propose(problem, t_max, machine, TMS_FORMAT_DENSE);
        add_part(&layout, &dense);
    }
    for (int64_t t = tmsi_max(t_min, 1);; t = next_point(t, t_max)) {
        tmsi_spmm_choice there = tmsi_spmm_choose(problem, t, machine, &layout);
        tmsi_spmm_choice best = propose(problem, t, machine, problem->format);

        if (!is_dense &&
            (keep_dense || best.kernel == NULL || tmsi_spmm_is_reference(best.kernel))) {
            tmsi_spmm_choice dense = propose(problem, t, machine, TMS_FORMAT_DENSE);
            /* Of two references the one of the problem's own format stays. */
            if (keep_dense || (dense.kernel != NULL && !tmsi_spmm_is_reference(dense.kernel)))
                best = is_better(&dense, &best) ? dense : best;
        }
        if (is_worth_a_part(&best, &there))
            add_part(&layout, &best);
        if (t >= t_max)
            break;
    }
    if (layout.part_count == 0)
        return tmsi_fail(TMS_ERR_UNSUPPORTED, "no kernel computes %s weights of type %s",
                         tms_format_name(problem->format), tms_dtype_name(problem->w_type));
    *out = layout;
    return TMS_OK;
}
