/* Running one row of the kernel table, past the choice, and the axes that its tests walk. */
#ifndef TAMIS_TESTS_KERNELS_H
#define TAMIS_TESTS_KERNELS_H

#include "spmm/plan.h"
#include "support/setup.h"

/* keep and group of nm, block rows and columns of bsr. */
typedef struct test_format {
    tms_format format;
    int32_t a, b;
} test_format;
extern const test_format test_formats[];
extern const int64_t test_format_count;

typedef struct test_epilogue {
    uint32_t bits;
    tms_activation activation;
} test_epilogue;
extern const test_epilogue test_epilogues[];
extern const int64_t test_epilogue_count;

/* The problem of one cell: format and epilogue by index, n and k of shape; k is rounded up to what
 * nm needs, n to a pair for gate. Types and order rotate with `turn`, where the kernel has them.
 * False where the kernel does not serve it at all. */
bool test_axes_problem(const tmsi_spmm_kernel *kernel, int64_t format, const int64_t shape[2],
                       int64_t epilogue, uint64_t turn, tms_spmm_problem *out);

/* A product of the first format that the kernel serves, in fp32 if it can, without epilogue. */
void test_simple_product(tms_context *context, const tmsi_spmm_kernel *kernel, int64_t n, int64_t k,
                         int64_t t, test_kind kind, test_product *out);

/* Whether the context may use the kernel's instructions. */
bool test_kernel_can_run(const tms_context *context, const tmsi_spmm_kernel *kernel);

/* A plan of one kernel, on the part that it asks for; where the kernel keeps something with its
 * plans, tmsi_spmm_plan_unready frees it. */
void test_kernel_plan(tms_spmm_plan *plan, tms_context *context, const tmsi_spmm_kernel *kernel,
                      const tms_spmm_problem *problem);
/* Makes the output; work memory begins with NaNs, since plans may not rely on zeros. */
void test_plan_run(const tms_spmm_plan *plan, const tms_image *image, const test_product *product,
                   bool residual_is_y, test_output *out);
/* Image, plan and run in one: the kernel on `weight`, which need not be the product's. */
void test_kernel_run(tms_context *context, const tmsi_spmm_kernel *kernel,
                     const test_product *product, const tms_matrix *weight, test_output *out);

/* Whether two runs of a product gave the same bits. */
bool test_outputs_equal(const test_product *product, const test_output *a, const test_output *b);

/* Runs each check once for every kernel (its initial state), then the others. */
int test_every_kernel(const char *group, const struct CMUnitTest *checks, int check_count,
                      const struct CMUnitTest *others, int other_count);

#endif
