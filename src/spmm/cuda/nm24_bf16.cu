/* The nm24 kernels of bf16: one file a type, so that types are built side by side. */
#include "spmm/cuda/nm24_launch.cuh"

namespace {
NM24_TILES(bf16)
}

#define TMS_DEVICE_KERNEL(name, needs, layout, format, fits, part, accepts, cost, work)            \
    NM24_FUNCTIONS(name)
#include "spmm/cuda/nm24_bf16.def"
#undef TMS_DEVICE_KERNEL
