/* Whether strangers use this core at the moment. On virtual hosts another guest may run on the
 * sibling hyper-thread; neither the clock nor the time that the system reports stolen shows it,
 * yet it takes a third of the core's issue slots.
 *
 * The probe times two short loops: a chain of dependent multiplications, whose pace is a latency
 * and hardly suffers from a neighbour, and eight independent chains of rotations and sums, which
 * want every issue slot there is. Their ratio is operations per latency step, free of the clock's
 * frequency: it falls when a neighbour takes slots. What is normal differs by CPU and compiler, so
 * quiet means: within 7 % of the best ratio that this process has seen. If the neighbour never
 * rested, the best is his too, and the probe sees nothing; and it looks at the calling thread's
 * core alone. */
#ifndef TAMIS_MEASURE_PROBE_H
#define TAMIS_MEASURE_PROBE_H

#include <stdbool.h>

/* Operations per latency step now; takes about 50 us. */
double tmsi_probe_pace(void);

/* Whether a pace is quiet, beside the best one. */
static inline bool tmsi_probe_is_quiet(double pace, double best) {
    return pace >= 0.93 * best;
}

#endif
