/* Machines with several GPUs: each serves, whichever is the thread's current one; all at once, from
 * threads that use them in turns; a stream of another GPU is refused; and runs can be captured. */
#include <cuda_runtime_api.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gpu/fixture.h"
#include "gpu/tests.h"
#include "support/images.h"
#include "support/matrices.h"

static void use(int index) {
    assert_int_equal(cudaSetDevice(index), cudaSuccess);
}

/* GPUs of the machine; says that it has but one, and skips the test. */
static int count_or_skip(void) {
    int count = 0;

    assert_int_equal(cudaGetDeviceCount(&count), cudaSuccess);
    if (count < 2) {
        print_message("this machine has one GPU: several are not tested\n");
        skip();
    }
    return count;
}

/* ---- One after the other --------------------------------------------------------------------- */

/* A plan run while its GPU is the thread's current one, and while it is not. */
static void check_gpu(tms_context *context, int index, tms_dtype type) {
    gpu_room room = {0};
    gpu_product product;
    gpu_fixture made;

    use(index);
    if (!gpu_fixture_plain(&made, context, type, 520, 516, 200, TMS_EPILOGUE_BIAS))
        return;
    for (int64_t t = 200; t > 0; t -= 190)
        for (int current = index; current >= 0; current -= index) {
            int after = -1;

            gpu_fixture_product(&product, &room, &made, t);
            gpu_wait("preparing");
            use(current);
            assert_ok(tms_spmm_plan_run(made.plan, &product.args, NULL));
            assert_int_equal(cudaGetDevice(&after), cudaSuccess);
            assert_int_equal(after, current); /* as it was before the call */
            use(index);
            gpu_wait("another GPU");
            gpu_expect_right(&product);
        }
    gpu_fixture_free(&made);
    gpu_room_free(&room);
}

static void every_gpu_of_the_machine_serves(void **state) {
    const int count = count_or_skip();

    (void)state;
    for (int index = 1; index < count; index++) {
        tms_context *context = gpu_context_of(index);

        for (int type = 0; type < GPU_TYPE_COUNT; type++)
            check_gpu(context, index, gpu_types[type]);
        tms_context_destroy(context);
    }
    use(0);
}

/* Whether the driver can say whose a stream is: of CUDA 12.8 on. */
static bool is_asked(void) {
    int version = 0;

    return cudaDriverGetVersion(&version) == cudaSuccess && version >= 12080;
}

/* An image built there while GPU 0 is current is the host's, byte for byte; on a stream of GPU 0 it
 * is refused. */
static void image_is_built_on_a_gpu_that_is_not_current(void **state) {
    const int last = count_or_skip() - 1;
    tms_context *context = gpu_context_of(last);
    gpu_ground *ground;
    tms_matrix dense;
    tms_image_desc desc = tms_image_desc_default();
    tms_image image, there;
    cudaStream_t stream;
    size_t bytes = 0;
    void *data, *back;

    (void)state;
    use(last);
    ground = gpu_ground_make(TMS_BF16, 200, 516, 8, TEST_RANDOM, -1, test_seed());
    dense = tms_matrix_dense(TMS_BF16, ground->n, ground->k, ground->w_host);
    desc.matrices = &dense;
    desc.count = 1;
    desc.intake = TMS_INTAKE_SELECT;
    desc.nan = TMS_NAN_KEEP;
    desc.layout = test_layout_mma(ground->n, ground->k, TMS_BF16);
    image = test_image_build(context, &desc);
    dense.components[0].data = ground->w;
    desc.device = TMS_DEVICE_CUDA;
    assert_ok(tms_image_bytes(context, &desc, &bytes));
    assert_int_equal(bytes, image.bytes);
    data = gpu_alloc(bytes);
    use(0);
    assert_int_equal(cudaStreamCreate(&stream), cudaSuccess);
    desc.stream = stream;
    if (is_asked())
        assert_fails(tms_image_build(context, &desc, data, bytes, &there), TMS_ERR_DEVICE, "GPU 0");
    desc.stream = NULL;
    assert_ok(tms_image_build(context, &desc, data, bytes, &there));
    desc.stream = stream;
    if (is_asked())
        assert_fails(tms_image_decode(context, &there, &desc), TMS_ERR_DEVICE, "GPU 0");
    use(last);
    gpu_wait("building an image");
    back = malloc(bytes);
    assert_non_null(back);
    assert_int_equal(cudaMemcpy(back, data, bytes, cudaMemcpyDeviceToHost), cudaSuccess);
    assert_memory_equal(back, image.data, bytes);
    cudaStreamDestroy(stream);
    free(back);
    free(image.data);
    gpu_free(data);
    gpu_ground_free(ground);
    tms_context_destroy(context);
    use(0);
}

