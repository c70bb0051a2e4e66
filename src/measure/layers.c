/* The layers of a checkpoint: dense as they are, zeros and all, beside what their zeros suggest. */
#include <inttypes.h>
#include <stdio.h>

#include "base/memory.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/record.h"
#include "format/format.h"
#include "measure/group.h"
#include "model/weights.h"
#include "pattern/pattern.h"

/* The pattern on record, else what the format can tell of it. */
static void print_pattern(const tmsi_weight *weight, const json_t *record,
                          char text[TMS_PATTERN_TEXT_MAX]) {
    tms_pattern pattern;

    if (tmsi_record_find(record, weight->name, &pattern))
        tmsi_pattern_print(&pattern, text);
    else if (weight->format == TMS_FORMAT_NM)
        snprintf(text, TMS_PATTERN_TEXT_MAX, "%d:%d", weight->keep, weight->group);
    else if (weight->format == TMS_FORMAT_BSR)
        snprintf(text, TMS_PATTERN_TEXT_MAX, "block %dx%d", weight->block_rows,
                 weight->block_columns);
    else
        snprintf(text, TMS_PATTERN_TEXT_MAX, "unstructured");
}

static tms_status run_layer(tmsi_bench *bench, const tmsi_weight *weight, const char *pattern,
                            const float *w, int64_t tokens) {
    tms_shape shape = {tokens, weight->matrix.k, weight->matrix.n};
    tms_spmm_problem problem = tmsi_weight_problem(weight);
    tmsi_group *group = NULL;
    tms_status status;

    TMS_TRY(tmsi_group_create(bench, weight->name, &shape, w, 1, &group));
    if (weight->format != TMS_FORMAT_DENSE)
        TMS_TRY(tmsi_group_add(group, &weight->matrix, &problem, pattern));
    TMS_TRY(tmsi_group_run(group));
done:
    tmsi_group_destroy(group);
    return status;
}

int64_t tmsi_bench_layers_samples(const tmsi_bench *bench) {
    const tms_bench_desc *desc = bench->desc;

    return bench->layer_count * desc->token_count * (TMSI_GROUP_FIXED + 1) * desc->rounds;
}

tms_status tmsi_bench_layers(tmsi_bench *bench) {
    const tms_bench_desc *desc = bench->desc;
    tms_context *context = bench->context;
    tms_checkpoint *checkpoint = bench->checkpoint;
    char pattern[TMS_PATTERN_TEXT_MAX];
    tmsi_weight weight = {0};
    json_t *record = NULL;
    float *w = NULL;
    tms_status status;

    if (checkpoint == NULL)
        return TMS_OK;
    TMS_TRY(tmsi_record_read(checkpoint, &record));
    for (int64_t i = 0; i < bench->layer_count; i++) {
        const tms_tensor *tensor = &checkpoint->tensors[bench->layers[i]].tensor;
        int64_t n = tensor->shape[0], k = tensor->shape[1];

        if (n == 0 || k == 0) {
            status = tmsi_fail(TMS_ERR_FORMAT,
                               "tensor \"%s\" is %" PRId64 " x %" PRId64
                               ": there is nothing to multiply; choose other layers (--layers)",
                               tensor->name, n, k);
            goto done;
        }
        TMS_TRY(tmsi_weights_matrix(checkpoint, record, "", tensor->name, n, k, &weight));
        TMS_TRY(tmsi_alloc(context, (size_t)(n * k), sizeof *w, &w));
        tmsi_matrix_rows_f32(&weight.matrix, 0, n, w);
        print_pattern(&weight, record, pattern);
        for (int32_t j = 0; j < desc->token_count; j++)
            TMS_TRY(run_layer(bench, &weight, pattern, w, desc->tokens[j]));
        tmsi_free(context, w);
        w = NULL;
        tmsi_weight_free(context, &weight);
        weight = (tmsi_weight){0};
    }
done:
    tmsi_free(context, w);
    tmsi_weight_free(context, &weight);
    json_decref(record);
    return status;
}
