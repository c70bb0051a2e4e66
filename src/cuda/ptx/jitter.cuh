/* In a build with TAMIS_JITTER, which is for tests alone, threads sleep for a random while now and
 * then before they arrive at a barrier, when they have passed one, and before they have bytes
 * copied or send them. What barriers order stays right; what only happened to come in time does
 * not. In every other build it is nothing. */
#ifndef TAMIS_CUDA_PTX_JITTER_CUH
#define TAMIS_CUDA_PTX_JITTER_CUH

#include <stdint.h>

#ifdef TAMIS_JITTER
/* One time in eight, for 4 us at most; alike for the lanes of a warp that come together. */
__device__ static inline void tmsi_jitter() {
    uint32_t bits;

    asm volatile("mov.u32 %0, %%clock;" : "=r"(bits));
    bits *= 0x9e3779b1u;
    if (bits >> 29 == 0)
        asm volatile("nanosleep.u32 %0;" ::"r"(bits >> 17));
}
#else
__device__ static inline void tmsi_jitter() {}
#endif

#endif
