/* Tests on a GPU.
 *
 *     test_gpu [-k TEXT] [-x TEXT] [-a NAME] [-d TYPE] [-s STEP] [-c CELL] [-r] [GROUP ...]
 *
 * Groups: frame, images, kernels, plans, devices; all without one. -k: only kernels with TEXT in
 * their names; -a: only those behind kernel NAME (to go on where a kernel broke the GPU); -d: only
 * x and w of a type (bf16, f16, e4m3, i8); -s: of the axes every STEP-th cell; -c: one cell, as a
 * failure names it; -r: little of everything, on small shapes, for the sanitizers. The seed is that
 * of all tests: TAMIS_TEST_SEED.
 *
 * Without a GPU it says what it did not run and why, and exits with 77; with 70 where the GPU was
 * lost on the way. */
#define _GNU_SOURCE
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/hardware.h"
#include "gpu/tests.h"

gpu_options gpu_option = {.type = TMS_DTYPE_COUNT, .step = 1, .cell = -1};
tms_context *gpu_context;
int64_t gpu_case_count;

static void read_type(const char *name) {
    for (int i = 0; i < GPU_TYPE_COUNT; i++)
        if (strcmp(tms_dtype_name(gpu_types[i]), name) == 0)
            gpu_option.type = gpu_types[i];
    if (gpu_option.type == TMS_DTYPE_COUNT) {
        fprintf(stderr, "test_gpu: -d is %s, but types are bf16, f16, e4m3 and i8\n", name);
        exit(2);
    }
}

static void read_options(int argc, char **argv) {
    int option;

    while ((option = getopt(argc, argv, "k:x:a:d:s:c:r")) != -1) {
        if (option == 'k')
            gpu_option.kernel = optarg;
        else if (option == 'x')
            gpu_option.but = optarg;
        else if (option == 'a')
            gpu_option.after = optarg;
        else if (option == 'd')
            read_type(optarg);
        else if (option == 's')
            gpu_option.step = strtoll(optarg, NULL, 10);
        else if (option == 'c')
            gpu_option.cell = strtoll(optarg, NULL, 10);
        else if (option == 'r')
            gpu_option.is_reduced = true;
        else
            exit(2);
    }
    if (gpu_option.step < 1)
        gpu_option.step = 1;
}

static bool is_wanted(int count, char **groups, const char *group) {
    for (int i = 0; i < count; i++)
        if (strcmp(groups[i], group) == 0)
            return true;
    return count == 0;
}

static tms_context *make_context(const char **out_why) {
    tms_context_desc desc = tms_context_desc_default();
    tms_context *context = NULL;

    desc.device = TMS_DEVICE_CUDA;
    if (tms_context_create(&desc, &context) != TMS_OK)
        *out_why = tms_error_text();
    return context;
}

/* Kernels of this GPU, in the table's order. */
static int test_kernels(void) {
    const tmsi_spmm_table table = tmsi_spmm_table_of(&gpu_context->gpu);
    bool is_behind = gpu_option.after == NULL;
    int failures = 0;

    for (int32_t i = 0; i < table.count; i++) {
        const tmsi_spmm_kernel *kernel = &table.kernels[i];
        const bool is_asked =
            is_behind && (gpu_option.kernel == NULL || strstr(kernel->name, gpu_option.kernel)) &&
            (gpu_option.but == NULL || !strstr(kernel->name, gpu_option.but));

        if (gpu_option.after != NULL && strcmp(kernel->name, gpu_option.after) == 0)
            is_behind = true;
        if (is_asked && (kernel->needs & ~gpu_context->gpu.isa) != 0)
            print_message("skipped %s: this GPU lacks its instructions\n", kernel->name);
        else if (is_asked)
            failures += gpu_test_kernel(kernel);
    }
    gpu_axes_free();
    return failures;
}

/* That the axes are what the documents say, where all of them were walked. */
static int test_count(void) {
    const bool is_whole = gpu_option.kernel == NULL && gpu_option.but == NULL &&
                          gpu_option.after == NULL && gpu_option.type == TMS_DTYPE_COUNT &&
                          gpu_option.step == 1 && gpu_option.cell < 0 && !gpu_option.is_reduced;

    if (!is_whole || gpu_case_count >= 5000)
        return 0;
    printf("only %" PRId64 " products were compared: the axes are to be 5000 at least\n",
           gpu_case_count);
    return 1;
}

/* What a machine without a GPU does not run. */
static void print_skipped(const char *why) {
    const tmsi_hardware any = {.processors = 1};
    const tmsi_spmm_table table = tmsi_spmm_table_of(&any);

    printf("skipped, since there is no GPU to run them on (%s):\n  the tests of plans and images\n",
           why);
    for (int32_t i = 0; i < table.count; i++)
        printf("  %s against float64\n", table.kernels[i].name);
}

int main(int argc, char **argv) {
    const char *why = NULL;
    const time_t begin = time(NULL);
    int failures = 0, groups;
    char **group;

    read_options(argc, argv);
    groups = argc - optind;
    group = argv + optind;
    gpu_context = make_context(&why);
    if (gpu_context == NULL) {
        print_skipped(why);
        return 77;
    }
    printf("%s, seed TAMIS_TEST_SEED=%" PRIu64 "\n", tms_context_device_text(gpu_context),
           test_seed());
    if (is_wanted(groups, group, "frame"))
        failures += gpu_test_frame();
    if (is_wanted(groups, group, "images"))
        failures += gpu_test_images();
    if (is_wanted(groups, group, "kernels"))
        failures += test_kernels();
    if (is_wanted(groups, group, "plans"))
        failures += gpu_test_plans();
    if (is_wanted(groups, group, "devices"))
        failures += gpu_test_devices();
    if (groups == 0)
        failures += test_count();
    printf("%" PRId64 " products compared in %ld s, %d tests failed\n", gpu_case_count,
           (long)(time(NULL) - begin), failures);
    tms_context_destroy(gpu_context);
    return failures > 0;
}
