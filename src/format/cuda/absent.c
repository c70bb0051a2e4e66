/* What stands in for device code in a library built without CUDA: no context has a GPU, so none of
 * it is reached. */
#include "base/status.h"
#include "format/cuda/launch.h"

static tms_status fail(void) {
    return tmsi_fail(TMS_ERR_DEVICE, "this library was built without CUDA");
}

tms_status tmsi_nm24_mma_build_launch(const struct tmsi_cuda_device *device,
                                      const tmsi_nm24_mma_job *job, void *image, void *work,
                                      tms_stream stream, int64_t *out_found) {
    (void)device, (void)job, (void)image, (void)work, (void)stream, (void)out_found;
    return fail();
}

tms_status tmsi_nm24_mma_decode_launch(const struct tmsi_cuda_device *device,
                                       const tmsi_nm24_mma_job *job, const void *image,
                                       tms_stream stream) {
    (void)device, (void)job, (void)image, (void)stream;
    return fail();
}

tms_status tmsi_plain_build_launch(const struct tmsi_cuda_device *device,
                                   const tmsi_nm24_mma_job *job, void *part, tms_stream stream) {
    (void)device, (void)job, (void)part, (void)stream;
    return fail();
}

tms_status tmsi_device_read(const struct tmsi_cuda_device *device, const void *from, size_t bytes,
                            tms_stream stream, void *out) {
    (void)device, (void)from, (void)bytes, (void)stream, (void)out;
    return fail();
}
