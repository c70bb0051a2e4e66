#include "pattern/rank.h"

#include <string.h>

#include "base/status.h"

int64_t tmsi_rank_bin(const int64_t *bins, int64_t *rank) {
    int64_t bin = 0;

    for (; *rank >= bins[bin]; bin++)
        *rank -= bins[bin];
    return bin;
}

/* The threshold's key is that of rank `drop`: what is below is dropped, and of the equals those
 * that come last, so that as many stay as are ranked at or above it. */
tmsi_threshold tmsi_rank(const uint64_t *keys, int64_t count, int32_t bits, int64_t drop) {
    tmsi_threshold threshold = {0, 0};
    int64_t bins[256] = {0}, rank = drop, bin = 0;

    TMS_ASSERT(drop >= 0 && drop <= count);
    if (drop == count)
        return (tmsi_threshold){UINT64_MAX, 0};
    for (int32_t shift = bits - 8; shift >= 0; shift -= 8) {
        memset(bins, 0, sizeof bins);
        for (int64_t i = 0; i < count; i++)
            /* Two shifts, since one by 64 has no meaning. */
            bins[(keys[i] >> shift) & 255u] += (keys[i] >> shift >> 8) == threshold.key;
        bin = tmsi_rank_bin(bins, &rank);
        threshold.key = threshold.key << 8 | (uint64_t)bin;
    }
    threshold.equal_kept = bins[bin] - rank;
    return threshold;
}
