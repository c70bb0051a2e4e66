/* A GPU as launchers see it, and CUDA's errors as statuses. */
#ifndef TAMIS_CUDA_DEVICE_CUH
#define TAMIS_CUDA_DEVICE_CUH

#include <cuda.h>
#include <cuda_runtime.h>

#include "cuda/device.h"

extern "C" {
#include "base/status.h"
}

typedef CUresult (*tmsi_cuda_encode)(CUtensorMap *, CUtensorMapDataType, cuuint32_t, void *,
                                     const cuuint64_t *, const cuuint64_t *, const cuuint32_t *,
                                     const cuuint32_t *, CUtensorMapInterleave, CUtensorMapSwizzle,
                                     CUtensorMapL2promotion, CUtensorMapFloatOOBfill);

/* cuStreamGetDevice, of CUDA 12.8. */
typedef CUresult (*tmsi_cuda_stream_device)(CUstream stream, CUdevice *out);

struct tmsi_cuda_device {
    int index;
    int processors;
    tmsi_cuda_encode encode; /* the driver's maker of tensor maps; NULL where no kernel has one */
    /* NULL where the machine has one GPU, and where its driver is older. */
    tmsi_cuda_stream_device stream_device;
};

/* TMS_ERR_DEVICE and "<what> failed: <CUDA's text>". */
static inline tms_status tmsi_cuda_fail(const char *what, cudaError_t error) {
    return tmsi_fail(TMS_ERR_DEVICE, "%s failed: %s", what, cudaGetErrorString(error));
}

/* Makes a device the thread's current one for a while. */
class tmsi_cuda_scope {
  public:
    explicit tmsi_cuda_scope(int index) {
        if (cudaGetDevice(&before_) != cudaSuccess)
            before_ = index;
        if (before_ != index)
            cudaSetDevice(index);
        index_ = index;
    }
    ~tmsi_cuda_scope() {
        if (before_ != index_)
            cudaSetDevice(before_);
    }
    tmsi_cuda_scope(const tmsi_cuda_scope &) = delete;
    tmsi_cuda_scope &operator=(const tmsi_cuda_scope &) = delete;

  private:
    int before_ = 0, index_ = 0;
};

#endif
