/* What stands in for device code in a library built without CUDA. */
#include "base/status.h"
#include "cuda/device.h"

tms_status tmsi_cuda_attach(tms_context *context, int32_t index) {
    (void)context, (void)index;
    return tmsi_fail(TMS_ERR_DEVICE, "desc->device is TMS_DEVICE_CUDA, but this library was built "
                                     "without CUDA: nvcc was not found");
}