typedef struct apart {
    const tms_spmm_plan *plan;
    const tms_spmm_args *args;
    cudaStream_t stream;
    tms_status status;
} apart;

static void *run_once(void *arg) {
    apart *self = arg;

    self->status = tms_spmm_plan_run(self->plan, self->args, self->stream);
    return NULL;
}

/* On a thread that has not used a GPU yet. */
static void run_apart(const tms_spmm_plan *plan, const tms_spmm_args *args, cudaStream_t stream,
                      tms_status expected) {
    apart self = {plan, args, stream, TMS_OK};
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, run_once, &self), 0);
    pthread_join(thread, NULL);
    assert_int_equal(self.status, expected);
}

static void stream_of_another_gpu_is_refused(void **state) {
    const int last = count_or_skip() - 1;
    gpu_room room = {0};
    gpu_product product;
    gpu_fixture made;
    cudaStream_t stream;
    char name[16];

    (void)state;
    if (!is_asked())
        skip();
    snprintf(name, sizeof name, "GPU %d", last);
    use(last);
    assert_int_equal(cudaStreamCreate(&stream), cudaSuccess);
    use(0);
    assert_true(gpu_fixture_plain(&made, gpu_context, TMS_BF16, 520, 516, 200, 0));
    for (int64_t t = 200; t > 0; t -= 190) {
        gpu_fixture_product(&product, &room, &made, t);
        assert_fails(tms_spmm_plan_run(made.plan, &product.args, stream), TMS_ERR_DEVICE, name);
        run_apart(made.plan, &product.args, stream, TMS_ERR_DEVICE);
        assert_ok(tms_spmm_plan_run(made.plan, &product.args, NULL)); /* as if nothing had been */
        gpu_wait("a run behind a refused one");
        gpu_expect_right(&product);
    }
    gpu_fixture_free(&made);
    gpu_room_free(&room);
    use(last);
    cudaStreamDestroy(stream);
    use(0);
}

/* Whose the stream is is not asked while it is captured, which would end the capture. */
static void run_is_captured_where_there_are_several_gpus(void **state) {
    const int last = count_or_skip() - 1;
    tms_context *context = gpu_context_of(last);
    gpu_room room = {0};
    gpu_product product;
    gpu_fixture made;
    cudaStream_t stream;
    cudaGraph_t graph;
    cudaGraphExec_t ready;
    tms_status status;

    (void)state;
    use(last);
    assert_true(gpu_fixture_plain(&made, context, TMS_BF16, 520, 516, 200, 0));
    gpu_fixture_product(&product, &room, &made, 200);
    gpu_wait("preparing");
    assert_int_equal(cudaStreamCreate(&stream), cudaSuccess);
    assert_int_equal(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal), cudaSuccess);
    status = tms_spmm_plan_run(made.plan, &product.args, stream);
    assert_int_equal(cudaStreamEndCapture(stream, &graph), cudaSuccess);
    assert_ok(status); /* behind the capture, which must end */
    assert_int_equal(cudaGraphInstantiate(&ready, graph, 0), cudaSuccess);
    assert_int_equal(cudaGraphLaunch(ready, stream), cudaSuccess);
    gpu_wait("a captured run");
    gpu_expect_right(&product);
    cudaGraphExecDestroy(ready);
    cudaGraphDestroy(graph);
    cudaStreamDestroy(stream);
    gpu_fixture_free(&made);
    gpu_room_free(&room);
    tms_context_destroy(context);
    use(0);
}

