#include <inttypes.h>

#include "api/arguments.h"
#include "checkpoint/job.h"
#include "model/network.h"
#include "pattern/pattern.h"
#include "prune/prune.h"

int64_t tms_layer_table_count(const tms_layer_table *table) {
    return table == NULL ? 0 : table->count;
}

const tms_layer_row *tms_layer_table_row(const tms_layer_table *table, int64_t i) {
    return table == NULL || i < 0 || i >= table->count ? NULL : &table->rows[i];
}

void tms_layer_table_destroy(tms_layer_table *table) {
    tmsi_table_destroy(table);
}

const char *tms_method_name(tms_prune_method method) {
    return (unsigned)method < TMS_METHOD_COUNT ? tmsi_methods[method].name : "?";
}

tms_status tms_method_parse(const char *text, tms_prune_method *out_method) {
    tmsi_enter(__func__);
    TMSI_NEED(text);
    TMSI_NEED(out_method);
    return tmsi_method_parse(text, out_method);
}

/* What every job reads of its desc. */
static tms_status read_desc(tms_context *context, const tms_job_desc *given, bool needs_out,
                            const void *out_table, tms_job_desc *out) {
    tms_status status = TMS_OK;

    TMSI_NEED(context);
    TMSI_NEED(out_table);
    TMS_TRY(tmsi_struct_read("desc", given, sizeof *out, out));
    if (out->in == NULL || (needs_out && out->out == NULL))
        return tmsi_fail(TMS_ERR_INVALID, "desc->%s is NULL", out->in == NULL ? "in" : "out");
    if (out->layer_count < 0 || (out->layer_count > 0 && out->layers == NULL))
        return tmsi_fail(TMS_ERR_INVALID, "desc->layer_count is %d, but desc->layers is %s",
                         out->layer_count, out->layers == NULL ? "NULL" : "given");
    for (int32_t i = 0; i < out->layer_count; i++)
        if (out->layers[i] == NULL)
            return tmsi_fail(TMS_ERR_INVALID, "desc->layers[%d] is NULL", i);
done:
    return status;
}

static tms_status check_pattern(const tms_pattern *pattern) {
    tms_status status = tmsi_pattern_valid(pattern);

    if (status == TMS_OK && pattern->kind == TMS_PATTERN_NONE)
        status = tmsi_fail(TMS_ERR_INVALID, "the pattern is dense, which drops no weight");
    return status == TMS_OK ? status : tmsi_fail_in(status, "desc->pattern");
}

tms_status tms_inspect_run(tms_context *context, const tms_job_desc *given,
                           tms_layer_table **out_table) {
    tms_job_desc desc;
    tms_status status;

    tmsi_enter(__func__);
    status = read_desc(context, given, false, out_table, &desc);
    return status == TMS_OK ? tmsi_inspect_run(context, &desc, out_table) : status;
}

tms_status tms_prune_run(tms_context *context, const tms_job_desc *given,
                         tms_layer_table **out_table) {
    tms_job_desc desc;
    tms_status status = TMS_OK;

    tmsi_enter(__func__);
    TMS_TRY(read_desc(context, given, true, out_table, &desc));
    if (desc.pattern == NULL)
        return tmsi_fail(TMS_ERR_INVALID, "desc->pattern is NULL");
    TMS_TRY(check_pattern(desc.pattern));
    if ((unsigned)desc.method >= TMS_METHOD_COUNT)
        return tmsi_fail(TMS_ERR_INVALID, "desc->method is %d, but must be 0 to %d",
                         (int)desc.method, TMS_METHOD_COUNT - 1);
    if (desc.block_norm != TMS_NORM_L1 && desc.block_norm != TMS_NORM_L2)
        return tmsi_fail(TMS_ERR_INVALID, "desc->block_norm is %d, but must be 0 (L1) or 1 (L2)",
                         (int)desc.block_norm);
    TMS_TRY(tmsi_prune_run(context, &desc, &tmsi_encoder_source, out_table));
done:
    return status;
}

tms_status tms_check_run(tms_context *context, const tms_job_desc *given, int32_t *out_holds,
                         tms_layer_table **out_table) {
    tms_job_desc desc;
    tms_status status = TMS_OK;

    tmsi_enter(__func__);
    TMS_TRY(read_desc(context, given, false, out_table, &desc));
    TMSI_NEED(out_holds);
    if (desc.pattern != NULL)
        TMS_TRY(check_pattern(desc.pattern));
    TMS_TRY(tmsi_check_run(context, &desc, out_holds, out_table));
done:
    return status;
}

tms_status tms_pack_run(tms_context *context, const tms_job_desc *given,
                        tms_layer_table **out_table) {
    tms_job_desc desc;
    tms_status status = TMS_OK;

    tmsi_enter(__func__);
    TMS_TRY(read_desc(context, given, true, out_table, &desc));
    if (desc.has_format && (unsigned)desc.format >= TMS_FORMAT_COUNT)
        return tmsi_fail(TMS_ERR_INVALID, "desc->format is %d, but must be 0 to %d",
                         (int)desc.format, TMS_FORMAT_COUNT - 1);
    TMS_TRY(tmsi_pack_run(context, &desc, out_table));
done:
    return status;
}

tms_status tms_unpack_run(tms_context *context, const tms_job_desc *given,
                          tms_layer_table **out_table) {
    tms_job_desc desc;
    tms_status status;

    tmsi_enter(__func__);
    status = read_desc(context, given, true, out_table, &desc);
    return status == TMS_OK ? tmsi_unpack_run(context, &desc, out_table) : status;
}
