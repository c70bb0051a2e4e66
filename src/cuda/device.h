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
/* tmsi_cublaslt_open for that GPU; adds TMS_ISA_CUBLASLT to its isa where the library is there. */
tms_status tmsi_cuda_attach_cublaslt(tms_context *context, const char *path);

/* TMS_ERR_DEVICE where the stream is another GPU's: CUDA runs the kernel there, where the caller's
 * memory is not. Of a stream that is being captured nothing is asked. */
tms_status tmsi_cuda_check_stream(const tms_context *context, tms_stream stream);

#ifdef __cplusplus
}
#endif

#endif
