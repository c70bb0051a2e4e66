/* Images that a GPU builds are the host's byte for byte, and so are its answers: over types,
 * shapes, joinings, formats, ways in and addresses, on weights full of zeros of both signs, ties,
 * subnormals, NaN and Inf. */
#include <cuda_runtime_api.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/element.h"
#include "gpu/tests.h"
#include "support/images.h"
#include "support/matrices.h"
#include "support/setup.h"

/* Blocks whole and cut, of 64 and of 128 columns; rows of 16 bytes and not; odd nibbles. */
static const int64_t shapes[][2] = {{1, 4},    {64, 64},   {64, 128},  {75, 148},
                                    {131, 60}, {200, 516}, {130, 1028}};

/* Bytes that components begin behind a multiple of 256. */
static const size_t offsets[] = {0, 8, 2, 1};

enum { GUARD = 64, MARK = 0xa5 };

static void check(cudaError_t error, const char *what) {
    if (error != cudaSuccess)
        fail_msg("%s: %s", what, cudaGetErrorString(error));
}

/* ---- Matrices on the GPU --------------------------------------------------------------------- */

/* The same matrices with components on the GPU, `offset` bytes into memory that is marked around
 * them. */
static void copy_joined(const test_joined *host, size_t offset, test_joined *out) {
    *out = *host;
    for (int32_t i = 0; i < host->count; i++)
        for (int32_t c = 0; c < host->matrices[i].component_count; c++) {
            tms_component *component = &out->matrices[i].components[c];
            uint8_t *memory = gpu_alloc(component->bytes + offset + 2 * GUARD);

            check(cudaMemset(memory, MARK, component->bytes + offset + 2 * GUARD), "cudaMemset");
            component->data = memory + GUARD + offset;
            check(cudaMemcpy(component->data, host->matrices[i].components[c].data,
                             component->bytes, cudaMemcpyHostToDevice),
                  "copying to the GPU");
        }
}

static void free_joined(test_joined *device, size_t offset) {
    for (int32_t i = 0; i < device->count; i++)
        for (int32_t c = 0; c < device->matrices[i].component_count; c++)
            gpu_free((uint8_t *)device->matrices[i].components[c].data - offset - GUARD);
}

/* Bytes of the GPU equal the host's, and the marks around them stand. */
static void expect_bytes(const void *device, const void *host, size_t bytes, const char *what) {
    uint8_t *copy = malloc(bytes + 2 * GUARD);

    assert_non_null(copy);
    check(cudaMemcpy(copy, (const uint8_t *)device - GUARD, bytes + 2 * GUARD,
                     cudaMemcpyDeviceToHost),
          what);
    for (size_t i = 0; i < GUARD; i++)
        if (copy[i] != MARK || copy[GUARD + bytes + i] != MARK)
            fail_msg("%s: a byte outside was written, %zu beside", what, i);
    for (size_t i = 0; i < bytes; i++)
        if (copy[GUARD + i] != ((const uint8_t *)host)[i])
            fail_msg("%s: byte %zu of %zu is 0x%02x, not 0x%02x", what, i, bytes, copy[GUARD + i],
                     ((const uint8_t *)host)[i]);
    free(copy);
}

/* ---- Both builds ----------------------------------------------------------------------------- */

typedef struct built {
    tms_status status;
    tms_image image; /* where it is TMS_OK */
    uint8_t *memory; /* the image and its marks */
    char text[512];
} built;

static void build_on_host(const tms_image_desc *desc, size_t bytes, built *out) {
    out->memory = test_aligned(bytes);
    out->status = tms_image_build(gpu_context, desc, out->memory, bytes, &out->image);
    snprintf(out->text, sizeof out->text, "%s", out->status == TMS_OK ? "" : tms_error_text());
}

static void build_on_device(const tms_image_desc *desc, size_t bytes, built *out) {
    tms_image_desc placed = *desc;
    size_t work_bytes = 0;

    assert_ok(tms_image_work_bytes(gpu_context, &placed, &work_bytes));
    placed.work = work_bytes > 0 ? gpu_alloc(work_bytes) : NULL;
    out->memory = gpu_alloc(bytes + 2 * GUARD);
    check(cudaMemset(out->memory, MARK, bytes + 2 * GUARD), "cudaMemset");
    out->status = tms_image_build(gpu_context, &placed, out->memory + GUARD, bytes, &out->image);
    snprintf(out->text, sizeof out->text, "%s", out->status == TMS_OK ? "" : tms_error_text());
    gpu_wait("building an image");
    if (placed.work != NULL)
        gpu_free(placed.work);
}

