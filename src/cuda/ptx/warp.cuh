/* Registers, barriers and matrix stores of warps and clusters. One instruction a function; PTX ISA
 * 8.0, sm_90. */
#ifndef TAMIS_CUDA_PTX_WARP_CUH
#define TAMIS_CUDA_PTX_WARP_CUH

#include <stdint.h>

#include "cuda/ptx/jitter.cuh"

/* Registers a thread from here on; every warp of the warpgroup executes it. sm_90a. */
template <int COUNT> __device__ static inline void tmsi_setmaxnreg_inc() {
    asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(COUNT));
}

template <int COUNT> __device__ static inline void tmsi_setmaxnreg_dec() {
    asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(COUNT));
}

/* Waits for `threads` threads at named barrier `id` (1 .. 15; 0 is __syncthreads). */
__device__ static inline void tmsi_bar_sync(uint32_t id, uint32_t threads) {
    tmsi_jitter();
    asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory");
}

__device__ static inline uint32_t tmsi_cluster_ctarank() {
    uint32_t rank;
    asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
    return rank;
}

__device__ static inline void tmsi_barrier_cluster_arrive() {
    tmsi_jitter();
    asm volatile("barrier.cluster.arrive.release.aligned;" ::: "memory");
}

__device__ static inline void tmsi_barrier_cluster_wait() {
    asm volatile("barrier.cluster.wait.acquire.aligned;" ::: "memory");
}

/* Four 8x8 matrices of 16-bit elements, transposed on the way: lane l gives the address of row l%8
 * of matrix l/8; its registers hold, of each matrix, elements (l/4, 2(l%4)) and (l/4, 2(l%4)+1) as
 * columns. */
__device__ static inline void tmsi_stmatrix_x4_trans(uint32_t address, uint32_t r0, uint32_t r1,
                                                     uint32_t r2, uint32_t r3) {
    asm volatile(
        "stmatrix.sync.aligned.m8n8.x4.trans.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(address),
        "r"(r0), "r"(r1), "r"(r2), "r"(r3)
        : "memory");
}

/* Not transposed: rows stay rows. */
__device__ static inline void tmsi_stmatrix_x4(uint32_t address, uint32_t r0, uint32_t r1,
                                               uint32_t r2, uint32_t r3) {
    asm volatile("stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(address),
                 "r"(r0), "r"(r1), "r"(r2), "r"(r3)
                 : "memory");
}

/* Two transposed ones: lanes 0 .. 15 give the addresses. */
__device__ static inline void tmsi_stmatrix_x2_trans(uint32_t address, uint32_t r0, uint32_t r1) {
    asm volatile("stmatrix.sync.aligned.m8n8.x2.trans.shared.b16 [%0], {%1, %2};" ::"r"(address),
                 "r"(r0), "r"(r1)
                 : "memory");
}

/* The way back: four 8x8 matrices of 16-bit elements from rows to the registers described above. */
__device__ static inline void tmsi_ldmatrix_x4_trans(uint32_t address, uint32_t (&r)[4]) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(address)
                 : "memory");
}

/* A 32-bit word of shared memory. Volatile: it must stay where it is written, behind the wait that
 * makes the word readable. */
__device__ static inline uint32_t tmsi_load_shared_u32(uint32_t address) {
    uint32_t value;
    asm volatile("ld.shared.u32 %0, [%1];" : "=r"(value) : "r"(address) : "memory");
    return value;
}

__device__ static inline void tmsi_store_shared_u32(uint32_t address, uint32_t value) {
    asm volatile("st.shared.u32 [%0], %1;" ::"r"(address), "r"(value) : "memory");
}

__device__ static inline void tmsi_store_shared_v4(uint32_t address, const uint32_t (&r)[4]) {
    asm volatile("st.shared.v4.u32 [%0], {%1, %2, %3, %4};" ::"r"(address), "r"(r[0]), "r"(r[1]),
                 "r"(r[2]), "r"(r[3])
                 : "memory");
}

/* Floats of shared memory; pairs are 8-byte aligned. Volatile likewise. */
__device__ static inline void tmsi_load_shared_f32x2(uint32_t address, float (&r)[2]) {
    asm volatile("ld.shared.v2.f32 {%0, %1}, [%2];"
                 : "=f"(r[0]), "=f"(r[1])
                 : "r"(address)
                 : "memory");
}

__device__ static inline void tmsi_store_shared_f32x2(uint32_t address, float low, float high) {
    asm volatile("st.shared.v2.f32 [%0], {%1, %2};" ::"r"(address), "f"(low), "f"(high) : "memory");
}

__device__ static inline void tmsi_store_shared_u8(uint32_t address, uint32_t value) {
    asm volatile("st.shared.u8 [%0], %1;" ::"r"(address), "r"(value) : "memory");
}

/* tanh with a relative error of at most 2^-11 (PTX ISA 7.0, sm_75). */
__device__ static inline float tmsi_tanh_approx(float x) {
    float y;
    asm("tanh.approx.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

/* The larger of two; NaN where either is NaN (PTX ISA 7.0, sm_80). */
__device__ static inline float tmsi_max_nan(float a, float b) {
    float y;
    asm("max.NaN.f32 %0, %1, %2;" : "=f"(y) : "f"(a), "f"(b));
    return y;
}

#endif
