/* Sustained state: a Hopper card under matrix load runs into its power cap, so the last 100 ms
 * decide its clock. All candidates are warmed in turns, longer at the program's beginning, when the
 * card is cool; then they take turns of some ms, of which the last two thirds count; the first turn
 * goes round, and every second round runs backwards, so that nobody always follows the same
 * neighbour. Each replays a graph of several runs, so that what a launch costs the host does not
 * count.
 *
 * Cycles are counted outside the product: a stamp on every multiprocessor before and behind a batch
 * of runs reads its counter. So the product is not slowed down, and the figure hardly depends on
 * the clock that power leaves. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "fill.h"

void bench_check(cudaError_t error) {
    if (error == cudaSuccess)
        return;
    fprintf(stderr, "bench_gpu: %s\n", cudaGetErrorString(error));
    exit(1);
}

void bench_check_tamis(tms_status status) {
    if (status == TMS_OK)
        return;
    fprintf(stderr, "bench_gpu: %s\n", tms_error_text());
    exit(1);
}

void *bench_alloc(size_t bytes) {
    void *memory = NULL;

    bench_check(cudaMalloc(&memory, bytes + 256));
    return memory;
}

static bool run(bench_candidate *who, void *stream) {
    if (who->rival != NULL)
        return bench_rival_run(who->rival);
    if (who->steps != NULL)
        return who->steps(who->data, stream);
    return tms_spmm_plan_run(who->plan, &who->args, stream) == TMS_OK;
}

/* A graph of `runs` runs, between stamps where asked for; NULL where the candidate cannot. */
static cudaGraphExec_t capture(bench *self, bench_candidate *who, int runs, bool is_stamped) {
    cudaStream_t stream = self->product.stream;
    cudaGraphExec_t exec = NULL;
    cudaGraph_t graph = NULL;
    bool is_good = true;

    bench_check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
    if (is_stamped)
        bench_stamp(self->stamps, stream);
    for (int i = 0; i < runs && is_good; i++)
        is_good = run(who, stream);
    if (is_stamped)
        bench_stamp(self->stamps + self->processors, stream);
    if (cudaStreamEndCapture(stream, &graph) == cudaSuccess && is_good)
        bench_check(cudaGraphInstantiate(&exec, graph, 0));
    if (graph != NULL)
        cudaGraphDestroy(graph);
    return exec;
}

/* Microseconds a run over at least `ms`. */
static double loop(bench *self, bench_candidate *who, double ms) {
    cudaStream_t stream = self->product.stream;
    cudaEvent_t first, last;
    float elapsed = 0.0f;
    int64_t launches = 0;

    bench_check(cudaEventCreate(&first));
    bench_check(cudaEventCreate(&last));
    bench_check(cudaEventRecord(first, stream));
    while (elapsed < (float)ms) {
        for (int i = 0; i < 4; i++, launches++)
            bench_check(cudaGraphLaunch(who->batch, stream));
        bench_check(cudaEventRecord(last, stream));
        bench_check(cudaEventSynchronize(last));
        bench_check(cudaEventElapsedTime(&elapsed, first, last));
    }
    cudaEventDestroy(first);
    cudaEventDestroy(last);
    return 1e3 * (double)elapsed / (double)(launches * who->runs);
}

