/* What the jobs share: an open checkpoint, the chosen layers, a table of what was found or done,
 * and progress counted in bytes of tensors. One file a job; src/api/jobs.c checks their desc. */
#ifndef TAMIS_CHECKPOINT_JOB_H
#define TAMIS_CHECKPOINT_JOB_H

#include "checkpoint/output.h"
#include "prune/network.h"

struct tms_layer_table {
    tms_context *context;
    tms_layer_row *rows;
    int64_t count;
    char *names;
};

void tmsi_table_destroy(tms_layer_table *table); /* takes NULL */

typedef struct tmsi_job {
    tms_context *context;
    const tms_job_desc *desc;
    tms_checkpoint *checkpoint;
    json_t *record;  /* what was pruned before (checkpoint/record.h), or NULL */
    int64_t *layers; /* numbers of the chosen tensors, ascending: one a row of the table */
    int64_t layer_count;
    tms_layer_table *table;
    int64_t done, total; /* bytes */
} tmsi_job;

/* Opens desc->in. Whatever follows, tmsi_job_end. */
tms_status tmsi_job_begin(tms_context *context, const tms_job_desc *desc, tmsi_job *out);
/* Takes these tensors (memory that becomes the job's) as layers, and makes the table. */
tms_status tmsi_job_take(tmsi_job *job, int64_t *layers, int64_t layer_count);
/* Takes what desc->layers choose. */
tms_status tmsi_job_choose(tmsi_job *job);
/* Refuses a checkpoint in which no layer was chosen. */
tms_status tmsi_job_need_layers(const tmsi_job *job);
void tmsi_job_end(tmsi_job *job);

/* The row of tensor i, or NULL where it is not chosen. */
tms_layer_row *tmsi_job_row(const tmsi_job *job, int64_t i);

/* Bytes, made dense, of all tensors; of the chosen ones. */
int64_t tmsi_job_tensor_bytes(const tmsi_job *job);
int64_t tmsi_job_layer_bytes(const tmsi_job *job);

/* Counts bytes as done and asks the caller whether to go on: TMS_ERR_CANCELLED if not. The form of
 * tmsi_output_step, with the job as user. */
tms_status tmsi_job_step(void *job, const char *what, size_t bytes);

/* What the job writes, all dense: desc->out from the checkpoint, with the job's steps. */
tmsi_output_desc tmsi_job_output(tmsi_job *job);

/* What a job finds out about a layer: the weight made dense, its zeros counted in the row. */
typedef tms_status (*tmsi_job_look)(tmsi_job *job, const tms_matrix *dense, tms_layer_row *row,
                                    void *user);
/* Layer after layer, one in memory at a time; each is a step. */
tms_status tmsi_job_each_layer(tmsi_job *job, tmsi_job_look look, void *user);

/* ---- The jobs; contracts at their public twins ---------------------------------------------- */

/* How prune gets at a network to calibrate with; `api` takes it from the model room. open reads the
 * model at path and has it embed the texts, which live until close. */
typedef struct tmsi_network_source {
    tms_status (*open)(tms_context *context, const char *path, const char *const *texts,
                       const size_t *lengths, int64_t count, tmsi_network *out);
    void (*close)(tmsi_network *network);
} tmsi_network_source;

tms_status tmsi_inspect_run(tms_context *context, const tms_job_desc *desc, tms_layer_table **out);
tms_status tmsi_prune_run(tms_context *context, const tms_job_desc *desc,
                          const tmsi_network_source *source, tms_layer_table **out);
tms_status tmsi_check_run(tms_context *context, const tms_job_desc *desc, int32_t *out_holds,
                          tms_layer_table **out);
tms_status tmsi_pack_run(tms_context *context, const tms_job_desc *desc, tms_layer_table **out);
tms_status tmsi_unpack_run(tms_context *context, const tms_job_desc *desc, tms_layer_table **out);

#endif
