/* The same product by plain loads, a thread an element of y: for rows of x that the copy engine
 * cannot read. It reads the image by the formulas of nm24_mma.h, sums in the order of k: in fp32,
 * or int32 of i8. */
#include <cuda_fp8.h>

#include "spmm/cuda/nm24_launch.cuh"

namespace nm24 {

__device__ inline float load(bf16, const void *p, int64_t i) {
    return tmsi_load_16(p, i, true);
}
__device__ inline float load(f16, const void *p, int64_t i) {
    return tmsi_load_16(p, i, false);
}
__device__ inline float load(e4m3, const void *p, int64_t i) {
    return (float)((const __nv_fp8_e4m3 *)p)[i];
}
__device__ inline int32_t load(i8, const void *p, int64_t i) {
    return ((const int8_t *)p)[i];
}

__device__ inline float add(float w, float x, float sum) {
    return fmaf(w, x, sum);
}
__device__ inline int32_t add(int32_t w, int32_t x, int32_t sum) {
    return w * x + sum;
}

/* The positions of the eight kept values in 16 k's: two bits each. half: which 16 of the word's. */
__device__ inline uint32_t codes_of(const uint8_t *block, int r, int chunk, int bytes, int half) {
    const uint16_t *words = (const uint16_t *)(block + TMSI_NM24_MMA_VALUE_BYTES);
    const int lane = 32 * (r / 16) + 4 * (r % 8);

    if (bytes == 2)
        return words[2 * (lane + chunk) + r / 8 % 2];
    return words[2 * (128 * (chunk / 2) + lane + 2 * (chunk % 2) + r / 8 % 2) + half];
}

/* Sum over row n of w and a row of x. */
template <class Element>
__device__ inline float sum_of(const uint8_t *w, int n, const void *x, int64_t at, int64_t k) {
    constexpr int BYTES = Element::BYTES, DEPTH = X_ROW_BYTES / BYTES;
    constexpr int BLOCK_BYTES =
        TMSI_NM24_MMA_VALUE_BYTES + Element::WORDS * TMSI_NM24_MMA_META_BYTES;
    const int64_t k_blocks = (k + DEPTH - 1) / DEPTH;
    const uint8_t *block = w + n / 64 * k_blocks * BLOCK_BYTES;
    const int r = n % 64;
    typename Element::Sum sum = 0;

    for (int64_t kb = 0; kb < k_blocks; kb++, block += BLOCK_BYTES)
        for (int i = 0; i < DEPTH / 16; i++) { /* eight values */
            const int chunk = i * BYTES / 2;
            const uint8_t *values = block + 64 * r + 16 * (chunk ^ (r / 2 % 4)) + i * BYTES % 2 * 8;
            const uint32_t codes = codes_of(block, r, chunk, BYTES, i % 2);

            for (int v = 0; v < 8; v++) {
                const int64_t column = kb * DEPTH + 16 * i + v / 2 * 4 + (codes >> 2 * v & 3);

                if (column < k)
                    sum = add(load(Element(), values, v), load(Element(), x, at + column), sum);
            }
        }
    return (float)sum;
}

template <class Element>
__global__ void plain(const uint8_t *w, const void *x, int64_t ldx, int64_t k,
                      const tmsi_epilogue e) {
    const int column = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    const int row = e.is_gated ? 2 * column : column;

    if (column >= tmsi_epilogue_columns(e))
        return;
    for (int t = (int)blockIdx.y; t < e.t; t += (int)gridDim.y) {
        const float sum = sum_of<Element>(w, row, x, t * ldx, k);
        const float up = e.is_gated ? sum_of<Element>(w, row + 1, x, t * ldx, k) : sum;

        tmsi_epilogue_element(e, sum, up, column, t);
    }
}

tms_status launch_plain(const tmsi_spmm_run &run) {
    constexpr int THREADS = 128;
    const tms_spmm_problem &problem = *run.problem;
    const dim3 grid((unsigned)tmsi_div_up(tmsi_spmm_columns(&problem), THREADS),
                    (unsigned)tmsi_min(run.args->t, 65535));
    const auto kernel = problem.w_type == TMS_BF16   ? plain<bf16>
                        : problem.w_type == TMS_F16  ? plain<f16>
                        : problem.w_type == TMS_E4M3 ? plain<e4m3>
                                                     : plain<i8>;
    tms_status status = TMS_OK;

    TMS_TRY(tmsi_clear_absmax(run));
    kernel<<<grid, THREADS, 0, (cudaStream_t)run.stream>>>((const uint8_t *)run.weight, run.args->x,
                                                           run.args->ldx, problem.k,
                                                           tmsi_make_epilogue(run));
    TMS_TRY(tmsi_cuda_check("launching nm24's plain kernel", cudaGetLastError()));
done:
    return status;
}

} // namespace nm24
