#include "spmm/explain.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"

static bool is_named(const char *chip, const char *name) {
    size_t i = 0;

    while (chip[i] != '\0' && tolower((unsigned char)chip[i]) == tolower((unsigned char)name[i]))
        i++;
    return chip[i] == '\0' && name[i] == '\0';
}

bool tmsi_machine_describe(const char *name, tmsi_hardware *out) {
    for (int32_t i = 0; i < tmsi_chip_count; i++) {
        const tmsi_chip *chip = &tmsi_chips[i];

        if (!is_named(chip->name, name))
            continue;
        memset(out, 0, sizeof *out);
        snprintf(out->name, sizeof out->name, "%s", chip->name);
        out->isa = TMS_ISA_SM80 | TMS_ISA_SM90 | TMS_ISA_CUBLASLT;
        out->l2_bytes = chip->l2_bytes;
        out->processors = chip->processors;
        out->mhz = chip->mhz;
        out->gb_per_s = chip->gb_per_s;
        return true;
    }
    return false;
}

void tmsi_machine_names(char *text, size_t text_bytes) {
    size_t used = 0;

    text[0] = '\0';
    for (int32_t i = 0; i < tmsi_chip_count && used < text_bytes; i++) {
        used += (size_t)snprintf(text + used, text_bytes - used, "%s", i > 0 ? ", " : "");
        for (const char *c = tmsi_chips[i].name; *c != '\0' && used + 1 < text_bytes; c++)
            text[used++] = (char)tolower((unsigned char)*c);
        if (used < text_bytes)
            text[used] = '\0';
    }
}

/* The range of t, as a plan has it. */
static void set_range(const tmsi_spmm_range *ranges, int32_t count, int64_t t,
                      tms_explain_row *row) {
    int64_t first = 1;

    for (int32_t i = 0; i < count; i++) {
        if (t <= ranges[i].last) {
            row->first = first;
            row->last = ranges[i].last;
            return;
        }
        first = ranges[i].last + 1;
    }
}

static void set_times(const double terms[TMSI_TERM_COUNT], const double *price,
                      tms_explain_row *row) {
    row->launch_us = terms[TMSI_TERM_LAUNCH] * price[TMSI_TERM_LAUNCH];
    row->steps_us = terms[TMSI_TERM_BLOCK] * price[TMSI_TERM_BLOCK] +
                    terms[TMSI_TERM_TILE] * price[TMSI_TERM_TILE] +
                    terms[TMSI_TERM_MODEL] * price[TMSI_TERM_MODEL];
    row->memory_us = terms[TMSI_TERM_MEMORY] * price[TMSI_TERM_MEMORY];
    row->pass_us = terms[TMSI_TERM_PASS] * price[TMSI_TERM_PASS];
}

/* Whether some measured time speaks for the kernel here. */
static bool is_measured(const tmsi_spmm_kernel *kernel, const tms_spmm_problem *problem, int32_t i,
                        int64_t t, const tmsi_machine *machine) {
    double terms[TMSI_TERM_COUNT];
    const double cost = tmsi_spmm_cost(i, problem, t, machine->hardware, machine->tuning);

    if (machine->tuning->point_count == 0)
        return false;
    tmsi_spmm_terms(kernel, problem, t, machine->hardware, terms);
    return fabs(cost - tmsi_tuning_time(terms, machine->tuning->price[i])) > 1e-9 * cost;
}

tms_status tmsi_spmm_explain(const tms_spmm_problem *problem, int64_t t,
                             const tmsi_machine *machine, bool keep_dense, tms_explain_sink sink,
                             void *sink_user) {
    const tmsi_hardware *hardware = machine->hardware;
    const tmsi_spmm_table table = tmsi_spmm_table_of(hardware);
    tmsi_spmm_range ranges[TMSI_SPMM_RANGE_MAX];
    tmsi_spmm_choice chosen;
    int32_t count = 0;
    tms_layout layout;
    tms_status status;

    TMS_TRY(tmsi_spmm_layout_choose(problem, machine, 1, problem->t_max, keep_dense, &layout));
    TMS_TRY(tmsi_spmm_ranges(problem, machine, &layout, ranges, &count));
    chosen = tmsi_spmm_choose(problem, t, machine, &layout);
    for (int32_t i = 0; i < table.count; i++) {
        const tmsi_spmm_kernel *kernel = &table.kernels[i];
        double terms[TMSI_TERM_COUNT];
        char part[TMSI_PART_TEXT_MAX];
        tms_explain_row row = {0};
        tms_part wanted;

        if ((kernel->needs & ~hardware->isa) != 0 || !kernel->fits(problem) ||
            (kernel->format != problem->format && kernel->format != TMS_FORMAT_DENSE))
            continue;
        wanted = tmsi_spmm_wanted_part(kernel, problem, hardware);
        tmsi_part_print(&wanted, part);
        row.struct_size = sizeof row;
        row.kernel = kernel->name;
        row.part = part;
        row.t = t;
        row.us = tmsi_spmm_cost(i, problem, t, hardware, machine->tuning);
        row.is_chosen = kernel == chosen.kernel;
        row.is_reference = tmsi_spmm_is_reference(kernel);
        row.is_measured = is_measured(kernel, problem, i, t, machine);
        for (int32_t p = 0; p < layout.part_count; p++)
            row.has_part |=
                layout.parts[p].id == wanted.id && layout.parts[p].format == wanted.format;
        row.machine = hardware->name;
        row.prices = machine->tuning->source;
        tmsi_spmm_terms(kernel, problem, t, hardware, terms);
        set_times(terms, machine->tuning->price[i], &row);
        if (row.is_chosen)
            set_range(ranges, count, t, &row);
        if (sink(sink_user, &row) != 0)
            return tmsi_fail(TMS_ERR_CANCELLED, "the sink wanted no more rows");
    }
done:
    return status;
}
