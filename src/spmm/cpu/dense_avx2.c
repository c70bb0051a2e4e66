/* Dense weights: one block of N x K in panels of 16 rows. The baseline that every sparse kernel has
 * to beat, and the fallback where sparsity does not pay. Method and limits: rows_avx2.h. */
#include "format/layout/dense_panel.h"
#include "spmm/cpu/rows_avx2.h"

void tmsi_spmm_dense_f32_16x6_avx2(const tmsi_spmm_run *run) {
    const int64_t offsets[2] = {0, 1};
    const int32_t columns[1] = {0};
    const tmsi_row_blocks w = {.block_rows = run->problem->n,
                               .block_columns = run->problem->k,
                               .lanes = TMSI_DENSE_PANEL_ROWS,
                               .offsets = offsets,
                               .columns = columns,
                               .values = run->weight};

    tmsi_rows_avx2(run, &w);
}
