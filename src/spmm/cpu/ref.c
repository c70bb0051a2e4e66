/* References: y = x w^T by the definition, for every format in the plain layout, every type and the
 * whole epilogue. A sum runs over ascending k, one product after the other: in fp32, of i8 in whole
 * numbers of 64 bits, rounded once at the end. They are what fast kernels are tested beside, and
 * what serves where no fast kernel fits. Cost: a few nanoseconds for each stored weight and token.
 */
#include "format/layout/plain.h"
#include "format/nm.h"

#include "base/dtype.h"
#include "base/memory.h"
#include "base/threads.h"
#include "spmm/cpu/tuning.h"
#include "spmm/epilogue.h"
#include "spmm/problem.h"

/* Sums of rows [row, row + count) of w with row `t` of x. */
typedef void (*sum_rows)(const tmsi_spmm_run *run, int64_t t, int64_t row, int64_t count,
                         float *sums);

enum { ROWS_AT_ONCE = 64 }; /* even, so that gate pairs stay together */

typedef struct ref_job {
    const tmsi_spmm_run *run;
    sum_rows sum;
    int64_t chunk_rows, chunks; /* of weight rows; a task is one token and one chunk */
} ref_job;

static void run_task(void *arg, int64_t i) {
    const ref_job *job = arg;
    const tmsi_spmm_run *run = job->run;
    int64_t t = i / job->chunks, first = i % job->chunks * job->chunk_rows;
    int64_t end = tmsi_min(first + job->chunk_rows, run->problem->n);
    float sums[ROWS_AT_ONCE], largest = 0.0f;

    for (int64_t row = first; row < end; row += ROWS_AT_ONCE) {
        int64_t count = tmsi_min(ROWS_AT_ONCE, end - row);
        job->sum(run, t, row, count, sums);
        largest = tmsi_larger(largest, tmsi_epilogue_rows(run, t, row, count, sums));
    }
    if (run->args->absmax_t != NULL)
        run->args->absmax_t[t] = largest;
}

/* With absmax_t a token is one task, since its maximum runs over all rows. */
static void run_all(const tmsi_spmm_run *run, sum_rows sum) {
    ref_job job = {run, sum, run->args->absmax_t != NULL ? run->problem->n : ROWS_AT_ONCE, 0};

    job.chunks = tmsi_div_up(run->problem->n, job.chunk_rows);
    tmsi_parallel_for(run->context, run->args->t * job.chunks, run_task, &job);
}

/* One of the two grows, by the type of x and w; the other stays 0. */
typedef struct running_sum {
    float value;
    int64_t whole;
} running_sum;

static inline void add_product(running_sum *sum, const tmsi_spmm_run *run, int64_t x_at,
                               const void *values, int64_t value_at) {
    const void *x = run->args->x;

    if (run->problem->x_type == TMS_I8)
        sum->whole += ((const int8_t *)x)[x_at] * ((const int8_t *)values)[value_at];
    else
        sum->value += tmsi_load_f32(x, run->problem->x_type, x_at) *
                      tmsi_load_f32(values, run->problem->w_type, value_at);
}

static inline float total_of(running_sum sum) {
    return sum.value + (float)sum.whole;
}

static void sum_dense(const tmsi_spmm_run *run, int64_t t, int64_t row, int64_t count,
                      float *sums) {
    const void *values = tmsi_plain_component(run->weight, 0);
    int64_t columns = run->problem->k, x = t * run->args->ldx;

    for (int64_t i = 0; i < count; i++) {
        running_sum sum = {0.0f, 0};
        for (int64_t k = 0; k < columns; k++)
            add_product(&sum, run, x + k, values, (row + i) * columns + k);
        sums[i] = total_of(sum);
    }
}

void tmsi_spmm_dense_any_1x1_ref(const tmsi_spmm_run *run) {
    run_all(run, sum_dense);
}

