/* What plans promise on a GPU: the right kernel's numbers for any t, capture in a graph, many
 * streams and threads, contexts beside each other, nothing allocated and nothing waited for. */
#include <cuda_runtime_api.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>

#include "gpu/fixture.h"
#include "gpu/tests.h"
#include "spmm/problem.h"
#include "support/matrices.h"

/* Calls `test` with each type that the options want. */
static void for_each_type(void (*test)(tms_dtype type)) {
    for (int i = 0; i < GPU_TYPE_COUNT; i++)
        if (gpu_type_is_wanted(gpu_types[i]))
            test(gpu_types[i]);
}

/* ---- Choice ---------------------------------------------------------------------------------- */

static void check_plan(tms_dtype type) {
    const int64_t tokens[] = {0, 1, 2, 5, 16, 31, 64, 100, 128, 200, 256, 384, 500, 700};
    const uint32_t epilogues[] = {0, TMS_EPILOGUE_BIAS,
                                  TMS_EPILOGUE_SCALE_N | TMS_EPILOGUE_RESIDUAL};
    gpu_room room = {0};

    for (size_t e = 0; e < TEST_COUNT(epilogues); e++) {
        gpu_fixture made;

        if (!gpu_fixture_plain(&made, gpu_context, type, 1304, 1028, 700, epilogues[e]))
            break;
        for (size_t i = 0; i < TEST_COUNT(tokens); i++) {
            gpu_product product;

            gpu_fixture_product(&product, &room, &made, tokens[i]);
            assert_ok(tms_spmm_plan_run(made.plan, &product.args, NULL));
            gpu_wait("a chosen plan");
            gpu_expect_right(&product);
        }
        gpu_fixture_free(&made);
    }
    gpu_room_free(&room);
}

static void chosen_plan_is_right_at_any_t(void **state) {
    (void)state;
    for_each_type(check_plan);
}

/* ---- Graphs ---------------------------------------------------------------------------------- */

static void swap_x(const gpu_product *product, void *with) {
    const size_t bytes = (size_t)(product->ground->t * product->ground->ldx[0]);

    assert_int_equal(
        cudaMemcpy((void *)(uintptr_t)product->args.x, with, bytes, cudaMemcpyDeviceToDevice),
        cudaSuccess);
}

/* A graph replayed reads x as it is then: captured over zeros, it must be wrong, and right when x
 * has come. */
static void check_capture(tms_dtype type) {
    const int64_t tokens[] = {333, 4};
    gpu_room room = {0};
    gpu_fixture made;

    if (!gpu_fixture_plain(&made, gpu_context, type, 600, 1060, 333, TMS_EPILOGUE_RESIDUAL))
        return;
    for (size_t i = 0; i < TEST_COUNT(tokens); i++) {
        const size_t bytes = (size_t)(made.ground->t * made.ground->ldx[0]);
        void *kept = gpu_alloc(bytes), *zeros = gpu_alloc(bytes);
        cudaStream_t stream;
        cudaGraph_t graph;
        cudaGraphExec_t exec;
        gpu_product product;
        char message[512];
        tms_status status;

        gpu_fixture_product(&product, &room, &made, tokens[i]);
        cudaMemset(zeros, 0, bytes);
        cudaMemcpy(kept, product.args.x, bytes, cudaMemcpyDeviceToDevice);
        swap_x(&product, zeros);
        assert_int_equal(cudaStreamCreate(&stream), cudaSuccess);
        assert_int_equal(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal),
                         cudaSuccess);
        status = tms_spmm_plan_run(made.plan, &product.args, stream);
        assert_int_equal(cudaStreamEndCapture(stream, &graph), cudaSuccess);
        assert_ok(status); /* behind the capture, which must end */
        assert_int_equal(cudaGraphInstantiate(&exec, graph, 0), cudaSuccess);
        for (int replay = 0; replay < 3; replay++) {
            assert_int_equal(cudaGraphLaunch(exec, stream), cudaSuccess);
            gpu_wait("a graph");
            if (replay > 0)
                gpu_expect_right(&product);
            else
                assert_false(gpu_product_is_right(&product, message));
            if (replay == 0)
                swap_x(&product, kept);
            gpu_product_reset(&product);
        }
        cudaGraphExecDestroy(exec);
        cudaGraphDestroy(graph);
        cudaStreamDestroy(stream);
        gpu_free(kept);
        gpu_free(zeros);
    }
    gpu_fixture_free(&made);
    gpu_room_free(&room);
}

static void run_can_be_captured_and_replayed_on_new_input(void **state) {
    (void)state;
    for_each_type(check_capture);
}

/* ---- Dense kept ------------------------------------------------------------------------------ */

