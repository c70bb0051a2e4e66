/* The product's device kernels as C sees them: their launchers are the rows of kernels.def. */
#ifndef TAMIS_SPMM_CUDA_LAUNCH_H
#define TAMIS_SPMM_CUDA_LAUNCH_H

#include "tamis.h"

#ifdef __cplusplus
extern "C" {
#endif

struct tmsi_cuda_device;

/* Readies, once a device, every kernel whose needs are among `isa` (TMS_ISA_ bits): loads it, and
 * raises its shared-memory limit. */
tms_status tmsi_spmm_cuda_prepare(const struct tmsi_cuda_device *device, uint32_t isa);

#ifdef __cplusplus
}
#endif

#endif
