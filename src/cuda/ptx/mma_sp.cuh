/* A warp's matrix products with a 2:4 first operand, and the loads of their operands. One
 * instruction a function; PTX ISA 8.5 (ordered_metadata), sm_80. With lane = 4g + c:
 *
 * d[16, 8] += a[16, k] b[k, 8]: d[0], d[1] = row g, columns 2c, 2c+1; d[2], d[3] = row g+8. a is
 * given packed, half of k: 32 bytes a row; a[0], a[2] = bytes 4c .. 4c+3 and 16+4c .. of row g,
 * a[1] and a[3] those of row g+8. b[i] = bytes 16i + 4c .. of column g, of 64. `meta` holds the
 * positions of a's kept elements, 2 bits each, in ascending order; for 16-bit types SEL says which
 * lanes of each four supply them (0: lanes 0 and 1; 1: lanes 2 and 3). */
#ifndef TAMIS_CUDA_PTX_MMA_SP_CUH
#define TAMIS_CUDA_PTX_MMA_SP_CUH

#include <stdint.h>

#define TMSI_MMA_SP(name, shape, types, Sum, c)                                                    \
    template <int SEL>                                                                             \
    __device__ static inline void name(Sum(&d)[4], const uint32_t(&a)[4], const uint32_t(&b)[4],   \
                                       uint32_t meta) {                                            \
        asm("mma.sp::ordered_metadata.sync.aligned." shape ".row.col." types                       \
            " {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9, %10, %11}, {%0, %1, %2, %3}, "          \
            "%12, %13;"                                                                            \
            : c(d[0]), c(d[1]), c(d[2]), c(d[3])                                                   \
            : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]), "r"(b[2]),         \
              "r"(b[3]), "r"(meta), "n"(SEL));                                                     \
    }
TMSI_MMA_SP(tmsi_mma_sp_m16n8k32_bf16, "m16n8k32", "f32.bf16.bf16.f32", float, "+f")
TMSI_MMA_SP(tmsi_mma_sp_m16n8k32_f16, "m16n8k32", "f32.f16.f16.f32", float, "+f")
TMSI_MMA_SP(tmsi_mma_sp_m16n8k64_s8, "m16n8k64", "s32.s8.s8.s32", int32_t, "+r")
#undef TMSI_MMA_SP

/* Four 8x8 matrices of 16-bit elements: lane l gives the address of row l%8 of matrix l/8, 16
 * bytes; r[i] holds elements (g, 2c) and (g, 2c+1) of matrix i. */
__device__ static inline void tmsi_ldmatrix_x4(uint32_t address, uint32_t (&r)[4]) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(address)
                 : "memory");
}

#endif
