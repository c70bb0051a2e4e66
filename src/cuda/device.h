/* The GPU of a context, found at run time: the library loads and works where there is none. */
#ifndef TAMIS_CUDA_DEVICE_H
#define TAMIS_CUDA_DEVICE_H

#include "tamis.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What launchers need of a GPU; device.cuh has its fields. */
typedef struct tmsi_cuda_device tmsi_cuda_device;

/* Fills a fresh context's gpu, cuda and device_text from GPU `index`. TMS_ERR_DEVICE where there is
 * none, it is too old for every kernel, or the library was built without CUDA. */
tms_status tmsi_cuda_attach(tms_context *context, int32_t index);

#ifdef __cplusplus
}
#endif

#endif
