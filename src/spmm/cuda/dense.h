/* What choosing and running of dense products share. */
#ifndef TAMIS_SPMM_CUDA_DENSE_H
#define TAMIS_SPMM_CUDA_DENSE_H

#include <stdbool.h>

#include "tamis.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Where the values of a dense part begin: its header lies in the GPU's memory, unread. */
enum { TMSI_DENSE_VALUES_OFFSET = 64 };

/* Whether cuBLASLt by itself writes y as the numeric contract wants it; else it writes sums to work
 * (f32, of i8 i32), and a pass of ours finishes them. */
bool tmsi_dense_is_direct(const tms_spmm_problem *problem);

/* Bytes of those sums for t tokens; 0 where direct. */
size_t tmsi_dense_sum_bytes(const tms_spmm_problem *problem, int64_t t);

#ifdef __cplusplus
}
#endif

#endif
