/* What the files of this program share. */
#ifndef TAMIS_TESTS_GPU_TESTS_H
#define TAMIS_TESTS_GPU_TESTS_H

#include "gpu/device.h"

extern tms_context *gpu_context;
extern int64_t gpu_case_count; /* products compared */
extern int64_t gpu_case_step;  /* of the axes, every so many cells are walked */

/* Up to 1000 tokens of n x k weights, in the first type that the kernel serves. */
tms_spmm_problem gpu_problem(const tmsi_spmm_kernel *kernel, int64_t n, int64_t k);

/* Failures of the tests of one kernel; of the tests of plans. */
int gpu_test_kernel(const tmsi_spmm_kernel *kernel);
int gpu_test_plans(void);

#endif
