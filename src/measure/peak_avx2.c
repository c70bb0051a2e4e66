#include <immintrin.h>

#include "measure/peak.h"

float tmsi_peak_fma_avx2(int64_t steps) {
    __m256 sum[TMSI_PEAK_CHAINS], factor = _mm256_set1_ps(0.999f), term = _mm256_set1_ps(1e-3f);
    float lanes[8];

    for (int c = 0; c < TMSI_PEAK_CHAINS; c++)
        sum[c] = _mm256_set1_ps((float)c);
    for (int64_t i = 0; i < steps; i++)
        for (int c = 0; c < TMSI_PEAK_CHAINS; c++)
            sum[c] = _mm256_fmadd_ps(sum[c], factor, term);
    for (int c = 1; c < TMSI_PEAK_CHAINS; c++)
        sum[0] = _mm256_add_ps(sum[0], sum[c]);
    _mm256_storeu_ps(lanes, sum[0]);
    return lanes[0];
}
