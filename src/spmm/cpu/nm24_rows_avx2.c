/* 2:4 weights for few tokens: vectors along 8 weight rows.
 *
 * Four x of a token are broadcast to both halves of a vector; vpermilps, whose control is the
 * vector of the rows' index words, gives each row the x it wants: one shuffle an FMA, on three
 * ports that two of each would fill, so at most 1.5 FMAs a cycle and 1.15 as measured: 1.3 times
 * dense for 4 and more tokens. Below, where w's bytes count (53 % of dense's) and latency, it
 * is 1.2 to 1.9 times dense. x is read as it lies, with no packing. Vectors along tokens take over
 * at some 16 tokens. Sums are the same chains as everywhere, so the bits are too. */
#include "base/memory.h"
#include "base/threads.h"
#include "format/layout/nm24.h"
#include "format/layout/nm24_n.h"
#include "spmm/cpu/epilogue_avx2.h"
#include "spmm/cpu/vector_avx2.h"

enum {
    MAX_TOKENS = 4,
    MAX_PANELS = 4,
    TASK_FMAS = 1 << 15, /* vector FMAs of a task: some 8 us */
};

/* Panels that lie one behind another, and x of the first token. */
typedef struct operands {
    const float *values; /* of the first panel */
    const uint32_t *index;
    const float *x;
    int64_t ldx, k, k_padded;
} operands;

/* sums[m][8q + r] for M tokens and Q panels. */
static inline __attribute__((always_inline)) void multiply(const int M, const int Q,
                                                           const operands *in, float *sums) {
    const int64_t value_step = in->k_padded / 2 * 8, index_step = in->k_padded / TMSI_NM24_WORD * 8;
    const float *values = in->values, *x = in->x;
    const uint32_t *index = in->index;
    __m256 sum[4][4];

    TMSI_UNROLL
    for (int m = 0; m < M; m++) {
        TMSI_UNROLL
        for (int q = 0; q < Q; q++)
            sum[m][q] = _mm256_setzero_ps();
    }
    for (int64_t k = 0; k < in->k; k += TMSI_NM24_WORD, index += 8) {
        int64_t groups = tmsi_min(in->k - k, TMSI_NM24_WORD) / 4;
        __m256i position[4];
        TMSI_UNROLL
        for (int q = 0; q < Q; q++)
            position[q] = _mm256_loadu_si256((const __m256i *)(index + q * index_step));
        for (; groups > 0; groups--, values += 16, x += 4) {
            __m256 four[4];
            TMSI_UNROLL
            for (int m = 0; m < M; m++)
                four[m] = _mm256_broadcast_ps((const __m128 *)(x + m * in->ldx));
            TMSI_UNROLL
            for (int s = 0; s < 2; s++) {
                TMSI_UNROLL
                for (int q = 0; q < Q; q++) {
                    __m256 weights = _mm256_loadu_ps(values + q * value_step + s * 8);
                    TMSI_UNROLL
                    for (int m = 0; m < M; m++)
                        sum[m][q] = _mm256_fmadd_ps(
                            weights, _mm256_permutevar_ps(four[m], position[q]), sum[m][q]);
                    position[q] = _mm256_srli_epi32(position[q], 2);
                }
            }
        }
    }
    TMSI_UNROLL
    for (int m = 0; m < M; m++) {
        TMSI_UNROLL
        for (int q = 0; q < Q; q++)
            _mm256_storeu_ps(sums + m * MAX_PANELS * 8 + q * 8, sum[m][q]);
    }
}

typedef void (*micro_kernel)(const operands *in, float *sums);

#define MICRO_KERNEL(M, Q)                                                                         \
    static void multiply_##M##_##Q(const operands *in, float *sums) {                              \
        multiply(M, Q, in, sums);                                                                  \
    }
MICRO_KERNEL(1, 4)
MICRO_KERNEL(2, 4)
MICRO_KERNEL(3, 2)
MICRO_KERNEL(4, 2)
/* Panels left over. */
MICRO_KERNEL(1, 1)
MICRO_KERNEL(2, 1)
MICRO_KERNEL(3, 1)
MICRO_KERNEL(4, 1)

static const struct {
    int64_t panels;
    micro_kernel many, one;
} kernels[MAX_TOKENS] = {
    {4, multiply_1_4, multiply_1_1},
    {4, multiply_2_4, multiply_2_1},
    {2, multiply_3_2, multiply_3_1},
    {2, multiply_4_2, multiply_4_1},
};

typedef struct product {
    const tmsi_spmm_run *run;
    int64_t panels, panels_at_once; /* of a task */
} product;

/* Some panels with up to four tokens from t on. */
static void run_tokens(const tmsi_spmm_run *run, int64_t t, int64_t tokens, int64_t panel,
                       int64_t end) {
    const tms_spmm_problem *problem = run->problem;
    const int64_t padded = tmsi_nm24_padded(problem->k);
    const int64_t all = tmsi_div_up(problem->n, TMSI_NM24_N_ROWS) * TMSI_NM24_N_ROWS;
    const float *values = run->weight;
    const uint32_t *index = (const uint32_t *)(values + all * padded / 2);
    float sums[MAX_TOKENS * MAX_PANELS * 8];

    while (panel < end) {
        int64_t count = panel + kernels[tokens - 1].panels <= end ? kernels[tokens - 1].panels : 1;
        int64_t row = panel * TMSI_NM24_N_ROWS;
        operands in = {.values = values + row * padded / 2,
                       .index = index + row * padded / TMSI_NM24_WORD,
                       .x = (const float *)run->args->x + t * run->args->ldx,
                       .ldx = run->args->ldx,
                       .k = problem->k,
                       .k_padded = padded};
        (count > 1 ? kernels[tokens - 1].many : kernels[tokens - 1].one)(&in, sums);
        tmsi_epilogue_avx2(run, t, tokens, row,
                           tmsi_min(count * TMSI_NM24_N_ROWS, problem->n - row), sums,
                           MAX_PANELS * 8);
        panel += count;
    }
}

static void run_task(void *arg, int64_t i) {
    const product *job = arg;
    const int64_t t_count = job->run->args->t;
    int64_t panel = i * job->panels_at_once;
    int64_t end = tmsi_min(panel + job->panels_at_once, job->panels);

    for (int64_t t = 0; t < t_count; t += MAX_TOKENS)
        run_tokens(job->run, t, tmsi_min(t_count - t, MAX_TOKENS), panel, end);
}

void tmsi_spmm_nm24_f32_16x4_avx2(const tmsi_spmm_run *run) {
    product job = {.run = run};
    int64_t panel_fmas = run->args->t * tmsi_nm24_padded(run->problem->k) / 2;

    job.panels = tmsi_div_up(run->problem->n, TMSI_NM24_N_ROWS);
    job.panels_at_once =
        (int64_t)tmsi_round_up((size_t)tmsi_div_up(TASK_FMAS, panel_fmas), MAX_PANELS);
    tmsi_parallel_for(run->context, tmsi_div_up(job.panels, job.panels_at_once), run_task, &job);
}
