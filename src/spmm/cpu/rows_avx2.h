/* Products with vectors along weight rows: dense weights and blocks.
 *
 * A micro-kernel holds 6 tokens by 16 rows of y in 12 registers for the whole of K; for each k it
 * loads 2 vectors of w, broadcasts 6 x and does 12 fused multiply-adds: 8 loads in the time of 12
 * FMAs, at 2 of each a cycle, so the FMA units bind. For each k, 64 bytes of w and 24 of x are read
 * in 6 cycles: a panel of w that has left the first-level cache still comes from the second at half
 * its 32 bytes a cycle, so K needs no blocking.
 *
 * x is packed first, to [tile of 6 tokens][k][token]: rows of x some multiple of 64 bytes apart
 * would meet in one bank of the first-level cache. */
#ifndef TAMIS_SPMM_CPU_ROWS_AVX2_H
#define TAMIS_SPMM_CPU_ROWS_AVX2_H

#include "spmm/kernel.h"

enum {
    TMSI_TILE_TOKENS = 6,
    /* Most tiles that are packed and used before more are. Their x stays in the second-level cache
     * while all of w passes, and the pages of their rows of y in the translation buffer: blocks of
     * 32 x 32 lost a tenth at 1000 tokens with 56 tiles at once, or all. */
    TMSI_BLOCK_TILES = 16,
    TMSI_PACKED_BYTES = 512 * 1024,
};

/* A weight of blocks, as in bsr_panel.h; dense is one block row of one block. */
typedef struct tmsi_row_blocks {
    int64_t block_rows, block_columns;
    int32_t lanes;          /* rows of a panel, 8 or 16 */
    const int64_t *offsets; /* blocks before each block row, one more than those */
    const int32_t *columns; /* first column of each block */
    const float *values;    /* [panel][block][column][lanes] in each block row */
} tmsi_row_blocks;

/* Runs the whole product. Each element of y is one chain of fused multiply-adds over ascending k
 * from +0, whatever t and the number of threads. run->work is tmsi_rows_work bytes. */
void tmsi_rows_avx2(const tmsi_spmm_run *run, const tmsi_row_blocks *w);

/* T tokens are cut into tiles of 6; where 1, 2 or 3 would be left over, the last two tiles share
 * alike, since a tile of fewer than 4 tokens has too few chains to fill the FMA units. */
static inline int64_t tmsi_tile_count(int64_t t) {
    return (t + TMSI_TILE_TOKENS - 1) / TMSI_TILE_TOKENS;
}

/* First token of tile i; that of the tile behind the last is t. */
static inline int64_t tmsi_tile_start(int64_t t, int64_t i) {
    int64_t count = tmsi_tile_count(t), left = count * TMSI_TILE_TOKENS - t;

    if (i == count)
        return t;
    return i * TMSI_TILE_TOKENS - (i == count - 1 && i > 0 && left >= 3 ? left / 2 : 0);
}

/* k's of a packed tile: whole blocks, and a multiple of eight. */
static inline int64_t tmsi_tile_columns(int64_t k, int64_t block_columns) {
    int64_t whole = (k + block_columns - 1) / block_columns * block_columns;
    return (whole + 7) / 8 * 8;
}

/* Floats of a packed tile, with room for the overhang of the last vector stored. */
static inline int64_t tmsi_tile_floats(int64_t k, int64_t block_columns) {
    return tmsi_tile_columns(k, block_columns) * TMSI_TILE_TOKENS + 16;
}

/* Most tiles that are packed at once. */
static inline int64_t tmsi_tiles_at_once(int64_t tile_floats) {
    int64_t tiles = TMSI_PACKED_BYTES / (tile_floats * (int64_t)sizeof(float));
    return tiles < 1 ? 1 : tiles < TMSI_BLOCK_TILES ? tiles : TMSI_BLOCK_TILES;
}

/* Packed x of that many tokens at most. */
static inline size_t tmsi_rows_work(int64_t k, int64_t block_columns, int64_t t_max) {
    int64_t floats = tmsi_tile_floats(k, block_columns), tiles = tmsi_tile_count(t_max);
    int64_t most = tmsi_tiles_at_once(floats);
    return (size_t)((tiles < most ? tiles : most) * floats) * sizeof(float);
}

#endif