static int compare_numbers(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

/* Cycles between the two stamps of a graph, the median over multiprocessors. */
static double count_cycles(bench *self, cudaGraphExec_t stamped) {
    enum { PROCESSORS_MAX = 1024 };
    unsigned long long stamps[2 * PROCESSORS_MAX];
    double spans[PROCESSORS_MAX];
    const int count = self->processors < PROCESSORS_MAX ? self->processors : PROCESSORS_MAX;

    bench_check(cudaGraphLaunch(stamped, self->product.stream));
    bench_check(cudaStreamSynchronize(self->product.stream));
    bench_check(cudaMemcpy(stamps, self->stamps, 2 * (size_t)count * sizeof *stamps,
                           cudaMemcpyDeviceToHost));
    for (int i = 0; i < count; i++)
        spans[i] = (double)(stamps[count + i] - stamps[i]);
    qsort(spans, (size_t)count, sizeof *spans, compare_numbers);
    return spans[count / 2];
}

void bench_stamps_open(bench *self) {
    bench_candidate nobody;
    cudaGraphExec_t empty;

    memset(&nobody, 0, sizeof nobody);
    self->processors = bench_stamp_prepare();
    self->stamps = bench_alloc(2 * (size_t)self->processors * sizeof *self->stamps);
    empty = capture(self, &nobody, 0, true);
    self->stamp_cycles = INFINITY;
    for (int i = 0; i < 20; i++)
        self->stamp_cycles = fmin(self->stamp_cycles, count_cycles(self, empty));
    cudaGraphExecDestroy(empty);
}

/* Runs once outside a graph (libraries load lazily), times a first graph of one run, and captures
 * as many as take half a millisecond. */
static void ready(bench *self, bench_candidate *who) {
    cudaStream_t stream = self->product.stream;
    double us;

    who->is_lost = !run(who, stream) || cudaStreamSynchronize(stream) != cudaSuccess;
    who->runs = 1;
    who->batch = who->is_lost ? NULL : capture(self, who, 1, false);
    who->is_lost = who->batch == NULL;
    if (who->is_lost) {
        fprintf(stderr, "bench_gpu: %s (%s) cannot run, or not in a graph: %s\n", who->who,
                who->kernel != NULL ? who->kernel : "", who->plan != NULL ? tms_error_text() : "");
        return;
    }
    us = loop(self, who, 1.0);
    who->runs = us < 10.0 ? 50 : us < 500.0 ? (int)(500.0 / us) + 1 : 1;
    cudaGraphExecDestroy(who->batch);
    who->batch = capture(self, who, who->runs, false);
    who->stamped = capture(self, who, who->runs, true);
}

/* Milliseconds of load in which the card comes to its sustained state, at first and later. */
static const double cool_ms = 2000.0, idle_ms = 250.0;

/* All in turns, as they will be measured. */
static void warm(bench *self) {
    const double ms = self->is_warm ? idle_ms : cool_ms;
    double done = 0.0;

    while (done < ms) {
        const double before = done;

        for (int i = 0; i < self->count; i++)
            if (!self->candidates[i].is_lost) {
                loop(self, &self->candidates[i], self->options.ms);
                done += self->options.ms;
            }
        if (done <= before)
            return;
    }
    self->is_warm = true;
}

void bench_measure(bench *self) {
    const int rounds = self->options.rounds;

    for (int i = 0; i < self->count; i++)
        ready(self, &self->candidates[i]);
    warm(self);
    for (int round = 0; round < rounds; round++)
        for (int i = 0; i < self->count; i++) {
            const int turn = (round + i) % self->count;
            bench_candidate *who = &self->candidates[round % 2 ? self->count - 1 - turn : turn];

            if (who->is_lost)
                continue;
            loop(self, who, self->options.ms / 3.0);
            who->us[round] = loop(self, who, self->options.ms * 2.0 / 3.0);
            who->cycles[round] =
                (count_cycles(self, who->stamped) - self->stamp_cycles) / who->runs;
        }
    for (int i = 0; i < self->count; i++) {
        bench_candidate *who = &self->candidates[i];

        if (who->is_lost)
            continue;
        who->median = tmsi_median_of(who->us, rounds);
        who->median_cycles = tmsi_median_of(who->cycles, rounds);
    }
}

void bench_candidates_close(bench *self) {
    for (int i = 0; i < self->count; i++) {
        bench_candidate *who = &self->candidates[i];

        if (who->batch != NULL)
            cudaGraphExecDestroy(who->batch);
        if (who->stamped != NULL)
            cudaGraphExecDestroy(who->stamped);
        bench_rival_close(who->rival);
        tms_spmm_plan_destroy(who->plan);
    }
    self->count = 0;
}
