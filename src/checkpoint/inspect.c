#include "checkpoint/forms.h"
#include "checkpoint/job.h"

static tms_status inspect_layer(tmsi_job *job, const tms_matrix *dense, tms_layer_row *row,
                                void *user) {
    tmsi_forms forms;
    tms_status status = TMS_OK;

    (void)user;
    TMS_TRY(tmsi_forms_size(job->context, dense, &row->zeros, &row->pattern, &forms));
    tmsi_forms_bytes(&forms, row->format_bytes);
done:
    return status;
}

tms_status tmsi_inspect_run(tms_context *context, const tms_job_desc *desc, tms_layer_table **out) {
    tmsi_job job;
    tms_status status = TMS_OK;

    TMS_TRY(tmsi_job_begin(context, desc, &job));
    TMS_TRY(tmsi_job_choose(&job));
    job.total = tmsi_job_layer_bytes(&job);
    TMS_TRY(tmsi_job_each_layer(&job, inspect_layer, NULL));
    *out = job.table;
    job.table = NULL;
done:
    tmsi_job_end(&job);
    return status;
}
