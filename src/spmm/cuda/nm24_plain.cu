/* The same product by plain loads, a thread an element of y: for rows of x that the copy engine
 * cannot read. It reads the image by the formulas of nm24_mma.h, sums in fp32 in the order of k. */
#include "spmm/cuda/nm24_launch.cuh"

namespace nm24 {

/* Sum over one block of 64 k's from `first` on, for row r of the block. */
__device__ inline float plain_block(const uint8_t *block, int r, const void *x, int64_t at,
                                    int64_t first, int64_t k, bool is_bf16, float sum) {
    const uint16_t *codes = (const uint16_t *)(block + TMSI_NM24_MMA_VALUE_BYTES);

    for (int q = 0; q < 4; q++) {
        const uint8_t *values = block + 64 * r + 16 * (q ^ (r / 2 % 4));
        const uint32_t code = codes[2 * (32 * (r / 16) + 4 * (r % 8) + q) + r / 8 % 2];

        for (int i = 0; i < 8; i++) {
            const int64_t column = first + 16 * q + i / 2 * 4 + (code >> 2 * i & 3);

            if (column < k)
                sum = fmaf(tmsi_load_16(values, i, is_bf16), tmsi_load_16(x, at + column, is_bf16),
                           sum);
        }
    }
    return sum;
}

__global__ void plain(const uint8_t *w, const void *x, int64_t ldx, int64_t k, bool is_bf16,
                      const tmsi_epilogue e) {
    const int n = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    const int64_t k_blocks = (k + TMSI_NM24_MMA_BLOCK - 1) / TMSI_NM24_MMA_BLOCK;

    if (n >= e.n)
        return;
    for (int t = (int)blockIdx.y; t < e.t; t += (int)gridDim.y) {
        const uint8_t *block = w + n / TMSI_NM24_MMA_BLOCK * k_blocks * TMSI_NM24_MMA_BLOCK_BYTES;
        float sum = 0.f;

        for (int64_t kb = 0; kb < k_blocks; kb++, block += TMSI_NM24_MMA_BLOCK_BYTES)
            sum = plain_block(block, n % TMSI_NM24_MMA_BLOCK, x, t * ldx, kb * TMSI_NM24_MMA_BLOCK,
                              k, is_bf16, sum);
        tmsi_epilogue_element(e, sum, n, t);
    }
}

tms_status launch_plain(const tmsi_spmm_run &run) {
    constexpr int THREADS = 128;
    const tms_spmm_problem &problem = *run.problem;
    const dim3 grid((unsigned)tmsi_div_up(problem.n, THREADS),
                    (unsigned)tmsi_min(run.args->t, 65535));

    plain<<<grid, THREADS, 0, (cudaStream_t)run.stream>>>(
        (const uint8_t *)run.weight, run.args->x, run.args->ldx, problem.k,
        problem.x_type == TMS_BF16, tmsi_make_epilogue(run));
    return tmsi_cuda_check("launching nm24's plain kernel", cudaGetLastError());
}

} // namespace nm24
