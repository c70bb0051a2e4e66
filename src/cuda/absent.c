/* What stands in for device code in a library built without CUDA. */
#include "base/status.h"
#include "cuda/device.h"

tms_status tmsi_cuda_check_stream(const tms_context *context, tms_stream stream) {
    (void)context, (void)stream;
    return TMS_OK;
}

tms_status tmsi_cuda_attach_cublaslt(tms_context *context, const char *path) {
    (void)context, (void)path;
    return TMS_OK;
}

tms_status tmsi_cuda_attach(tms_context *context, int32_t index) {
    (void)context, (void)index;
    return tmsi_fail(TMS_ERR_DEVICE,
                     "no GPU can be used: this library was built without CUDA, since "
                     "nvcc was not found");
}
