#include "base/memory.h"
#include "checkpoint/job.h"
#include "checkpoint/output.h"

/* The packed tensors are this job's layers. */
static tms_status take_packed(tmsi_job *job) {
    const tms_checkpoint *checkpoint = job->checkpoint;
    int64_t *layers = NULL, count = 0;
    tms_status status =
        tmsi_alloc(job->context, (size_t)checkpoint->tensor_count, sizeof *layers, &layers);

    if (status != TMS_OK)
        return status;
    for (int64_t i = 0; i < checkpoint->tensor_count; i++)
        if (checkpoint->tensors[i].tensor.format != TMS_FORMAT_DENSE)
            layers[count++] = i;
    return tmsi_job_take(job, layers, count);
}

tms_status tmsi_unpack_run(tms_context *context, const tms_job_desc *desc, tms_layer_table **out) {
    tmsi_job job;
    tmsi_output *output = NULL;
    tmsi_output_desc output_desc;
    tms_status status = TMS_OK;

    TMS_TRY(tmsi_job_begin(context, desc, &job));
    TMS_TRY(take_packed(&job));
    job.total = tmsi_job_tensor_bytes(&job);
    output_desc = tmsi_job_output(&job);
    TMS_TRY(tmsi_output_create(&output_desc, &output));
    for (int64_t i = 0; i < job.checkpoint->tensor_count; i++) {
        TMS_TRY(tmsi_job_step(&job, job.checkpoint->tensors[i].tensor.name, 0));
        TMS_TRY(tmsi_output_copy(output, i));
    }
    for (int64_t i = 0; i < job.layer_count; i++)
        job.table->rows[i].format_bytes[job.table->rows[i].format] =
            (int64_t)tms_matrix_bytes(&job.checkpoint->tensors[job.layers[i]].matrix);
    TMS_TRY(tmsi_output_commit(output));
    *out = job.table;
    job.table = NULL;
done:
    tmsi_output_destroy(output);
    tmsi_job_end(&job);
    return status;
}
