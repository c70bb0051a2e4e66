/* Random numbers to multiply. */
#ifndef TAMIS_MEASURE_NOISE_H
#define TAMIS_MEASURE_NOISE_H

#include <stdint.h>

/* Standard normal values, the same for the same seed. */
void tmsi_noise_fill(float *out, int64_t count, uint64_t seed);

#endif
