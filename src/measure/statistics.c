#include "measure/statistics.h"

#include <math.h>
#include <stdlib.h>

static int compare_samples(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* j as the header has it; at least 1. */
static int64_t interval_rank(int64_t count) {
    double term = pow(0.5, (double)count), below = 0.0; /* P(B = i), P(B < i) */
    int64_t rank = 0;

    for (int64_t i = 0; i < count; i++) {
        below += term; /* P(B < i + 1) */
        if (2.0 * below > 0.05)
            break;
        rank = i + 1;
        term *= (double)(count - i) / (double)(i + 1);
    }
    return rank > 0 ? rank : 1;
}

tmsi_median tmsi_median_of(double *samples, int64_t count) {
    int64_t rank = interval_rank(count);
    tmsi_median median;

    qsort(samples, (size_t)count, sizeof *samples, compare_samples);
    median.value = (samples[(count - 1) / 2] + samples[count / 2]) / 2.0;
    median.low = samples[rank - 1];
    median.high = samples[count - rank];
    return median;
}
