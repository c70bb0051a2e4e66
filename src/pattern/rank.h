/* Exact selection of the smallest of many keys, in linear time. */
#ifndef TAMIS_PATTERN_RANK_H
#define TAMIS_PATTERN_RANK_H

#include <stdbool.h>
#include <stdint.h>

/* Where the line runs: larger keys stay; of those equal to key, taken in order of index, the first
 * equal_kept stay. */
typedef struct tmsi_threshold {
    uint64_t key;
    int64_t equal_kept;
} tmsi_threshold;

/* Asked once for every key in order of index; counts down equal_kept. */
static inline bool tmsi_threshold_keeps(tmsi_threshold *threshold, uint64_t key) {
    bool is_equal = key == threshold->key;
    bool keep = key > threshold->key || (is_equal && threshold->equal_kept > 0);
    threshold->equal_kept -= is_equal;
    return keep;
}

/* A histogram's bin that holds the key of rank *rank (from 0, ascending); *rank becomes its rank
 * inside the bin. The bins' sum is above *rank. */
int64_t tmsi_rank_bin(const int64_t *bins, int64_t *rank);

/* The threshold that drops exactly `drop` of count keys, each below 2^bits. Radix select by bytes,
 * highest first: each pass keeps the keys that may still be the line, so that the first costs
 * nearly all. Leaves keys in disorder. */
tmsi_threshold tmsi_rank(uint64_t *keys, int64_t count, int32_t bits, int64_t drop);

#endif
