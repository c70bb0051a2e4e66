/* Images for sparse tensor cores, built and read back on the GPU: one pass, every byte read once
 * and written once. A CTA of 128 threads makes a block. A thread makes two runs, which are one word
 * of metadata of a 16-bit type (rows r and r + 8) or two of an 8-bit one, so that a warp reads
 * whole lines of the weight and writes whole lines of the image. */
#include <cuda_runtime.h>
#include <stdint.h>

#include "cuda/device.cuh"
#include "format/cuda/launch.h"
#include "format/cuda/nm24_mma.cuh"

extern "C" {
#include "format/layout.h"
#include "format/layout/nm24_mma.h"
}

using namespace nm24_mma;

namespace {

constexpr int THREADS = 128, RUNS = 2;
/* CTAs on a multiprocessor at least, which bounds registers. From dense, both runs are in flight at
 * once and want them: 8 take 2 % less than 16 at 8192 x 8192 in bf16, 5 % in e4m3 (H100,
 * 2026-11-25). From and to nm 16 take 9 % and 3 % less than 8. */
constexpr int RESIDENT_DENSE = 8, RESIDENT = 16;
constexpr int PLAIN_HEADER = TMSI_PLAIN_HEADER_BYTES;

template <class T> struct Block {
    static constexpr int DEPTH = 64 * 2 / T::BYTES; /* columns */
    static constexpr int BYTES = TMSI_NM24_MMA_VALUE_BYTES + DEPTH / 64 * TMSI_NM24_MMA_META_BYTES;
};

/* A run of the weight: its row, a matrix and the row there, and its columns. */
struct Place {
    int row, matrix, matrix_row;
    int k; /* first column */
};

__device__ inline Place place_of(const tmsi_nm24_mma_job &job, int row, int k) {
    Place place = {row, 0, row, k};

    if (job.is_interleaved) {
        place.matrix = row % job.count;
        place.matrix_row = row / job.count;
    } else {
        while (place.matrix + 1 < job.count && row >= job.matrices[place.matrix + 1].first)
            place.matrix++;
        place.matrix_row = row - job.matrices[place.matrix].first;
    }
    return place;
}

/* ---- Memory at any address ------------------------------------------------------------------- */

template <int BYTES> __device__ uint32_t load_bytes(const uint8_t *from) {
    uint32_t word = 0;

    if (BYTES == 4 && (uintptr_t)from % 4 == 0)
        return *(const uint32_t *)from;
    if (BYTES == 2 && (uintptr_t)from % 2 == 0)
        return *(const uint16_t *)from;
#pragma unroll
    for (int i = 0; i < BYTES; i++)
        word |= (uint32_t)from[i] << 8 * i;
    return word;
}

template <int BYTES> __device__ void store_bytes(uint8_t *to, uint32_t word) {
    if (BYTES == 4 && (uintptr_t)to % 4 == 0) {
        *(uint32_t *)to = word;
    } else if (BYTES == 2 && (uintptr_t)to % 2 == 0) {
        *(uint16_t *)to = (uint16_t)word;
    } else {
#pragma unroll
        for (int i = 0; i < BYTES; i++)
            to[i] = (uint8_t)(word >> 8 * i);
    }
}

/* Groups of the run that lie in the weight. */
template <class T> __device__ int groups_inside(const tmsi_nm24_mma_job &job, int k) {
    return min(Run<T>::GROUPS, (job.k - k) / 4); /* negative past the end */
}

template <class T> __device__ uint8_t *dense_at(const tmsi_nm24_mma_job &job, const Place &place) {
    return job.matrices[place.matrix].values +
           ((int64_t)place.matrix_row * job.k + place.k) * T::BYTES;
}

template <class T> __device__ uint8_t *values_at(const tmsi_nm24_mma_job &job, const Place &place) {
    return job.matrices[place.matrix].values +
           ((int64_t)place.matrix_row * (job.k / 2) + place.k / 2) * T::BYTES;
}

__device__ inline uint8_t *index_at(const tmsi_nm24_mma_job &job, const Place &place) {
    return job.matrices[place.matrix].index + (int64_t)place.matrix_row * ((job.k / 4 + 1) / 2) +
           place.k / 8;
}

template <class T>
__device__ inline void load_dense(const uint8_t *from, int groups, uint32_t (&dense)[DENSE_WORDS]) {
    if (groups == Run<T>::GROUPS && (uintptr_t)from % 16 == 0) {
        *(uint4 *)dense = ((const uint4 *)from)[0];
        *(uint4 *)(dense + 4) = ((const uint4 *)from)[1];
        return;
    }
#pragma unroll
    for (int i = 0; i < DENSE_WORDS; i++)
        dense[i] = i / Run<T>::GROUP_WORDS < groups ? load_bytes<4>(from + 4 * i) : 0;
}

template <class T>
__device__ inline void store_dense(uint8_t *to, int groups, const uint32_t (&dense)[DENSE_WORDS]) {
    if (groups == Run<T>::GROUPS && (uintptr_t)to % 16 == 0) {
        ((uint4 *)to)[0] = *(const uint4 *)dense;
        ((uint4 *)to)[1] = *(const uint4 *)(dense + 4);
        return;
    }
#pragma unroll
    for (int i = 0; i < DENSE_WORDS; i++)
        if (i / Run<T>::GROUP_WORDS < groups)
            store_bytes<4>(to + 4 * i, dense[i]);
}

/* Values and nibbles of nm; 0 past the end. */
template <class T>
__device__ inline uint32_t load_nm(const uint8_t *values, const uint8_t *index, int groups,
                                   uint32_t (&words)[VALUE_WORDS]) {
    constexpr int PAIR = 2 * T::BYTES, INDEX_BYTES = Run<T>::GROUPS / 2;
    uint32_t nibbles = 0;

    if (groups == Run<T>::GROUPS && (uintptr_t)values % 16 == 0) {
        *(uint4 *)words = *(const uint4 *)values;
        return load_bytes<INDEX_BYTES>(index);
    }
#pragma unroll
    for (int i = 0; i < VALUE_WORDS; i++)
        words[i] = 0;
#pragma unroll
    for (int g = 0; g < Run<T>::GROUPS; g++)
        if (g < groups) {
            words[g * PAIR / 4] |= load_bytes<PAIR>(values + g * PAIR) << 8 * (g * PAIR % 4);
            nibbles |= (index[g / 2] >> 4 * (g % 2) & 15u) << 4 * g;
        }
    return nibbles;
}

template <class T>
__device__ inline void store_nm(uint8_t *values, uint8_t *index, int groups, uint32_t nibbles,
                                const uint32_t (&words)[VALUE_WORDS]) {
    constexpr int PAIR = 2 * T::BYTES, INDEX_BYTES = Run<T>::GROUPS / 2;

    if (groups == Run<T>::GROUPS && (uintptr_t)values % 16 == 0) {
        *(uint4 *)values = *(const uint4 *)words;
        store_bytes<INDEX_BYTES>(index, nibbles);
        return;
    }
#pragma unroll
    for (int g = 0; g < Run<T>::GROUPS; g++)
        if (g < groups) {
            store_bytes<PAIR>(values + g * PAIR, words[g * PAIR / 4] >> 8 * (g * PAIR % 4));
            if (g % 2 == 0) /* the last nibble of an odd row has 0 beside it */
                index[g / 2] = (uint8_t)(nibbles >> 4 * g & (g + 1 < groups ? 0xff : 0xf));
        }
}

/* A run of either format, dense; returns nm's nibbles. */
template <class T, bool IS_NM>
__device__ inline uint32_t load_run(const tmsi_nm24_mma_job &job, const Place &place, int groups,
                                    uint32_t (&dense)[DENSE_WORDS]) {
    uint32_t values[VALUE_WORDS], nibbles = 0;

    if (IS_NM) {
        nibbles = load_nm<T>(values_at<T>(job, place), index_at(job, place), groups, values);
        unpack_run<T>(nibbles, values, dense);
    } else {
        load_dense<T>(dense_at<T>(job, place), groups, dense);
    }
    return nibbles;
}

/* ---- Kernels --------------------------------------------------------------------------------- */

/* Which rows and chunks of 16 bytes of its block a thread makes. */
template <class T> struct Share {
    int row[RUNS], chunk[RUNS];

    __device__ Share() {
        const int warp = threadIdx.x / 32, g = threadIdx.x % 32 / 4, q = threadIdx.x % 4;

        for (int i = 0; i < RUNS; i++) {
            row[i] = 16 * warp + g + 8 * (T::BYTES == 2 ? i : q % 2);
            chunk[i] = T::BYTES == 2 ? q : 2 * i + q / 2;
        }
    }
    __device__ int value_byte(int i) const {
        return 64 * row[i] + 16 * (chunk[i] ^ (row[i] / 2 % 4));
    }
};

/* What the build looks for in a run: *first becomes the least row * k + column. */
template <class T>
__device__ inline void look(const tmsi_nm24_mma_job &job, const Place &place, int groups,
                            uint32_t nibbles, const uint32_t (&dense)[DENSE_WORDS],
                            unsigned long long *first) {
    int64_t row = place.row;
    int found = -1;

    if (job.find == TMSI_FIND_THIRD)
        found = find_third<T>(dense);
    if (job.find == TMSI_FIND_NON_FINITE)
        found = find_exponent<T>(dense, job.exponent);
    if (job.find == TMSI_FIND_POSITIONS) {
        const bool is_odd_end = groups % 2 != 0 && place.k + 4 * groups == job.k;

        found = find_positions<T>(nibbles, groups);
        if (is_odd_end && index_at(job, place)[groups / 2] >> 4 != 0 && found < 0)
            found = groups - 1; /* the nibble behind the last */
        found = found < 0 ? found : 4 * found;
        row = job.matrices[place.matrix].first + place.matrix_row;
    }
    if (found >= 0)
        atomicMin(first, (unsigned long long)(row * job.k + place.k + found));
}

template <class T, bool IS_NM, bool LOOKS>
__global__ void __launch_bounds__(THREADS, LOOKS || !IS_NM ? RESIDENT_DENSE : RESIDENT)
    build_image(const __grid_constant__ tmsi_nm24_mma_job job, uint8_t *image,
                unsigned long long *first) {
    const int k_blocks = (job.k + Block<T>::DEPTH - 1) / Block<T>::DEPTH;
    const int row_block = blockIdx.x / k_blocks, k_block = blockIdx.x % k_blocks;
    uint8_t *const block = image + (int64_t)blockIdx.x * Block<T>::BYTES;
    uint32_t *const words = (uint32_t *)(block + TMSI_NM24_MMA_VALUE_BYTES);
    const Share<T> share;
    uint32_t dense[RUNS][DENSE_WORDS], values[RUNS][VALUE_WORDS], nibbles[RUNS];

#pragma unroll
    for (int i = 0; i < RUNS; i++) {
        const int row = row_block * TMSI_NM24_MMA_BLOCK + share.row[i];
        const int k = k_block * Block<T>::DEPTH + share.chunk[i] * Run<T>::COLUMNS;
        const Place place = place_of(job, min(row, job.n - 1), k);
        const int groups = row < job.n ? groups_inside<T>(job, k) : 0;

        nibbles[i] = load_run<T, IS_NM>(job, place, groups, dense[i]);
        if (LOOKS)
            look<T>(job, place, groups, nibbles[i], dense[i], first);
    }
#pragma unroll
    for (int i = 0; i < RUNS; i++) {
        nibbles[i] = pack_run<T>(dense[i], values[i]);
        *(uint4 *)(block + share.value_byte(i)) = *(const uint4 *)values[i];
    }
    if (T::BYTES == 2) {
        words[threadIdx.x] = nibbles[0] | nibbles[1] << 16;
    } else {
        words[threadIdx.x] = nibbles[0];
        words[THREADS + threadIdx.x] = nibbles[1];
    }
}

template <class T, bool IS_NM>
__global__ void __launch_bounds__(THREADS, RESIDENT)
    read_image(const __grid_constant__ tmsi_nm24_mma_job job, const uint8_t *image) {
    const int k_blocks = (job.k + Block<T>::DEPTH - 1) / Block<T>::DEPTH;
    const int row_block = blockIdx.x / k_blocks, k_block = blockIdx.x % k_blocks;
    const uint8_t *const block = image + (int64_t)blockIdx.x * Block<T>::BYTES;
    const uint32_t *const words = (const uint32_t *)(block + TMSI_NM24_MMA_VALUE_BYTES);
    const Share<T> share;

#pragma unroll
    for (int i = 0; i < RUNS; i++) {
        const int row = row_block * TMSI_NM24_MMA_BLOCK + share.row[i];
        const int k = k_block * Block<T>::DEPTH + share.chunk[i] * Run<T>::COLUMNS;
        const uint32_t word =
            T::BYTES == 2 ? words[threadIdx.x] >> 16 * i : words[THREADS * i + threadIdx.x];
        uint32_t dense[DENSE_WORDS], values[VALUE_WORDS];

        if (row >= job.n)
            continue;
        const Place place = place_of(job, row, k);
        const int groups = groups_inside<T>(job, k);

        *(uint4 *)values = *(const uint4 *)(block + share.value_byte(i));
        unpack_run<T>(word, values, dense);
        if (IS_NM) {
            const uint32_t nibbles = pack_run<T>(dense, values); /* filled as nm is */

            store_nm<T>(values_at<T>(job, place), index_at(job, place), groups, nibbles, values);
        } else {
            store_dense<T>(dense_at<T>(job, place), groups, dense);
        }
    }
}

/* What a plain part has around its values: the header, and zeros up to where a part may begin. */
__device__ inline void frame_plain(int64_t value_bytes, uint8_t *part) {
    const int64_t end = PLAIN_HEADER + value_bytes;

    if (threadIdx.x < PLAIN_HEADER / 8)
        ((int64_t *)part)[threadIdx.x] = threadIdx.x == 0 ? PLAIN_HEADER : 0;
    if (threadIdx.x < (unsigned)(-end & (TMSI_PART_ALIGNMENT - 1)))
        part[end + threadIdx.x] = 0;
}

/* The joined weight as it is, or as it is selected: a plain part. */
template <class T, bool IS_NM>
__global__ void __launch_bounds__(THREADS, RESIDENT)
    build_plain(const __grid_constant__ tmsi_nm24_mma_job job, uint8_t *part) {
    const int k_blocks = (job.k + Block<T>::DEPTH - 1) / Block<T>::DEPTH;
    const int row_block = blockIdx.x / k_blocks, k_block = blockIdx.x % k_blocks;
    const Share<T> share;

    if (blockIdx.x == 0)
        frame_plain((int64_t)job.n * job.k * T::BYTES, part);
#pragma unroll
    for (int i = 0; i < RUNS; i++) {
        const int row = row_block * TMSI_NM24_MMA_BLOCK + share.row[i];
        const int k = k_block * Block<T>::DEPTH + share.chunk[i] * Run<T>::COLUMNS;
        uint32_t dense[DENSE_WORDS], values[VALUE_WORDS];

        if (row >= job.n)
            continue;
        const Place place = place_of(job, row, k);
        const int groups = groups_inside<T>(job, k);

        load_run<T, IS_NM>(job, place, groups, dense);
        if (job.is_selected) {
            const uint32_t nibbles = pack_run<T>(dense, values);

            unpack_run<T>(nibbles, values, dense);
        }
#pragma unroll
        for (int w = 0; w < DENSE_WORDS; w++)
            dense[w] = plain_zeros<T>(dense[w]);
        store_dense<T>(part + PLAIN_HEADER + ((int64_t)row * job.k + k) * T::BYTES, groups, dense);
    }
}

/* ---- Launches -------------------------------------------------------------------------------- */

template <class T> unsigned block_count(const tmsi_nm24_mma_job &job) {
    return (unsigned)((job.n + TMSI_NM24_MMA_BLOCK - 1) / TMSI_NM24_MMA_BLOCK) *
           (unsigned)((job.k + Block<T>::DEPTH - 1) / Block<T>::DEPTH);
}

template <class T>
void launch_build(const tmsi_nm24_mma_job &job, void *image, unsigned long long *first,
                  cudaStream_t stream) {
    const unsigned blocks = block_count<T>(job);
    const bool looks = job.find != TMSI_FIND_NOTHING;
    void (*const kernel)(tmsi_nm24_mma_job, uint8_t *, unsigned long long *) =
        job.is_nm ? (looks ? build_image<T, true, true> : build_image<T, true, false>)
                  : (looks ? build_image<T, false, true> : build_image<T, false, false>);

    kernel<<<blocks, THREADS, 0, stream>>>(job, (uint8_t *)image, first);
}

template <class T>
void launch_read(const tmsi_nm24_mma_job &job, const void *image, cudaStream_t stream) {
    const unsigned blocks = block_count<T>(job);

    if (job.is_nm)
        read_image<T, true><<<blocks, THREADS, 0, stream>>>(job, (const uint8_t *)image);
    else
        read_image<T, false><<<blocks, THREADS, 0, stream>>>(job, (const uint8_t *)image);
}

template <class T>
void launch_plain(const tmsi_nm24_mma_job &job, void *part, cudaStream_t stream) {
    const unsigned blocks = block_count<T>(job);

    if (job.is_nm)
        build_plain<T, true><<<blocks, THREADS, 0, stream>>>(job, (uint8_t *)part);
    else
        build_plain<T, false><<<blocks, THREADS, 0, stream>>>(job, (uint8_t *)part);
}

cudaError_t launch_any(const tmsi_nm24_mma_job &job, void *image, unsigned long long *first,
                       cudaStream_t stream) {
    if (job.dtype == TMS_I8)
        launch_build<I8>(job, image, first, stream);
    else if (job.dtype == TMS_E4M3)
        launch_build<E4m3>(job, image, first, stream);
    else
        launch_build<Wide>(job, image, first, stream);
    return cudaGetLastError();
}

/* What waits may not be captured: said here, since the wait would break the capture. */
tms_status check_not_captured(cudaStream_t stream) {
    cudaStreamCaptureStatus capture = cudaStreamCaptureStatusNone;
    const cudaError_t error = cudaStreamIsCapturing(stream, &capture);

    if (error != cudaSuccess)
        return tmsi_cuda_fail("asking whether the stream is captured", error);
    if (capture != cudaStreamCaptureStatusNone)
        return tmsi_fail(
            TMS_ERR_INVALID,
            "desc->stream is being captured, but this build waits for its answer: only "
            "TMS_INTAKE_SELECT with TMS_NAN_KEEP can be captured");
    return TMS_OK;
}

} // namespace

