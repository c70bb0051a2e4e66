/* Products of given shapes: random weights, dense and in each pattern. */
#include <string.h>

#include "base/memory.h"
#include "checkpoint/checkpoint.h"
#include "format/format.h"
#include "measure/group.h"
#include "measure/noise.h"
#include "measure/product.h"
#include "pattern/pattern.h"

/* The format that stores what a pattern leaves, and nothing else. */
static tms_format_desc format_for(const tms_pattern *pattern) {
    tms_format_desc desc = tms_format_desc_default(TMS_FORMAT_CSR);

    if (pattern->kind == TMS_PATTERN_NM) {
        desc.format = TMS_FORMAT_NM;
        desc.keep = pattern->keep;
        desc.group = pattern->group;
    } else if (pattern->kind == TMS_PATTERN_BLOCK || pattern->kind == TMS_PATTERN_NM_IN_BLOCK) {
        desc.format = TMS_FORMAT_BSR;
        desc.block_rows = pattern->block_rows;
        desc.block_columns = pattern->block_columns;
    }
    return desc;
}

/* Zeroes what the pattern drops of w, and encodes the rest. *out_memory holds the components. */
static tms_status make_sparse(tms_context *context, const tms_pattern *pattern, float *w,
                              const tms_shape *shape, tms_matrix *out, void **out_memory) {
    tms_select_desc select = tms_select_desc_default();
    tms_format_desc format = format_for(pattern);
    uint8_t *mask = NULL;
    void *memory = NULL;
    int64_t negative_zeros;
    tms_status status;

    select.pattern = *pattern;
    select.weights = tms_matrix_dense(TMS_F32, shape->n, shape->k, w);
    TMS_TRY(tmsi_pattern_fits(pattern, shape->n, shape->k));
    TMS_TRY(tmsi_alloc(context, tms_mask_bytes(shape->n, shape->k), 1, &mask));
    TMS_TRY(tmsi_mask_select(context, &select, mask));
    tmsi_mask_apply(context, mask, &select.weights);
    TMS_TRY(tmsi_matrix_size(context, &select.weights, &format, out));
    TMS_TRY(tmsi_matrix_allocate(context, out, &memory));
    TMS_TRY(tmsi_matrix_encode(context, &select.weights, out, &negative_zeros));
    *out_memory = memory;
    memory = NULL;
done:
    tmsi_free(context, memory);
    tmsi_free(context, mask);
    return status;
}

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
        TMS_TRY(make_sparse(context, &desc->patterns[i], pruned, shape, &matrix, &memory));
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
