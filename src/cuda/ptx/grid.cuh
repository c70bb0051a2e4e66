/* What a grid does while the one before it in its stream still runs, where its launch allows that
 * (programmatic stream serialisation). One instruction a function; PTX ISA 7.8, sm_90. In code for
 * older chips, where launches never allow it, the first two do nothing. */
#ifndef TAMIS_CUDA_PTX_GRID_CUH
#define TAMIS_CUDA_PTX_GRID_CUH

/* Until the grid before this one is complete, and what it wrote is visible. Every thread executes
 * it before it touches anything that another grid may write or read. */
__device__ static inline void tmsi_griddepcontrol_wait() {
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

/* From here on the next grid may begin, up to its wait. */
__device__ static inline void tmsi_griddepcontrol_launch_dependents() {
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

/* Fetches a line into the second-level cache, which is where all multiprocessors' accesses meet: a
 * later write by another grid is not missed. */
__device__ static inline void tmsi_prefetch_l2(const void *address) {
    asm volatile("prefetch.global.L2 [%0];" ::"l"(address));
}

#endif
