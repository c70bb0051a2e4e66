/* The product's device kernels as C sees them: their launchers are the rows of nm24.def. */
#ifndef TAMIS_SPMM_CUDA_LAUNCH_H
#define TAMIS_SPMM_CUDA_LAUNCH_H

#include "tamis.h"

#ifdef __cplusplus
extern "C" {
#endif

struct tmsi_cuda_device;

/* Readies every kernel on a device, once: loads it, and raises its shared-memory limit. */
tms_status tmsi_spmm_cuda_prepare(const struct tmsi_cuda_device *device);

#ifdef __cplusplus
}
#endif

#endif
