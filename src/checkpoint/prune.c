/* Pruning a checkpoint: by magnitude, tensor after tensor as they stand in the file; calibrated, in
 * the order in which a network runs its blocks. The output takes tensors in any order. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#include "base/memory.h"
#include "checkpoint/job.h"
#include "checkpoint/output.h"
#include "checkpoint/record.h"
#include "io/lines.h"
#include "pattern/pattern.h"
#include "prune/calibrate.h"

typedef struct prune_job {
    tmsi_job base;
    tmsi_prune_settings settings;
    tmsi_output *output;
    tmsi_record_layer *recorded; /* the layers that are pruned, for the record */
    tmsi_record_run run;
    /* calibrated: */
    const tmsi_network_source *source;
    tmsi_lines lines;
    void **opened; /* [row] values of layers between open and close */
} prune_job;

/* ---- What fits ------------------------------------------------------------------------------ */

enum { UNFIT_TEXT_BYTES = 14000 };

/* All layers that the pattern cannot fit, in one sentence; what to do comes before their names,
 * which may be many. */
static tms_status fail_unfit(const prune_job *self) {
    char names[UNFIT_TEXT_BYTES] = "", pattern[TMS_PATTERN_TEXT_MAX];
    const tms_layer_table *table = self->base.table;
    int64_t count = 0, hidden = 0;
    size_t used = 0;

    for (int64_t i = 0; i < table->count; i++) {
        const tms_layer_row *row = &table->rows[i];
        char text[TMSI_NAME_BYTES_MAX + 64];
        int length;
        if (!row->is_skipped)
            continue;
        length = snprintf(text, sizeof text, "%s%s (%" PRId64 " x %" PRId64 ")",
                          count++ > 0 ? ", " : "", row->name, row->n, row->k);
        if (used + (size_t)length >= sizeof names)
            hidden++;
        else
            used += (size_t)snprintf(names + used, sizeof names - used, "%s", text);
    }
    tmsi_pattern_print(&self->settings.pattern, pattern);
    if (hidden > 0)
        snprintf(names + used, sizeof names - used, ", and %" PRId64 " more", hidden);
    if (count == table->count)
        return tmsi_fail(TMS_ERR_PATTERN,
                         "pattern \"%s\" fits none of %" PRId64
                         " layers (skip_unfit, --skip-unfit, "
                         "would leave nothing to prune): %s",
                         pattern, count, names);
    return tmsi_fail(TMS_ERR_PATTERN,
                     "pattern \"%s\" does not fit %" PRId64 " of %" PRId64 " layers (set "
                     "skip_unfit, --skip-unfit, to leave them dense): %s",
                     pattern, count, table->count, names);
}

/* Marks the layers that stay dense; without skip_unfit there may be none, with it not all. */
static tms_status mark_unfit(prune_job *self) {
    tms_layer_table *table = self->base.table;
    int64_t unfit = 0;

    for (int64_t i = 0; i < table->count; i++) {
        tms_layer_row *row = &table->rows[i];
        tms_status status = tmsi_pattern_fits(&self->settings.pattern, row->n, row->k);
        if (status != TMS_OK && status != TMS_ERR_PATTERN)
            return status;
        row->pattern = self->settings.pattern;
        row->is_skipped = status == TMS_ERR_PATTERN;
        unfit += row->is_skipped;
    }
    if (unfit == table->count || (unfit > 0 && !self->base.desc->skip_unfit))
        return fail_unfit(self);
    return TMS_OK;
}

/* ---- Record --------------------------------------------------------------------------------- */

/* The record with each layer's zeros, or, before they are known, with as many as it has elements:
 * no later record is longer. */
static tms_status print_record(prune_job *self, bool is_final, char **out) {
    const tms_layer_table *table = self->base.table;
    int64_t count = 0;

    for (int64_t i = 0; i < table->count; i++) {
        const tms_layer_row *row = &table->rows[i];
        if (!row->is_skipped)
            self->recorded[count++] =
                (tmsi_record_layer){row->name, is_final ? row->zeros.zeros : row->n * row->k};
    }
    self->run.layers = self->recorded;
    self->run.layer_count = count;
    return tmsi_record_print(self->base.context, self->base.record, &self->run, out);
}

/* ---- One layer ------------------------------------------------------------------------------ */

