/* Rows of the GPU: 2:4 products of given shapes by the kernel that a plan takes, beside cuBLASLt.
 */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "measure/bench.h"
#include "measure/gpu_case.h"
#include "measure/statistics.h"
#include "spmm/choose.h"
#include "spmm/problem.h"

/* Who takes part: ours, and dense where cuBLASLt is there. */
enum { CANDIDATES_MAX = 2 };

/* A turn runs so long before it counts, and so long while it counts: all in turns hold the GPU at
 * the clock that its power allows. */
static const double warm_us = 20e3, timed_us = 40e3;

typedef struct gpu_group {
    tmsi_bench *bench;
    tmsi_gpu_clock *clock;
    tmsi_gpu_case product;
    const tmsi_spmm_kernel *kernels[CANDIDATES_MAX];
    int32_t count;
    double *us; /* [count][rounds] */
} gpu_group;

static tms_spmm_problem problem_of(const tms_bench_desc *desc, const tms_shape *shape) {
    const tms_dtype type = desc->dtype != TMS_F32 ? desc->dtype : TMS_BF16;

    return tmsi_spmm_problem_24(type, shape->n, shape->k, shape->t);
}

/* The sparse kernel that a plan for these tokens takes, and the dense one. */
static tms_status find_kernels(gpu_group *group) {
    const tms_spmm_problem *problem = &group->product.problem;
    const tmsi_machine machine = tmsi_spmm_machine(group->bench->context, problem);
    const tmsi_spmm_table table = tmsi_spmm_table_of(machine.hardware);
    tms_layout layout;
    tms_status status;

    TMS_TRY(
        tmsi_spmm_layout_choose(problem, &machine, problem->t_max, problem->t_max, false, &layout));
    group->kernels[group->count++] =
        tmsi_spmm_choose(problem, problem->t_max, &machine, &layout).kernel;
    for (int32_t i = 0; i < table.count && group->count < CANDIDATES_MAX; i++)
        if (table.kernels[i].format == TMS_FORMAT_DENSE &&
            tmsi_gpu_case_serves(&group->product, &table.kernels[i]))
            group->kernels[group->count++] = &table.kernels[i];
done:
    return status;
}

static tms_status step(tmsi_bench *bench) {
    const tms_bench_desc *desc = bench->desc;

    if (desc->progress != NULL &&
        desc->progress(desc->progress_user, "products", bench->done, bench->total) != 0)
        return tmsi_fail(TMS_ERR_CANCELLED, "stopped");
    bench->done++;
    return TMS_OK;
}

static tms_status take_turns(gpu_group *group) {
    const int32_t rounds = group->bench->desc->rounds;
    const int64_t t = group->product.problem.t_max;
    tms_status status = TMS_OK;

    for (int32_t r = 0; r < rounds; r++)
        for (int32_t turn = 0; turn < group->count; turn++) {
            const int32_t c = (turn + r) % group->count;

            TMS_TRY(step(group->bench));
            TMS_TRY(tmsi_gpu_case_time(&group->product, group->kernels[c], t, warm_us, timed_us,
                                       &group->us[c * rounds + r]));
        }
done:
    return status;
}

static tms_bench_row row_of(const gpu_group *group, int32_t c, const tmsi_median *median) {
    const tms_spmm_problem *problem = &group->product.problem;
    const bool is_dense = group->kernels[c]->format == TMS_FORMAT_DENSE;
    tms_bench_row row = group->bench->frame.row;

    row.op = "spmm";
    row.who = is_dense ? "cublaslt" : "tamis";
    row.kernel = group->kernels[c]->name;
    row.format = tms_format_name(is_dense ? TMS_FORMAT_DENSE : TMS_FORMAT_NM);
    row.pattern = is_dense ? NULL : "2:4";
    row.sparsity = is_dense ? 0.0 : 0.5;
    row.dtype = tms_dtype_name(problem->x_type);
    row.isa = (group->bench->context->gpu.isa & TMS_ISA_SM90) != 0 ? "sm90" : "sm80";
    row.t = problem->t_max;
    row.k = problem->k;
    row.n = problem->n;
    row.epilogue = "none";
    row.state = "sustained";
    row.us = median->value;
    row.us_min = median->low;
    row.us_max = median->high;
    row.rounds = group->bench->desc->rounds;
    row.bytes = row.resident_bytes =
        (int64_t)tmsi_gpu_case_bytes(&group->product, group->kernels[c]);
    row.device = group->bench->context->device_text;
    return row;
}

static tms_status emit_rows(gpu_group *group) {
    const int32_t rounds = group->bench->desc->rounds;
    tms_bench_row rows[CANDIDATES_MAX];
    double dense_us = NAN;
    tms_status status = TMS_OK;

    for (int32_t c = 0; c < group->count; c++) {
        const tmsi_median median = tmsi_median_of(group->us + c * rounds, rounds);

        rows[c] = row_of(group, c, &median);
        if (rows[c].sparsity == 0.0)
            dense_us = rows[c].us;
    }
    for (int32_t c = 0; c < group->count; c++) {
        rows[c].ratio_dense = dense_us / rows[c].us;
        TMS_TRY(tmsi_bench_emit(group->bench, &rows[c]));
    }
done:
    return status;
}

static tms_status run_shape(tmsi_bench *bench, tmsi_gpu_clock *clock, const tms_shape *shape) {
    tms_spmm_problem problem = problem_of(bench->desc, shape);
    gpu_group group;
    tms_status status;

    memset(&group, 0, sizeof group);
    group.bench = bench;
    TMS_TRY(tmsi_spmm_problem_check(&problem));
    TMS_TRY(tmsi_spmm_device_check(bench->context, &problem));
    TMS_TRY(tmsi_alloc(bench->context, CANDIDATES_MAX * (size_t)bench->desc->rounds,
                       sizeof *group.us, &group.us));
    TMS_TRY(tmsi_gpu_case_open(bench->context, clock, &problem, &group.product));
    TMS_TRY(find_kernels(&group));
    TMS_TRY(take_turns(&group));
    TMS_TRY(emit_rows(&group));
done:
    tmsi_gpu_case_close(&group.product);
    tmsi_free(bench->context, group.us);
    return status;
}

int64_t tmsi_bench_gpu_samples(const tmsi_bench *bench) {
    return (int64_t)bench->desc->shape_count * CANDIDATES_MAX * bench->desc->rounds;
}

tms_status tmsi_bench_gpu(tmsi_bench *bench) {
    const tms_bench_desc *desc = bench->desc;
    tmsi_gpu_clock *clock = NULL;
    tms_status status;

    TMS_TRY(tmsi_gpu_clock_open(bench->context, &clock));
    for (int32_t i = 0; i < desc->shape_count; i++)
        TMS_TRY(run_shape(bench, clock, &desc->shapes[i]));
done:
    tmsi_gpu_clock_close(bench->context, clock);
    return status;
}
