#include "checkpoint/job.h"

#include <inttypes.h>
#include <string.h>

#include "base/memory.h"
#include "checkpoint/layers.h"
#include "checkpoint/record.h"
#include "pattern/pattern.h"

/* ---- Table ---------------------------------------------------------------------------------- */

void tmsi_table_destroy(tms_layer_table *self) {
    if (self == NULL)
        return;
    tmsi_free(self->context, self->rows);
    tmsi_free(self->context, self->names);
    tmsi_free(self->context, self);
}

static void fill_row(const tmsi_job *job, const tms_tensor *tensor, tms_layer_row *row) {
    row->n = tensor->shape[0];
    row->k = tensor->shape[1];
    row->dtype = tensor->dtype;
    row->format = tensor->format;
    row->dense_bytes = (int64_t)tensor->bytes;
    row->zeros = tms_zero_report_default();
    row->check = tms_check_report_default();
    tmsi_record_find(job->record, tensor->name, &row->pattern);
}

/* A row a chosen layer; names are copied, since the table outlives the checkpoint. */
static tms_status make_table(const tmsi_job *job, tms_layer_table **out) {
    tms_layer_table *self = NULL;
    size_t name_bytes = 0;
    char *name;
    tms_status status = TMS_OK;

    for (int64_t i = 0; i < job->layer_count; i++)
        name_bytes += strlen(job->checkpoint->tensors[job->layers[i]].tensor.name) + 1;
    TMS_TRY(tmsi_alloc(job->context, 1, sizeof *self, &self));
    self->context = job->context;
    TMS_TRY(tmsi_alloc(job->context, (size_t)job->layer_count, sizeof *self->rows, &self->rows));
    TMS_TRY(tmsi_alloc(job->context, name_bytes, 1, &self->names));
    name = self->names;
    for (int64_t i = 0; i < job->layer_count; i++) {
        const tms_tensor *tensor = &job->checkpoint->tensors[job->layers[i]].tensor;
        fill_row(job, tensor, &self->rows[i]);
        self->rows[i].name = strcpy(name, tensor->name);
        name += strlen(name) + 1;
    }
    self->count = job->layer_count;
    *out = self;
    self = NULL;
done:
    tmsi_table_destroy(self);
    return status;
}

/* ---- Job ------------------------------------------------------------------------------------ */

tms_status tmsi_job_begin(tms_context *context, const tms_job_desc *desc, tmsi_job *out) {
    tms_status status = TMS_OK;

    memset(out, 0, sizeof *out);
    out->context = context;
    out->desc = desc;
    TMS_TRY(tmsi_checkpoint_open(context, desc->in, &out->checkpoint));
    TMS_TRY(tmsi_record_read(out->checkpoint, &out->record));
done:
    return status;
}

tms_status tmsi_job_take(tmsi_job *self, int64_t *layers, int64_t layer_count) {
    self->layers = layers;
    self->layer_count = layer_count;
    return make_table(self, &self->table);
}

tms_status tmsi_job_choose(tmsi_job *self) {
    int64_t *layers = NULL, count = 0;
    tms_status status = tmsi_layers_choose(self->checkpoint, self->desc->layers,
                                           self->desc->layer_count, &layers, &count);

    return status == TMS_OK ? tmsi_job_take(self, layers, count) : status;
}

tms_status tmsi_job_need_layers(const tmsi_job *self) {
    return self->layer_count > 0 ? TMS_OK : tmsi_layers_fail_none(self->checkpoint);
}

void tmsi_job_end(tmsi_job *self) {
    tmsi_table_destroy(self->table);
    tmsi_free(self->context, self->layers);
    json_decref(self->record);
    tmsi_checkpoint_close(self->checkpoint);
}

tms_layer_row *tmsi_job_row(const tmsi_job *self, int64_t i) {
    int64_t low = 0, high = self->layer_count;

    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (self->layers[middle] < i)
            low = middle + 1;
        else
            high = middle;
    }
    return low < self->layer_count && self->layers[low] == i ? &self->table->rows[low] : NULL;
}

int64_t tmsi_job_tensor_bytes(const tmsi_job *self) {
    int64_t bytes = 0;

    for (int64_t i = 0; i < self->checkpoint->tensor_count; i++)
        bytes += (int64_t)self->checkpoint->tensors[i].tensor.bytes;
    return bytes;
}

int64_t tmsi_job_layer_bytes(const tmsi_job *self) {
    int64_t bytes = 0;

    for (int64_t i = 0; i < self->layer_count; i++)
        bytes += self->table->rows[i].dense_bytes;
    return bytes;
}

tms_status tmsi_job_step(void *job, const char *what, size_t bytes) {
    tmsi_job *self = job;

    self->done += (int64_t)bytes;
    if (self->desc->progress == NULL ||
        self->desc->progress(self->desc->progress_user, what, self->done, self->total) == 0)
        return TMS_OK;
    return tmsi_fail(TMS_ERR_CANCELLED, "stopped by the caller at \"%s\"", what);
}

tmsi_output_desc tmsi_job_output(tmsi_job *self) {
    return (tmsi_output_desc){.in = self->checkpoint,
                              .path = self->desc->out,
                              .force = self->desc->force != 0,
                              .step = tmsi_job_step,
                              .user = self};
}

static tms_status look_at(tmsi_job *self, int64_t layer, tmsi_job_look look, void *user) {
    tms_layer_row *row = &self->table->rows[layer];
    tms_matrix dense;
    void *memory = NULL;
    tms_status status = TMS_OK;

    TMS_TRY(tmsi_job_step(self, row->name, 0));
    TMS_TRY(tmsi_checkpoint_view(self->checkpoint, self->layers[layer], &dense, &memory));
    TMS_TRY(tmsi_matrix_count(self->context, &dense, &row->zeros));
    TMS_TRY(look(self, &dense, row, user));
    TMS_TRY(tmsi_job_step(self, row->name, (size_t)row->dense_bytes));
done:
    tmsi_free(self->context, memory);
    return status;
}

tms_status tmsi_job_each_layer(tmsi_job *self, tmsi_job_look look, void *user) {
    tms_status status = TMS_OK;

    for (int64_t layer = 0; status == TMS_OK && layer < self->layer_count; layer++)
        status = look_at(self, layer, look, user);
    return status;
}
