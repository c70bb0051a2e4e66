/* What the launches of all families share: tensor maps, and the epilogue's parameters.
 *
 * A family is a table of rows (<family>.def) and, for each row, two functions of its .cu files: the
 * launcher tmsi_<name>, and tmsi_<name>_prepare, which tmsi_spmm_cuda_prepare calls once a device
 * that has what the row needs. */
#ifndef TAMIS_SPMM_CUDA_LAUNCH_CUH
#define TAMIS_SPMM_CUDA_LAUNCH_CUH

#include "cuda/device.cuh"
#include "spmm/cuda/epilogue.cuh"
#include "spmm/cuda/launch.h"

extern "C" {
#include "base/context.h"
#include "base/memory.h"
#include "spmm/kernel.h"
#include "spmm/problem.h"
}

/* A row-major matrix in the GPU's memory; rows are `pitch` elements apart. */
struct tmsi_cuda_matrix {
    tms_dtype type;
    const void *data;
    int64_t columns, rows, pitch;
};

/* Bytes of an element of x or y. */
static inline int tmsi_cuda_element_bytes(tms_dtype type) {
    return type == TMS_F32 ? 4 : type == TMS_BF16 || type == TMS_F16 ? 2 : 1;
}

/* Whether the copy engine reads or writes such rows. */
static inline bool tmsi_is_copyable(const void *data, int64_t pitch, tms_dtype type) {
    const int elements = 16 / tmsi_cuda_element_bytes(type); /* of 16 bytes */

    return (uintptr_t)data % 16 == 0 && pitch % elements == 0 &&
           pitch < ((int64_t)1 << 36) * elements;
}

/* The matrix as boxes of box_rows rows by box_bytes bytes (32, 64 or 128: also the width of the
 * swizzle). box_rows is at most 256. */
tms_status tmsi_cuda_make_map(const tmsi_cuda_device &device, const tmsi_cuda_matrix &matrix,
                              int box_rows, int box_bytes, CUtensorMap *out);

/* The matrix cut along its columns into slices of `width`, which follow each other in memory: a map
 * of [slices][rows][width], as boxes of box_slices slices of box_rows rows by box_bytes bytes. */
tms_status tmsi_cuda_make_map_3d(const tmsi_cuda_device &device, const tmsi_cuda_matrix &matrix,
                                 int64_t width, int box_rows, int box_bytes, int box_slices,
                                 CUtensorMap *out);

/* What a call's epilogue is, from its problem and arguments. */
tmsi_epilogue tmsi_make_epilogue(const tmsi_spmm_run &run);

/* Whether y, and the residual, are rows of aligned pieces: see epilogue.cuh. */
bool tmsi_epilogue_has_pieces(const tmsi_epilogue &e);

/* Enqueues zeros into absmax_t where the call asks for it: before every kernel whose epilogue
 * raises it. */
tms_status tmsi_clear_absmax(const tmsi_spmm_run &run);

/* TMS_OK, or what the launch that `what` names failed with. */
static inline tms_status tmsi_cuda_check(const char *what, cudaError_t error) {
    return error == cudaSuccess ? TMS_OK : tmsi_cuda_fail(what, error);
}

#endif
