/* What a call costs the calling thread: batches that the GPU's queue holds, the GPU idle before
 * each. Beside it what no call can save: a launch, and the driver's making of tensor maps. */
#include <string.h>
#include <time.h>

#include "bench.h"
#include "fill.h"

enum { CALLS = 128, BUFFERS = 64 };

/* Till the CPU has its clock: 50 ms were not always enough. */
static const double warm_up_us = 500000.0;

typedef struct host_run {
    bench *bench;
    bench_candidate *candidate;
    int64_t step; /* elements of x and y from one buffer to the next */
    int calls;
} host_run;

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

/* Microseconds a call. */
static double time_batch(host_run *run, void (*call)(host_run *run)) {
    double first;

    bench_check(cudaDeviceSynchronize());
    first = now_us();
    for (int i = 0; i < CALLS; i++)
        call(run);
    return (now_us() - first) / CALLS;
}

static void time_calls(bench *self, host_run *run, const char *who, const char *what,
                       void (*call)(host_run *run)) {
    bench_candidate *row = bench_add(self, who, what, TMS_BF16);

    row->op = "call";
    row->kernel = run->candidate->kernel;
    for (double until = now_us() + warm_up_us; now_us() < until;)
        time_batch(run, call);
    for (int round = 0; round < self->options.rounds; round++)
        row->us[round] = time_batch(run, call);
    bench_check(cudaDeviceSynchronize());
    row->median = tmsi_median_of(row->us, self->options.rounds);
}

void bench_host(bench *self) {
    const int64_t t = 64, k = 1280, n = 1280;
    host_run run = {self, NULL, t * k, 0};
    bench_candidate ours[2];
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
    for (int i = 0; i < 2; i++) {
        run.candidate = &ours[i];
        time_calls(self, &run, "tamis", i == 0 ? "bias" : "bias residual", call_plan);
        time_calls(self, &run, "tamis",
                   i == 0 ? "bias, other x and y" : "bias residual, other x and y",
                   call_plan_elsewhere);
    }
    time_calls(self, &run, "cuda", "an empty launch", call_launch);
    time_calls(self, &run, "cuda", "a tensor map", call_map);
    bench_print_rows(self, "host");
    for (int i = 0; i < 2; i++)
        tms_spmm_plan_destroy(ours[i].plan);
    bench_product_close(self);
}
