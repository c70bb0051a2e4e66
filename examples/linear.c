/* A linear layer pruned to 2:4, packed, and multiplied: sparse beside dense, in the same numbers.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "tamis.h"

enum { N = 96, K = 128, T = 20 }; /* outputs, inputs, tokens */

#define TRY(call)                                                                                  \
    if ((call) != TMS_OK)                                                                          \
    return fprintf(stderr, "%s\n", tms_error_text()), 1

static float w[N * K], x[T * K], y_sparse[T * N], y_dense[T * N];

/* y = x w^T through an image and a plan, the three steps of every product. */
static int multiply(tms_context *context, const tms_matrix *weight, float *y) {
    tms_spmm_problem problem = tms_spmm_problem_default();
    tms_image_desc desc = tms_image_desc_default();
    tms_spmm_args args = tms_spmm_args_default();
    tms_spmm_plan *plan;
    tms_image image;
    size_t bytes;

    problem.n = N, problem.k = K, problem.t_max = T;
    problem.format = weight->format, problem.keep = weight->keep, problem.group = weight->group;
    desc.matrices = weight, desc.count = 1;
    TRY(tms_spmm_layout_choose(context, &problem, T, T, 0, &desc.layout));
    TRY(tms_image_bytes(context, &desc, &bytes));
    void *memory = aligned_alloc(64, (bytes + 63) / 64 * 64);
    TRY(tms_image_build(context, &desc, memory, bytes, &image));       /* once a weight */
    TRY(tms_spmm_plan_create(context, &problem, &desc.layout, &plan)); /* once a shape */
    args.t = T, args.image = &image, args.x = x, args.y = y;
    args.work = aligned_alloc(64, (tms_spmm_plan_work_bytes(plan) + 64) / 64 * 64);
    TRY(tms_spmm_plan_run(plan, &args, NULL)); /* every call */
    printf("%-5s %6zu bytes, kernel %s\n", tms_format_name(weight->format), image.bytes,
           tms_spmm_plan_kernel(plan, T));
    tms_spmm_plan_destroy(plan);
    free(args.work);
    free(memory);
    return 0;
}

int main(void) {
    tms_context *context;
    tms_select_desc select = tms_select_desc_default();
    tms_format_desc format = tms_format_desc_default(TMS_FORMAT_NM);
    static uint8_t mask[N * K / 8];
    tms_matrix packed;
    float worst = 0.0f;

    for (int i = 0; i < N * K; i++)
        w[i] = sinf((float)i * 0.37f);
    for (int i = 0; i < T * K; i++)
        x[i] = cosf((float)i * 0.11f);
    TRY(tms_context_create(NULL, &context));

    /* Prune: of every four weights the two largest stay. */
    select.weights = tms_matrix_dense(TMS_F32, N, K, w);
    TRY(tms_pattern_parse("2:4", &select.pattern));
    TRY(tms_mask_select(context, &select, mask));
    TRY(tms_mask_apply(context, mask, &select.weights));

    /* Pack: the kept values and where they stood. */
    format.keep = 2, format.group = 4;
    TRY(tms_matrix_size(context, &select.weights, &format, &packed));
    for (int i = 0; i < packed.component_count; i++)
        packed.components[i].data = malloc(packed.components[i].bytes);
    TRY(tms_matrix_encode(context, &select.weights, &packed, NULL));
    printf("%d x %d weights: %zu bytes dense, %zu packed\n", N, K,
           tms_matrix_bytes(&select.weights), tms_matrix_bytes(&packed));

    /* Run both, and compare. */
    if (multiply(context, &select.weights, y_dense) != 0 ||
        multiply(context, &packed, y_sparse) != 0)
        return 1;
    for (int i = 0; i < T * N; i++)
        worst = fmaxf(worst, fabsf(y_sparse[i] - y_dense[i]));
    printf("largest difference %g\n", (double)worst);
    for (int i = 0; i < packed.component_count; i++)
        free(packed.components[i].data);
    tms_context_destroy(context);
    return worst <= 1e-4f ? 0 : 1;
}
