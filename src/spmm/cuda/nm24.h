/* What choosing and launching of the nm24 kernels share. */
#ifndef TAMIS_SPMM_CUDA_NM24_H
#define TAMIS_SPMM_CUDA_NM24_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The tiles of a product, in clusters of two: pairs along n share x; of an odd number the last row
 * of tiles is left, in clusters of two along t that share w. */
typedef struct tmsi_nm24_grid {
    int32_t pairs_n, tiles_t;
    int32_t has_single; /* 1: a row of tiles is left */
    int32_t clusters;
} tmsi_nm24_grid;

tmsi_nm24_grid tmsi_nm24_grid_of(int64_t n, int64_t t, int64_t rows, int64_t tokens);

#ifdef __cplusplus
}
#endif

#endif
