#include "gpu/ground.h"

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_fp8.h>
#include <stdio.h>
#include <stdlib.h>

extern const int test_pairs[6][2] = {{0, 1}, {0, 2}, {0, 3}, {1, 2}, {1, 3}, {2, 3}};

/* The name by which the sanitizers are told to leave these kernels alone. */
namespace ground {
namespace {

__constant__ int pairs[6][2] = {{0, 1}, {0, 2}, {0, 3}, {1, 2}, {1, 3}, {2, 3}};

constexpr int THREADS = 256;

/* A test that cannot know is no test. */
void check(cudaError_t error, const char *what) {
    if (error == cudaSuccess)
        return;
    printf("test_gpu: %s: %s\n", what, cudaGetErrorString(error));
    fflush(stdout);
    exit(70);
}

unsigned blocks_of(int64_t count) {
    const int64_t blocks = (count + THREADS - 1) / THREADS;

    return (unsigned)(blocks < 1 ? 1 : blocks > 65535 ? 65535 : blocks);
}

#define EACH(i, count)                                                                             \
    for (int64_t i = blockIdx.x * (int64_t)blockDim.x + threadIdx.x; i < (count);                  \
         i += (int64_t)gridDim.x * blockDim.x)

/* ---- Numbers --------------------------------------------------------------------------------- */

/* splitmix64's finish (Vigna, public domain): bits of a counter. */
__device__ uint64_t bits_of(uint64_t seed, uint64_t i) {
    uint64_t z = seed * 0xd1342543de82ef95ull + (i + 1) * 0x9e3779b97f4a7c15ull;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

__device__ double unit_of(uint64_t bits) {
    return (double)(bits >> 11) * 0x1p-53;
}

__device__ double number(const test_draw &draw, uint64_t i) {
    const uint64_t bits = bits_of(draw.seed, i);

    if (draw.kind == TEST_INTEGER)
        return (double)((bits >> 33) % 5) - 2.0;
    return test_round(draw.type, test_size_of(draw.kind, draw.type) * (4.0 * unit_of(bits) - 2.0));
}

__device__ double load(const void *p, tms_dtype type, int64_t i) {
    switch (type) {
    case TMS_F32:
        return (double)((const float *)p)[i];
    case TMS_BF16:
        return (double)__uint_as_float((uint32_t)((const uint16_t *)p)[i] << 16);
    case TMS_F16:
        return (double)__half2float(((const __half *)p)[i]);
    case TMS_I8:
        return (double)((const int8_t *)p)[i];
    default:
        return (double)__half2float(
            __half(__nv_cvt_fp8_to_halfraw(((const uint8_t *)p)[i], __NV_E4M3)));
    }
}

/* value is one of the type. */
__device__ void store(void *p, tms_dtype type, int64_t i, double value) {
    switch (type) {
    case TMS_F32:
        ((float *)p)[i] = (float)value;
        break;
    case TMS_BF16:
        ((uint16_t *)p)[i] = (uint16_t)(__float_as_uint((float)value) >> 16);
        break;
    case TMS_F16:
        ((__half *)p)[i] = __float2half_rn((float)value);
        break;
    case TMS_I8:
        ((int8_t *)p)[i] = (int8_t)value;
        break;
    default:
        ((uint8_t *)p)[i] = __nv_cvt_float_to_fp8((float)value, __NV_SATFINITE, __NV_E4M3);
        break;
    }
}

__global__ void draw_x(test_draw draw, void *x, int64_t rows, int64_t columns, int64_t pitch) {
    EACH(i, rows * columns) {
        double value = number(draw, (uint64_t)i);

        if (draw.kind == TEST_CANCELLING && i % columns % 2 == 1)
            value = test_round(draw.type, -number(draw, (uint64_t)i - 1) *
                                              (1.0 + 0x1p-12 * unit_of(bits_of(~draw.seed, i))));
        store(x, draw.type, i / columns * pitch + i % columns, value);
    }
}

/* Groups that are to cancel keep neighbours, of one value. */
__global__ void draw_w(test_draw draw, int pair, void *w, int64_t n, int64_t k) {
    EACH(g, n * k / 4) {
        const uint64_t bits = bits_of(draw.seed ^ 0x5bd1e995u, g);
        const bool is_cancelling = draw.kind == TEST_CANCELLING;
        const int which = pair >= 0 ? pair : is_cancelling ? 5 * (int)(bits % 2) : bits % 6;
        int keep = pair >= 0 || is_cancelling ? 2 : (int)(bits >> 32 & 7) < 5 ? 2 : 1;

        if (pair < 0 && (bits >> 40 & 15) == 0)
            keep = 0;
        if (draw.kind == TEST_EMPTY_ROWS && g / (k / 4) % 3 == 0)
            keep = 0;
        for (int i = 0; i < 4; i++)
            store(w, draw.type, 4 * g + i, 0.0);
        for (int i = 0; i < keep; i++) {
            const int at = pairs[which][keep == 2 ? i : (int)(bits >> 48 & 1)];
            double value = number(draw, 4 * (uint64_t)g + (is_cancelling ? 0 : i));

            if (pair >= 0 && value == 0.0)
                value = 1.0; /* every position carries something */
            store(w, draw.type, 4 * g + at, value);
        }
    }
}

__global__ void sum_products(tms_dtype type, const void *x, int64_t ldx, int64_t t, const void *w,
                             int64_t n, int64_t k, double *sum, double *magnitude, double *nnz) {
    EACH(i, t * n) {
        const int64_t token = i % t, row = i / t;
        double s = 0.0, m = 0.0, count = 0.0;

        for (int64_t j = 0; j < k; j++) {
            const double weight = load(w, type, row * k + j);

            if (weight == 0.0)
                continue;
            const double product = weight * load(x, type, token * ldx + j);
            s += product;
            m += fabs(product);
            count += 1.0;
        }
        sum[token * n + row] = s;
        magnitude[token * n + row] = m;
        if (token == 0)
            nnz[row] = count;
    }
}

/* ---- y --------------------------------------------------------------------------------------- */

__device__ test_sum sum_of(const test_truth &truth, int64_t token, int64_t row) {
    const int64_t i = token * truth.n + row;
    test_sum s;

    s.sum = truth.sum[i];
    s.magnitude = truth.magnitude[i];
    s.nnz = truth.nnz[row];
    s.scale = (truth.scale_n != NULL ? (double)truth.scale_n[row] : 1.0) *
              (truth.scale_t != NULL ? (double)truth.scale_t[token] : 1.0);
    s.bias = truth.bias != NULL ? (double)truth.bias[row] : 0.0;
    return s;
}

__device__ test_value value_of(const test_truth &truth, int64_t token, int64_t column) {
    const double residual = truth.has_residual
                                ? number(truth.residual, (uint64_t)(token * truth.columns + column))
                                : 0.0;
    const double *added = truth.has_residual ? &residual : NULL;

    if (!truth.is_gated)
        return test_finish(&truth.rule, sum_of(truth, token, column), NULL, added);
    const test_sum up = sum_of(truth, token, 2 * column + 1);
    return test_finish(&truth.rule, sum_of(truth, token, 2 * column), &up, added);
}

__global__ void draw_residual(test_truth truth, void *residual, int64_t pitch) {
    EACH(i, truth.t * truth.columns) {
        const int64_t token = i / truth.columns, column = i % truth.columns;

        store(residual, truth.residual.type,
              truth.is_transposed ? column * pitch + token : token * pitch + column,
              number(truth.residual, (uint64_t)i));
    }
}

/* The largest of a warp. */
__device__ double largest_of_warp(double value) {
    for (int step = 16; step > 0; step /= 2)
        value = fmax(value, __shfl_xor_sync(~0u, value, step));
    return value;
}

/* Bits of a double that is not negative are ordered as it is. Every thread of a warp calls it. */
__device__ void raise(unsigned long long *largest, double value) {
    const double all = largest_of_warp(value);

    if (threadIdx.x % 32 == 0)
        atomicMax(largest, (unsigned long long)__double_as_longlong(all));
}

__global__ void find_largest(test_truth truth, unsigned long long *largest) {
    double value = 0.0, magnitude = 0.0;

    EACH(i, truth.t * truth.columns) {
        const int64_t token = i / truth.columns, column = i % truth.columns;
        const int64_t row = (truth.is_gated ? 2 : 1) * column;

        value = fmax(value, fabs(value_of(truth, token, column).value));
        magnitude = fmax(magnitude, truth.magnitude[token * truth.n + row]);
    }
    raise(&largest[0], value);
    raise(&largest[1], magnitude);
}

/* Place of the first fault: VALUE counts elements of y as they lie, ABSMAX tokens, MARK bytes. */
struct faults {
    unsigned long long first_value, first_absmax, first_mark, count;
    double got, value, bound;
    int is_inexact;
};

__global__ void forget(faults *out) {
    *out = {~0ull, ~0ull, ~0ull, 0, 0.0, 0.0, 0.0, 0};
}

__device__ void note(unsigned long long *first, unsigned long long *count, int64_t at) {
    atomicMin(first, (unsigned long long)at);
    atomicAdd(count, 1ull);
}

__device__ bool is_mark_broken(const test_place &place, int64_t byte) {
    return place.memory[byte] != TEST_GPU_MARK;
}

__device__ bool is_value_right(const test_truth &truth, const test_place &place, int64_t at,
                               double *got, test_value *right, bool *is_exact) {
    const int64_t row = at / place.ldy, in_row = at % place.ldy;
    const int64_t token = truth.is_transposed ? in_row : row;

    *got = load(place.memory + place.offset, truth.rule.y_type, at);
    *right = value_of(truth, token, truth.is_transposed ? row : in_row);
    *is_exact = !truth.is_exact || (double)(float)right->value == right->value;
    right->value /= (double)truth.scale_y;
    right->bound /= (double)truth.scale_y;
    return token == truth.any_token ||
           test_is_right(truth.is_exact, *right, truth.rule.y_type, *got);
}

__global__ void compare_y(test_truth truth, test_place place, int element, faults *out) {
    const int64_t rows = truth.is_transposed ? truth.columns : truth.t;
    const int64_t width = truth.is_transposed ? truth.t : truth.columns;
    const int64_t y_end = place.offset + rows * place.ldy * element;

    EACH(at, rows * place.ldy) {
        if (at % place.ldy < width) {
            test_value right;
            bool is_exact;
            double got;

            if (!is_value_right(truth, place, at, &got, &right, &is_exact))
                note(&out->first_value, &out->count, at);
            if (!is_exact)
                out->is_inexact = 1;
            continue;
        }
        for (int i = 0; i < element; i++)
            if (is_mark_broken(place, place.offset + at * element + i))
                note(&out->first_mark, &out->count, place.offset + at * element + i);
    }
    EACH(i, place.offset + (int64_t)place.bytes - y_end) {
        const int64_t byte = i < place.offset ? i : i - place.offset + y_end;

        if (is_mark_broken(place, byte))
            note(&out->first_mark, &out->count, byte);
    }
}

/* By a warp. */
__device__ bool is_absmax_right(const test_truth &truth, const test_place &place, int64_t token,
                                double *got, test_value *largest) {
    *got = (double)place.absmax_t[token];
    largest->value = largest->bound = 0.0;
    for (int64_t column = threadIdx.x % 32; column < truth.columns; column += 32) {
        const test_value value = value_of(truth, token, column);

        largest->value = fmax(largest->value, fabs(value.value));
        largest->bound = fmax(largest->bound, value.bound);
    }
    largest->value = largest_of_warp(largest->value);
    largest->bound = largest_of_warp(largest->bound);
    return token == truth.any_token || test_is_right(truth.is_exact, *largest, TMS_F32, *got);
}

/* A warp a token. */
__global__ void compare_absmax(test_truth truth, test_place place, faults *out) {
    for (int64_t token = (blockIdx.x * (int64_t)blockDim.x + threadIdx.x) / 32; token < truth.t;
         token += (int64_t)gridDim.x * blockDim.x / 32) {
        test_value right;
        double got;

        if (!is_absmax_right(truth, place, token, &got, &right) && threadIdx.x % 32 == 0)
            note(&out->first_absmax, &out->count, token);
    }
}

/* The first fault again, with its values, by a warp. */
__global__ void explain(test_truth truth, test_place place, faults *out) {
    test_value right = {0.0, 0.0};
    double got = 0.0;
    bool is_exact;

    if (out->first_value != ~0ull)
        is_value_right(truth, place, (int64_t)out->first_value, &got, &right, &is_exact);
    else if (out->first_absmax != ~0ull)
        is_absmax_right(truth, place, (int64_t)out->first_absmax, &got, &right);
    else
        got = place.memory[out->first_mark];
    if (threadIdx.x != 0)
        return;
    out->got = got;
    out->value = right.value;
    out->bound = right.bound;
}

__global__ void count_differences(const uint8_t *a, const uint8_t *b, size_t bytes,
                                  unsigned long long *count) {
    EACH(i, (int64_t)bytes)
    if (a[i] != b[i])
        atomicAdd(count, 1ull);
}

int element_bytes(tms_dtype type) {
    return type == TMS_F32 ? 4 : type == TMS_BF16 || type == TMS_F16 ? 2 : 1;
}

/* Small results: one place a device for good, so that thousands of comparisons allocate nothing. */
void *result_memory() {
    static void *memory[64];
    int device = 0;

    check(cudaGetDevice(&device), "cudaGetDevice");
    if (memory[device] == NULL)
        check(cudaMalloc(&memory[device], sizeof(faults)), "cudaMalloc");
    return memory[device];
}

void name_fault(const test_truth &truth, const test_place &place, const faults &found,
                test_finding *out) {
    if (found.first_value != ~0ull) {
        const int64_t row = (int64_t)found.first_value / place.ldy;
        const int64_t in_row = (int64_t)found.first_value % place.ldy;

        out->fault = TEST_FAULT_VALUE;
        out->token = truth.is_transposed ? in_row : row;
        out->column = truth.is_transposed ? row : in_row;
    } else if (found.first_absmax != ~0ull) {
        out->fault = TEST_FAULT_ABSMAX;
        out->token = (int64_t)found.first_absmax;
        out->column = -1;
    } else {
        out->fault = TEST_FAULT_MARK;
        out->token = -1;
        out->column = (int64_t)found.first_mark;
    }
    out->count = (int64_t)found.count;
    out->got = found.got;
    out->value = found.value;
    out->bound = found.bound;
}

} // namespace
} // namespace ground

using namespace ground;

#define WAIT(what)                                                                                 \
    do {                                                                                           \
        check(cudaGetLastError(), what);                                                           \
        check(cudaDeviceSynchronize(), what);                                                      \
    } while (0)

void test_draw_x(test_draw draw, void *x, int64_t rows, int64_t columns, int64_t pitch) {
    draw_x<<<blocks_of(rows * columns), THREADS>>>(draw, x, rows, columns, pitch);
    WAIT("drawing x");
}

void test_draw_w(test_draw draw, int pair, void *w, int64_t n, int64_t k) {
    draw_w<<<blocks_of(n * k / 4), THREADS>>>(draw, pair, w, n, k);
    WAIT("drawing w");
}

void test_ground_sum(tms_dtype type, const void *x, int64_t ldx, int64_t t, const void *w,
                     int64_t n, int64_t k, double *sum, double *magnitude, double *nnz) {
    sum_products<<<blocks_of(t * n), THREADS>>>(type, x, ldx, t, w, n, k, sum, magnitude, nnz);
    WAIT("summing products");
}

void test_draw_residual(const test_truth *truth, void *residual, int64_t pitch) {
    draw_residual<<<blocks_of(truth->t * truth->columns), THREADS>>>(*truth, residual, pitch);
    check(cudaGetLastError(), "drawing the residual"); /* runs of the default stream follow it */
}

void test_ground_largest(const test_truth *truth, double *value, double *magnitude) {
    unsigned long long *largest = (unsigned long long *)result_memory();
    double found[2];

    check(cudaMemset(largest, 0, sizeof found), "cudaMemset");
    find_largest<<<blocks_of(truth->t * truth->columns), THREADS>>>(*truth, largest);
    check(cudaMemcpy(found, largest, sizeof found, cudaMemcpyDeviceToHost), "cudaMemcpy");
    *value = found[0];
    *magnitude = found[1];
}

void test_ground_compare(const test_truth *truth, const test_place *place, test_finding *out) {
    const int64_t rows = truth->is_transposed ? truth->columns : truth->t;
    faults *device = (faults *)result_memory(), found;

    *out = {};
    forget<<<1, 1>>>(device);
    compare_y<<<blocks_of(rows * place->ldy + 2 * TEST_GPU_MARGIN), THREADS>>>(
        *truth, *place, element_bytes(truth->rule.y_type), device);
    if (place->absmax_t != NULL)
        compare_absmax<<<blocks_of(32 * truth->t), THREADS>>>(*truth, *place, device);
    check(cudaMemcpy(&found, device, sizeof found, cudaMemcpyDeviceToHost), "comparing y");
    if (found.count > 0) {
        explain<<<1, 32>>>(*truth, *place, device);
        check(cudaMemcpy(&found, device, sizeof found, cudaMemcpyDeviceToHost), "explaining y");
        name_fault(*truth, *place, found, out);
    } else if (found.is_inexact) {
        out->fault = TEST_FAULT_INEXACT;
    }
}

int64_t test_ground_differences(const void *a, const void *b, size_t bytes) {
    unsigned long long *count = (unsigned long long *)result_memory(), found = 0;

    check(cudaMemset(count, 0, sizeof *count), "cudaMemset");
    count_differences<<<blocks_of((int64_t)bytes), THREADS>>>((const uint8_t *)a,
                                                              (const uint8_t *)b, bytes, count);
    check(cudaMemcpy(&found, count, sizeof found, cudaMemcpyDeviceToHost), "comparing bytes");
    return (int64_t)found;
}