/* The device's matrices lie where `device` says; all else is alike. Answers and bytes agree. */
static void compare_builds(const test_joined *host, const test_joined *device, tms_intake intake,
                           tms_nan_rule nan) {
    tms_image_desc desc = test_joined_desc(host), placed;
    char what[160];
    size_t bytes = 0;
    built here, there;

    desc.intake = intake;
    desc.nan = nan;
    placed = desc;
    placed.matrices = device->matrices;
    placed.device = TMS_DEVICE_CUDA; /* there nothing but shapes is judged yet */
    assert_ok(tms_image_bytes(gpu_context, &placed, &bytes));
    build_on_host(&desc, bytes, &here);
    build_on_device(&placed, bytes, &there);
    snprintf(what, sizeof what, "%s %" PRId64 " x %" PRId64 " %s, %d joined by %d, intake %d %d",
             tms_dtype_name(host->matrices[0].dtype), host->layout.n, host->layout.k,
             tms_format_name(host->matrices[0].format), host->count, (int)host->join, (int)intake,
             (int)nan);
    if (there.status != here.status || strcmp(there.text, here.text) != 0)
        fail_msg("%s: the GPU says \"%s\", the host \"%s\"", what, there.text, here.text);
    if (here.status == TMS_OK)
        expect_bytes(there.memory + GUARD, here.memory, bytes, what);
    free(here.memory);
    gpu_free(there.memory);
}

static void compare_all_ways(const test_joined *host, test_filling filling, size_t offset) {
    test_joined device;

    copy_joined(host, offset, &device);
    compare_builds(host, &device, TMS_INTAKE_SELECT, TMS_NAN_KEEP);
    compare_builds(host, &device, TMS_INTAKE_SELECT, TMS_NAN_ERROR);
    if (filling == TEST_HELD || host->matrices[0].format == TMS_FORMAT_DENSE)
        compare_builds(host, &device, TMS_INTAKE_CHECK, TMS_NAN_ERROR);
    free_joined(&device, offset);
}

/* Calls for each type, shape, joining and filling, and a few of the addresses. */
static void each_joined(void (*test)(const test_joined *joined, test_filling filling,
                                     size_t offset)) {
    test_random random;
    size_t turn = 0;

    test_random_seed(&random, test_seed());
    for (int type = 0; type < GPU_TYPE_COUNT; type++)
        for (size_t s = 0; s < TEST_COUNT(shapes); s++)
            for (int joining = 0; joining < TEST_JOINING_COUNT; joining++)
                for (int filling = 0; filling < TEST_FILLING_COUNT; filling++) {
                    test_joined joined;

                    if (++turn % (gpu_option.is_reduced ? 11 : 1) != 0 ||
                        !gpu_type_is_wanted(gpu_types[type]))
                        continue;
                    test_joined_make(&joined, &random, gpu_types[type], shapes[s][0], shapes[s][1],
                                     (test_joining)joining, (test_filling)filling);
                    test(&joined, (test_filling)filling, 0);
                    test(&joined, (test_filling)filling, offsets[turn % TEST_COUNT(offsets)]);
                    test_joined_free(&joined);
                }
}

static void compare_dense_and_nm(const test_joined *dense, test_filling filling, size_t offset) {
    test_joined nm;

    compare_all_ways(dense, filling, offset);
    if (filling != TEST_HELD)
        return;
    test_joined_encode(gpu_context, dense, &nm);
    compare_all_ways(&nm, filling, offset);
    test_joined_free(&nm);
}

/* Where weights break the pattern, or are not finite, the sentences are compared. */
static void gpu_builds_what_the_host_builds_or_says_the_same(void **state) {
    (void)state;
    each_joined(compare_dense_and_nm);
}

/* ---- Back ------------------------------------------------------------------------------------ */

static void compare_targets(const tms_image *image, const tms_image *device_image,
                            const test_joined *targets, size_t offset) {
    test_joined host, device;
    tms_image_desc desc;

    test_joined_like(targets, &host);
    copy_joined(&host, offset, &device);
    desc = test_joined_desc(&host);
    assert_ok(tms_image_decode(gpu_context, image, &desc));
    desc.matrices = device.matrices;
    desc.device = TMS_DEVICE_CUDA;
    assert_ok(tms_image_decode(gpu_context, device_image, &desc));
    gpu_wait("decoding an image");
    for (int32_t i = 0; i < host.count; i++)
        for (int32_t c = 0; c < host.matrices[i].component_count; c++)
            expect_bytes(device.matrices[i].components[c].data, host.matrices[i].components[c].data,
                         host.matrices[i].components[c].bytes, host.matrices[i].components[c].name);
    free_joined(&device, offset);
    test_joined_free(&host);
}

