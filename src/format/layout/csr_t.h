/* csr-t: unstructured weights for kernels whose vectors run along tokens. Rows are cut into chunks
 * of 96, K into blocks of 96 (the last of each may be smaller): a cell is one chunk in one block,
 * in which a block of packed x (96 x 64 tokens, 24 KiB) stays in the first-level cache. The
 * non-zeros of a row in a cell are padded to steps of four with value 0 at column 0; rows without
 * any are left out; the rest are sorted by falling steps (ties by row), so that a loop's exit is
 * predicted.
 *
 * A header, then four arrays, each from a multiple of 64 bytes on:
 *     cells    [chunks * blocks + 1] of {first step, first row}, chunk-major
 *     rows     [rows]  of {row in chunk u8, steps u8}
 *     values   [steps][4] f32
 *     columns  [steps][4] u8, column in block, ascending within a row */
#ifndef TAMIS_FORMAT_LAYOUT_CSR_T_H
#define TAMIS_FORMAT_LAYOUT_CSR_T_H

#include <stdint.h>

enum {
    TMSI_CSR_T_ROWS = 96,  /* rows of a chunk; parameters[0] of the part */
    TMSI_CSR_T_BLOCK = 96, /* columns of a block; parameters[1] */
    TMSI_CSR_T_STEP = 4    /* non-zeros of a step */
};

typedef struct tmsi_csr_t_cell {
    int64_t step, row;
} tmsi_csr_t_cell;

typedef struct tmsi_csr_t_row {
    uint8_t row, steps;
} tmsi_csr_t_row;

/* Bytes from the header on. */
typedef struct tmsi_csr_t_header {
    int64_t cells, rows, values, columns;
    int64_t reserved[4];
} tmsi_csr_t_header;

_Static_assert(sizeof(tmsi_csr_t_header) == 64, "arrays begin on a cache line");

#endif
