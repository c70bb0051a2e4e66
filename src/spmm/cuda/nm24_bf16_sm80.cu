/* The nm24 kernels of bf16 from Ampere on: one file a type, so that types are built side by side.
 */
#include "spmm/cuda/nm24_sm80_launch.cuh"

namespace {
NM24_SM80_TILES(bf16)
}

#define TMS_DEVICE_KERNEL(name, needs, layout, format, fits, part, accepts, cost, work)            \
    NM24_SM80_FUNCTIONS(name)
#include "spmm/cuda/nm24_bf16_sm80.def"
#undef TMS_DEVICE_KERNEL
