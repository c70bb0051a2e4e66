/* Unstructured weights: only the non-zeros, four at a time, a row of w after the other. A row's
 * loads and stores of sums and its padding weigh more the sparser it is: at 90 % zeros a row has 10
 * of 96 in a block, 12 with padding. Method and limits: tokens_avx2.h. */
#include "base/memory.h"
#include "format/layout/csr_t.h"
#include "spmm/cpu/tokens_avx2.h"
#include "spmm/cpu/vector_avx2.h"

/* Adds `steps` steps of one row's products to its V vectors of sums. */
static inline __attribute__((always_inline)) void add_row(const int V, int64_t steps,
                                                          const float *values,
                                                          const uint8_t *columns, const float *x,
                                                          float *sums) {
    __m256 sum[8];

    TMSI_UNROLL
    for (int v = 0; v < V; v++)
        sum[v] = _mm256_load_ps(sums + v * 8);
    for (; steps > 0; steps--) {
        __m256 weights = _mm256_broadcast_ps((const __m128 *)values);
        TMSI_UNROLL
        for (int j = 0; j < TMSI_CSR_T_STEP; j++) {
            const float *row = x + (size_t)columns[j] * TMSI_PANEL_TOKENS;
            __m256 weight = tmsi_spread(weights, j);
            TMSI_UNROLL
            for (int v = 0; v < V; v++)
                sum[v] = _mm256_fmadd_ps(weight, _mm256_load_ps(row + v * 8), sum[v]);
        }
        values += TMSI_CSR_T_STEP;
        columns += TMSI_CSR_T_STEP;
    }
    TMSI_UNROLL
    for (int v = 0; v < V; v++)
        _mm256_store_ps(sums + v * 8, sum[v]);
}

/* All rows of a cell that have non-zeros. With few tokens a row has few chains, but rows follow
 * each other closely enough to overlap: taking several at once was slower at 80 % zeros. */
static inline __attribute__((always_inline)) void add_cell(const int V,
                                                           const tmsi_token_cell *cell) {
    const char *part = cell->run->weight;
    const tmsi_csr_t_header *header = cell->run->weight;
    const int64_t blocks = tmsi_div_up(cell->run->problem->k, TMSI_CSR_T_BLOCK);
    const tmsi_csr_t_cell *at = (const tmsi_csr_t_cell *)(part + header->cells) +
                                cell->row / TMSI_CSR_T_ROWS * blocks + cell->block;
    const tmsi_csr_t_row *rows = (const tmsi_csr_t_row *)(part + header->rows);
    const float *values = (const float *)(part + header->values) + at->step * TMSI_CSR_T_STEP;
    const uint8_t *columns = (const uint8_t *)(part + header->columns) + at->step * TMSI_CSR_T_STEP;

    for (int64_t i = at[0].row; i < at[1].row; i++) {
        int64_t steps = rows[i].steps;
        add_row(V, steps, values, columns, cell->x,
                cell->sums + (size_t)rows[i].row * TMSI_PANEL_TOKENS);
        values += steps * TMSI_CSR_T_STEP;
        columns += steps * TMSI_CSR_T_STEP;
    }
}

static void run_cell(const tmsi_token_cell *cell) {
    switch (cell->vectors) {
    case 1:
        add_cell(1, cell);
        break;
    case 2:
        add_cell(2, cell);
        break;
    case 4:
        add_cell(4, cell);
        break;
    default:
        add_cell(8, cell);
        break;
    }
}

_Static_assert((int)TMSI_CSR_T_ROWS == (int)TMSI_CHUNK_ROWS,
               "a task's rows are a chunk of the layout");

void tmsi_spmm_csr_f32_1x64_avx2(const tmsi_spmm_run *run) {
    tmsi_tokens_avx2(run, TMSI_CSR_T_BLOCK, run_cell);
}

/* Blocks too small for vectors along rows, in the same layout. */
void tmsi_spmm_bsr_f32_1x64_avx2(const tmsi_spmm_run *run) {
    tmsi_spmm_csr_f32_1x64_avx2(run);
}
