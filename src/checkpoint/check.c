#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "checkpoint/job.h"
#include "checkpoint/record.h"
#include "pattern/pattern.h"

/* Without globs and with a record that names any, the layers are the recorded ones. */
static tms_status choose_layers(tmsi_job *job) {
    int64_t *layers = NULL, count = 0;
    tms_status status;

    if (job->desc->layer_count > 0 || job->record == NULL)
        return tmsi_job_choose(job);
    status = tmsi_record_layers(job->checkpoint, job->record, &layers, &count);
    if (status == TMS_OK && count > 0)
        return tmsi_job_take(job, layers, count);
    tmsi_free(job->context, layers);
    return status == TMS_OK ? tmsi_job_choose(job) : status;
}

/* The pattern that each layer must hold: the one given, or its own of the record. */
static tms_status choose_patterns(const tmsi_job *job) {
    for (int64_t i = 0; i < job->layer_count; i++) {
        tms_layer_row *row = &job->table->rows[i];
        if (job->desc->pattern != NULL)
            row->pattern = *job->desc->pattern;
        else if (row->pattern.kind == TMS_PATTERN_NONE)
            return tmsi_fail(TMS_ERR_INVALID,
                             "\"%s\" records no pattern for layer \"%s\": set one (--pattern)",
                             job->desc->in, row->name);
    }
    return TMS_OK;
}

/* A layer that the pattern cannot fit does not hold it. */
static tms_status check_layer(tmsi_job *job, const tms_matrix *dense, tms_layer_row *row,
                              void *holds) {
    tms_status status;

    if (row->zeros.non_finite > 0)
        return tmsi_fail(TMS_ERR_VALUE,
                         "tensor \"%s\": weight at row %lld, column %lld is NaN or Inf", row->name,
                         (long long)row->zeros.first_non_finite_row,
                         (long long)row->zeros.first_non_finite_column);
    status = tmsi_pattern_check(job->context, &row->pattern, dense, &row->check);
    if (status == TMS_ERR_PATTERN) {
        const char *sentence = strstr(tms_error_text(), ": ");
        row->check.row = row->check.column = -1;
        snprintf(row->check.text, sizeof row->check.text, "%s",
                 sentence != NULL ? sentence + 2 : tms_error_text());
        status = TMS_OK;
    }
    *(int32_t *)holds &= row->check.holds;
    return status;
}

tms_status tmsi_check_run(tms_context *context, const tms_job_desc *desc, int32_t *out_holds,
                          tms_layer_table **out) {
    tmsi_job job;
    int32_t holds = 1;
    tms_status status = TMS_OK;

    TMS_TRY(tmsi_job_begin(context, desc, &job));
    TMS_TRY(choose_layers(&job));
    TMS_TRY(tmsi_job_need_layers(&job));
    TMS_TRY(choose_patterns(&job));
    job.total = tmsi_job_layer_bytes(&job);
    TMS_TRY(tmsi_job_each_layer(&job, check_layer, &holds));
    *out_holds = holds;
    *out = job.table;
    job.table = NULL;
done:
    tmsi_job_end(&job);
    return status;
}
