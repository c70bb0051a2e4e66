/* What the benchmark itself runs on the GPU: random matrices, the passes that rivals' epilogues
 * lack, and the stamps that count cycles. */
#ifndef TAMIS_BENCH_GPU_FILL_H
#define TAMIS_BENCH_GPU_FILL_H

#include "tamis.h"

#ifdef __cplusplus
extern "C" {
#endif

/* `count` (a multiple of 4) values of bf16, f16, e4m3 or i8, standard normal (i8: times 32); with
 * is_24 only the two largest of each four stay. */
void bench_fill(void *values, tms_dtype type, int64_t count, int is_24, uint64_t seed,
                void *stream);
void bench_fill_f32(float *values, int64_t count, uint64_t seed, void *stream);

/* In bf16; counts and halves are multiples of 8. y = gelu(y), by tanh. */
void bench_gelu(void *y, int64_t count, void *stream);
/* out [rows, half] = silu(in[:, :half]) * in[:, half:]. */
void bench_silu_gate(const void *in, void *out, int64_t rows, int64_t half, void *stream);

/* Readies the stamps; returns how many multiprocessors the GPU has. */
int bench_stamp_prepare(void);
/* Writes each multiprocessor's cycle counter to its place in `cycles`. */
void bench_stamp(unsigned long long *cycles, void *stream);

/* A kernel that does nothing, in a cluster of 2 and with as many bytes of parameters as a product
 * has: what a launch alone costs the host. */
void bench_launch_nothing(void *stream);
/* Makes a tensor map of a matrix, by the driver. */
void bench_make_map(void *data);

#ifdef __cplusplus
}
#endif

#endif
