/* Warpgroup matrix products with a 2:4 first operand: d[64, n] += a[64, k] b[k, n]. One instruction
 * a function; PTX ISA 8.2, sm_90a. a is given packed (half of k, K-major) and b K-major, both by
 * shared-memory descriptors; `meta` holds the positions of a's kept elements, 2 bits each, and SEL
 * which lanes of each four supply them (16 bit: 0, lanes 0 and 1; 1, lanes 2 and 3. 8 bit: all, SEL
 * is 0). e4m3 is summed with some 14 bits (fast accumulation), s8 exactly.
 *
 * d of thread (warp w, lane 4g + c): d[4j], d[4j+1] = row 16w+g, columns 8j+2c, 8j+2c+1; d[4j+2],
 * d[4j+3] = row 16w+g+8. All of d, meta and the operands in shared memory belong to the hardware
 * until tmsi_wgmma_wait has retired the group: meta must not be overwritten before. */
#ifndef TAMIS_CUDA_PTX_WGMMA_SP_CUH
#define TAMIS_CUDA_PTX_WGMMA_SP_CUH

#include <stdint.h>

__device__ static inline void tmsi_wgmma_fence() {
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}

__device__ static inline void tmsi_wgmma_commit() {
    asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}

/* Until at most PENDING groups of this warpgroup are in flight. */
template <int PENDING> __device__ static inline void tmsi_wgmma_wait() {
    asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(PENDING) : "memory");
}

/* Texts and operands of 4, 8 ... accumulator registers: the assembler wants each one named. */
#define TMSI_TEXT_4  "%0, %1, %2, %3"
#define TMSI_TEXT_8  TMSI_TEXT_4 ", %4, %5, %6, %7"
#define TMSI_TEXT_16 TMSI_TEXT_8 ", %8, %9, %10, %11, %12, %13, %14, %15"
#define TMSI_TEXT_32                                                                               \
    "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, "   \
    "%20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
#define TMSI_TEXT_48                                                                               \
    TMSI_TEXT_32                                                                                   \
    ", %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47"
#define TMSI_TEXT_64                                                                               \
    TMSI_TEXT_32                                                                                   \
    ", %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47"             \
    ", %48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
#define TMSI_TEXT_80                                                                               \
    TMSI_TEXT_64                                                                                   \
    ", %64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79"
#define TMSI_TEXT_96                                                                               \
    TMSI_TEXT_80                                                                                   \
    ", %80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95"
#define TMSI_TEXT_128                                                                              \
    TMSI_TEXT_96                                                                                   \
    ", %96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111" \
    ", %112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, " \
    "%127"
#define TMSI_D8(c, d, i)                                                                           \
    c(d[i]), c(d[i + 1]), c(d[i + 2]), c(d[i + 3]), c(d[i + 4]), c(d[i + 5]), c(d[i + 6]),         \
        c(d[i + 7])
#define TMSI_OPERANDS_4(c, d)  c(d[0]), c(d[1]), c(d[2]), c(d[3])
#define TMSI_OPERANDS_8(c, d)  TMSI_D8(c, d, 0)
#define TMSI_OPERANDS_16(c, d) TMSI_D8(c, d, 0), TMSI_D8(c, d, 8)
#define TMSI_OPERANDS_32(c, d)                                                                     \
    TMSI_D8(c, d, 0), TMSI_D8(c, d, 8), TMSI_D8(c, d, 16), TMSI_D8(c, d, 24)
#define TMSI_OPERANDS_48(c, d) TMSI_OPERANDS_32(c, d), TMSI_D8(c, d, 32), TMSI_D8(c, d, 40)
#define TMSI_OPERANDS_64(c, d)                                                                     \
    TMSI_OPERANDS_32(c, d), TMSI_D8(c, d, 32), TMSI_D8(c, d, 40), TMSI_D8(c, d, 48),               \
        TMSI_D8(c, d, 56)
#define TMSI_OPERANDS_80(c, d) TMSI_OPERANDS_64(c, d), TMSI_D8(c, d, 64), TMSI_D8(c, d, 72)
#define TMSI_OPERANDS_96(c, d) TMSI_OPERANDS_80(c, d), TMSI_D8(c, d, 80), TMSI_D8(c, d, 88)
#define TMSI_OPERANDS_128(c, d)                                                                    \
    TMSI_OPERANDS_96(c, d), TMSI_D8(c, d, 96), TMSI_D8(c, d, 104), TMSI_D8(c, d, 112),             \
        TMSI_D8(c, d, 120)

/* name, type of d and its constraint, shape, types, registers of d, the numbers of the operands
 * behind them, and what stands behind scale-d (false: d is overwritten): 1, 1 (no negation), and
 * for 16 bit 0, 0 (both operands K-major); integers have none of it. */
#define TMSI_WGMMA_SP(name, type, constraint, shape, types, tail, size, i0, i1, i2, i3, i4)        \
    template <int SEL>                                                                             \
    __device__ static inline void name(type(&d)[size], uint64_t a, uint64_t b, uint32_t meta,      \
                                       bool accumulate) {                                          \
        asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, %" #i3 ", 0;\n"                             \
                     "wgmma.mma_async.sp.sync.aligned." shape "." types " {" TMSI_TEXT_##size      \
                     "}, %" #i0 ", %" #i1 ", %" #i2 ", %" #i4 ", p" tail ";\n}"                    \
                     : TMSI_OPERANDS_##size(constraint, d)                                         \
                     : "l"(a), "l"(b), "r"(meta), "r"((uint32_t)accumulate), "n"(SEL));            \
    }

#define TMSI_WGMMA_SP_TYPES(n, size, i0, i1, i2, i3, i4)                                           \
    TMSI_WGMMA_SP(tmsi_wgmma_sp_m64n##n##k32_bf16, float, "+f", "m64n" #n "k32", "f32.bf16.bf16",  \
                  ", 1, 1, 0, 0", size, i0, i1, i2, i3, i4)                                        \
    TMSI_WGMMA_SP(tmsi_wgmma_sp_m64n##n##k32_f16, float, "+f", "m64n" #n "k32", "f32.f16.f16",     \
                  ", 1, 1, 0, 0", size, i0, i1, i2, i3, i4)                                        \
    TMSI_WGMMA_SP(tmsi_wgmma_sp_m64n##n##k64_e4m3, float, "+f", "m64n" #n "k64", "f32.e4m3.e4m3",  \
                  ", 1, 1", size, i0, i1, i2, i3, i4)                                              \
    TMSI_WGMMA_SP(tmsi_wgmma_sp_m64n##n##k64_s8, int32_t, "+r", "m64n" #n "k64", "s32.s8.s8", "",  \
                  size, i0, i1, i2, i3, i4)
TMSI_WGMMA_SP_TYPES(8, 4, 4, 5, 6, 7, 8)
TMSI_WGMMA_SP_TYPES(16, 8, 8, 9, 10, 11, 12)
TMSI_WGMMA_SP_TYPES(32, 16, 16, 17, 18, 19, 20)
TMSI_WGMMA_SP_TYPES(64, 32, 32, 33, 34, 35, 36)
TMSI_WGMMA_SP_TYPES(96, 48, 48, 49, 50, 51, 52)
TMSI_WGMMA_SP_TYPES(128, 64, 64, 65, 66, 67, 68)
TMSI_WGMMA_SP_TYPES(160, 80, 80, 81, 82, 83, 84)
TMSI_WGMMA_SP_TYPES(192, 96, 96, 97, 98, 99, 100)
TMSI_WGMMA_SP_TYPES(256, 128, 128, 129, 130, 131, 132)

#endif
