/* Several things timed side by side. In each round every candidate has its turn, and the first turn
 * goes round, so that a drift of the machine (heat, neighbours, power) meets all alike and ratios
 * stay true where absolute times do not. */
#ifndef TAMIS_MEASURE_TIMING_H
#define TAMIS_MEASURE_TIMING_H

#include "base/status.h"

/* Does its work once a call. */
typedef struct tmsi_candidate {
    tms_status (*run)(void *self);
    void *self;
} tmsi_candidate;

typedef struct tmsi_timing {
    double us, us_min, us_max; /* of one call: median over rounds and its 95 % interval */
    double quiet;              /* share of samples with a quiet probe before and behind */
    int32_t rounds;
} tmsi_timing;

typedef struct tmsi_timing_settings {
    int32_t rounds;
    double block_us;  /* a sample repeats calls for at least so long */
    const char *what; /* for the progress callback */
    tms_progress progress;
    void *progress_user;
    int64_t done, total; /* samples before these, and of all measurements */
} tmsi_timing_settings;

/* Times count candidates; out has an entry for each. TMS_ERR_CANCELLED where the callback says so,
 * TMS_ERR_MEMORY, or what a candidate returned. */
tms_status tmsi_time(tms_context *context, const tmsi_candidate *candidates, int64_t count,
                     const tmsi_timing_settings *settings, tmsi_timing *out);

#endif
