/* Rows of measurements: what all have in common, and how they are printed. */
#ifndef TAMIS_MEASURE_ROWS_H
#define TAMIS_MEASURE_ROWS_H

#include "base/context.h"
#include "measure/timing.h"

/* What every row of a run says alike; the texts live in it. */
typedef struct tmsi_row_frame {
    tms_bench_row row;
    char versions[128], date[16];
} tmsi_row_frame;

/* Fills device, isa, threads, versions (the compiler's, and `rivals` where not NULL), commit and
 * date; everything else "does not apply". */
void tmsi_row_frame_fill(const tms_context *context, const char *rivals, tmsi_row_frame *out);

void tmsi_row_set_timing(tms_bench_row *row, const tmsi_timing *timing);

size_t tmsi_row_print(const tms_bench_row *row, char *text, size_t text_bytes);

#endif