/* Puts a pruned weight into the output, and what became of it into its row. */
static tms_status finish_layer(prune_job *self, int64_t i, const tms_matrix *dense,
                               const tmsi_prune_result *result) {
    tmsi_job *job = &self->base;
    tms_layer_row *row = tmsi_job_row(job, i);
    tms_status status = TMS_OK;

    row->zeros_before = result->zeros_before;
    row->error = result->error;
    row->seconds = result->seconds;
    TMS_TRY(tmsi_matrix_count(job->context, dense, &row->zeros));
    TMS_TRY(tmsi_pattern_check(job->context, &row->pattern, dense, &row->check));
    TMS_TRY(tmsi_output_write(self->output, i, dense));
done:
    return status;
}

static tms_status prune_layer(prune_job *self, int64_t i) {
    tmsi_job *job = &self->base;
    const tms_tensor *tensor = &job->checkpoint->tensors[i].tensor;
    tms_matrix dense;
    void *values = NULL;
    tmsi_prune_result result;
    tms_status status = TMS_OK;

    TMS_TRY(tmsi_checkpoint_dense(job->checkpoint, i, &dense, &values));
    TMS_TRY(tmsi_prune_matrix(job->context, &self->settings, NULL, &dense, &result));
    TMS_TRY(finish_layer(self, i, &dense, &result));
    TMS_TRY(tmsi_job_step(job, tensor->name, tensor->bytes));
done:
    tmsi_free(job->context, values);
    return status == TMS_OK || status == TMS_ERR_CANCELLED
               ? status
               : tmsi_fail_in(status, "tensor \"%s\"", tensor->name);
}

/* ---- Calibrated ----------------------------------------------------------------------------- */

static tms_status open_layer(void *self, const char *name, tms_matrix *out_dense) {
    prune_job *job = self;
    int64_t i = tmsi_checkpoint_find(job->base.checkpoint, name);
    tms_layer_row *row = i < 0 ? NULL : tmsi_job_row(&job->base, i);

    if (row == NULL || row->is_skipped)
        return TMS_OK;
    return tmsi_checkpoint_dense(job->base.checkpoint, i, out_dense,
                                 &job->opened[row - job->base.table->rows]);
}

static tms_status close_layer(void *self, const char *name, const tms_matrix *dense,
                              const tmsi_prune_result *result) {
    prune_job *job = self;
    int64_t i = tmsi_checkpoint_find(job->base.checkpoint, name);
    void **values = &job->opened[tmsi_job_row(&job->base, i) - job->base.table->rows];
    tms_status status = finish_layer(job, i, dense, result);

    tmsi_free(job->base.context, *values);
    *values = NULL;
    return status;
}

/* Every chosen layer must be one that the network runs: others cannot be calibrated. */
static tms_status match_network(const prune_job *self, const tmsi_network *network) {
    const tms_layer_table *table = self->base.table;

    for (int64_t i = 0; i < table->count; i++) {
        bool is_found = table->rows[i].is_skipped;
        for (int64_t b = 0; b < network->block_count && !is_found; b++)
            for (int64_t l = 0; l < network->layer_count(network->self, b) && !is_found; l++)
                is_found =
                    strcmp(network->layer_name(network->self, b, l), table->rows[i].name) == 0;
        if (!is_found)
            return tmsi_fail(TMS_ERR_INVALID,
                             "layer \"%s\" is in no block of the network, so that method %s cannot "
                             "calibrate it: choose others (--layers)",
                             table->rows[i].name, tmsi_methods[self->settings.method].name);
    }
    return TMS_OK;
}

/* A method that needs no texts may be given some all the same: the error is then measured on them.
 */
static bool is_calibrated(const tms_job_desc *desc) {
    return desc->calibration != NULL || tmsi_methods[desc->method].needs_calibration;
}

static tms_status read_calibration(prune_job *self) {
    const char *path = self->base.desc->calibration;
    tms_status status;

    if (path == NULL)
        return tmsi_fail(TMS_ERR_INVALID,
                         "method %s needs calibration texts: set calibration (--calib)",
                         tmsi_methods[self->settings.method].name);
    status = tmsi_lines_open(self->base.context, path, &self->lines);
    if (status == TMS_OK && self->lines.count == 0)
        status = tmsi_fail(TMS_ERR_FORMAT, "calibration file \"%s\" has no text", path);
    if (status == TMS_OK) {
        self->run.calibration_lines = self->lines.count;
        self->run.calibration_hash = XXH3_64bits(self->lines.map.data, self->lines.map.bytes);
    }
    return status;
}

