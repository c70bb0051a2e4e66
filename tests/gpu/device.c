#include "gpu/device.h"

#include <cuda_runtime_api.h>
#include <stdlib.h>
#include <string.h>

#include "base/dtype.h"
#include "spmm/problem.h"

/* As tests/support marks what a run must not touch. */
enum { MARGIN = 64, MARK = 0xa5 };

static void check(cudaError_t error, const char *what) {
    if (error != cudaSuccess)
        fail_msg("%s: %s", what, cudaGetErrorString(error));
}

tms_context *test_device_context(const char **out_why) {
    tms_context_desc desc = tms_context_desc_default();
    tms_context *context = NULL;

    desc.device = TMS_DEVICE_CUDA;
    if (tms_context_create(&desc, &context) != TMS_OK)
        *out_why = tms_error_text();
    return context;
}

/* One block of device memory for all: allocating and freeing by the driver would take most of the
 * time of thousands of small products. It is handed out in order, and begins again when all is
 * free. */
enum { ARENA_BYTES = 1 << 30 };
static char *arena;
static size_t arena_used;
static int64_t arena_live;

void *test_device_alloc(size_t bytes) {
    void *memory;

    if (arena == NULL)
        check(cudaMalloc((void **)&arena, ARENA_BYTES), "cudaMalloc");
    memory = arena + arena_used;
    arena_used += (bytes / 256 + 1) * 256;
    arena_live++;
    if (arena_used > ARENA_BYTES)
        fail_msg("a test wants more than %d bytes of the GPU", ARENA_BYTES);
    return memory;
}

void *test_device_copy(const void *host, size_t bytes) {
    void *memory = test_device_alloc(bytes);

    check(cudaMemcpy(memory, host, bytes, cudaMemcpyHostToDevice), "copying to the GPU");
    return memory;
}

void test_device_free(void *memory) {
    (void)memory;
    if (--arena_live == 0)
        arena_used = 0;
}

void test_device_wait(void) {
    check(cudaDeviceSynchronize(), "waiting for the GPU");
}

tms_image test_device_image(tms_context *context, const tms_layout *layout,
                            const tms_matrix *weight) {
    tms_image image = test_image_of(context, layout, weight);
    void *host = image.data;

    image.data = test_device_copy(host, image.bytes);
    free(host);
    return image;
}

/* Rows and elements of y as it lies. */
static int64_t y_rows(const test_product *product) {
    return product->problem.y_order == TMS_ORDER_NT ? product->columns : product->t;
}

static int64_t y_width(const test_product *product) {
    return product->problem.y_order == TMS_ORDER_NT ? product->t : product->columns;
}

static int64_t pitch_of(int64_t width, bool is_aligned, uint64_t seed) {
    if (is_aligned)
        return (width + 7) / 8 * 8 + 8 * (int64_t)(seed % 3);
    return width + 1 + width % 2; /* odd for both parities */
}

static void *keep(test_device_product *device, void *memory) {
    device->owned[device->owned_count++] = memory;
    return memory;
}

/* Rows of `width` elements, pitch apart, on the device; what lies between them is NaN. */
static void *copy_rows(test_device_product *device, const void *host, int64_t host_pitch,
                       int64_t rows, int64_t width, int64_t pitch, size_t element) {
    size_t bytes = (size_t)(rows * pitch) * element;
    void *memory = keep(device, test_device_alloc(bytes));

    check(cudaMemset(memory, 0xff, bytes), "cudaMemset");
    if (rows > 0)
        check(cudaMemcpy2D(memory, (size_t)pitch * element, host, (size_t)host_pitch * element,
                           (size_t)width * element, (size_t)rows, cudaMemcpyHostToDevice),
              "copying rows to the GPU");
    return memory;
}

static const float *copy_vector(test_device_product *device, const float *host, int64_t count) {
    if (host == NULL)
        return NULL;
    return keep(device, test_device_copy(host, (size_t)count * sizeof *host));
}

void test_device_product_make(test_device_product *out, const test_product *product,
                              const tms_image *image, test_rows rows, bool residual_is_y) {
    const tms_spmm_problem *problem = &product->problem;
    const size_t x_element = tmsi_dtype_bytes(problem->x_type);
    const size_t y_element = tmsi_dtype_bytes(problem->y_type);

    memset(out, 0, sizeof *out);
    out->product = product;
    out->args = tms_spmm_args_default();
    out->args.t = product->t;
    out->args.image = image;
    out->args.ldx = pitch_of(problem->k, rows != TEST_ROWS_X_ODD, product->seed >> 4);
    out->args.x =
        copy_rows(out, product->x, product->ldx, product->t, problem->k, out->args.ldx, x_element);
    out->args.ldy = pitch_of(y_width(product), rows == TEST_ROWS_ALIGNED, product->seed >> 6);
    out->y_bytes = 2 * MARGIN + (size_t)(y_rows(product) * out->args.ldy) * y_element;
    out->y_memory = keep(out, test_device_alloc(out->y_bytes));
    out->args.y = out->y_memory + MARGIN;
    out->args.scale_n = copy_vector(out, product->scale_n, problem->n);
    out->args.scale_t = copy_vector(out, product->scale_t, product->t);
    out->args.bias = copy_vector(out, product->bias, problem->n);
    if (product->residual != NULL) {
        out->args.ldr = residual_is_y ? out->args.ldy : out->args.ldy + 8;
        out->args.residual = residual_is_y
                                 ? out->args.y
                                 : copy_rows(out, product->residual, product->ldr, y_rows(product),
                                             y_width(product), out->args.ldr, y_element);
    }
    test_device_output_reset(out);
}

void test_device_product_free(test_device_product *device) {
    for (int i = 0; i < device->owned_count; i++)
        test_device_free(device->owned[i]);
}

void test_device_output_reset(test_device_product *device) {
    const test_product *product = device->product;
    const size_t element = tmsi_dtype_bytes(product->problem.y_type);

    check(cudaMemset(device->y_memory, MARK, device->y_bytes), "cudaMemset");
    if (device->args.residual == device->args.y && product->residual != NULL && y_rows(product) > 0)
        check(cudaMemcpy2D(device->args.y, (size_t)device->args.ldy * element, product->residual,
                           (size_t)product->ldr * element, (size_t)y_width(product) * element,
                           (size_t)y_rows(product), cudaMemcpyHostToDevice),
              "copying the residual to the GPU");
}

/* Whether a byte of y's memory belongs to y. */
static bool is_y(const test_device_product *device, size_t byte, size_t element) {
    int64_t at = byte < MARGIN ? -1 : (int64_t)((byte - MARGIN) / element);

    return at >= 0 && at < y_rows(device->product) * device->args.ldy &&
           at % device->args.ldy < y_width(device->product);
}

void test_device_output(const test_device_product *device, test_output *out) {
    const test_product *product = device->product;
    const size_t element = tmsi_dtype_bytes(product->problem.y_type);
    uint8_t *whole = malloc(device->y_bytes);

    assert_non_null(whole);
    check(cudaMemcpy(whole, device->y_memory, device->y_bytes, cudaMemcpyDeviceToHost),
          "copying y from the GPU");
    test_output_make(out, product, false);
    for (size_t i = 0; i < device->y_bytes; i++)
        if (whole[i] != MARK && !is_y(device, i, element))
            out->memory[0] = 0; /* a mark of the host's is broken in its place */
    for (int64_t row = 0; row < y_rows(product); row++)
        memcpy((char *)out->y + (size_t)(row * out->ldy) * element,
               whole + MARGIN + (size_t)(row * device->args.ldy) * element,
               (size_t)y_width(product) * element);
    free(whole);
}