tms_status tmsi_device_read(const tmsi_cuda_device *device, const void *from, size_t bytes,
                            tms_stream stream, void *out) {
    const tmsi_cuda_scope scope(device->index);
    cudaError_t error =
        cudaMemcpyAsync(out, from, bytes, cudaMemcpyDeviceToHost, (cudaStream_t)stream);

    if (error == cudaSuccess)
        error = cudaStreamSynchronize((cudaStream_t)stream);
    return error == cudaSuccess ? TMS_OK : tmsi_cuda_fail("reading from the GPU", error);
}

tms_status tmsi_nm24_mma_build_launch(const tmsi_cuda_device *device, const tmsi_nm24_mma_job *job,
                                      void *image, void *work, tms_stream stream,
                                      int64_t *out_found) {
    const tmsi_cuda_scope scope(device->index);
    const cudaStream_t to = (cudaStream_t)stream;
    const bool looks = job->find != TMSI_FIND_NOTHING;
    unsigned long long *const first = (unsigned long long *)work;
    cudaError_t error = cudaSuccess;
    tms_status status = TMS_OK;

    if (looks) {
        TMS_TRY(check_not_captured(to));
        error = cudaMemsetAsync(work, 0xff, sizeof *first, to);
    }
    if (error == cudaSuccess)
        error = launch_any(*job, image, first, to);
    if (error != cudaSuccess)
        return tmsi_cuda_fail("the launch of the image's build", error);
    if (looks)
        TMS_TRY(tmsi_device_read(device, work, sizeof *out_found, stream, out_found));
    else
        *out_found = -1;
done:
    return status;
}

