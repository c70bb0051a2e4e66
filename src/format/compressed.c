#include "format/compressed.h"

#include "base/memory.h"
#include "base/rows.h"

void tmsi_offsets_from_counts(int64_t *offsets, int64_t rows) {
    offsets[0] = 0;
    for (int64_t r = 0; r < rows; r++)
        offsets[r + 1] += offsets[r];
}

typedef struct checking {
    const int64_t *offsets;
    const int32_t *columns;
    int64_t column_limit;
} checking;

/* The first entry of the row whose column is wrong, or -1. Its offsets are in order. */
static int64_t find_wrong_column(const checking *self, int64_t row) {
    int64_t last = -1;

    for (int64_t i = self->offsets[row]; i < self->offsets[row + 1]; i++) {
        if (self->columns[i] <= last || self->columns[i] >= self->column_limit)
            return i;
        last = self->columns[i];
    }
    return -1;
}

static bool is_row_wrong(const void *arg, int64_t row) {
    return find_wrong_column(arg, row) >= 0;
}

static tms_status check_offsets(const int64_t *offsets, int64_t rows, int64_t entries) {
    if (offsets[0] != 0)
        return tmsi_fail(TMS_ERR_FORMAT, "offsets[0] is %lld, but must be 0",
                         (long long)offsets[0]);
    for (int64_t r = 0; r < rows; r++)
        if (offsets[r + 1] < offsets[r] || offsets[r + 1] > entries)
            return tmsi_fail(TMS_ERR_FORMAT,
                             "offsets[%lld] is %lld, but must be from offsets[%lld] = %lld to the "
                             "number of entries, %lld",
                             (long long)r + 1, (long long)offsets[r + 1], (long long)r,
                             (long long)offsets[r], (long long)entries);
    if (offsets[rows] != entries)
        return tmsi_fail(TMS_ERR_FORMAT,
                         "offsets[%lld], the last, is %lld, but must be the number of entries, "
                         "%lld",
                         (long long)rows, (long long)offsets[rows], (long long)entries);
    return TMS_OK;
}

tms_status tmsi_compressed_validate(const tms_context *context, const int64_t *offsets,
                                    const int32_t *columns, int64_t rows, int64_t entries,
                                    int64_t column_limit, const char *row_name) {
    const checking self = {offsets, columns, column_limit};
    tms_status status = check_offsets(offsets, rows, entries);
    int64_t row, wrong;

    if (status != TMS_OK)
        return status;
    row = tmsi_rows_find(context, rows, 1 + entries / tmsi_max(1, rows), is_row_wrong, &self);
    if (row < 0)
        return TMS_OK;
    wrong = find_wrong_column(&self, row);
    if (columns[wrong] >= 0 && columns[wrong] < column_limit)
        return tmsi_fail(TMS_ERR_FORMAT,
                         "columns[%lld], in %s %lld, is %d after %d, but columns of a %s must "
                         "ascend",
                         (long long)wrong, row_name, (long long)row, columns[wrong],
                         columns[wrong - 1], row_name);
    return tmsi_fail(TMS_ERR_FORMAT, "columns[%lld], in %s %lld, is %d, but must be 0 to %lld",
                     (long long)wrong, row_name, (long long)row, columns[wrong],
                     (long long)column_limit - 1);
}
