/* A network as a calibrated pruning job sees it: blocks that run one after the other, each with
 * linear layers whose inputs can be watched. `model` fills it, `api` hands it to the job; this room
 * knows no architecture. */
#ifndef TAMIS_PRUNE_NETWORK_H
#define TAMIS_PRUNE_NETWORK_H

#include <stdbool.h>

#include "base/status.h"

/* Rows x[t,k] that enter `layer` (index in its block); f32, packed. Called on one thread. */
typedef void (*tmsi_observe)(void *user, int64_t layer, const float *x, int64_t t, int64_t k);

/* y[t,n] = x[t,k] w[n,k]^T on dense f32 arrays: how prune borrows a fast product. */
typedef tms_status (*tmsi_product)(void *self, const float *x, const float *w, float *y, int64_t t,
                                   int64_t k, int64_t n);

typedef struct tmsi_network {
    void *self;
    int64_t block_count;
    int64_t (*layer_count)(void *self, int64_t block);
    /* The weight's tensor name in the checkpoint. */
    const char *(*layer_name)(void *self, int64_t block, int64_t layer);
    /* Runs a block on the hidden states that reached it; blocks are run in order. Where observe is
     * not NULL it sees every layer's inputs. advance: the block's outputs become the next one's
     * inputs; without it the same block can be run again. */
    tms_status (*run)(void *self, int64_t block, bool advance, tmsi_observe observe, void *user);
    /* New weights [n,k] f32 for a layer, from the next run on. */
    tms_status (*replace)(void *self, int64_t block, int64_t layer, const float *weights);
    tmsi_product product;
} tmsi_network;

#endif
