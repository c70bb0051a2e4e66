/* n:m along the rows, for the kinds that have it. */
#ifndef TAMIS_PATTERN_NM_H
#define TAMIS_PATTERN_NM_H

#include "pattern/pattern.h"

/* Keeps the `keep` best of every group, over the whole matrix. Cannot fail. */
void tmsi_nm_select(tms_context *context, const tms_select_desc *desc, uint8_t *out_mask);

/* The first group with more than `keep` non-zeros: fills row, column (of the first one too many)
 * and text of *out, and holds = 0; else holds = 1. zeros_found and zeros_needed count elements. */
tms_status tmsi_nm_check(tms_context *context, const tms_pattern *pattern, const tms_matrix *dense,
                         tms_check_report *out);

#endif
