/* What choosing, launching and the nm24 kernels themselves share. */
#ifndef TAMIS_SPMM_CUDA_NM24_H
#define TAMIS_SPMM_CUDA_NM24_H

#include <stdint.h>

#ifdef __CUDACC__
#define TMSI_BOTH_SIDES __host__ __device__
#else
#define TMSI_BOTH_SIDES
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* The tiles of a product, in clusters of two: pairs along n share x; of an odd number the last row
 * of tiles is left, in clusters of two along t that share w. */
typedef struct tmsi_nm24_grid {
    int64_t clusters;
    int32_t pairs_n, tiles_t;
    int32_t has_single; /* 1: a row of tiles is left */
} tmsi_nm24_grid;

tmsi_nm24_grid tmsi_nm24_grid_of(int64_t n, int64_t t, int64_t rows, int64_t tokens);

/* The tile of one CTA of a cluster. */
typedef struct tmsi_nm24_place {
    int32_t tile_n, tile_t;
    int32_t shares_x; /* 1: of a pair along n; 0: of two along t, the second perhaps past the end */
} tmsi_nm24_place;

/* Groups of `raster` pairs along n follow each other, in each of which t advances by two tiles; the
 * single row goes with the last group. rank: 0 or 1. */
TMSI_BOTH_SIDES static inline tmsi_nm24_place
tmsi_nm24_place_of(const tmsi_nm24_grid *grid, int32_t raster, int32_t cluster, int32_t rank) {
    const int32_t last = grid->pairs_n > 0 ? (grid->pairs_n - 1) / raster : 0;
    const int32_t reached = cluster / (raster * grid->tiles_t);
    const int32_t group = reached < last ? reached : last, first = group * raster;
    const int32_t left = grid->pairs_n - first, width = left < raster ? left : raster;
    const int32_t rest = cluster - first * grid->tiles_t;
    const int32_t step = 2 * width + (group == last ? grid->has_single : 0);
    const int32_t t = rest / step * 2, inside = rest % step;
    tmsi_nm24_place at;

    at.shares_x = inside < width * (grid->tiles_t - t < 2 ? 1 : 2);
    at.tile_n = at.shares_x ? 2 * (first + inside % width) + rank : 2 * grid->pairs_n;
    at.tile_t = t + (at.shares_x ? inside / width : rank);
    return at;
}

#ifdef __cplusplus
}
#endif

#endif