static tms_status prune_calibrated(prune_job *self) {
    const tms_job_desc *desc = self->base.desc;
    const tmsi_layer_store store = {self, open_layer, close_layer};
    tmsi_network network = {0};
    tms_status status;

    status = self->source->open(self->base.context, desc->in, self->lines.texts,
                                self->lines.lengths, self->lines.count, &network);
    if (status != TMS_OK)
        return status;
    TMS_TRY(match_network(self, &network));
    TMS_TRY(tmsi_prune_calibrated(self->base.context, &network, &self->settings, &store,
                                  desc->progress, desc->progress_user));
done:
    self->source->close(&network);
    return status;
}

/* ---- The job -------------------------------------------------------------------------------- */

static tms_status begin_prune(prune_job *self) {
    tmsi_job *job = &self->base;
    tmsi_output_desc output_desc = tmsi_job_output(job);
    size_t rows;
    char *record = NULL;
    tms_status status = TMS_OK;

    TMS_TRY(tmsi_output_check(&output_desc));
    TMS_TRY(tmsi_job_choose(job));
    TMS_TRY(tmsi_job_need_layers(job));
    TMS_TRY(mark_unfit(self));
    if (is_calibrated(job->desc))
        TMS_TRY(read_calibration(self));
    rows = (size_t)job->layer_count;
    TMS_TRY(tmsi_alloc(job->context, rows, sizeof *self->recorded, &self->recorded));
    TMS_TRY(tmsi_alloc(job->context, rows, sizeof *self->opened, &self->opened));
    TMS_TRY(print_record(self, false, &record));
    output_desc.record = record;
    TMS_TRY(tmsi_output_create(&output_desc, &self->output));
done:
    tmsi_free(job->context, record);
    return status;
}

/* All tensors but the layers that were calibrated. */
static tms_status write_tensors(prune_job *self) {
    tmsi_job *job = &self->base;
    bool is_done = is_calibrated(job->desc); /* block by block, before */
    tms_status status = TMS_OK;

    job->total = tmsi_job_tensor_bytes(job);
    for (int64_t i = 0; i < job->checkpoint->tensor_count; i++) {
        const tms_tensor *tensor = &job->checkpoint->tensors[i].tensor;
        const tms_layer_row *row = tmsi_job_row(job, i);
        bool is_pruned = row != NULL && !row->is_skipped;
        TMS_TRY(tmsi_job_step(job, tensor->name, 0));
        if (is_pruned && is_done)
            TMS_TRY(tmsi_job_step(job, tensor->name, tensor->bytes));
        else
            TMS_TRY(is_pruned ? prune_layer(self, i) : tmsi_output_copy(self->output, i));
    }
done:
    return status;
}

static void end_prune(prune_job *self) {
    for (int64_t i = 0; self->opened != NULL && i < self->base.layer_count; i++)
        tmsi_free(self->base.context, self->opened[i]);
    tmsi_free(self->base.context, self->opened);
    tmsi_free(self->base.context, self->recorded);
    tmsi_lines_close(&self->lines);
    tmsi_output_destroy(self->output);
    tmsi_job_end(&self->base);
}

tms_status tmsi_prune_run(tms_context *context, const tms_job_desc *desc,
                          const tmsi_network_source *source, tms_layer_table **out) {
    prune_job self = {.settings = {tmsi_method_pattern(desc->method, desc->pattern), desc->method,
                                   desc->block_norm}};
    char *record = NULL;
    tms_status status = TMS_OK;

    self.source = source;
    self.run.pattern = &self.settings.pattern;
    self.run.method = desc->method;
    self.run.block_norm = desc->block_norm;
    TMS_TRY(tmsi_job_begin(context, desc, &self.base));
    TMS_TRY(begin_prune(&self));
    if (is_calibrated(desc))
        TMS_TRY(prune_calibrated(&self));
    TMS_TRY(write_tensors(&self));
    TMS_TRY(print_record(&self, true, &record));
    tmsi_output_record(self.output, record);
    TMS_TRY(tmsi_output_commit(self.output));
    *out = self.base.table;
    self.base.table = NULL;
done:
    tmsi_free(context, record);
    end_prune(&self);
    return status;
}
