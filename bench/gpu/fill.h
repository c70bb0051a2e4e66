/* Random matrices on the GPU. */
#ifndef TAMIS_BENCH_GPU_FILL_H
#define TAMIS_BENCH_GPU_FILL_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* `count` (a multiple of 4) bf16 values, standard normal; with is_24 only the two largest of each
 * four stay. */
void bench_fill_bf16(void *values, int64_t count, int is_24, uint64_t seed, void *stream);
void bench_fill_f32(float *values, int64_t count, uint64_t seed, void *stream);

#ifdef __cplusplus
}
#endif

#endif
