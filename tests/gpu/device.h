/* Products of tests/support on a GPU: copied there, run by a plan, copied back. */
#ifndef TAMIS_TESTS_GPU_DEVICE_H
#define TAMIS_TESTS_GPU_DEVICE_H

#include "support/kernels.h"

/* The context of GPU 0, or NULL where none can be used: *out_why then says why. */
tms_context *test_device_context(const char **out_why);

/* Device memory; fails the test where there is none. */
void *test_device_alloc(size_t bytes);
void *test_device_copy(const void *host, size_t bytes);
void test_device_free(void *memory);
/* Waits for the GPU; fails the test where a kernel broke. */
void test_device_wait(void);

/* An image in device memory, from one built on the host. */
tms_image test_device_image(tms_context *context, const tms_layout *layout,
                            const tms_matrix *weight);

/* How rows lie on the device. */
typedef enum test_rows {
    TEST_ROWS_ALIGNED, /* multiples of 16 bytes, x's and y's: what the copy engine takes */
    TEST_ROWS_Y_ODD,   /* y's and the residual's at odd distances */
    TEST_ROWS_X_ODD,   /* x's too: at odd distances */
    TEST_ROWS_COUNT
} test_rows;

/* A product's arrays on the device, and the args of a run on them. */
typedef struct test_device_product {
    const test_product *product;
    tms_spmm_args args;
    char *y_memory; /* y with marked margins */
    size_t y_bytes;
    void *owned[8];
    int owned_count;
} test_device_product;

/* residual_is_y: y begins as the residual. The image is the caller's. */
void test_device_product_make(test_device_product *out, const test_product *product,
                              const tms_image *image, test_rows rows, bool residual_is_y);
void test_device_product_free(test_device_product *device);
/* y as it is now, with the marks around its rows, as tests/support compares it. */
void test_device_output(const test_device_product *device, test_output *out);
/* y back to marks, or to the residual. */
void test_device_output_reset(test_device_product *device);

#endif
