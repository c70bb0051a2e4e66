/* What plans promise on a GPU: the same bits again, capture in a graph, many streams and threads,
 * nothing allocated. */
#include <cuda_runtime_api.h>
#include <pthread.h>
#include <stdlib.h>

#include "gpu/tests.h"

/* A product with the plan that the library chooses for it. */
typedef struct fixture {
    test_product product;
    tms_layout layout;
    tms_spmm_plan *plan;
    tms_image image;
} fixture;

static void make_fixture(fixture *out, int64_t n, int64_t k, int64_t t, uint32_t epilogue) {
    tms_spmm_problem problem = gpu_problem(&tmsi_spmm_table_of(&gpu_context->gpu).kernels[0], n, k);

    problem.epilogue = epilogue;
    test_product_make(&out->product, gpu_context, &problem, t, TEST_RANDOM, test_seed());
    assert_ok(tms_spmm_layout_choose(gpu_context, &problem, 1, problem.t_max, 0, &out->layout));
    assert_ok(tms_spmm_plan_create(gpu_context, &problem, &out->layout, &out->plan));
    out->image = test_device_image(gpu_context, &out->layout, &out->product.weight);
}

static void free_fixture(fixture *self) {
    test_device_free(self->image.data);
    tms_spmm_plan_destroy(self->plan);
    test_product_free(&self->product);
}

static void expect_right(const test_device_product *device) {
    test_output output;
    char message[512];

    test_device_output(device, &output);
    if (!test_output_matches(device->product, &output, message))
        fail_msg("%s", message);
    test_output_free(&output);
}

static void plan_gives_the_same_bits_a_hundred_times(void **state) {
    test_device_product device;
    test_output first, again;
    fixture made;

    (void)state;
    make_fixture(&made, 1000, 516, 700, TMS_EPILOGUE_BIAS);
    test_device_product_make(&device, &made.product, &made.image, TEST_ROWS_ALIGNED, false);
    for (int i = 0; i < 100; i++) {
        test_device_output_reset(&device);
        assert_ok(tms_spmm_plan_run(made.plan, &device.args, NULL));
        test_device_wait();
        test_device_output(&device, i == 0 ? &first : &again);
        if (i > 0) {
            assert_true(test_outputs_equal(&made.product, &first, &again));
            test_output_free(&again);
        }
    }
    test_output_free(&first);
    test_device_product_free(&device);
    free_fixture(&made);
}

/* A graph replayed reads x as it is then. */
static void run_can_be_captured_and_replayed_on_new_input(void **state) {
    test_device_product device;
    cudaStream_t stream;
    cudaGraph_t graph;
    cudaGraphExec_t exec;
    fixture made;
    size_t x_bytes;

    (void)state;
    make_fixture(&made, 600, 260, 333, TMS_EPILOGUE_RESIDUAL);
    test_device_product_make(&device, &made.product, &made.image, TEST_ROWS_ALIGNED, false);
    x_bytes = (size_t)(device.args.ldx * device.args.t) * 2;
    assert_int_equal(cudaStreamCreate(&stream), cudaSuccess);
    assert_int_equal(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), cudaSuccess);
    assert_ok(tms_spmm_plan_run(made.plan, &device.args, stream));
    assert_int_equal(cudaStreamEndCapture(stream, &graph), cudaSuccess);
    assert_int_equal(cudaGraphInstantiate(&exec, graph, 0), cudaSuccess);
    {
        void *kept = malloc(x_bytes);
        test_output output;
        char message[512];

        assert_non_null(kept);
        cudaMemcpy(kept, device.args.x, x_bytes, cudaMemcpyDeviceToHost);
        cudaMemset((void *)(uintptr_t)device.args.x, 0, x_bytes);
        assert_int_equal(cudaGraphLaunch(exec, stream), cudaSuccess);
        test_device_wait();
        test_device_output(&device, &output);
        assert_false(test_output_matches(&made.product, &output, message));
        test_output_free(&output);
        cudaMemcpy((void *)(uintptr_t)device.args.x, kept, x_bytes, cudaMemcpyHostToDevice);
        free(kept);
    }
    assert_int_equal(cudaGraphLaunch(exec, stream), cudaSuccess);
    test_device_wait();
    expect_right(&device);
    cudaGraphExecDestroy(exec);
    cudaGraphDestroy(graph);
    cudaStreamDestroy(stream);
    test_device_product_free(&device);
    free_fixture(&made);
}

enum { THREADS = 8, STREAMS = 4, RUNS = 25 };

typedef struct worker {
    pthread_t thread;
    const tms_spmm_plan *plan;
    test_device_product device;
    cudaStream_t stream;
    int failures;
} worker;

static void *work(void *arg) {
    worker *self = arg;

    for (int i = 0; i < RUNS; i++)
        self->failures += tms_spmm_plan_run(self->plan, &self->device.args, self->stream) != TMS_OK;
    return NULL;
}

static void plan_serves_eight_threads_on_four_streams(void **state) {
    cudaStream_t streams[STREAMS];
    worker workers[THREADS];
    fixture made;

    (void)state;
    make_fixture(&made, 1000, 516, 300, TMS_EPILOGUE_BIAS);
    for (int i = 0; i < STREAMS; i++)
        assert_int_equal(cudaStreamCreate(&streams[i]), cudaSuccess);
    for (int i = 0; i < THREADS; i++) {
        workers[i].plan = made.plan;
        workers[i].stream = streams[i % STREAMS];
        workers[i].failures = 0;
        test_device_product_make(&workers[i].device, &made.product, &made.image, TEST_ROWS_ALIGNED,
                                 false);
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(workers[i].thread, NULL);
    test_device_wait();
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(workers[i].failures, 0);
        expect_right(&workers[i].device);
        test_device_product_free(&workers[i].device);
    }
    for (int i = 0; i < STREAMS; i++)
        cudaStreamDestroy(streams[i]);
    free_fixture(&made);
}

static void run_allocates_nothing_on_the_device(void **state) {
    test_device_product device;
    fixture made;
    size_t before, after, total;

    (void)state;
    make_fixture(&made, 1000, 516, 700, TMS_EPILOGUE_BIAS);
    test_device_product_make(&device, &made.product, &made.image, TEST_ROWS_ALIGNED, false);
    assert_ok(tms_spmm_plan_run(made.plan, &device.args, NULL));
    test_device_wait();
    assert_int_equal(cudaMemGetInfo(&before, &total), cudaSuccess);
    for (int i = 0; i < 1000; i++)
        assert_ok(tms_spmm_plan_run(made.plan, &device.args, NULL));
    test_device_wait();
    assert_int_equal(cudaMemGetInfo(&after, &total), cudaSuccess);
    assert_int_equal(before, after);
    test_device_product_free(&device);
    free_fixture(&made);
}

int gpu_test_plans(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plan_gives_the_same_bits_a_hundred_times),
        cmocka_unit_test(run_can_be_captured_and_replayed_on_new_input),
        cmocka_unit_test(plan_serves_eight_threads_on_four_streams),
        cmocka_unit_test(run_allocates_nothing_on_the_device),
    };
    return cmocka_run_group_tests_name("plans on a GPU", tests, NULL, NULL);
}
