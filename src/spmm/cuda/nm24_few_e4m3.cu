/* The nm24 kernels for few tokens of e4m3. */
#include "spmm/cuda/nm24_few_launch.cuh"

namespace {
NM24_FEW_TILES(e4m3)
}

#define TMS_DEVICE_KERNEL(name, needs, layout, format, fits, part, accepts, cost, work)            \
    NM24_FEW_FUNCTIONS(name)
#include "spmm/cuda/nm24_few_e4m3.def"
#undef TMS_DEVICE_KERNEL