/* Enqueued, and captured in a graph that is replayed. */
static void run_both_ways(const gpu_fixture *made, gpu_product *product) {
    cudaStream_t stream;
    cudaGraph_t graph;
    cudaGraphExec_t exec;
    tms_status status;

    assert_ok(tms_spmm_plan_run(made->plan, &product->args, NULL));
    gpu_wait("a plan with dense kept");
    gpu_expect_right(product);
    gpu_product_reset(product);
    assert_int_equal(cudaStreamCreate(&stream), cudaSuccess);
    assert_int_equal(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), cudaSuccess);
    status = tms_spmm_plan_run(made->plan, &product->args, stream);
    assert_int_equal(cudaStreamEndCapture(stream, &graph), cudaSuccess);
    assert_ok(status);
    assert_int_equal(cudaGraphInstantiate(&exec, graph, 0), cudaSuccess);
    assert_int_equal(cudaGraphLaunch(exec, stream), cudaSuccess);
    gpu_wait("a graph with dense kept");
    gpu_expect_right(product);
    cudaGraphExecDestroy(exec);
    cudaGraphDestroy(graph);
    cudaStreamDestroy(stream);
}

static void check_kept_dense(tms_dtype type) {
    const int64_t tokens[] = {1, 7, 24, 64, 100, 200, 384, 700};
    const uint32_t epilogues[] = {0, TMS_EPILOGUE_BIAS, TMS_EPILOGUE_RESIDUAL};
    gpu_room room = {0};

    for (size_t e = 0; e < TEST_COUNT(epilogues); e++) {
        tms_spmm_problem problem = tmsi_spmm_problem_24(type, 1024, 1024, 700);
        gpu_fixture made;

        problem.epilogue = epilogues[e];
        if (!gpu_fixture_make(&made, gpu_context, &problem, 1))
            break;
        for (size_t i = 0; i < TEST_COUNT(tokens); i++) {
            gpu_product product;

            gpu_fixture_product(&product, &room, &made, tokens[i]);
            run_both_ways(&made, &product);
        }
        if ((gpu_context->gpu.isa & TMS_ISA_CUBLASLT) != 0)
            assert_int_equal(made.layout.parts[0].format, TMS_FORMAT_DENSE);
        gpu_fixture_free(&made);
    }
    gpu_room_free(&room);
}

/* Weights that are not sparse at all. */
static void check_dense(tms_dtype type) {
    tms_spmm_problem problem = tmsi_spmm_problem_24(type, 512, 256, 300);
    gpu_room room = {0};
    gpu_fixture made;

    problem.format = TMS_FORMAT_DENSE;
    problem.density = 1.0;
    if ((gpu_context->gpu.isa & TMS_ISA_CUBLASLT) == 0 ||
        !gpu_fixture_make(&made, gpu_context, &problem, 0))
        return;
    for (int64_t t = 1; t <= 300; t += 133) {
        gpu_product product;

        gpu_fixture_product(&product, &room, &made, t);
        run_both_ways(&made, &product);
    }
    gpu_fixture_free(&made);
    gpu_room_free(&room);
}

static void dense_weights_are_multiplied_too(void **state) {
    (void)state;
    for_each_type(check_dense);
}

static void plan_with_dense_kept_is_right_on_either_part(void **state) {
    (void)state;
    for_each_type(check_kept_dense);
}

/* ---- Threads, streams, contexts -------------------------------------------------------------- */

enum { THREADS = 8, STREAMS = 4, RUNS = 25 };

typedef struct worker {
    pthread_t thread;
    const gpu_fixture *made;
    gpu_room room;
    gpu_product product;
    cudaStream_t stream;
    int failures;
} worker;

static void *work(void *arg) {
    worker *self = arg;

    for (int i = 0; i < RUNS; i++)
        self->failures +=
            tms_spmm_plan_run(self->made->plan, &self->product.args, self->stream) != TMS_OK;
    return NULL;
}

/* Worker i runs fixtures[i % count] on stream i % STREAMS, with buffers of its own. */
static void run_workers(const gpu_fixture *fixtures, int count, int64_t t) {
    cudaStream_t streams[STREAMS];
    worker workers[THREADS] = {0};

    for (int i = 0; i < STREAMS; i++)
        assert_int_equal(cudaStreamCreate(&streams[i]), cudaSuccess);
    for (int i = 0; i < THREADS; i++) {
        workers[i].made = &fixtures[i % count];
        workers[i].stream = streams[i % STREAMS];
        gpu_fixture_product(&workers[i].product, &workers[i].room, workers[i].made, t - i);
    }
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(workers[i].thread, NULL);
    gpu_wait("many threads");
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(workers[i].failures, 0);
        gpu_expect_right(&workers[i].product);
        gpu_room_free(&workers[i].room);
    }
    for (int i = 0; i < STREAMS; i++)
        cudaStreamDestroy(streams[i]);
}

