#define _POSIX_C_SOURCE 200809L
#include "measure/clock.h"

#include <time.h>

double tmsi_clock_us(void) {
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec * 1e-3;
}

void tmsi_sleep_us(double us) {
    struct timespec left = {(time_t)(us * 1e-6), (long)(us * 1e3) % 1000000000L};

    nanosleep(&left, NULL);
}
