/* In which formats a weight could be stored, and how large it would be. */
#ifndef TAMIS_CHECKPOINT_FORMS_H
#define TAMIS_CHECKPOINT_FORMS_H

#include <stdbool.h>

#include "base/status.h"

/* Sized matrices without data, as tms_matrix_size gives them: the smallest of each format. */
typedef struct tmsi_forms {
    bool holds[TMS_FORMAT_COUNT]; /* dense: always */
    tms_matrix matrices[TMS_FORMAT_COUNT];
} tmsi_forms;

/* Tries the shapes that the zeros suggest (2:4 and 1:4; square blocks of 8, 16, 32 and 64; whole
 * rows or columns), and those of `pattern`, the one the weight was pruned to (kind none: not
 * known). A weight that is not finite holds in dense alone. */
tms_status tmsi_forms_size(tms_context *context, const tms_matrix *dense,
                           const tms_zero_report *zeros, const tms_pattern *pattern,
                           tmsi_forms *out);

/* Bytes in each format, -1 where the weight does not hold in it. */
void tmsi_forms_bytes(const tmsi_forms *forms, int64_t bytes[TMS_FORMAT_COUNT]);

/* The format that takes the fewest bytes; of equals the first of the enum, so dense where nothing
 * gains. */
tms_format tmsi_forms_smallest(const tmsi_forms *forms);

#endif
