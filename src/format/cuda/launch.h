/* Device code of the formats, as C sees it: images built and read back on a GPU. */
#ifndef TAMIS_FORMAT_CUDA_LAUNCH_H
#define TAMIS_FORMAT_CUDA_LAUNCH_H

#include "tamis.h"

#ifdef __cplusplus
extern "C" {
#endif

struct tmsi_cuda_device;

/* Most matrices of one image: they travel as an argument of the kernel. */
enum { TMSI_NM24_MMA_MATRICES_MAX = 64 };

/* A plain part begins with so many: as i64, where its first component begins, and zeros. */
enum { TMSI_PLAIN_HEADER_BYTES = 64 };

/* What a build looks for, and answers with the first of. */
typedef enum tmsi_nm24_mma_find {
    TMSI_FIND_NOTHING,    /* only enqueues */
    TMSI_FIND_THIRD,      /* a third non-zero of a group */
    TMSI_FIND_NON_FINITE, /* NaN or Inf */
    TMSI_FIND_POSITIONS   /* a group of nm whose positions do not ascend */
} tmsi_nm24_mma_find;

/* The matrices of a joined weight, all dense or all nm, and of one type. */
typedef struct tmsi_nm24_mma_job {
    int32_t n, k; /* joined; k a multiple of 4 */
    tms_dtype dtype;
    tmsi_nm24_mma_find find;
    uint32_t exponent; /* all of these bits set: NaN or Inf */
    int32_t is_nm, is_interleaved, is_selected, count;
    struct {
        uint8_t *values; /* dense [rows, k], or nm [rows, k / 2] */
        uint8_t *index;  /* nm [rows, k / 8 rounded up] */
        int32_t first;   /* the number of its first row, matrices one below the other */
    } matrices[TMSI_NM24_MMA_MATRICES_MAX];
} tmsi_nm24_mma_job;

/* Writes the image, every byte of it. Where it looks for something it waits for the stream;
 * *out_found is then the least row * k + column found, or -1. Rows are those of the joined weight,
 * but of TMSI_FIND_POSITIONS those of the matrices one below the other, and the column that of the
 * group. work: 8 bytes, where it looks for something. */
tms_status tmsi_nm24_mma_build_launch(const struct tmsi_cuda_device *device,
                                      const tmsi_nm24_mma_job *job, void *image, void *work,
                                      tms_stream stream, int64_t *out_found);

/* Writes the matrices from the image. Only enqueues. */
tms_status tmsi_nm24_mma_decode_launch(const struct tmsi_cuda_device *device,
                                       const tmsi_nm24_mma_job *job, const void *image,
                                       tms_stream stream);

/* Writes the joined weight as a dense part of the plain layout, selected where is_selected, and the
 * zeros behind it. Only enqueues. */
tms_status tmsi_plain_build_launch(const struct tmsi_cuda_device *device,
                                   const tmsi_nm24_mma_job *job, void *part, tms_stream stream);

/* Copies device memory to the host, and waits for it. */
tms_status tmsi_device_read(const struct tmsi_cuda_device *device, const void *from, size_t bytes,
                            tms_stream stream, void *out);

#ifdef __cplusplus
}
#endif

#endif
