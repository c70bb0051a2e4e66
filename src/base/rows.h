/* Loops over the rows of a matrix on the context's threads, in pieces worth a task. The answers are
 * sums and minima of integers, so they are the same for any split. Rows of no elements are not
 * visited: a matrix of 2^60 rows by 0 columns is legal. */
#ifndef TAMIS_BASE_ROWS_H
#define TAMIS_BASE_ROWS_H

#include <stdbool.h>

#include "tamis.h"

/* Calls work(arg, row) for every row in [0, rows); row_elements says how much work a row is. */
void tmsi_rows_each(const tms_context *context, int64_t rows, int64_t row_elements,
                    void (*work)(const void *arg, int64_t row), const void *arg);

/* Sum over the rows. */
int64_t tmsi_rows_sum(const tms_context *context, int64_t rows, int64_t row_elements,
                      int64_t (*value)(const void *arg, int64_t row), const void *arg);

/* The lowest row that is bad, or -1. */
int64_t tmsi_rows_find(const tms_context *context, int64_t rows, int64_t row_elements,
                       bool (*is_bad)(const void *arg, int64_t row), const void *arg);

#endif
