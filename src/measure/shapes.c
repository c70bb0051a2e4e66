/* Products of given shapes: random weights, dense and in each pattern. */
#include <string.h>

#include "base/memory.h"
#include "checkpoint/checkpoint.h"
#include "measure/group.h"
#include "measure/noise.h"
#include "measure/product.h"
#include "measure/weights.h"
#include "pattern/pattern.h"

static tms_status run_shape(tmsi_bench *bench, const tms_shape *shape,
                            char (*texts)[TMS_PATTERN_TEXT_MAX]) {
    tms_context *context = bench->context;
    const tms_bench_desc *desc = bench->desc;
    size_t elements = (size_t)(shape->n * shape->k);
    float *w = NULL, *pruned = NULL;
    tmsi_group *group = NULL;
    void *memory = NULL;
    tms_status status;

    TMS_TRY(tmsi_alloc(context, elements, sizeof *w, &w));
    TMS_TRY(tmsi_alloc(context, elements, sizeof *pruned, &pruned));
    tmsi_noise_fill(w, (int64_t)elements, 2);
    TMS_TRY(tmsi_group_create(bench, NULL, shape, w, desc->pattern_count, &group));
    for (int32_t i = 0; i < desc->pattern_count; i++) {
        tms_spmm_problem problem;
        tms_matrix matrix;

        memcpy(pruned, w, elements * sizeof *w);
        tmsi_free(context, memory);
        memory = NULL;
        TMS_TRY(tmsi_weight_make(context, &desc->patterns[i], pruned, shape->n, shape->k, &matrix,
                                 &memory));
        problem = tmsi_product_problem(&matrix);
        TMS_TRY(tmsi_group_add(group, &matrix, &problem, texts[i]));
    }
    TMS_TRY(tmsi_group_run(group));
done:
    tmsi_group_destroy(group);
    tmsi_free(context, memory);
    tmsi_free(context, pruned);
    tmsi_free(context, w);
    return status;
}

int64_t tmsi_bench_shapes_samples(const tmsi_bench *bench) {
    const tms_bench_desc *desc = bench->desc;

    return (int64_t)desc->shape_count * (desc->pattern_count + TMSI_GROUP_FIXED) * desc->rounds;
}

tms_status tmsi_bench_shapes(tmsi_bench *bench) {
    const tms_bench_desc *desc = bench->desc;
    char(*texts)[TMS_PATTERN_TEXT_MAX] = NULL;
    tms_status status;

    TMS_TRY(tmsi_alloc(bench->context, (size_t)desc->pattern_count, sizeof *texts, &texts));
    for (int32_t i = 0; i < desc->pattern_count; i++)
        tmsi_pattern_print(&desc->patterns[i], texts[i]);
    for (int32_t i = 0; i < desc->shape_count; i++)
        TMS_TRY(run_shape(bench, &desc->shapes[i], texts));
done:
    tmsi_free(bench->context, texts);
    return status;
}
