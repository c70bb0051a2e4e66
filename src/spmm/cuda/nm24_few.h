/* What choosing and launching of the nm24 kernels for few tokens share. */
#ifndef TAMIS_SPMM_CUDA_NM24_FEW_H
#define TAMIS_SPMM_CUDA_NM24_FEW_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* CTAs of a cluster, the most that every GPU of sm_90 takes. */
enum { TMSI_NM24_FEW_SPLIT_MAX = 8 };

/* The tiles of a product, each computed by a cluster of `split` CTAs that share its k's. */
typedef struct tmsi_nm24_few_grid {
    int64_t tiles_n, tiles_t;
    int32_t tokens; /* of a tile: t in equal parts, rounded up to a multiple of 8 */
    int32_t split;
} tmsi_nm24_few_grid;

/* Times that the multiprocessors are filled until clusters of `split` CTAs, one a multiprocessor,
 * have computed so many tiles. */
int64_t tmsi_nm24_few_waves(int64_t tiles, int32_t split, int64_t processors);

/* Whether a multiprocessor has the registers and the shared memory of one CTA of such tiles only,
 * or of two. */
static inline bool tmsi_nm24_few_is_alone(int64_t tokens) {
    return tokens >= 96;
}

/* The grid for tiles of `rows` by at most `tokens`, with `blocks` blocks of k, on a GPU of so many
 * multiprocessors. It depends on nothing else: so do the bits of y. */
tmsi_nm24_few_grid tmsi_nm24_few_grid_of(int64_t n, int64_t t, int64_t blocks, int64_t rows,
                                         int64_t tokens, int64_t processors);

#ifdef __cplusplus
}
#endif

#endif
