/* Twice over the layers: their sizes must be known before the file can be laid out, and no more
 * than one layer is in memory at a time. */
#include "base/memory.h"
#include "checkpoint/forms.h"
#include "checkpoint/job.h"
#include "checkpoint/output.h"
#include "format/format.h"

/* The sentence that says why the weight does not hold in the format asked for: only 2:4 can fail,
 * since csr and bsr take any weight. */
static tms_status explain_format(const tmsi_job *job, const tms_matrix *dense) {
    tms_format_desc desc = tms_format_desc_default(job->desc->format);
    tms_matrix matrix;
    tms_status status;

    desc.keep = 2;
    desc.group = 4;
    desc.block_rows = desc.block_columns = 8;
    status = tmsi_matrix_size(job->context, dense, &desc, &matrix);
    TMS_ASSERT(status != TMS_OK);
    return status;
}

static tms_status choose_form(tmsi_job *job, const tms_matrix *dense, tms_layer_row *row,
                              tms_matrix *out) {
    const tms_job_desc *desc = job->desc;
    tmsi_forms forms;
    tms_status status = TMS_OK;

    if (row->zeros.non_finite > 0) {
        tms_format_desc csr = tms_format_desc_default(TMS_FORMAT_CSR);
        TMS_TRY(tmsi_matrix_size(job->context, dense, &csr, out)); /* says where */
    }
    TMS_TRY(tmsi_forms_size(job->context, dense, &row->zeros, &row->pattern, &forms));
    row->format = desc->has_format ? desc->format : tmsi_forms_smallest(&forms);
    if (!forms.holds[row->format])
        TMS_TRY(explain_format(job, dense));
    tmsi_forms_bytes(&forms, row->format_bytes);
    *out = forms.matrices[row->format];
done:
    return status;
}

static tms_status choose_layer_form(tmsi_job *job, const tms_matrix *dense, tms_layer_row *row,
                                    void *forms) {
    int64_t i = job->layers[row - job->table->rows];
    tms_status status = choose_form(job, dense, row, (tms_matrix *)forms + i);

    return status == TMS_OK ? status : tmsi_fail_in(status, "tensor \"%s\"", row->name);
}

static tms_status pack_layer(tmsi_job *job, tmsi_output *output, int64_t i, tms_layer_row *row,
                             const tms_matrix *form) {
    tms_matrix dense, matrix = *form;
    void *dense_memory = NULL, *memory = NULL;
    tms_status status = TMS_OK;

    TMS_TRY(tmsi_checkpoint_view(job->checkpoint, i, &dense, &dense_memory));
    TMS_TRY(tmsi_matrix_allocate(job->context, &matrix, &memory));
    TMS_TRY(tmsi_matrix_encode(job->context, &dense, &matrix, &row->negative_zeros));
    TMS_TRY(tmsi_output_write(output, i, &matrix));
    TMS_TRY(tmsi_job_step(job, row->name, (size_t)row->dense_bytes));
done:
    tmsi_free(job->context, dense_memory);
    tmsi_free(job->context, memory);
    return status;
}

/* A tensor that was packed before and is not among the layers stays as it is. */
static tms_status keep_packed(tmsi_job *job, tmsi_output *output, int64_t i) {
    const tms_tensor *tensor = &job->checkpoint->tensors[i].tensor;
    tms_matrix matrix;
    void *copy = NULL;
    tms_status status = TMS_OK;

    TMS_TRY(tmsi_checkpoint_matrix(job->checkpoint, i, &matrix, &copy));
    TMS_TRY(tmsi_output_write(output, i, &matrix));
    TMS_TRY(tmsi_job_step(job, tensor->name, tensor->bytes));
done:
    tmsi_free(job->context, copy);
    return status;
}

static tms_status pack_tensors(tmsi_job *job, const tms_matrix *forms, tmsi_output *output) {
    tms_status status = TMS_OK;

    for (int64_t i = 0; i < job->checkpoint->tensor_count; i++) {
        tms_layer_row *row = tmsi_job_row(job, i);
        TMS_TRY(tmsi_job_step(job, job->checkpoint->tensors[i].tensor.name, 0));
        if (forms[i].format == TMS_FORMAT_DENSE)
            TMS_TRY(tmsi_output_copy(output, i));
        else if (row == NULL)
            TMS_TRY(keep_packed(job, output, i));
        else
            TMS_TRY(pack_layer(job, output, i, row, &forms[i]));
    }
    TMS_TRY(tmsi_output_commit(output));
done:
    return status;
}

tms_status tmsi_pack_run(tms_context *context, const tms_job_desc *desc, tms_layer_table **out) {
    tmsi_job job;
    tms_matrix *forms = NULL;
    tmsi_output *output = NULL;
    tmsi_output_desc output_desc;
    tms_status status = TMS_OK;

    TMS_TRY(tmsi_job_begin(context, desc, &job));
    TMS_TRY(tmsi_job_choose(&job));
    job.total = tmsi_job_layer_bytes(&job) + tmsi_job_tensor_bytes(&job);
    output_desc = tmsi_job_output(&job);
    TMS_TRY(tmsi_output_check(&output_desc));
    TMS_TRY(tmsi_alloc(context, (size_t)job.checkpoint->tensor_count, sizeof *forms, &forms));
    for (int64_t i = 0; i < job.checkpoint->tensor_count; i++)
        forms[i] = job.checkpoint->tensors[i].matrix;
    TMS_TRY(tmsi_job_each_layer(&job, choose_layer_form, forms));
    output_desc.forms = forms;
    TMS_TRY(tmsi_output_create(&output_desc, &output));
    TMS_TRY(pack_tensors(&job, forms, output));
    *out = job.table;
    job.table = NULL;
done:
    tmsi_output_destroy(output);
    tmsi_free(context, forms);
    tmsi_job_end(&job);
    return status;
}
