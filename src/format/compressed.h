/* What csr and bsr share: rows (of elements or blocks) under offsets, each with ascending columns.
 * Entries of row r are offsets[r] .. offsets[r + 1] - 1. */
#ifndef TAMIS_FORMAT_COMPRESSED_H
#define TAMIS_FORMAT_COMPRESSED_H

#include "base/status.h"

/* Turns counts into offsets: before, offsets[r + 1] is the number of entries of row r. */
void tmsi_offsets_from_counts(int64_t *offsets, int64_t rows);

/* Offsets begin with 0, never fall and end with `entries`; columns of a row ascend strictly and lie
 * in [0, column_limit). `row_name` is "row" or "block row". */
tms_status tmsi_compressed_validate(const tms_context *context, const int64_t *offsets,
                                    const int32_t *columns, int64_t rows, int64_t entries,
                                    int64_t column_limit, const char *row_name);

#endif