static void compare_decodes(const test_joined *dense, test_filling filling, size_t offset) {
    tms_image_desc desc = test_joined_desc(dense);
    tms_image image, device_image;
    test_joined held = *dense, nm;

    if (filling == TEST_NAN)
        return; /* nm of it is refused */
    desc.intake = TMS_INTAKE_SELECT;
    image = test_image_build(gpu_context, &desc);
    device_image = image;
    device_image.data = gpu_alloc(image.bytes);
    check(cudaMemcpy(device_image.data, image.data, image.bytes, cudaMemcpyHostToDevice),
          "copying an image");
    compare_targets(&image, &device_image, dense, offset);
    if (filling == TEST_HELD) {
        test_joined_encode(gpu_context, &held, &nm);
        compare_targets(&image, &device_image, &nm, offset);
        test_joined_free(&nm);
    }
    gpu_free(device_image.data);
    free(image.data);
}

static void gpu_decodes_what_the_host_decodes(void **state) {
    (void)state;
    each_joined(compare_decodes);
}

/* ---- Faults ---------------------------------------------------------------------------------- */

typedef enum fault { FAULT_THIRD, FAULT_NAN, FAULT_POSITIONS, FAULT_PADDING, FAULT_COUNT } fault;

/* One to three faults of a kind in weights that hold, anywhere. */
static void plant(test_joined *joined, fault kind, test_random *random) {
    for (int64_t left = test_random_int(random, 1, 3); left > 0; left--) {
        tms_matrix *matrix = &joined->matrices[test_random_int(random, 0, joined->count - 1)];
        const tmsi_element element = tmsi_element_of(matrix->dtype);
        int64_t row, group;

        if (matrix->n == 0)
            continue;
        row = test_random_int(random, 0, matrix->n - 1);
        group = test_random_int(random, 0, matrix->k / 4 - 1);
        if (kind == FAULT_THIRD)
            for (int64_t i = test_random_int(random, 0, 1); i < 4; i++)
                tmsi_element_store(matrix->components[0].data, element.bytes,
                                   row * matrix->k + 4 * group + i, 1);
        else if (kind == FAULT_NAN)
            tmsi_element_store(matrix->components[0].data, element.bytes,
                               row * matrix->k + 4 * group + test_random_int(random, 0, 3),
                               element.exponent);
        else {
            const int64_t row_bytes = matrix->components[1].shape[1];
            uint8_t *index = (uint8_t *)matrix->components[1].data + row * row_bytes;

            if (kind == FAULT_PADDING && matrix->k / 4 % 2 != 0)
                index[row_bytes - 1] |= 0x40;
            else
                index[group / 2] = group % 2 == 0 ? 0x45 : 0x24;
        }
    }
}

static void gpu_names_the_same_first_fault(void **state) {
    test_random random;

    (void)state;
    test_random_seed(&random, test_seed() + 1);
    for (int i = 0; i < (gpu_option.is_reduced ? 12 : 160); i++) {
        const fault kind = (fault)(i % FAULT_COUNT);
        const tms_dtype type = gpu_types[i / FAULT_COUNT % GPU_TYPE_COUNT];
        const size_t shape = (size_t)i % TEST_COUNT(shapes);
        test_joined dense, nm, device, *faulty = &dense;

        test_joined_make(&dense, &random, type, shapes[shape][0], shapes[shape][1],
                         (test_joining)(i / 3 % TEST_JOINING_COUNT), TEST_HELD);
        if (kind == FAULT_POSITIONS || kind == FAULT_PADDING) {
            test_joined_encode(gpu_context, &dense, &nm);
            faulty = &nm;
        }
        if (kind != FAULT_NAN || type != TMS_I8)
            plant(faulty, kind, &random);
        copy_joined(faulty, 0, &device);
        compare_builds(faulty, &device, kind == FAULT_NAN ? TMS_INTAKE_SELECT : TMS_INTAKE_CHECK,
                       TMS_NAN_ERROR);
        free_joined(&device, 0);
        if (faulty == &nm)
            test_joined_free(&nm);
        test_joined_free(&dense);
    }
}

/* ---- Graphs, and what is refused ------------------------------------------------------------- */

