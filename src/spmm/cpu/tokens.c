/* What choosing knows of the kernels with vectors along tokens, 2:4 and csr; tokens_avx2.h has
 * their method. */
#include "spmm/cpu/tokens_avx2.h"

#include "base/memory.h"
#include "format/layout/csr_t.h"
#include "format/layout/nm24_n.h"
#include "format/layout/nm24_t.h"
#include "spmm/cpu/f32.h"
#include "spmm/cpu/tuning.h"

bool tmsi_spmm_fits_nm24(const tms_spmm_problem *problem) {
    return tmsi_spmm_is_f32(problem) && problem->keep == 2 && problem->group == 4;
}

void tmsi_spmm_part_nm24_t(const tms_spmm_problem *problem, const tmsi_hardware *hardware,
                           tms_part *out) {
    (void)problem, (void)hardware;
    out->parameters[0] = TMSI_NM24_T_BLOCK;
}

bool tmsi_spmm_accepts_nm24_t(const tms_spmm_problem *problem, const tms_part *part) {
    (void)problem;
    return part->parameters[0] == TMSI_NM24_T_BLOCK;
}

void tmsi_spmm_part_nm24_n(const tms_spmm_problem *problem, const tmsi_hardware *hardware,
                           tms_part *out) {
    (void)problem, (void)hardware;
    out->parameters[0] = TMSI_NM24_N_ROWS;
}

bool tmsi_spmm_accepts_nm24_n(const tms_spmm_problem *problem, const tms_part *part) {
    (void)problem;
    return part->parameters[0] == TMSI_NM24_N_ROWS;
}

void tmsi_spmm_part_csr_t(const tms_spmm_problem *problem, const tmsi_hardware *hardware,
                          tms_part *out) {
    (void)problem, (void)hardware;
    out->parameters[0] = TMSI_CSR_T_ROWS;
    out->parameters[1] = TMSI_CSR_T_BLOCK;
}

bool tmsi_spmm_accepts_csr_t(const tms_spmm_problem *problem, const tms_part *part) {
    (void)problem;
    return part->parameters[0] == TMSI_CSR_T_ROWS && part->parameters[1] == TMSI_CSR_T_BLOCK;
}

size_t tmsi_spmm_work_tokens_avx2(const tms_spmm_problem *problem, const tms_part *part,
                                  int64_t t_max, int32_t threads) {
    (void)part, (void)threads;
    return tmsi_tokens_work(problem->k, t_max);
}

/* Microseconds for `values` products of each row in each block of K (blocks * rows of them), with
 * cycles of one product and of the loads and stores around a row by the vectors of a panel. */
static double tokens_us(const tms_spmm_problem *problem, int64_t t, double row_blocks,
                        double values, const double value_cycles[4], const double row_cycles[4]) {
    int64_t whole = t / TMSI_PANEL_TOKENS, rest = t % TMSI_PANEL_TOKENS;
    double cycles = (double)whole * row_blocks * (values * value_cycles[3] + row_cycles[3]);

    if (rest > 0) {
        int32_t i = rest <= 8 ? 0 : rest <= 16 ? 1 : rest <= 32 ? 2 : 3;
        cycles += row_blocks * (values * value_cycles[i] + row_cycles[i]);
    }
    cycles += (double)t * ((double)problem->k * TMSI_TUNING_PACK_CYCLES +
                           (double)problem->n * TMSI_TUNING_TRANSPOSE_CYCLES);
    return cycles / TMSI_TUNING_MHZ;
}

double tmsi_spmm_cost_nm24_avx2(const tms_spmm_problem *problem, int64_t t,
                                const tmsi_hardware *hardware) {
    static const double value_cycles[4] = TMSI_TUNING_NM24_VALUE_CYCLES;
    static const double row_cycles[4] = TMSI_TUNING_ROW_CYCLES;
    double columns = (double)tmsi_nm24_padded(problem->k);

    (void)hardware;
    return tokens_us(problem, t, (double)problem->n * columns / TMSI_NM24_T_BLOCK,
                     TMSI_NM24_T_BLOCK / 2.0, value_cycles, row_cycles);
}

/* Vectors along rows, of 8 rows and every second k. */
double tmsi_spmm_cost_nm24_few_avx2(const tms_spmm_problem *problem, int64_t t,
                                    const tmsi_hardware *hardware) {
    static const double few[4] = TMSI_TUNING_NM24_FEW_TOKENS_CYCLES;
    double panels = (double)tmsi_div_up(problem->n, TMSI_NM24_N_ROWS);
    int64_t fours = t / 4, rest = t % 4;
    double cycles = (double)fours * few[3] + (rest > 0 ? few[rest - 1] : 0.0);

    (void)hardware;
    return panels * ((double)problem->k / 2.0 * cycles + (double)t * 8.0) / TMSI_TUNING_MHZ;
}

/* A row's values in a block are padded to fours, by 1.5 on average where there are many. */
double tmsi_spmm_cost_csr_avx2(const tms_spmm_problem *problem, int64_t t,
                               const tmsi_hardware *hardware) {
    static const double value_cycles[4] = TMSI_TUNING_CSR_VALUE_CYCLES;
    static const double row_cycles[4] = TMSI_TUNING_ROW_CYCLES;
    double row_blocks = (double)problem->n * (double)problem->k / TMSI_CSR_T_BLOCK;
    double values = TMSI_CSR_T_BLOCK * problem->density;
    double filled = values < 1.0 ? values : 1.0; /* share of rows that have any */

    (void)hardware;
    return tokens_us(problem, t, row_blocks * filled, values > 1.0 ? values + 1.5 : 4.0,
                     value_cycles, row_cycles);
}