tms_status tmsi_nm24_mma_decode_launch(const tmsi_cuda_device *device, const tmsi_nm24_mma_job *job,
                                       const void *image, tms_stream stream) {
    const tmsi_cuda_scope scope(device->index);
    const cudaStream_t to = (cudaStream_t)stream;

    if (job->dtype == TMS_I8)
        launch_read<I8>(*job, image, to);
    else if (job->dtype == TMS_E4M3)
        launch_read<E4m3>(*job, image, to);
    else
        launch_read<Wide>(*job, image, to);

    const cudaError_t error = cudaGetLastError();
    return error == cudaSuccess ? TMS_OK
                                : tmsi_cuda_fail("the launch of the image's decoding", error);
}

tms_status tmsi_plain_build_launch(const tmsi_cuda_device *device, const tmsi_nm24_mma_job *job,
                                   void *part, tms_stream stream) {
    const tmsi_cuda_scope scope(device->index);
    const cudaStream_t to = (cudaStream_t)stream;

    if (job->dtype == TMS_I8)
        launch_plain<I8>(*job, part, to);
    else if (job->dtype == TMS_E4M3)
        launch_plain<E4m3>(*job, part, to);
    else
        launch_plain<Wide>(*job, part, to);

    const cudaError_t error = cudaGetLastError();
    return error == cudaSuccess ? TMS_OK
                                : tmsi_cuda_fail("the launch of the dense part's build", error);
}
