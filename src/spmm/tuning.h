/* Measured constants of the cost models, each with its machine, date and command. A cost is in
 * microseconds of one thread; only the ratios between kernels matter for a choice. */
#ifndef TAMIS_SPMM_TUNING_H
#define TAMIS_SPMM_TUNING_H

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

/* nm24 on sm_90: tile; rows, tokens, and microseconds a launch, a block of 64 k's, a tile. Fitted
 * to three runs of `bench_gpu tiles`, sustained bf16 products at T = 1 .. 16384: NVIDIA H100 80GB
 * HBM3 (700 W), driver 580, 2026-11-25. What they choose took 0.1 % more time than the best tile of
 * each shape in the mean, and 2 % at most. */
#define TMSI_TUNING_NM24_SM90(X)                                                                   \
    X(256x192, {256, 192, 2.0, 0.732, 2.9})                                                        \
    X(256x160, {256, 160, 2.0, 0.613, 2.6})                                                        \
    X(128x256, {128, 256, 2.0, 0.500, 2.7})                                                        \
    X(128x128, {128, 128, 2.0, 0.302, 1.1})                                                        \
    X(64x64, {64, 64, 5.8, 0.200, 0.0})

#endif
