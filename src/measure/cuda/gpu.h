/* The context's GPU as measuring needs it: memory, random numbers and a clock. */
#ifndef TAMIS_MEASURE_CUDA_GPU_H
#define TAMIS_MEASURE_CUDA_GPU_H

#include "tamis.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Fails with TMS_ERR_MEMORY where the GPU has no more. */
tms_status tmsi_gpu_alloc(tms_context *context, size_t bytes, void **out);
void tmsi_gpu_free(tms_context *context, void *memory); /* takes NULL */
tms_status tmsi_gpu_upload(tms_context *context, void *to, const void *from, size_t bytes);
size_t tmsi_gpu_free_bytes(tms_context *context);

/* Standard normal numbers, the same for the same seed; in i8 24 times as large. */
tms_status tmsi_gpu_noise(tms_context *context, void *out, tms_dtype type, int64_t count,
                          uint64_t seed);

/* A stream of its own, on which calls are recorded to a graph and the graph is timed. */
typedef struct tmsi_gpu_clock tmsi_gpu_clock;
tms_status tmsi_gpu_clock_open(tms_context *context, tmsi_gpu_clock **out);
void tmsi_gpu_clock_close(tms_context *context, tmsi_gpu_clock *clock); /* takes NULL */

/* Something that enqueues work on a stream. */
typedef struct tmsi_gpu_work {
    tms_status (*enqueue)(void *self, tms_stream stream);
    void *self;
} tmsi_gpu_work;

/* The GPU's time of one call, in microseconds: calls run back to back for at least warm_us, which
 * do not count, and then for at least timed_us. */
tms_status tmsi_gpu_time(tms_context *context, tmsi_gpu_clock *clock, const tmsi_gpu_work *work,
                         double warm_us, double timed_us, double *out_us);

#ifdef __cplusplus
}
#endif

#endif
