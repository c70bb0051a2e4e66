/* What the costs of the nm24 kernels of Hopper share. */
#ifndef TAMIS_SPMM_CUDA_NM24_COST_H
#define TAMIS_SPMM_CUDA_NM24_COST_H

#include "base/hardware.h"
#include "tamis.h"

/* Megabytes (10^6) of the image, of x and of y that a product takes from and to memory: fewer where
 * all of it stays in the L2 cache from call to call. */
double tmsi_nm24_megabytes(const tms_spmm_problem *problem, int64_t t,
                           const tmsi_hardware *hardware);

#endif