static void selecting_can_be_captured_and_only_enqueues(void **state) {
    enum { N = 200, K = 516 };
    test_joined before, after, device;
    test_random random;
    tms_image_desc desc;
    built want;
    uint8_t *memory;
    tms_image image;
    cudaStream_t stream;
    cudaGraph_t graph;
    cudaGraphExec_t exec;
    gpu_calls calls;
    size_t bytes = 0;

    (void)state;
    test_random_seed(&random, test_seed() + 2);
    test_joined_make(&before, &random, TMS_BF16, N, K, TEST_STACK, TEST_FULL);
    test_joined_make(&after, &random, TMS_BF16, N, K, TEST_STACK, TEST_NAN);
    copy_joined(&before, 0, &device);
    desc = test_joined_desc(&after);
    desc.intake = TMS_INTAKE_SELECT;
    desc.nan = TMS_NAN_KEEP;
    assert_ok(tms_image_bytes(gpu_context, &desc, &bytes));
    build_on_host(&desc, bytes, &want);
    assert_int_equal(want.status, TMS_OK);
    memory = gpu_alloc(bytes + 2 * GUARD);
    check(cudaMemset(memory, MARK, bytes + 2 * GUARD), "cudaMemset");
    check(cudaStreamCreate(&stream), "cudaStreamCreate");
    desc.matrices = device.matrices;
    desc.device = TMS_DEVICE_CUDA;
    desc.stream = stream;
    check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "capture");
    gpu_hook_begin();
    assert_ok(tms_image_build(gpu_context, &desc, memory + GUARD, bytes, &image));
    calls = gpu_hook_end();
    assert_int_equal(calls.host_allocations + calls.device_allocations + calls.waits, 0);
    check(cudaStreamEndCapture(stream, &graph), "capture");
    check(cudaGraphInstantiate(&exec, graph, 0), "cudaGraphInstantiate");
    for (int32_t i = 0; i < after.count; i++) /* weights change, the graph does not */
        check(cudaMemcpy(device.matrices[i].components[0].data,
                         after.matrices[i].components[0].data,
                         after.matrices[i].components[0].bytes, cudaMemcpyHostToDevice),
              "copying weights");
    check(cudaGraphLaunch(exec, stream), "cudaGraphLaunch");
    gpu_wait("a graph");
    expect_bytes(memory + GUARD, want.memory, bytes, "an image built by a graph");
    cudaGraphExecDestroy(exec);
    cudaGraphDestroy(graph);
    cudaStreamDestroy(stream);
    gpu_free(memory);
    free(want.memory);
    free_joined(&device, 0);
    test_joined_free(&before);
    test_joined_free(&after);
}

static void gpu_refuses_what_it_cannot_build(void **state) {
    static uint16_t values[40 * 64];
    const tms_format_desc csr_desc = test_format_desc(TMS_FORMAT_CSR, 0, 0);
    test_joined joined = {.count = 1, .layout = test_layout_mma(40, 64, TMS_F16)}, device;
    void *data = gpu_alloc(4608), *work = gpu_alloc(64);
    tms_image_desc good, desc;
    tms_matrix csr;
    cudaStream_t stream;
    cudaGraph_t graph;
    tms_image image;
    size_t bytes = 0;

    (void)state;
    joined.matrices[0] = tms_matrix_dense(TMS_F16, 40, 64, values);
    copy_joined(&joined, 0, &device);
    good = test_joined_desc(&device);
    good.device = TMS_DEVICE_CUDA;
    assert_ok(tms_image_work_bytes(gpu_context, &good, &bytes));
    assert_int_equal(bytes, 64);
    assert_fails(tms_image_build(gpu_context, &good, data, 4608, &image), TMS_ERR_INVALID,
                 "desc->work is NULL");
    good.work = work;
    csr = test_matrix_encode(gpu_context, &joined.matrices[0], &csr_desc, NULL);
    desc = good;
    desc.matrices = &csr;
    assert_fails(tms_image_bytes(gpu_context, &desc, &bytes), TMS_ERR_UNSUPPORTED,
                 "desc->matrices[0] is csr, but on a GPU");
    desc = good;
    desc.layout.parts[0].id = TMSI_LAYOUT_PLAIN;
    assert_fails(tms_image_bytes(gpu_context, &desc, &bytes), TMS_ERR_UNSUPPORTED,
                 "desc->layout has a plain part of nm");
    desc.layout.parts[0].id = TMSI_LAYOUT_CSR_T;
    assert_fails(tms_image_bytes(gpu_context, &desc, &bytes), TMS_ERR_UNSUPPORTED,
                 "part 0 of desc->layout is csr-t, which is built on the host alone");
    check(cudaStreamCreate(&stream), "cudaStreamCreate");
    check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "capture");
    good.stream = stream;
    assert_fails(tms_image_build(gpu_context, &good, data, 4608, &image), TMS_ERR_INVALID,
                 "desc->stream is being captured");
    check(cudaStreamEndCapture(stream, &graph), "the capture that was left alone");
    cudaGraphDestroy(graph);
    cudaStreamDestroy(stream);
    test_components_free(&csr);
    free_joined(&device, 0);
    gpu_free(work);
    gpu_free(data);
}

int gpu_test_images(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gpu_builds_what_the_host_builds_or_says_the_same),
        cmocka_unit_test(gpu_decodes_what_the_host_decodes),
        cmocka_unit_test(gpu_names_the_same_first_fault),
        cmocka_unit_test(selecting_can_be_captured_and_only_enqueues),
        cmocka_unit_test(gpu_refuses_what_it_cannot_build),
    };
    return cmocka_run_group_tests_name("images", tests, NULL, NULL);
}
