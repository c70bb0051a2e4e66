#include "measure/group.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "measure/noise.h"
#include "measure/peak.h"
#include "measure/product.h"

/* OpenBLAS on the dense weight, in copies where it shall be cold. */
typedef struct openblas_case {
    const tmsi_group *group;
    tmsi_product_copies copies;
    float *data; /* NULL: warm, the group's own w */
} openblas_case;

struct tmsi_group {
    tmsi_bench *bench;
    tms_shape shape;
    const float *w;
    float *x, *y;
    const tmsi_peak *peak;
    openblas_case openblas;
    tmsi_product *products; /* our dense one first */
    tms_bench_row *rows;    /* of all candidates */
    tmsi_candidate *candidates;
    tmsi_timing *timings;
    int32_t product_count, count;
};

static tms_status run_peak(void *self) {
    const tmsi_group *group = self;

    tmsi_peak_run(group->bench->context, group->peak, group->shape.t, group->shape.k,
                  group->shape.n);
    return TMS_OK;
}

static tms_status run_rival(void *self) {
    openblas_case *rival = self;
    const tmsi_group *group = rival->group;
    const float *w = group->w;

    if (rival->data != NULL)
        w = rival->data + (size_t)rival->copies.next * (rival->copies.stride / sizeof *w);
    rival->copies.next = rival->copies.next + 1 < rival->copies.count ? rival->copies.next + 1 : 0;
    tmsi_openblas_run(&group->bench->openblas, group->x, w, group->y, group->shape.t,
                      group->shape.k, group->shape.n);
    return TMS_OK;
}

/* The next row and candidate. */
static tms_bench_row *push(tmsi_group *group, const char *op, const char *who,
                           tms_status (*run)(void *), void *self, const char *label) {
    tms_bench_row *row = &group->rows[group->count];

    *row = group->bench->frame.row;
    row->op = op;
    row->who = who;
    row->dtype = tms_dtype_name(TMS_F32);
    row->t = group->shape.t;
    row->k = group->shape.k;
    row->n = group->shape.n;
    row->state = group->bench->desc->is_cold ? "cold" : "warm";
    row->label = label;
    group->candidates[group->count].run = run;
    group->candidates[group->count].self = self;
    group->count++;
    return row;
}

/* Readies OpenBLAS; copies only where cold. */
static tms_status push_rival(tmsi_group *group, const char *label) {
    tmsi_bench *bench = group->bench;
    size_t elements = (size_t)group->shape.n * (size_t)group->shape.k, bytes = elements * 4;
    openblas_case *rival = &group->openblas;
    tms_bench_row *row;
    tms_status status = TMS_OK;

    rival->group = group;
    rival->copies = tmsi_copies_plan(bench->context, bytes, bench->desc->is_cold);
    if (rival->copies.count > 1) {
        TMS_TRY(tmsi_alloc(bench->context, (size_t)rival->copies.count, rival->copies.stride,
                           &rival->data));
        for (int64_t i = 0; i < rival->copies.count; i++)
            memcpy((char *)rival->data + (size_t)i * rival->copies.stride, group->w, bytes);
    }
    row = push(group, "spmm", "openblas", run_rival, rival, label);
    row->kernel = group->shape.t == 1 ? "sgemv" : "sgemm";
    row->format = tms_format_name(TMS_FORMAT_DENSE);
    row->sparsity = 0.0;
    row->bytes = row->resident_bytes = (int64_t)bytes;
done:
    return status;
}

tms_status tmsi_group_create(tmsi_bench *bench, const char *label, const tms_shape *shape,
                             const float *w, int32_t added_max, tmsi_group **out) {
    tms_context *context = bench->context;
    size_t slots = (size_t)added_max + TMSI_GROUP_FIXED;
    tmsi_group *group = NULL;
    tms_matrix dense = tms_matrix_dense(TMS_F32, shape->n, shape->k, w);
    tms_spmm_problem problem = tmsi_product_problem(&dense);
    tms_status status;

    TMS_TRY(tmsi_alloc(context, 1, sizeof *group, &group));
    group->bench = bench;
    group->shape = *shape;
    group->w = w;
    TMS_TRY(tmsi_alloc(context, (size_t)(shape->t * shape->k), sizeof(float), &group->x));
    TMS_TRY(tmsi_alloc(context, (size_t)(shape->t * shape->n), sizeof(float), &group->y));
    TMS_TRY(tmsi_alloc(context, slots, sizeof *group->products, &group->products));
    TMS_TRY(tmsi_alloc(context, slots, sizeof *group->rows, &group->rows));
    TMS_TRY(tmsi_alloc(context, slots, sizeof *group->candidates, &group->candidates));
    TMS_TRY(tmsi_alloc(context, slots, sizeof *group->timings, &group->timings));
    tmsi_noise_fill(group->x, shape->t * shape->k, 1);
    group->peak = tmsi_peak_find(context);
    if (group->peak != NULL)
        push(group, "peak", "tamis", run_peak, group, label)->kernel = group->peak->name;
    if (bench->openblas.is_there)
        TMS_TRY(push_rival(group, label));
    TMS_TRY(tmsi_group_add(group, &dense, &problem, NULL));
    *out = group;
    group = NULL;
done:
    tmsi_group_destroy(group);
    return status;
}

void tmsi_group_destroy(tmsi_group *group) {
    tms_context *context;

    if (group == NULL)
        return;
    context = group->bench->context;
    for (int32_t i = 0; i < group->product_count; i++)
        tmsi_product_destroy(&group->products[i]);
    tmsi_free(context, group->openblas.data);
    tmsi_free(context, group->timings);
    tmsi_free(context, group->candidates);
    tmsi_free(context, group->rows);
    tmsi_free(context, group->products);
    tmsi_free(context, group->y);
    tmsi_free(context, group->x);
    tmsi_free(context, group);
}

tms_status tmsi_group_add(tmsi_group *group, const tms_matrix *matrix,
                          const tms_spmm_problem *given, const char *pattern) {
    tmsi_product *product = &group->products[group->product_count++];
    tms_spmm_problem problem = *given;
    tms_bench_row *row;
    tms_status status;

    problem.t_max = group->shape.t;
    TMS_TRY(tmsi_product_create(group->bench->context, matrix, &problem, group->x, group->y,
                                group->bench->desc->is_cold, product));
    row = push(group, "spmm", "tamis", tmsi_product_run, product, group->rows[0].label);
    row->kernel = tmsi_product_kernel(product);
    row->format = tms_format_name(problem.format);
    row->pattern = pattern;
    row->sparsity = 1.0 - product->plan->problem.density;
    row->bytes = (int64_t)tms_matrix_bytes(matrix);
    row->resident_bytes = (int64_t)product->image.bytes;
done:
    return status;
}

tms_status tmsi_group_run(tmsi_group *group) {
    double fastest = INFINITY; /* dense */
    tms_status status;

    TMS_TRY(
        tmsi_bench_time(group->bench, "products", group->candidates, group->count, group->timings));
    for (int32_t i = 0; i < group->count; i++) {
        tms_bench_row *row = &group->rows[i];

        tmsi_row_set_timing(row, &group->timings[i]);
        if (row->format != NULL && row->pattern == NULL && row->us < fastest)
            fastest = row->us;
    }
    for (int32_t i = 0; i < group->count; i++) {
        group->rows[i].ratio_dense = fastest / group->rows[i].us;
        TMS_TRY(tmsi_bench_emit(group->bench, &group->rows[i]));
    }
done:
    return status;
}
