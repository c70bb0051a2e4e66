#include "measure/probe.h"

#include <stdint.h>

#include "base/clock.h"

/* 4096 steps are 3 to 5 us: long beside the clock's 20 to 50 ns, short beside a time slice. */
enum { STEPS = 4096, CHAINS = 8, TRIES = 5 };

/* What the loops compute goes here, so that no compiler drops them. */
static _Atomic uint64_t sink;

/* A multiplication and an exclusive or, each waiting for the one before: the or with the counter
 * keeps compilers from folding products of constants. */
static double time_latency(uint64_t factor) {
    double start = tmsi_clock_us();
    uint64_t x = factor;

    for (uint64_t i = 0; i < STEPS; i++)
        x = (x * factor) ^ i;
    sink = x;
    return tmsi_clock_us() - start;
}

static uint64_t rotate(uint64_t x) {
    return (x << 13) | (x >> 51);
}

static double time_throughput(uint64_t factor) {
    double start = tmsi_clock_us();
    uint64_t x[CHAINS], sum = 0;

    for (uint64_t c = 0; c < CHAINS; c++)
        x[c] = factor + c;
    for (uint64_t i = 0; i < STEPS; i++)
        for (int c = 0; c < CHAINS; c++)
            x[c] = rotate(x[c]) + i;
    for (int c = 0; c < CHAINS; c++)
        sum += x[c];
    sink = sum;
    return tmsi_clock_us() - start;
}

double tmsi_probe_pace(void) {
    uint64_t factor = sink | 0x9e3779b97f4a7c15u;
    double latency = 1e30, throughput = 1e30;

    for (int i = 0; i < TRIES; i++) { /* the least of few: an interrupt must not count */
        double us = time_latency(factor);
        latency = us < latency ? us : latency;
        us = time_throughput(factor);
        throughput = us < throughput ? us : throughput;
    }
    return latency / throughput * CHAINS;
}
