/* What was pruned, kept as JSON under the metadata key "tamis.prune": one entry a run, with its
 * pattern, method, calibration, and each layer's zeros. docs/files.md specifies it. */
#ifndef TAMIS_CHECKPOINT_RECORD_H
#define TAMIS_CHECKPOINT_RECORD_H

#include "checkpoint/checkpoint.h"

/* The checkpoint's record, checked; *out stays NULL where there is none. The caller owns it. */
tms_status tmsi_record_read(const tms_checkpoint *checkpoint, json_t **out);

/* The pattern that a layer was pruned to last; false where the record (or NULL) does not say. */
bool tmsi_record_find(const json_t *record, const char *layer, tms_pattern *out);

/* The numbers of the recorded layers, ascending; the caller frees *out. A layer that the checkpoint
 * has not, or that is none, is TMS_ERR_FORMAT. */
tms_status tmsi_record_layers(const tms_checkpoint *checkpoint, const json_t *record, int64_t **out,
                              int64_t *out_count);

/* One layer of a run to be recorded. */
typedef struct tmsi_record_layer {
    const char *name;
    int64_t zeros;
} tmsi_record_layer;

typedef struct tmsi_record_run {
    const tms_pattern *pattern;
    tms_prune_method method;
    tms_norm block_norm;
    int64_t calibration_lines; /* 0: no calibration */
    uint64_t calibration_hash; /* XXH3-64 of the text file */
    const tmsi_record_layer *layers;
    int64_t layer_count;
} tmsi_record_run;

/* The old record (NULL: none) with this run behind it; layers pruned again leave older runs. The
 * caller frees the text. */
tms_status tmsi_record_print(tms_context *context, const json_t *old, const tmsi_record_run *run,
                             char **out);

#endif