static void sum_nm(const tmsi_spmm_run *run, int64_t t, int64_t row, int64_t count, float *sums) {
    const void *values = tmsi_plain_component(run->weight, 0);
    const uint8_t *index = tmsi_plain_component(run->weight, 1);
    int32_t keep = run->part->keep, group = run->part->group;
    int32_t bits = tmsi_nm_position_bits(group);
    int64_t row_bytes = tmsi_nm_row_bytes(run->problem->k, keep, group);
    int64_t groups = run->problem->k / group, x = t * run->args->ldx;

    for (int64_t i = 0; i < count; i++) {
        const uint8_t *positions = index + (row + i) * row_bytes;
        int64_t first = (row + i) * groups * keep, j = 0;
        running_sum sum = {0.0f, 0};
        for (int64_t g = 0; g < groups; g++)
            for (int32_t kept = 0; kept < keep; kept++, j++)
                add_product(&sum, run, x + g * group + tmsi_nm_position(positions, j, bits), values,
                            first + j);
        sums[i] = total_of(sum);
    }
}

void tmsi_spmm_nm_any_1x1_ref(const tmsi_spmm_run *run) {
    run_all(run, sum_nm);
}

static void sum_csr(const tmsi_spmm_run *run, int64_t t, int64_t row, int64_t count, float *sums) {
    const void *values = tmsi_plain_component(run->weight, 0);
    const int32_t *columns = tmsi_plain_component(run->weight, 1);
    const int64_t *offsets = tmsi_plain_component(run->weight, 2);
    int64_t x = t * run->args->ldx;

    for (int64_t i = 0; i < count; i++) {
        running_sum sum = {0.0f, 0};
        for (int64_t j = offsets[row + i]; j < offsets[row + i + 1]; j++)
            add_product(&sum, run, x + columns[j], values, j);
        sums[i] = total_of(sum);
    }
}

void tmsi_spmm_csr_any_1x1_ref(const tmsi_spmm_run *run) {
    run_all(run, sum_csr);
}

static void sum_bsr(const tmsi_spmm_run *run, int64_t t, int64_t row, int64_t count, float *sums) {
    const void *values = tmsi_plain_component(run->weight, 0);
    const int32_t *columns = tmsi_plain_component(run->weight, 1);
    const int64_t *offsets = tmsi_plain_component(run->weight, 2);
    int64_t rows = run->part->block_rows, width = run->part->block_columns;
    int64_t x = t * run->args->ldx;

    for (int64_t i = 0; i < count; i++) {
        int64_t block_row = (row + i) / rows, inner = (row + i) % rows;
        running_sum sum = {0.0f, 0};
        for (int64_t b = offsets[block_row]; b < offsets[block_row + 1]; b++) {
            int64_t first = columns[b] * width;
            int64_t end = tmsi_min(width, run->problem->k - first); /* edge blocks are padded */
            for (int64_t k = 0; k < end; k++)
                add_product(&sum, run, x + first + k, values, (b * rows + inner) * width + k);
        }
        sums[i] = total_of(sum);
    }
}

void tmsi_spmm_bsr_any_1x1_ref(const tmsi_spmm_run *run) {
    run_all(run, sum_bsr);
}

static double cost_of(double stored, int64_t t, tms_format format) {
    static const double ns[TMS_FORMAT_COUNT] = TMSI_TUNING_REF_NS;
    return stored * (double)t * ns[format] * 1e-3;
}

double tmsi_spmm_cost_ref(const tms_spmm_problem *problem, int64_t t,
                          const tmsi_hardware *hardware) {
    (void)hardware;
    return cost_of(tmsi_spmm_nnz(problem), t, problem->format);
}

double tmsi_spmm_cost_dense_ref(const tms_spmm_problem *problem, int64_t t,
                                const tmsi_hardware *hardware) {
    (void)hardware;
    return cost_of((double)problem->n * (double)problem->k, t, TMS_FORMAT_DENSE);
}
