/* One weight and its activations on the GPU, multiplied by any kernel whose part can be made there:
 * the dense one, or 2:4 for the tensor cores. */
#ifndef TAMIS_MEASURE_GPU_CASE_H
#define TAMIS_MEASURE_GPU_CASE_H

#include "measure/cuda/gpu.h"
#include "spmm/plan.h"

typedef struct tmsi_gpu_case {
    tms_context *context;
    tmsi_gpu_clock *clock; /* the caller's */
    tms_spmm_problem problem;
    void *x, *y, *residual;
    float *vector;        /* ones enough for scales and bias */
    void *dense, *sparse; /* parts; NULL where there is none */
    size_t dense_bytes, sparse_bytes;
    void *work;
    size_t work_bytes;
} tmsi_gpu_case;

/* Random numbers for a problem of up to its t_max tokens, with a dense and, where w_type has one, a
 * 2:4 weight. *out is zero-filled before; close it after failure too. */
tms_status tmsi_gpu_case_open(tms_context *context, tmsi_gpu_clock *clock,
                              const tms_spmm_problem *problem, tmsi_gpu_case *out);
void tmsi_gpu_case_close(tmsi_gpu_case *self);

/* Whether the part that a kernel reads is there. */
bool tmsi_gpu_case_serves(const tmsi_gpu_case *self, const tmsi_spmm_kernel *kernel);

/* Bytes of that part. */
size_t tmsi_gpu_case_bytes(const tmsi_gpu_case *self, const tmsi_spmm_kernel *kernel);

/* The GPU's microseconds of one call of the kernel with t tokens, see tmsi_gpu_time. */
tms_status tmsi_gpu_case_time(tmsi_gpu_case *self, const tmsi_spmm_kernel *kernel, int64_t t,
                              double warm_us, double timed_us, double *out_us);

#endif
