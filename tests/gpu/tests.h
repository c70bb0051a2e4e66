/* What the files of this program share. */
#ifndef TAMIS_TESTS_GPU_TESTS_H
#define TAMIS_TESTS_GPU_TESTS_H

#include "gpu/product.h"

/* What of the tests is wanted. */
typedef struct gpu_options {
    const char *kernel; /* in its name; NULL: any */
    const char *but;    /* not in its name; NULL: any */
    const char *after;  /* only kernels behind this one; NULL: all */
    tms_dtype type;     /* of x and w; TMS_DTYPE_COUNT: any */
    int64_t step;       /* of the axes' cells that are walked, every so many */
    int64_t cell;       /* only this cell; -1: all */
    bool is_reduced;    /* little work a test: for the sanitizers */
} gpu_options;

extern gpu_options gpu_option;
extern tms_context *gpu_context;
extern int64_t gpu_case_count; /* products compared */

/* Types of x and w that GPUs multiply. */
extern const tms_dtype gpu_types[];
enum { GPU_TYPE_COUNT = 4 };
bool gpu_type_is_wanted(tms_dtype type);

/* Whether the kernel computes any problem of that type. */
bool gpu_serves(const tmsi_spmm_kernel *kernel, tms_dtype type);

/* Runs one kernel on a product and says what is wrong, as text; true where nothing is. */
bool gpu_kernel_is_right(const tmsi_spmm_kernel *kernel, gpu_product *product, char message[512]);

/* Tests of one kernel (axes.c; kernels.c); of plans; of several GPUs; of the frame itself. */
void gpu_kernel_is_right_on_every_axis(void **state);
int gpu_test_kernel(const tmsi_spmm_kernel *kernel);
int gpu_test_plans(void);
int gpu_test_devices(void);
int gpu_test_frame(void);
/* Images built and decoded there (images.c). */
int gpu_test_images(void);

/* From now on launches of that context fill so many multiprocessors; returns how many before. With
 * few, persistent CTAs go on to further tiles in small products (processors.cu). */
int gpu_set_processors(tms_context *context, int processors);
enum { GPU_FEW_PROCESSORS = 2 };

/* Frees what the axes share. */
void gpu_axes_free(void);

/* Calls of the allocator, of CUDA's allocators, and of what waits for a GPU, made by this thread
 * between begin and end (hook.c). */
typedef struct gpu_calls {
    int64_t host_allocations, device_allocations, waits;
} gpu_calls;
void gpu_hook_begin(void);
gpu_calls gpu_hook_end(void);

#endif
