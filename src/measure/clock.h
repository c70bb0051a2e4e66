/* The one clock of measurements. */
#ifndef TAMIS_MEASURE_CLOCK_H
#define TAMIS_MEASURE_CLOCK_H

/* Microseconds of the monotonic clock. */
double tmsi_clock_us(void);
void tmsi_sleep_us(double us);

#endif
