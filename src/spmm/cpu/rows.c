/* What choosing knows of the kernels with vectors along rows, dense and bsr; rows_avx2.h has their
 * method. */
#include "spmm/cpu/rows_avx2.h"

#include "base/memory.h"
#include "format/layout/bsr_panel.h"
#include "format/layout/dense_panel.h"
#include "spmm/cpu/f32.h"
#include "spmm/cpu/tuning.h"

bool tmsi_spmm_fits_f32(const tms_spmm_problem *problem) {
    return tmsi_spmm_is_f32(problem);
}

/* Gate pairs must not be torn apart between block rows. */
bool tmsi_spmm_fits_bsr_panel(const tms_spmm_problem *problem) {
    return tmsi_spmm_is_f32(problem) && ((problem->epilogue & TMS_EPILOGUE_GATE) == 0 ||
                                         tmsi_min(problem->block_rows, problem->n) % 2 == 0);
}

void tmsi_spmm_part_dense_panel(const tms_spmm_problem *problem, const tmsi_hardware *hardware,
                                tms_part *out) {
    (void)problem, (void)hardware;
    out->parameters[0] = TMSI_DENSE_PANEL_ROWS;
}

bool tmsi_spmm_accepts_dense_panel(const tms_spmm_problem *problem, const tms_part *part) {
    (void)problem;
    return part->parameters[0] == TMSI_DENSE_PANEL_ROWS;
}

/* A block larger than the weight is cut to it. */
void tmsi_spmm_part_bsr_panel(const tms_spmm_problem *problem, const tmsi_hardware *hardware,
                              tms_part *out) {
    (void)hardware;
    out->block_rows = (int32_t)tmsi_min(problem->block_rows, problem->n);
    out->block_columns = (int32_t)tmsi_min(problem->block_columns, problem->k);
    out->parameters[0] = tmsi_bsr_panel_rows(out->block_rows);
}

bool tmsi_spmm_accepts_bsr_panel(const tms_spmm_problem *problem, const tms_part *part) {
    (void)problem;
    return part->parameters[0] == tmsi_bsr_panel_rows(part->block_rows);
}

size_t tmsi_spmm_work_dense_avx2(const tms_spmm_problem *problem, const tms_part *part,
                                 int64_t t_max, int32_t threads) {
    (void)part, (void)threads;
    return tmsi_rows_work(problem->k, problem->k, t_max);
}

size_t tmsi_spmm_work_bsr_avx2(const tms_spmm_problem *problem, const tms_part *part, int64_t t_max,
                               int32_t threads) {
    (void)threads;
    return tmsi_rows_work(problem->k, part->block_columns, t_max);
}

/* Cycles of one panel with one k of it and a tile of so many tokens: bound by the FMAs, or below 5
 * tokens by their latency. */
static double tile_cycles(int64_t tokens, int32_t lanes) {
    static const double cycles[TMSI_TILE_TOKENS] = TMSI_TUNING_TILE_CYCLES;

    return lanes == 8 ? TMSI_TUNING_NARROW_TILE_CYCLES : cycles[tokens - 1];
}

/* Microseconds of `panels` panels with `columns` k's each. few: cycles of 1, 2, 3 tokens. */
static double rows_us(const tms_spmm_problem *problem, int64_t t, double panels, double columns,
                      int32_t lanes, const double *few) {
    int64_t tiles = tmsi_tile_count(t);
    double cycles = 0.0;

    for (int64_t i = tiles - tmsi_min(tiles, 2); i < tiles; i++) /* the two that may be smaller */
        cycles += tile_cycles(tmsi_tile_start(t, i + 1) - tmsi_tile_start(t, i), lanes);
    if (tiles > 2)
        cycles += (double)(tiles - 2) * tile_cycles(TMSI_TILE_TOKENS, lanes);
    if (t <= 3 && few != NULL)
        cycles = few[t - 1];
    cycles = panels * (columns * cycles + (double)tiles * TMSI_TUNING_TILE_END_CYCLES) +
             (double)t * (double)problem->k * TMSI_TUNING_PACK_CYCLES;
    return cycles / TMSI_TUNING_MHZ;
}

double tmsi_spmm_cost_dense_avx2(const tms_spmm_problem *problem, int64_t t,
                                 const tmsi_hardware *hardware) {
    static const double few[3] = TMSI_TUNING_FEW_TOKENS_CYCLES;
    double panels = (double)tmsi_div_up(problem->n, TMSI_DENSE_PANEL_ROWS);

    (void)hardware;
    return rows_us(problem, t, panels, (double)problem->k, TMSI_DENSE_PANEL_ROWS, few);
}

double tmsi_spmm_cost_bsr_avx2(const tms_spmm_problem *problem, int64_t t,
                               const tmsi_hardware *hardware) {
    int64_t block_rows = tmsi_min(problem->block_rows, problem->n);
    int32_t lanes = tmsi_bsr_panel_rows((int32_t)block_rows);
    int64_t panels = tmsi_div_up(problem->n, block_rows) * tmsi_div_up(block_rows, lanes);

    (void)hardware;
    return rows_us(problem, t, (double)panels, (double)problem->k * problem->density, lanes, NULL);
}
