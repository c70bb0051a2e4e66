/* The nm24 kernels for few tokens of i8. */
#include "spmm/cuda/nm24_few_launch.cuh"

namespace {
NM24_FEW_TILES(i8)
}

#define TMS_DEVICE_KERNEL(name, needs, layout, format, fits, part, accepts, cost, work)            \
    NM24_FEW_FUNCTIONS(name)
#include "spmm/cuda/nm24_few_i8.def"
#undef TMS_DEVICE_KERNEL
