#include <immintrin.h>

#include "measure/peak.h"

float tmsi_peak_fma_avx512(int64_t steps) {
    __m512 sum[TMSI_PEAK_CHAINS], factor = _mm512_set1_ps(0.999f), term = _mm512_set1_ps(1e-3f);
    float lanes[16];

    for (int c = 0; c < TMSI_PEAK_CHAINS; c++)
        sum[c] = _mm512_set1_ps((float)c);
    for (int64_t i = 0; i < steps; i++)
        for (int c = 0; c < TMSI_PEAK_CHAINS; c++)
            sum[c] = _mm512_fmadd_ps(sum[c], factor, term);
    for (int c = 1; c < TMSI_PEAK_CHAINS; c++)
        sum[0] = _mm512_add_ps(sum[0], sum[c]);
    _mm512_storeu_ps(lanes, sum[0]);
    return lanes[0];
}
