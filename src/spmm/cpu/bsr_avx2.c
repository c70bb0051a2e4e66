/* Block-sparse weights: the dense kernel's panels over the blocks that are there, so that a zero
 * block costs nothing and a kept one what it costs in a dense weight. Blocks of a multiple of 16
 * rows fill every lane; r rows run at r / (16 ceil(r/16)) of that, up to 8 rows r / 8 at three
 * quarters of the speed. Method and limits: rows_avx2.h. */
#include "format/layout/bsr_panel.h"
#include "spmm/cpu/rows_avx2.h"

void tmsi_spmm_bsr_f32_16x6_avx2(const tmsi_spmm_run *run) {
    const char *part = run->weight;
    const tmsi_bsr_panel_header *header = run->weight;
    const tmsi_row_blocks w = {.block_rows = run->part->block_rows,
                               .block_columns = run->part->block_columns,
                               .lanes = run->part->parameters[0],
                               .offsets = (const int64_t *)(part + header->offsets),
                               .columns = (const int32_t *)(part + header->columns),
                               .values = (const float *)(part + header->values)};

    tmsi_rows_avx2(run, &w);
}
