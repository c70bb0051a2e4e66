/* The frame itself: float64 as the GPU takes it is float64 as the host takes it. */
#include <cuda_runtime_api.h>
#include <math.h>
#include <stdlib.h>

#include "base/dtype.h"
#include "gpu/tests.h"
#include "support/matrices.h"

static void *copy_back(const void *device, size_t bytes) {
    void *host = malloc(bytes);

    assert_non_null(host);
    assert_int_equal(cudaMemcpy(host, device, bytes, cudaMemcpyDeviceToHost), cudaSuccess);
    return host;
}

/* Sums of a ground, and that its weights are 2:4 and its numbers finite. */
static void check_sums(const gpu_ground *ground) {
    const size_t sums = (size_t)(ground->t * ground->n) * sizeof(double);
    void *x = copy_back(ground->x[0],
                        (size_t)(ground->t * ground->ldx[0]) * tmsi_dtype_bytes(ground->type));
    double *sum = copy_back(ground->sum, sums), *magnitude = copy_back(ground->magnitude, sums);

    for (int64_t t = 0; t < ground->t; t++)
        for (int64_t n = 0; n < ground->n; n++) {
            const int64_t i = t * ground->n + n;
            double s = 0.0, m = 0.0;
            int kept = 0;

            for (int64_t k = 0; k < ground->k; k++) {
                const double w = test_read(ground->w_host, ground->type, n * ground->k + k);

                kept = (k % 4 == 0 ? 0 : kept) + (w != 0.0);
                assert_true(kept <= 2);
                s += w * test_read(x, ground->type, t * ground->ldx[0] + k);
                m += fabs(w * test_read(x, ground->type, t * ground->ldx[0] + k));
            }
            assert_true(isfinite(m));
            if (!(fabs(s - sum[i]) <= 1e-12 * m) || !(fabs(m - magnitude[i]) <= 1e-12 * m))
                fail_msg("%s, %s, row %d, token %d: the GPU's float64 is %.17g of %.17g, not %.17g "
                         "of %.17g",
                         tms_dtype_name(ground->type), test_kind_name(ground->kind), (int)n, (int)t,
                         sum[i], magnitude[i], s, m);
        }
    free(magnitude);
    free(sum);
    free(x);
}

static void float64_of_the_gpu_is_that_of_the_host(void **state) {
    (void)state;
    for (int type = 0; type < GPU_TYPE_COUNT; type++)
        for (int kind = 0; kind < TEST_KIND_COUNT; kind++) {
            gpu_ground *ground =
                gpu_ground_make(gpu_types[type], 33, 140, 17, (test_kind)kind, -1, test_seed() + 5);

            check_sums(ground);
            gpu_ground_free(ground);
        }
}

int gpu_test_frame(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(float64_of_the_gpu_is_that_of_the_host),
    };
    return cmocka_run_group_tests_name("the tests' own float64", tests, NULL, NULL);
}
