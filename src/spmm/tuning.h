/* Measured constants of the cost models, each with its machine, date and command. A cost is in
 * microseconds of one thread; only the ratios between kernels matter for a choice. */
#ifndef TAMIS_SPMM_TUNING_H
#define TAMIS_SPMM_TUNING_H

/* References: nanoseconds for one stored weight and token. A rough figure, since a reference is
 * taken only when nothing else fits: AMD EPYC 9004 (Zen 4), 2026-11-25, from one timed loop over
 * 384 x 384 weights of each format at t = 64. */
#define TMSI_TUNING_REF_NS 1.0

#endif
