/* Measured constants of the CPU kernels' cost models, each with its machine, date and command. A
 * cost is in microseconds of one thread; only the ratios between kernels matter for a choice, and a
 * tuning table may scale each kernel's (spmm/tuning.h). */
#ifndef TAMIS_SPMM_CPU_TUNING_H
#define TAMIS_SPMM_CPU_TUNING_H

/* References: nanoseconds for one stored weight and token, by format in tms_format's order. AMD
 * EPYC 9004 (Zen 4), shared, 2026-11-25: TMS_ISA=none TMS_THREADS=1 tamis bench --shape 64,384,384.
 */
#define TMSI_TUNING_REF_NS                                                                         \
    { 3.7, 6.5, 2.0, 3.4 }

/* AVX2 kernels, in cycles, fitted to `bench_spmm` with one thread at T = 1 .. 64 and (K, N) = (384,
 * 384), (384, 1152), (384, 1536), (1536, 384): AMD EPYC 9004 (Zen 4) at 3.7 GHz, 2026-11-25. They
 * hold for weights that stay in the second- or third-level cache. */
#define TMSI_TUNING_MHZ 3700.0

/* Packing an element of x; transposing and writing an element of y that was summed along tokens. */
#define TMSI_TUNING_PACK_CYCLES      0.3
#define TMSI_TUNING_TRANSPOSE_CYCLES 0.6

/* Along rows: one k of a panel of 16 rows and a tile of 1 .. 6 tokens; of 8 rows; of 16 rows where
 * 1, 2, 3 tokens are all there are and panels share a micro-kernel; finishing a tile and panel. */
#define TMSI_TUNING_TILE_CYCLES                                                                    \
    { 4.3, 4.3, 4.3, 4.4, 5.3, 6.2 }
#define TMSI_TUNING_NARROW_TILE_CYCLES 4.4
#define TMSI_TUNING_FEW_TOKENS_CYCLES                                                              \
    { 2.65, 3.05, 3.4 }
#define TMSI_TUNING_TILE_END_CYCLES 80.0

/* Along tokens: one non-zero in a panel of 8, 16, 32 and 64 tokens; a row in a block of K beside
 * them. */
#define TMSI_TUNING_NM24_VALUE_CYCLES                                                              \
    { 1.2, 1.45, 2.55, 4.8 }
#define TMSI_TUNING_NM24_FEW_TOKENS_CYCLES                                                         \
    { 1.6, 1.95, 2.85, 3.5 }
#define TMSI_TUNING_CSR_VALUE_CYCLES                                                               \
    { 1.9, 2.2, 3.0, 4.8 }
#define TMSI_TUNING_ROW_CYCLES                                                                     \
    { 3.0, 4.0, 12.0, 24.0 }

#endif
