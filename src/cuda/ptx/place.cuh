/* Where a thread runs. */
#ifndef TAMIS_CUDA_PTX_PLACE_CUH
#define TAMIS_CUDA_PTX_PLACE_CUH

#include <stdint.h>

/* The multiprocessor this thread is on. PTX ISA 1.3. */
__device__ static inline uint32_t tmsi_smid() {
    uint32_t smid;

    asm volatile("mov.u32 %0, %%smid;" : "=r"(smid));
    return smid;
}

/* The thread's number in its CTA. Volatile, so that what follows from it is computed where it is
 * needed: kept from one place to the next, it would cost a register each. */
__device__ static inline int32_t tmsi_tid_x() {
    int32_t thread;
    asm volatile("mov.u32 %0, %%tid.x;" : "=r"(thread));
    return thread;
}

/* The CTA's number in the grid's second dimension. Volatile likewise. */
__device__ static inline uint32_t tmsi_ctaid_y() {
    uint32_t y;
    asm volatile("mov.u32 %0, %%ctaid.y;" : "=r"(y));
    return y;
}

#endif
