/* The middle of a sample and how sure of it one may be. */
#ifndef TAMIS_MEASURE_STATISTICS_H
#define TAMIS_MEASURE_STATISTICS_H

#include <stdint.h>

typedef struct tmsi_median {
    double value, low, high; /* the ends of its 95 % interval */
} tmsi_median;

/* Sorts the count (>= 1) samples. The interval's ends are order statistics, which asks nothing of
 * the distribution: [x_(j), x_(n+1-j)] with the largest j for which 2 P(B(n, 1/2) < j) <= 5 %. It
 * is [x_2, x_8] for nine samples, and the whole range below six, where no j does. */
tmsi_median tmsi_median_of(double *samples, int64_t count);

#endif
