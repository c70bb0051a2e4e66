/* n:m along the rows, for the kinds that have it. */
#ifndef TAMIS_PATTERN_NM_H
#define TAMIS_PATTERN_NM_H

#include "pattern/pattern.h"

/* Most scores that tmsi_nm_keep takes at once are TMSI_SEGMENT, whole groups. out[i]: 1 where score
 * i is among the `keep` best of its group, else 0. Signs do not count. */
void tmsi_nm_keep(const float *scores, int64_t count, int32_t keep, int32_t group, uint8_t *out);

/* Keeps the `keep` best of every group, over the whole matrix. Cannot fail. */
void tmsi_nm_select(tms_context *context, const tms_select_desc *desc, uint8_t *out_mask);

/* The first group with more than `keep` non-zeros: fills row, column (of the first one too many)
 * and text of *out, and holds = 0; else holds = 1. zeros_found and zeros_needed count elements. */
tms_status tmsi_nm_check(tms_context *context, const tms_pattern *pattern, const tms_matrix *dense,
                         tms_check_report *out);

#endif
