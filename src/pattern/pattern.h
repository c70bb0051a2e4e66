/* Which zeros are allowed: text, fit, selection, checking, counting. The contracts stand at the
 * public twins in tamis.h; arguments were checked there. */
#ifndef TAMIS_PATTERN_PATTERN_H
#define TAMIS_PATTERN_PATTERN_H

#include <stdbool.h>

#include "base/status.h"

tms_status tmsi_pattern_parse(const char *text, tms_pattern *out);
void tmsi_pattern_print(const tms_pattern *pattern, char out[TMS_PATTERN_TEXT_MAX]);
/* Whether the fields make sense by themselves (ranges, scope allowed for the kind). */
tms_status tmsi_pattern_valid(const tms_pattern *pattern);
tms_status tmsi_pattern_fits(const tms_pattern *pattern, int64_t n, int64_t k);
/* Whether the kind knows the scope per row. */
bool tmsi_pattern_has_scope(const tms_pattern *pattern);

/* floor(share * count + 1/2), exactly. */
int64_t tmsi_pattern_drop_count(const tms_pattern *pattern, int64_t count);

tms_status tmsi_mask_select(tms_context *context, const tms_select_desc *desc, uint8_t *out_mask);
void tmsi_mask_apply(tms_context *context, const uint8_t *mask, const tms_matrix *dense);
tms_status tmsi_pattern_check(tms_context *context, const tms_pattern *pattern,
                              const tms_matrix *dense, tms_check_report *out);
tms_status tmsi_matrix_count(tms_context *context, const tms_matrix *dense, tms_zero_report *out);

static inline int64_t tmsi_mask_row_bytes(int64_t k) {
    return k / 8 + (k % 8 != 0);
}

#endif
