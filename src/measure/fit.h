/* Prices from measured times: what one kernel's terms cost, by least squares. */
#ifndef TAMIS_MEASURE_FIT_H
#define TAMIS_MEASURE_FIT_H

#include "spmm/tuning.h"

typedef struct tmsi_sample {
    double terms[TMSI_TERM_COUNT]; /* of the product */
    double us;                     /* measured, above 0 */
} tmsi_sample;

/* The prices, none below 0, that make the sum of squared relative errors least; `prior` is where
 * the search begins, and what a price keeps that no sample depends on. Which side of the model
 * binds a sample (steps or memory) depends on the prices, so the two are found in turns. Returns
 * the root of the mean squared relative error. */
double tmsi_fit(const tmsi_sample *samples, int64_t count, const double prior[TMSI_TERM_COUNT],
                double out[TMSI_TERM_COUNT]);

#endif
