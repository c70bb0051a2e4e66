#include "base/memory.h"
#include "checkpoint/forms.h"
#include "checkpoint/job.h"
#include "pattern/pattern.h"

static tms_status inspect_layer(const tmsi_job *job, int64_t i, tms_layer_row *row) {
    tms_matrix dense;
    void *memory = NULL;
    tmsi_forms forms;
    tms_status status = TMS_OK;

    TMS_TRY(tmsi_checkpoint_view(job->checkpoint, i, &dense, &memory));
    TMS_TRY(tmsi_matrix_count(job->context, &dense, &row->zeros));
    TMS_TRY(tmsi_forms_size(job->context, &dense, &row->zeros, &row->pattern, &forms));
    for (int f = 0; f < TMS_FORMAT_COUNT; f++)
        row->format_bytes[f] = forms.holds[f] ? (int64_t)tms_matrix_bytes(&forms.matrices[f]) : -1;
done:
    tmsi_free(job->context, memory);
    return status;
}

tms_status tmsi_inspect_run(tms_context *context, const tms_job_desc *desc, tms_layer_table **out) {
    tmsi_job job;
    tms_status status = TMS_OK;

    TMS_TRY(tmsi_job_begin(context, desc, &job));
    TMS_TRY(tmsi_job_choose(&job));
    job.total = tmsi_job_layer_bytes(&job);
    for (int64_t i = 0; i < job.layer_count; i++) {
        tms_layer_row *row = &job.table->rows[i];
        TMS_TRY(tmsi_job_step(&job, row->name, 0));
        TMS_TRY(inspect_layer(&job, job.layers[i], row));
        TMS_TRY(tmsi_job_step(&job, row->name, (size_t)row->dense_bytes));
    }
    *out = job.table;
    job.table = NULL;
done:
    tmsi_job_end(&job);
    return status;
}
