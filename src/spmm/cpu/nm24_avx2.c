/* 2:4 weights: every row has 48 non-zeros in a block of 96 k's, so loops have no tails and a
 * group's two positions are two bits each. Half the multiply-adds of dense at the rate that loads
 * allow. Method and limits: tokens_avx2.h. Best from some 16 tokens on. */
#include "base/memory.h"
#include "format/layout/nm24_t.h"
#include "spmm/cpu/tokens_avx2.h"
#include "spmm/cpu/vector_avx2.h"

enum {
    WORD_VALUES = TMSI_NM24_WORD / 2,    /* values that one index word describes */
    X_ROW_BYTES = TMSI_PANEL_TOKENS * 4, /* 256: a position, shifted by 8 bits, is the bytes
                                          * from its group's first x row */
    POSITION_BITS = 3 * X_ROW_BYTES
};

/* Adds R rows' products to their sums, R*V = 8 vectors of them in registers. */
static inline __attribute__((always_inline)) void add_rows(const int R, const int V, int64_t words,
                                                           const float *values,
                                                           const uint32_t *index, const float *x,
                                                           float *sums) {
    const char *group = (const char *)x;
    __m256 sum[8][8];

    TMSI_UNROLL
    for (int r = 0; r < R; r++) {
        TMSI_UNROLL
        for (int v = 0; v < V; v++)
            sum[r][v] = _mm256_load_ps(sums + r * TMSI_PANEL_TOKENS + v * 8);
    }
    for (int64_t i = 0; i < words; i++) {
        uint64_t positions[8];
        TMSI_UNROLL
        for (int r = 0; r < R; r++)
            positions[r] = (uint64_t)index[r * words + i] * X_ROW_BYTES;
        TMSI_UNROLL
        for (int four = 0; four < WORD_VALUES; four += 4) {
            __m256 weights[8];
            TMSI_UNROLL
            for (int r = 0; r < R; r++)
                weights[r] = _mm256_broadcast_ps(
                    (const __m128 *)(values + (r * words + i) * WORD_VALUES + four));
            TMSI_UNROLL
            for (int j = 0; j < 4; j++) {
                TMSI_UNROLL
                for (int r = 0; r < R; r++) {
                    const float *row = (const float *)(group + (positions[r] & POSITION_BITS));
                    __m256 weight = tmsi_spread(weights[r], j);
                    TMSI_UNROLL
                    for (int v = 0; v < V; v++)
                        sum[r][v] = _mm256_fmadd_ps(weight, _mm256_load_ps(row + v * 8), sum[r][v]);
                    positions[r] >>= 2;
                }
                group += j % 2 * 4 * X_ROW_BYTES; /* two values a group */
            }
        }
    }
    TMSI_UNROLL
    for (int r = 0; r < R; r++) {
        TMSI_UNROLL
        for (int v = 0; v < V; v++)
            _mm256_store_ps(sums + r * TMSI_PANEL_TOKENS + v * 8, sum[r][v]);
    }
}

#define ADD_ROWS(R, V)                                                                             \
    static void add_rows_##R##_##V(int64_t words, const float *values, const uint32_t *index,      \
                                   const float *x, float *sums) {                                  \
        add_rows(R, V, words, values, index, x, sums);                                             \
    }
ADD_ROWS(1, 8)
ADD_ROWS(2, 4)
ADD_ROWS(4, 2)
ADD_ROWS(8, 1)
/* Rows left over. */
ADD_ROWS(1, 4)
ADD_ROWS(1, 2)
ADD_ROWS(1, 1)

typedef void (*row_kernel)(int64_t words, const float *values, const uint32_t *index,
                           const float *x, float *sums);

static void run_cell(const tmsi_token_cell *cell) {
    const tms_spmm_problem *problem = cell->run->problem;
    const int64_t padded = tmsi_nm24_padded(problem->k);
    const float *values = cell->run->weight;
    const uint32_t *index = (const uint32_t *)(values + problem->n * padded / 2);
    int64_t first = cell->block * TMSI_NM24_T_BLOCK;
    int64_t depth = tmsi_min(TMSI_NM24_T_BLOCK, padded - first);
    int64_t at = problem->n * first + cell->row * depth; /* in weights, zeros counted */
    int64_t words = depth / TMSI_NM24_WORD, at_once = 8 / cell->vectors, r = 0;
    row_kernel many = cell->vectors == 8   ? add_rows_1_8
                      : cell->vectors == 4 ? add_rows_2_4
                      : cell->vectors == 2 ? add_rows_4_2
                                           : add_rows_8_1;
    row_kernel one = cell->vectors == 4   ? add_rows_1_4
                     : cell->vectors == 2 ? add_rows_1_2
                                          : add_rows_1_1;

    values += at / 2;
    index += at / TMSI_NM24_WORD;
    for (; r + at_once <= cell->rows; r += at_once)
        many(words, values + r * depth / 2, index + r * words, cell->x,
             cell->sums + r * TMSI_PANEL_TOKENS);
    for (; r < cell->rows; r++)
        one(words, values + r * depth / 2, index + r * words, cell->x,
            cell->sums + r * TMSI_PANEL_TOKENS);
}

void tmsi_spmm_nm24_f32_1x64_avx2(const tmsi_spmm_run *run) {
    tmsi_tokens_avx2(run, TMSI_NM24_T_BLOCK, run_cell);
}
