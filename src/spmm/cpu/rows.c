/* What choosing knows of the kernels with vectors along rows, dense and bsr; rows_avx2.h has their
 * method. */
#include "spmm/cpu/rows_avx2.h"

#include "base/memory.h"
#include "format/layout/bsr_panel.h"
#include "format/layout/dense_panel.h"
#include "spmm/tuning.h"

bool tmsi_spmm_fits_f32(const tms_spmm_problem *problem) {
    return problem->x_type == TMS_F32 && problem->w_type == TMS_F32 &&
           (problem->epilogue & TMS_EPILOGUE_ABSMAX_T) == 0;
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

/* Cycles of one panel with one k of it and t tokens: an FMA a cycle and vector in each of two
 * units, but never less than what four chains' latency or the reading of w allow. */
static double panel_cycles(int64_t t, int32_t lanes, bool is_dense) {
    double tiles = (double)tmsi_tile_count(t), vectors = lanes / 8;
    double few = t <= 3 && is_dense && lanes == 16 ? TMSI_TUNING_PANEL_CYCLES : 4.0;
    double cycles = t < 4 ? few : (double)t * vectors / 2.0;

    if (vectors == 1.0) /* one load of w and one broadcast an FMA, and six chains */
        cycles = tiles * 4.0;
    return cycles;
}

static double rows_us(const tms_spmm_problem *problem, int64_t t, double panels, double columns,
                      int32_t lanes, bool is_dense) {
    double tiles = (double)tmsi_tile_count(t);
    double cycles =
        panels * (columns * panel_cycles(t, lanes, is_dense) + tiles * TMSI_TUNING_TILE_CYCLES) +
        (double)t * (double)problem->k * TMSI_TUNING_PACK_CYCLES;

    return cycles / TMSI_TUNING_MHZ;
}

double tmsi_spmm_cost_dense_avx2(const tms_spmm_problem *problem, int64_t t,
                                 const tmsi_hardware *hardware) {
    double panels = (double)tmsi_div_up(problem->n, TMSI_DENSE_PANEL_ROWS);

    (void)hardware;
    return rows_us(problem, t, panels, (double)problem->k, TMSI_DENSE_PANEL_ROWS, true);
}

double tmsi_spmm_cost_bsr_avx2(const tms_spmm_problem *problem, int64_t t,
                               const tmsi_hardware *hardware) {
    int64_t block_rows = tmsi_min(problem->block_rows, problem->n);
    int32_t lanes = tmsi_bsr_panel_rows((int32_t)block_rows);
    int64_t panels = tmsi_div_up(problem->n, block_rows) * tmsi_div_up(block_rows, lanes);

    (void)hardware;
    return rows_us(problem, t, (double)panels, (double)problem->k * problem->density, lanes, false);
}
