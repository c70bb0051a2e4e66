/* The fused epilogue of the AVX2 kernels; the order of operations is spmm/epilogue.h's. */
#ifndef TAMIS_SPMM_CPU_EPILOGUE_AVX2_H
#define TAMIS_SPMM_CPU_EPILOGUE_AVX2_H

#include "spmm/kernel.h"

/* Finishes sums of tokens [t, t + tokens) and weight rows [row, row + count), eight rows at a time,
 * as tmsi_epilogue_rows does one by one, for f32 without absmax_t; what has no vector code goes
 * there. Sums of a token lie `step` floats behind those of the token before, a multiple of 8, and
 * are readable up to the next multiple of 8 of count. */
void tmsi_epilogue_avx2(const tmsi_spmm_run *run, int64_t t, int64_t tokens, int64_t row,
                        int64_t count, const float *sums, int64_t step);

#endif
