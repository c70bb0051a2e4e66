/* Products on a GPU: inputs and float64 sums, made once and shared by many cases; memory of a run;
 * one case with its comparison. */
#ifndef TAMIS_TESTS_GPU_PRODUCT_H
#define TAMIS_TESTS_GPU_PRODUCT_H

#include "gpu/ground.h"
#include "support/kernels.h"

/* Weight, tokens, scales and sums, whatever the epilogue. */
typedef struct gpu_ground {
    tms_dtype type; /* of w and x */
    test_kind kind;
    int64_t n, k, t; /* cases take the first of the t tokens */
    uint64_t seed;
    void *w, *w_host;   /* dense, packed */
    void *x[2];         /* rows aligned to 16 bytes; and not, beginning an element off */
    int64_t ldx[2];     /* the second is odd */
    size_t x_offset[2]; /* bytes */
    double *sum, *magnitude, *nnz;
    float *scale_n, *scale_t, *bias;
    tms_image images[8]; /* one a layout that was asked for */
    int image_count;
} gpu_ground;

/* pair: as test_draw_w. */
gpu_ground *gpu_ground_make(tms_dtype type, int64_t n, int64_t k, int64_t t, test_kind kind,
                            int pair, uint64_t seed);
void gpu_ground_free(gpu_ground *ground);
/* Built on the host, of the ground's weight; lives as long as the ground. */
const tms_image *gpu_ground_image(gpu_ground *ground, tms_context *context,
                                  const tms_layout *layout);
/* Of another weight (dense, packed, in the host's memory); image.data is of gpu_free. */
tms_image gpu_image_of(const gpu_ground *ground, tms_context *context, const tms_layout *layout,
                       const void *w_host);

void *gpu_alloc(size_t bytes);
void gpu_free(void *memory);
/* Waits for the GPU; ends the program where a kernel broke, as nothing more can be known then. */
void gpu_wait(const char *what);

/* Memory that a run writes; concurrent runs have one each. */
typedef struct gpu_room {
    uint8_t *y;
    void *residual, *work;
    float *absmax_t;
    size_t y_bytes, residual_bytes, absmax_bytes, work_bytes; /* there so far */
} gpu_room;
void gpu_room_free(gpu_room *room);

/* How rows lie. */
typedef enum gpu_rows {
    GPU_ROWS_ALIGNED, /* multiples of 16 bytes, x's and y's: what the copy engine takes */
    GPU_ROWS_Y_ODD,   /* y's and the residual's at odd distances, y beginning an element off */
    GPU_ROWS_X_ODD,   /* x's too */
    GPU_ROWS_COUNT
} gpu_rows;

typedef struct gpu_product {
    gpu_ground *ground;
    tms_spmm_problem problem;
    gpu_rows rows;
    bool residual_is_y;
    int32_t split; /* see tmsi_spmm_run: 0 as made */
    gpu_room *room;
    test_truth truth;
    test_place place;
    tms_spmm_args args;
    const char *kernel; /* that runs, once bound; NULL for no tokens */
} gpu_product;

/* problem's n, k, x_type and w_type are the ground's. residual_is_y counts only where types allow
 * it. Everything is ready to run but for image and work, which gpu_product_bind sets. */
void gpu_product_make(gpu_product *out, gpu_room *room, gpu_ground *ground,
                      const tms_spmm_problem *problem, int64_t t, gpu_rows rows, bool residual_is_y,
                      uint64_t seed);
void gpu_product_bind(gpu_product *product, const tms_spmm_plan *plan, const tms_image *image);
/* y back to marks, or to the residual; work to NaNs. */
void gpu_product_reset(gpu_product *product);
bool gpu_product_is_right(const gpu_product *product, char message[512]);
/* "n 7 k 12 t 3 bf16 y i8 epilogue 0x4 gelu, aligned, random". */
void gpu_product_print(const gpu_product *product, char text[256]);
/* Rows and bytes of y as it lies. */
size_t gpu_product_y_bytes(const gpu_product *product);

#endif
