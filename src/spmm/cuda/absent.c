/* What stands in for device code in a library built without CUDA. */
#include "base/status.h"
#include "spmm/cuda/launch.h"

tms_status tmsi_spmm_cuda_prepare(const struct tmsi_cuda_device *device, uint32_t isa) {
    (void)device, (void)isa;
    return TMS_OK;
}
