/* Conversions of f32 pairs. One instruction a function. */
#ifndef TAMIS_CUDA_PTX_CONVERT_CUH
#define TAMIS_CUDA_PTX_CONVERT_CUH

#include <cuda_fp8.h>
#include <stdint.h>

/* Two floats rounded to nearest even, `low` in the lower half; negative ones become +0, NaN stays
 * (PTX ISA 7.0, sm_80). */
__device__ static inline uint32_t tmsi_cvt_rn_relu_bf16x2(float low, float high) {
    uint32_t pair;
    asm("cvt.rn.relu.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
    return pair;
}

__device__ static inline uint32_t tmsi_cvt_rn_relu_f16x2(float low, float high) {
    uint32_t pair;
    asm("cvt.rn.relu.f16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
    return pair;
}

/* Two floats as e4m3, to nearest even, at most +-448; NaN is 0x7f (PTX ISA 8.1, sm_89). In code for
 * older chips the toolkit's own function does the same. */
__device__ static inline uint16_t tmsi_cvt_rn_satfinite_e4m3x2(float low, float high) {
#if __CUDA_ARCH__ >= 890
    uint16_t pair;
    asm("cvt.rn.satfinite.e4m3x2.f32 %0, %1, %2;" : "=h"(pair) : "f"(high), "f"(low));
    return pair;
#else
    return __nv_cvt_float2_to_fp8x2(make_float2(low, high), __NV_SATFINITE, __NV_E4M3);
#endif
}

/* To nearest even. Volatile: it must stay where its result is used. */
__device__ static inline float tmsi_cvt_rn_f32_s32(int32_t value) {
    float number;
    asm volatile("cvt.rn.f32.s32 %0, %1;" : "=f"(number) : "r"(value));
    return number;
}

/* To nearest even, saturating; NaN is 0. */
__device__ static inline int32_t tmsi_cvt_rni_s32(float value) {
    int32_t integer;
    asm("cvt.rni.s32.f32 %0, %1;" : "=r"(integer) : "f"(value));
    return integer;
}

/* Bytes low and high, saturated to -128 .. 127, below the two lower bytes of `above` (PTX ISA 6.5,
 * sm_72). The assembler joins it and its operands' conversions to one instruction. */
__device__ static inline uint32_t tmsi_cvt_pack_sat_s8(int32_t low, int32_t high, uint32_t above) {
    uint32_t packed;
    asm("cvt.pack.sat.s8.s32.b32 %0, %1, %2, %3;" : "=r"(packed) : "r"(high), "r"(low), "r"(above));
    return packed;
}

#endif