/* ---- At once --------------------------------------------------------------------------------- */

enum { GPUS = 2, THREADS = 8, STREAMS = 4, RUNS = 25 };

typedef struct worker {
    pthread_t thread;
    const gpu_fixture *made; /* [GPUS] */
    gpu_room rooms[GPUS];
    gpu_product products[GPUS];
    cudaStream_t streams[GPUS];
    int first; /* GPU */
    int failures;
} worker;

/* In turns on both; the thread's current GPU is 0 all the while. */
static void *work(void *arg) {
    worker *self = arg;

    for (int i = 0; i < GPUS * RUNS; i++) {
        const int gpu = (self->first + i) % GPUS;

        self->failures += tms_spmm_plan_run(self->made[gpu].plan, &self->products[gpu].args,
                                            self->streams[gpu]) != TMS_OK;
    }
    return NULL;
}

static void check_workers(worker *workers) {
    for (int gpu = 0; gpu < GPUS; gpu++) {
        use(gpu);
        gpu_wait("threads on two GPUs");
        for (int i = 0; i < THREADS; i++) {
            gpu_expect_right(&workers[i].products[gpu]);
            gpu_room_free(&workers[i].rooms[gpu]);
        }
    }
    use(0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(workers[i].failures, 0);
}

/* Buffers of each worker on each GPU; stream i % STREAMS of each. */
static void run_workers(const gpu_fixture *made, int64_t t) {
    cudaStream_t streams[GPUS][STREAMS];
    worker workers[THREADS];

    memset(workers, 0, sizeof workers);
    for (int gpu = 0; gpu < GPUS; gpu++) {
        use(gpu);
        for (int i = 0; i < STREAMS; i++)
            assert_int_equal(cudaStreamCreate(&streams[gpu][i]), cudaSuccess);
        for (int i = 0; i < THREADS; i++) {
            workers[i].made = made;
            workers[i].first = i % GPUS;
            workers[i].streams[gpu] = streams[gpu][i % STREAMS];
            gpu_fixture_product(&workers[i].products[gpu], &workers[i].rooms[gpu], &made[gpu],
                                t - i);
        }
        gpu_wait("preparing");
    }
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(workers[i].thread, NULL);
    check_workers(workers);
    for (int gpu = 0; gpu < GPUS; gpu++) {
        use(gpu);
        for (int i = 0; i < STREAMS; i++)
            cudaStreamDestroy(streams[gpu][i]);
    }
    use(0);
}

static void two_gpus_serve_eight_threads_at_once(void **state) {
    tms_context *contexts[GPUS] = {gpu_context, NULL};

    (void)state;
    count_or_skip();
    contexts[1] = gpu_context_of(1);
    for (int type = 0; type < GPU_TYPE_COUNT; type++) {
        gpu_fixture made[GPUS];
        bool is_served = true;

        for (int gpu = 0; gpu < GPUS && is_served; gpu++) {
            use(gpu);
            is_served = gpu_fixture_plain(&made[gpu], contexts[gpu], gpu_types[type],
                                          1000 + 200 * gpu, 516, 300, TMS_EPILOGUE_BIAS);
        }
        for (int64_t t = 300; t > 0 && is_served; t -= 284)
            run_workers(made, t);
        for (int gpu = 0; gpu < GPUS && is_served; gpu++) {
            use(gpu);
            gpu_fixture_free(&made[gpu]);
        }
    }
    tms_context_destroy(contexts[1]);
    use(0);
}

int gpu_test_devices(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_gpu_of_the_machine_serves),
        cmocka_unit_test(image_is_built_on_a_gpu_that_is_not_current),
        cmocka_unit_test(stream_of_another_gpu_is_refused),
        cmocka_unit_test(run_is_captured_where_there_are_several_gpus),
        cmocka_unit_test(two_gpus_serve_eight_threads_at_once),
    };
    return cmocka_run_group_tests_name("several GPUs", tests, NULL, NULL);
}
