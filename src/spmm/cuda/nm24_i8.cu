/* The nm24 kernels of i8: one file a type, so that types are built side by side. */
#include "spmm/cuda/nm24_launch.cuh"

/* The tiles behind the table's names: consumers, blocks, tokens, stages, chunk, buffers, and
 * whether the last block is halved. Stages take what shared memory the buffers of y leave. */
namespace {
typedef nm24::Tile<nm24::i8, 2, 2, 192, 4, 96, 2> spmm_nm24_i8_256x192_sm90;
typedef nm24::Tile<nm24::i8, 2, 2, 160, 4, 80, 3> spmm_nm24_i8_256x160_sm90;
typedef nm24::Tile<nm24::i8, 2, 2, 256, 4, 64, 2, true> spmm_nm24_i8_192x256_sm90;
typedef nm24::Tile<nm24::i8, 2, 1, 256, 4, 64, 3> spmm_nm24_i8_128x256_sm90;
typedef nm24::Tile<nm24::i8, 2, 1, 128, 7, 64, 2> spmm_nm24_i8_128x128_sm90;
typedef nm24::Tile<nm24::i8, 1, 1, 64, 13, 64, 1> spmm_nm24_i8_64x64_sm90;
} // namespace

#define TMS_DEVICE_KERNEL(name, needs, layout, format, fits, part, accepts, cost, work)            \
    NM24_FUNCTIONS(name)
#include "spmm/cuda/nm24_i8.def"
#undef TMS_DEVICE_KERNEL
