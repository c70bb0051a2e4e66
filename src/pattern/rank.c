#include "pattern/rank.h"

#include "base/status.h"

int64_t tmsi_rank_bin(const int64_t *bins, int64_t *rank) {
    int64_t bin = 0;

    for (; *rank >= bins[bin]; bin++)
        *rank -= bins[bin];
    return bin;
}

/* Moves the keys whose bits from `shift` up equal prefix to the front; their count. */
static int64_t gather_keys(uint64_t *keys, int64_t count, int32_t shift, uint64_t prefix) {
    int64_t kept = 0;

    for (int64_t i = 0; i < count; i++) {
        keys[kept] = keys[i];
        kept += keys[i] >> shift == prefix;
    }
    return kept;
}

/* The threshold's key is that of rank `drop`: what is below is dropped, and of the equals those
 * that come last, so that as many stay as are ranked at or above it. */
tmsi_threshold tmsi_rank(uint64_t *keys, int64_t count, int32_t bits, int64_t drop) {
    tmsi_threshold threshold = {0, 0};
    int64_t rank = drop;

    TMS_ASSERT(drop >= 0 && drop <= count);
    if (drop == count)
        return (tmsi_threshold){UINT64_MAX, 0};
    for (int32_t shift = bits; shift > 0;) {
        int64_t bins[256] = {0};
        int32_t width = shift < 8 ? shift : 8;
        uint64_t mask = ((uint64_t)1 << width) - 1;

        shift -= width;
        for (int64_t i = 0; i < count; i++)
            bins[keys[i] >> shift & mask]++;
        threshold.key = threshold.key << width | (uint64_t)tmsi_rank_bin(bins, &rank);
        count = gather_keys(keys, count, shift, threshold.key);
    }
    threshold.equal_kept = count - rank;
    return threshold;
}
