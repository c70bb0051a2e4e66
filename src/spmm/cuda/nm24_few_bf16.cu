/* The nm24 kernels for few tokens of bf16. */
#include "spmm/cuda/nm24_few_launch.cuh"

namespace {
NM24_FEW_TILES(bf16)
}

#define TMS_DEVICE_KERNEL(name, needs, layout, format, fits, part, accepts, cost, work)            \
    NM24_FEW_FUNCTIONS(name)
#include "spmm/cuda/nm24_few_bf16.def"
#undef TMS_DEVICE_KERNEL
