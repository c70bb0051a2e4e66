/* What a call costs the calling thread: batches that the GPU's queue holds, the GPU idle before
 * each. Beside it what no call can save: a launch, and the driver's making of tensor maps. They
 * take turns, since a CPU that others share is slower for a second now and then. */
#include <string.h>
#include <time.h>

#include "bench.h"
#include "fill.h"

enum { CALLS = 128, BUFFERS = 64 };

/* Till the CPU has its clock: 50 ms were not always enough. */
static const double warm_up_us = 500000.0;

typedef struct host_run {
    bench *bench;
    const bench_candidate *candidate;
    int64_t step; /* elements of x and y from one buffer to the next */
    int calls;
} host_run;

typedef struct host_call {
    const char *who, *what;
    void (*call)(host_run *run);
    const bench_candidate *candidate;
} host_call;

static double now_us(void) {
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return 1e6 * (double)now.tv_sec + 1e-3 * (double)now.tv_nsec;
}

static void call_plan(host_run *self) {
    bench_check_tamis(tms_spmm_plan_run(self->candidate->plan, &self->candidate->args,
                                        self->bench->product.stream));
}

/* Other x and y each time, as the layers of a network have. */
static void call_plan_elsewhere(host_run *self) {
    const int64_t at = self->calls++ % BUFFERS * self->step;
    tms_spmm_args args = self->candidate->args;

    args.x = (const char *)args.x + 2 * at;
    args.y = (char *)args.y + 2 * at;
    bench_check_tamis(tms_spmm_plan_run(self->candidate->plan, &args, self->bench->product.stream));
}

static void call_launch(host_run *self) {
    bench_launch_nothing(self->bench->product.stream);
}

static void call_map(host_run *self) {
    bench_make_map(self->bench->product.y);
}

/* Microseconds a call, of the batches of a turn. */
static double time_turn(host_run *run, const host_call *call, double turn_us) {
    double sum = 0;
    int batches = 0;

    run->candidate = call->candidate;
    for (double until = now_us() + turn_us; batches == 0 || now_us() < until; batches++) {
        double first;

        bench_check(cudaDeviceSynchronize());
        first = now_us();
        for (int i = 0; i < CALLS; i++)
            call->call(run);
        sum += now_us() - first;
    }
    bench_check(cudaDeviceSynchronize());
    return sum / batches / CALLS;
}

void bench_host(bench *self) {
    const int64_t t = 64, k = 1280, n = 1280;
    host_run run = {self, NULL, t * k, 0};
    bench_candidate ours[2];
    const host_call calls[] = {
        {"tamis", "bias", call_plan, &ours[0]},
        {"tamis", "bias, other x and y", call_plan_elsewhere, &ours[0]},
        {"tamis", "bias residual", call_plan, &ours[1]},
        {"tamis", "bias residual, other x and y", call_plan_elsewhere, &ours[1]},
        {"cuda", "an empty launch", call_launch, &ours[0]},
        {"cuda", "a tensor map", call_map, &ours[0]},
    };
    enum { COUNT = sizeof calls / sizeof calls[0] };
    bench_candidate *rows[COUNT];
    tms_spmm_problem problem;

    bench_product_open(self, TMS_BF16, t * BUFFERS, k, n);
    self->product.t = t;
    problem = bench_problem(&self->product, TMS_BF16, TMS_EPILOGUE_BIAS, TMS_ACT_NONE);
    if (bench_add_ours(self, "bias", &problem, NULL) == NULL)
        return;
    problem.epilogue |= TMS_EPILOGUE_RESIDUAL;
    if (bench_add_ours(self, "bias residual", &problem, NULL) == NULL)
        return;
    memcpy(ours, self->candidates, sizeof ours);
    self->count = 0;
    for (int i = 0; i < COUNT; i++) {
        rows[i] = bench_add(self, calls[i].who, calls[i].what, TMS_BF16);
        rows[i]->op = "call";
        rows[i]->kernel = calls[i].candidate->kernel;
    }
    time_turn(&run, &calls[0], warm_up_us);
    for (int round = 0; round < self->options.rounds; round++)
        for (int i = 0; i < COUNT; i++)
            rows[i]->us[round] = time_turn(&run, &calls[i], 1e3 * self->options.ms);
    for (int i = 0; i < COUNT; i++)
        rows[i]->median = tmsi_median_of(rows[i]->us, self->options.rounds);
    bench_print_rows(self, "host");
    for (int i = 0; i < 2; i++)
        tms_spmm_plan_destroy(ours[i].plan);
    bench_product_close(self);
}
