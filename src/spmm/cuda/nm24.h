/* What choosing and launching of the nm24 kernels share. */
#ifndef TAMIS_SPMM_CUDA_NM24_H
#define TAMIS_SPMM_CUDA_NM24_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The tiles of a product, in clusters of two. */
typedef struct tmsi_nm24_grid {
    int64_t clusters_n, clusters_t;
    int32_t shares_x; /* 1: a cluster is two tiles along n, of one x; 0: along t, of one w */
} tmsi_nm24_grid;

/* On so many pairs of multiprocessors. Sharing x saves more, but an odd number of tiles along n
 * leaves one idle. */
tmsi_nm24_grid tmsi_nm24_grid_of(int64_t n, int64_t t, int64_t rows, int64_t tokens, int64_t pairs);

#ifdef __cplusplus
}
#endif

#endif
