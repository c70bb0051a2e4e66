#include "measure/weights.h"

#include "base/memory.h"
#include "checkpoint/checkpoint.h"
#include "format/format.h"
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

tms_status tmsi_weight_make(tms_context *context, const tms_pattern *pattern, float *w, int64_t n,
                            int64_t k, tms_matrix *out, void **out_memory) {
    tms_select_desc select = tms_select_desc_default();
    tms_format_desc format = format_for(pattern);
    uint8_t *mask = NULL;
    void *memory = NULL;
    int64_t negative_zeros;
    tms_status status;

    select.pattern = *pattern;
    select.weights = tms_matrix_dense(TMS_F32, n, k, w);
    TMS_TRY(tmsi_pattern_fits(pattern, n, k));
    TMS_TRY(tmsi_alloc(context, tms_mask_bytes(n, k), 1, &mask));
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
