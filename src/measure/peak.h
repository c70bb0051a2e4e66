/* What the CPU could do: fused multiply-adds on registers alone. A share of peak is against this,
 * measured in the same run. */
#ifndef TAMIS_MEASURE_PEAK_H
#define TAMIS_MEASURE_PEAK_H

#include "base/context.h"

typedef struct tmsi_peak {
    const char *name; /* "peak_fma_avx2" */
    uint32_t needs;   /* TMS_ISA_ bits */
    double flops;     /* of one step: 2 a multiply-add a lane */
    /* Does that many steps; the value only keeps the compiler from dropping them. */
    float (*run)(int64_t steps);
} tmsi_peak;

/* The loop of the widest instruction set that the context may use; NULL for portable C, where what
 * the compiler makes of it is no limit worth a name. */
const tmsi_peak *tmsi_peak_find(const tms_context *context);

/* Runs as many multiply-adds as a product of that shape has, on the context's threads. */
void tmsi_peak_run(const tms_context *context, const tmsi_peak *peak, int64_t t, int64_t k,
                   int64_t n);

/* Twelve chains of vector multiply-adds: 4 or 5 cycles of latency times 2 a cycle need 8 to 10. */
enum { TMSI_PEAK_CHAINS = 12 };
float tmsi_peak_fma_avx2(int64_t steps);
float tmsi_peak_fma_avx512(int64_t steps);

#endif
