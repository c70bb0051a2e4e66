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

#endif
