/* Tests on a GPU.
 *
 *     test_gpu [NAME [STEP]]     all; one kernel's, by its name; or "plans"
 *
 * With a step only every so many cells of the axes are walked: enough for the sanitizers.
 *
 * Without a GPU it says why it ran nothing, and exits with 77. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gpu/tests.h"

tms_context *gpu_context;
int64_t gpu_case_count, gpu_case_step = 1;

int main(int argc, char **argv) {
    const char *why = NULL, *name = argc > 1 ? argv[1] : NULL;
    tmsi_spmm_table table;
    int failures = 0;

    gpu_context = test_device_context(&why);
    if (gpu_context == NULL) {
        printf("skipped every test of GPU kernels: %s\n", why);
        return 77;
    }
    if (argc > 2 && strtoll(argv[2], NULL, 10) > 0)
        gpu_case_step = strtoll(argv[2], NULL, 10);
    table = tmsi_spmm_table_of(&gpu_context->gpu);
    printf("%s, seed 0x%" PRIx64 "\n", tms_context_device_text(gpu_context), test_seed());
    for (int32_t i = 0; i < table.count; i++)
        if (name == NULL || strcmp(name, table.kernels[i].name) == 0)
            failures += gpu_test_kernel(&table.kernels[i]);
    if (name == NULL || strcmp(name, "plans") == 0)
        failures += gpu_test_plans();
    printf("%" PRId64 " products compared\n", gpu_case_count);
    tms_context_destroy(gpu_context);
    return failures;
}
