/* What a job writes: a checkpoint of the same tensors in the same files as its input, each tensor
 * dense or packed. A file appears whole or not at all; so does a folder that was not there. */
#ifndef TAMIS_CHECKPOINT_OUTPUT_H
#define TAMIS_CHECKPOINT_OUTPUT_H

#include "checkpoint/checkpoint.h"

/* Asked every few megabytes whether to go on; `what` is being written, `bytes` more are done. */
typedef tms_status (*tmsi_output_step)(void *user, const char *what, size_t bytes);

typedef struct tmsi_output_desc {
    const tms_checkpoint *in;
    const char *path;
    bool force;
    const tms_matrix *forms; /* for each tensor of `in`: dense, or a sized matrix of the format it
                              * is packed in; NULL: all dense */
    const char *record;      /* of what was pruned (checkpoint/record.h); NULL: the input's */
    tmsi_output_step step;
    void *user;
} tmsi_output_desc;

typedef struct tmsi_output tmsi_output;

/* Refuses an output that exists (unless force), is the input, lies in it, or is of another kind
 * (file, folder). create asks too; a long job asks before its work. */
tms_status tmsi_output_check(const tmsi_output_desc *desc);

/* Lays out all files, and reserves their room. */
tms_status tmsi_output_create(const tmsi_output_desc *desc, tmsi_output **out);

/* The weights of tensor i, in the form it was declared in. Each tensor is written once, in any
 * order. */
tms_status tmsi_output_write(tmsi_output *output, int64_t i, const tms_matrix *matrix);
/* Tensor i as the input has it, whatever its type; a packed one is made dense, rows at a time. */
tms_status tmsi_output_copy(tmsi_output *output, int64_t i);

/* Replaces the record by one that is no longer. */
void tmsi_output_record(tmsi_output *output, const char *record);

/* Copies a folder's other files, and gives everything its place. */
tms_status tmsi_output_commit(tmsi_output *output);
/* Removes what was not committed. Takes NULL. */
void tmsi_output_destroy(tmsi_output *output);

#endif