static void check_threads(tms_dtype type) {
    gpu_fixture made;

    if (!gpu_fixture_plain(&made, gpu_context, type, 1000, 516, 300, TMS_EPILOGUE_BIAS))
        return;
    run_workers(&made, 1, 300);
    run_workers(&made, 1, 16);
    gpu_fixture_free(&made);
}

static void plan_serves_eight_threads_on_four_streams(void **state) {
    (void)state;
    for_each_type(check_threads);
}

static void check_contexts(tms_dtype type) {
    tms_context *other = gpu_context_of(0);
    gpu_fixture made[2];

    if (gpu_fixture_plain(&made[0], gpu_context, type, 520, 516, 200, TMS_EPILOGUE_BIAS)) {
        assert_true(gpu_fixture_plain(&made[1], other, type, 700, 260, 200, 0));
        run_workers(made, 2, 200);
        gpu_fixture_free(&made[0]);
        gpu_fixture_free(&made[1]);
    }
    tms_context_destroy(other);
}

static void two_contexts_run_at_once(void **state) {
    (void)state;
    for_each_type(check_contexts);
}

/* ---- Nothing allocated ----------------------------------------------------------------------- */

/* The hook sees what it is there to see; else the next test could not fail. */
static void hook_counts_allocations_and_waits(void **state) {
    void *(*volatile allocate)(size_t) = malloc;
    void *host, *device = NULL;
    gpu_calls calls;

    (void)state;
    gpu_hook_begin();
    host = allocate(1);
    cudaMalloc(&device, 1);
    cudaDeviceSynchronize();
    calls = gpu_hook_end();
    free(host);
    cudaFree(device);
    assert_true(calls.host_allocations >= 1);
    assert_int_equal(calls.device_allocations, 1);
    assert_int_equal(calls.waits, 1);
}

static void check_allocations(tms_dtype type) {
    const int64_t tokens[] = {700, 60, 1};
    test_allocator allocator;
    tms_context_desc desc = tms_context_desc_default();
    tms_context *context = NULL;
    gpu_room room = {0};
    gpu_fixture made;

    test_allocator_init(&allocator);
    desc.allocator = &allocator.allocator;
    desc.device = TMS_DEVICE_CUDA;
    assert_ok(tms_context_create(&desc, &context));
    if (gpu_fixture_plain(&made, context, type, 1000, 516, 700, TMS_EPILOGUE_BIAS)) {
        for (size_t i = 0; i < TEST_COUNT(tokens); i++) {
            const int64_t calls_before = allocator.calls;
            size_t before, after, total;
            gpu_product product;
            gpu_calls calls;

            gpu_fixture_product(&product, &room, &made, tokens[i]);
            assert_ok(tms_spmm_plan_run(made.plan, &product.args, NULL)); /* CUDA loads lazily */
            gpu_wait("a first run");
            assert_int_equal(cudaMemGetInfo(&before, &total), cudaSuccess);
            gpu_hook_begin();
            for (int run = 0; run < 200; run++)
                tms_spmm_plan_run(made.plan, &product.args, NULL);
            calls = gpu_hook_end();
            gpu_wait("runs");
            assert_int_equal(cudaMemGetInfo(&after, &total), cudaSuccess);
            if (calls.host_allocations != 0 || calls.device_allocations != 0 || calls.waits != 0)
                fail_msg("%s, t %" PRId64 ": 200 runs made %" PRId64 " host and %" PRId64
                         " device allocations, and waited %" PRId64 " times",
                         tms_dtype_name(type), tokens[i], calls.host_allocations,
                         calls.device_allocations, calls.waits);
            if (!gpu_option.is_reduced) /* a tool has memory of its own */
                assert_int_equal(before, after);
            assert_int_equal(allocator.calls, calls_before);
            gpu_expect_right(&product);
        }
        gpu_fixture_free(&made);
    }
    gpu_room_free(&room);
    tms_context_destroy(context);
    assert_int_equal(allocator.live, 0);
}

static void run_allocates_nothing_and_waits_for_nothing(void **state) {
    (void)state;
    for_each_type(check_allocations);
}

int gpu_test_plans(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chosen_plan_is_right_at_any_t),
        cmocka_unit_test(run_can_be_captured_and_replayed_on_new_input),
        cmocka_unit_test(plan_with_dense_kept_is_right_on_either_part),
        cmocka_unit_test(dense_weights_are_multiplied_too),
        cmocka_unit_test(plan_serves_eight_threads_on_four_streams),
        cmocka_unit_test(two_contexts_run_at_once),
        cmocka_unit_test(hook_counts_allocations_and_waits),
        cmocka_unit_test(run_allocates_nothing_and_waits_for_nothing),
    };
    return cmocka_run_group_tests_name("plans on a GPU", tests, NULL, NULL);
}
