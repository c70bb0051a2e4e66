/* 2:4 products in bf16 on GPU 0 beside cuBLASLt (dense) and cuSPARSELt (2:4): rows of JSON.
 *
 *     bench_gpu [-l CUBLASLT.so] [-s CUSPARSELT.so] [-m MS] [-r ROUNDS] [SET ...]
 *
 * Sets: shapes (layers of transformers), few (T = 1 .. 4096), fused (epilogues against the plain
 * product), tiles (shapes and few with every kernel: what the cost model is fitted to), host (what
 * a call costs the CPU). Without one: shapes, few, fused, host.
 *
 * Sustained state: a Hopper card under matrix load runs into its power cap, so the last 100 ms
 * decide its clock. All candidates of a shape are warmed, then take turns of MS (60), of which the
 * last two thirds count, and the first turn goes round; a row is the median over rounds (9). */
#define _GNU_SOURCE
#include <cuda_runtime_api.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "fill.h"
#include "measure/rows.h"
#include "measure/statistics.h"
#include "rivals.h"
#include "spmm/plan.h"

enum { ROUNDS_MAX = 99, CANDIDATES_MAX = 16, BATCH = 8 };

typedef struct options {
    const char *cublaslt, *cusparselt;
    double ms;
    int rounds;
} options;

/* Who takes part in a measurement: a rival, or a plan and its args. */
typedef struct candidate {
    const char *who, *kernel;
    bench_rival *rival;
    tms_spmm_plan *plan;
    tms_spmm_plan forced; /* of one kernel; plan points here */
    tms_spmm_args args;
    const char *epilogue;
    double us[ROUNDS_MAX];
    tmsi_median median;
} candidate;

typedef struct bench {
    tms_context *context;
    options options;
    bench_product product;
    tms_image image;
    float *bias;
    void *residual;
    candidate candidates[CANDIDATES_MAX];
    int count;
} bench;

static void check(cudaError_t error) {
    if (error == cudaSuccess)
        return;
    fprintf(stderr, "bench_gpu: %s\n", cudaGetErrorString(error));
    exit(1);
}

static void check_tamis(tms_status status) {
    if (status == TMS_OK)
        return;
    fprintf(stderr, "bench_gpu: %s\n", tms_error_text());
    exit(1);
}

static void *device_alloc(size_t bytes) {
    void *memory = NULL;

    check(cudaMalloc(&memory, bytes));
    return memory;
}

static bool run(candidate *self, void *stream) {
    if (self->rival != NULL)
        return bench_rival_run(self->rival);
    return tms_spmm_plan_run(self->plan, &self->args, stream) == TMS_OK;
}

/* Microseconds a run over at least `ms`; negative where a run failed. */
static double loop(bench *self, candidate *who, double ms) {
    cudaStream_t stream = self->product.stream;
    cudaEvent_t first, last;
    float elapsed = 0.0f;
    int64_t runs = 0;
    bool is_good = true;

    check(cudaEventCreate(&first));
    check(cudaEventCreate(&last));
    check(cudaEventRecord(first, stream));
    while (elapsed < (float)ms && is_good) {
        for (int i = 0; i < BATCH && is_good; i++, runs++)
            is_good = run(who, stream);
        check(cudaEventRecord(last, stream));
        check(cudaEventSynchronize(last));
        check(cudaEventElapsedTime(&elapsed, first, last));
    }
    cudaEventDestroy(first);
    cudaEventDestroy(last);
    return is_good ? 1e3 * (double)elapsed / (double)runs : -1.0;
}

static void measure(bench *self) {
    const int rounds = self->options.rounds;

    for (int i = 0; i < self->count; i++)
        loop(self, &self->candidates[i], 30.0);
    for (int round = 0; round < rounds; round++)
        for (int i = 0; i < self->count; i++) {
            candidate *who = &self->candidates[(round + i) % self->count];

            loop(self, who, self->options.ms / 3.0);
            who->us[round] = loop(self, who, self->options.ms * 2.0 / 3.0);
        }
    for (int i = 0; i < self->count; i++)
        self->candidates[i].median = tmsi_median_of(self->candidates[i].us, rounds);
}

/* ---- Rows ------------------------------------------------------------------------------------ */

static void print_rows(const bench *self, const char *versions) {
    const bench_product *p = &self->product;
    double dense_us = NAN;
    tmsi_row_frame frame;

    tmsi_row_frame_fill(self->context, versions, &frame);
    for (int i = 0; i < self->count; i++)
        if (strcmp(self->candidates[i].who, "cublaslt") == 0)
            dense_us = self->candidates[i].median.value;
    for (int i = 0; i < self->count; i++) {
        const candidate *who = &self->candidates[i];
        const bool is_dense = strcmp(who->who, "cublaslt") == 0;
        tms_bench_row row = frame.row;
        char text[2048];

        row.op = "spmm";
        row.who = who->who;
        row.kernel = who->kernel;
        row.format = is_dense ? "dense" : "nm";
        row.pattern = is_dense ? "dense" : "2:4";
        row.sparsity = is_dense ? 0.0 : 0.5;
        row.dtype = "bf16";
        row.isa = "sm90";
        row.threads = -1;
        row.t = p->t;
        row.k = p->k;
        row.n = p->n;
        row.epilogue = who->epilogue;
        row.state = "sustained";
        row.us = who->median.value;
        row.us_min = who->median.low;
        row.us_max = who->median.high;
        row.rounds = self->options.rounds;
        row.bytes = is_dense ? p->n * p->k * 2 : (int64_t)self->image.bytes;
        row.ratio_dense = dense_us / who->median.value;
        row.device = tms_context_device_text(self->context);
        tms_bench_row_print(&row, text, sizeof text);
        puts(text);
    }
    fflush(stdout);
}

/* ---- Products -------------------------------------------------------------------------------- */

static tms_spmm_problem problem_of(const bench_product *p, uint32_t epilogue,
                                   tms_activation activation) {
    tms_spmm_problem problem = tms_spmm_problem_default();

    problem.n = p->n;
    problem.k = p->k;
    problem.t_max = p->t;
    problem.format = TMS_FORMAT_NM;
    problem.keep = 2;
    problem.group = 4;
    problem.density = 0.5;
    problem.x_type = problem.w_type = problem.y_type = TMS_BF16;
    problem.epilogue = epilogue;
    problem.activation = activation;
    problem.device = TMS_DEVICE_CUDA;
    return problem;
}

/* The image of w_24, by way of the host: build time is not measured here. */
static void build_image(bench *self) {
    const bench_product *p = &self->product;
    const size_t dense_bytes = (size_t)(p->n * p->k) * 2;
    const tms_spmm_problem problem = problem_of(p, 0, TMS_ACT_NONE);
    tms_image_desc desc = tms_image_desc_default();
    void *dense = calloc(dense_bytes, 1), *data;
    tms_matrix matrix;
    size_t bytes = 0;

    if (dense == NULL)
        exit(1);
    check(cudaMemcpy(dense, p->w_24, dense_bytes, cudaMemcpyDeviceToHost));
    matrix = tms_matrix_dense(TMS_BF16, p->n, p->k, dense);
    desc.matrices = &matrix;
    desc.count = 1;
    check_tamis(tms_spmm_layout_choose(self->context, &problem, 1, p->t, 0, &desc.layout));
    check_tamis(tms_image_bytes(self->context, &desc, &bytes));
    data = aligned_alloc(64, bytes);
    if (data == NULL)
        exit(1);
    check_tamis(tms_image_build(self->context, &desc, data, bytes, &self->image));
    self->image.data = device_alloc(bytes);
    check(cudaMemcpy(self->image.data, data, bytes, cudaMemcpyHostToDevice));
    free(data);
    free(dense);
}

static void open_product(bench *self, int64_t t, int64_t k, int64_t n) {
    bench_product *p = &self->product;
    void *w = device_alloc((size_t)(n * k) * 2), *w_24 = device_alloc((size_t)(n * k) * 2);
    void *x = device_alloc((size_t)((t + 15) * k) * 2);

    p->t = t, p->k = k, p->n = n;
    bench_fill_bf16(w, n * k, 0, 1, p->stream);
    bench_fill_bf16(w_24, n * k, 1, 1, p->stream);
    bench_fill_bf16(x, t * k, 0, 1000003, p->stream);
    p->w = w, p->w_24 = w_24, p->x = x;
    p->y = device_alloc((size_t)((t + 15) * n) * 2);
    self->bias = device_alloc((size_t)n * sizeof(float));
    self->residual = device_alloc((size_t)(t * n) * 2);
    bench_fill_f32(self->bias, n, 7, p->stream);
    bench_fill_bf16(self->residual, t * n, 0, 11, p->stream);
    check(cudaDeviceSynchronize());
    build_image(self);
    self->count = 0;
}

static void close_product(bench *self) {
    const bench_product *p = &self->product;
    const void *const memory[] = {p->w,           p->w_24,         p->x, p->y, self->bias,
                                  self->residual, self->image.data};

    for (int i = 0; i < self->count; i++) {
        candidate *who = &self->candidates[i];
        if (who->rival != NULL)
            bench_rival_close(who->rival);
        else if (who->plan != &who->forced)
            tms_spmm_plan_destroy(who->plan);
    }
    for (size_t i = 0; i < sizeof memory / sizeof memory[0]; i++)
        check(cudaFree((void *)(uintptr_t)memory[i]));
}

static candidate *add(bench *self, const char *who, const char *epilogue) {
    candidate *added = &self->candidates[self->count++];

    memset(added, 0, sizeof *added);
    added->who = who;
    added->epilogue = epilogue;
    return added;
}

static void add_rivals(bench *self) {
    bench_product aligned = self->product;
    bench_rival *dense = bench_cublaslt_open(&self->product), *sparse;

    if (dense != NULL)
        add(self, "cublaslt", "none")->rival = dense;
    aligned.t = (aligned.t + 15) / 16 * 16; /* all it takes */
    sparse = bench_cusparselt_open(&aligned);
    if (sparse != NULL)
        add(self, "cusparselt", "none")->rival = sparse;
}

/* The plan that the library chooses, or one of the kernel given. */
static void add_ours(bench *self, const char *epilogue, uint32_t bits, tms_activation activation,
                     const tmsi_spmm_kernel *kernel) {
    candidate *added = add(self, "tamis", epilogue);
    const bench_product *p = &self->product;
    tms_spmm_problem problem = problem_of(p, bits, activation);

    if (kernel == NULL) {
        check_tamis(
            tms_spmm_plan_create(self->context, &problem, &self->image.layout, &added->plan));
    } else {
        added->plan = &added->forced;
        added->forced.context = self->context;
        added->forced.problem = problem;
        added->forced.layout = self->image.layout;
        added->forced.range_count = 1;
        added->forced.ranges[0].last = p->t;
        added->forced.ranges[0].choice.kernel = kernel;
        added->forced.ranges[0].choice.part = self->image.layout.parts[0];
    }
    added->kernel = tms_spmm_plan_kernel(added->plan, p->t);
    added->args = tms_spmm_args_default();
    added->args.t = p->t;
    added->args.image = &self->image;
    added->args.x = p->x;
    added->args.y = p->y;
    added->args.bias = self->bias;
    added->args.residual = self->residual;
}

/* ---- Sets ------------------------------------------------------------------------------------ */

static const int64_t shapes[][3] = {
    /* t, k, n: ViT-H/14, ViT-L, Llama 7B, and square */
    {16384, 1280, 3840}, {16384, 1280, 1280}, {16384, 1280, 5120}, {16384, 5120, 1280},
    {16384, 1024, 4096}, {4096, 4096, 12288}, {4096, 4096, 22016}, {4096, 4096, 4096},
    {4096, 11008, 4096}, {8192, 28672, 8192}, {8192, 8192, 8192},  {2048, 8192, 57344},
    {512, 4096, 12288}};
static const int64_t few_sizes[] = {4096, 8192};
static const int64_t few_tokens[] = {1,  2,   3,   4,   6,   8,   12,  16,   24,   32,   48,  64,
                                     96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 4096};

static void bench_shape(bench *self, const char *versions, int64_t t, int64_t k, int64_t n,
                        bool has_tiles) {
    const tmsi_spmm_table table = tmsi_spmm_table_of(&self->context->gpu);
    const tms_spmm_problem problem =
        problem_of(&(bench_product){.t = t, .k = k, .n = n}, 0, TMS_ACT_NONE);

    open_product(self, t, k, n);
    add_rivals(self);
    if (!has_tiles)
        add_ours(self, "none", 0, TMS_ACT_NONE, NULL);
    for (int32_t i = 0; has_tiles && i < table.count; i++)
        if (table.kernels[i].fits(&problem))
            add_ours(self, "none", 0, TMS_ACT_NONE, &table.kernels[i]);
    measure(self);
    print_rows(self, versions);
    close_product(self);
}

static void bench_few(bench *self, const char *versions, bool has_tiles) {
    for (size_t s = 0; s < sizeof few_sizes / sizeof few_sizes[0]; s++)
        for (size_t t = 0; t < sizeof few_tokens / sizeof few_tokens[0]; t++)
            bench_shape(self, versions, few_tokens[t], few_sizes[s], few_sizes[s], has_tiles);
}

static void bench_fused(bench *self, const char *versions) {
    static const int64_t fused[][3] = {
        {16384, 1280, 3840}, {16384, 1280, 5120}, {4096, 4096, 12288}, {4096, 11008, 4096}};

    for (size_t i = 0; i < sizeof fused / sizeof fused[0]; i++) {
        open_product(self, fused[i][0], fused[i][1], fused[i][2]);
        add_ours(self, "none", 0, TMS_ACT_NONE, NULL);
        add_ours(self, "bias", TMS_EPILOGUE_BIAS, TMS_ACT_NONE, NULL);
        add_ours(self, "bias relu", TMS_EPILOGUE_BIAS, TMS_ACT_RELU, NULL);
        add_ours(self, "bias gelu", TMS_EPILOGUE_BIAS, TMS_ACT_GELU, NULL);
        add_ours(self, "bias residual", TMS_EPILOGUE_BIAS | TMS_EPILOGUE_RESIDUAL, TMS_ACT_NONE,
                 NULL);
        measure(self);
        print_rows(self, versions);
        close_product(self);
    }
}

static double now_us(void) {
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return 1e6 * (double)now.tv_sec + 1e-3 * (double)now.tv_nsec;
}

/* What tms_spmm_plan_run costs the calling thread: batches that the queue holds, the GPU idle
 * before each. */
static void bench_host(bench *self, const char *versions) {
    enum { CALLS = 100 };
    const int rounds = self->options.rounds;
    candidate *ours;
    tmsi_row_frame frame;
    tms_bench_row row;
    char text[2048];

    open_product(self, 64, 1280, 1280);
    add_ours(self, "bias", TMS_EPILOGUE_BIAS, TMS_ACT_NONE, NULL);
    ours = &self->candidates[0];
    loop(self, ours, 30.0);
    for (int round = 0; round < rounds; round++) {
        double first;

        check(cudaDeviceSynchronize());
        first = now_us();
        for (int i = 0; i < CALLS; i++)
            run(ours, self->product.stream);
        ours->us[round] = (now_us() - first) / CALLS;
    }
    check(cudaDeviceSynchronize());
    ours->median = tmsi_median_of(ours->us, rounds);
    tmsi_row_frame_fill(self->context, versions, &frame);
    row = frame.row;
    row.op = "spmm", row.who = "tamis", row.kernel = ours->kernel, row.format = "nm";
    row.pattern = "2:4", row.sparsity = 0.5, row.dtype = "bf16", row.isa = "sm90";
    row.t = self->product.t, row.k = self->product.k, row.n = self->product.n;
    row.epilogue = ours->epilogue, row.state = "host", row.rounds = rounds;
    row.us = ours->median.value, row.us_min = ours->median.low, row.us_max = ours->median.high;
    row.device = tms_context_device_text(self->context);
    tms_bench_row_print(&row, text, sizeof text);
    puts(text);
    close_product(self);
}

static void run_set(bench *self, const char *set, const char *versions) {
    const bool has_tiles = strcmp(set, "tiles") == 0;

    if (strcmp(set, "shapes") == 0 || has_tiles)
        for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
            bench_shape(self, versions, shapes[i][0], shapes[i][1], shapes[i][2], has_tiles);
    if (strcmp(set, "few") == 0 || has_tiles)
        bench_few(self, versions, has_tiles);
    if (strcmp(set, "fused") == 0)
        bench_fused(self, versions);
    if (strcmp(set, "host") == 0)
        bench_host(self, versions);
}

int main(int argc, char **argv) {
    static const char *const standard[] = {"shapes", "few", "fused", "host"};
    static bench self;
    tms_context_desc desc = tms_context_desc_default();
    const char *versions;
    cudaStream_t stream;
    int option;

    self.options.ms = 60.0;
    self.options.rounds = 9;
    while ((option = getopt(argc, argv, "l:s:m:r:")) != -1) {
        if (option == 'l')
            self.options.cublaslt = optarg;
        else if (option == 's')
            self.options.cusparselt = optarg;
        else if (option == 'm')
            self.options.ms = atof(optarg);
        else if (option == 'r')
            self.options.rounds = atoi(optarg);
        else
            return 2;
    }
    if (self.options.ms <= 0.0 || self.options.rounds < 1 || self.options.rounds > ROUNDS_MAX) {
        fprintf(stderr, "bench_gpu: -m takes milliseconds above 0, -r 1 to %d\n", ROUNDS_MAX);
        return 2;
    }
    desc.device = TMS_DEVICE_CUDA;
    if (tms_context_create(&desc, &self.context) != TMS_OK) {
        printf("skipped: %s\n", tms_error_text());
        return 0;
    }
    versions = bench_rivals_load(self.options.cublaslt, self.options.cusparselt);
    check(cudaStreamCreate(&stream));
    self.product.stream = stream;
    self.product.work = device_alloc(BENCH_WORK_BYTES);
    for (int i = optind; i < argc; i++)
        run_set(&self, argv[i], versions);
    for (size_t i = 0; optind == argc && i < sizeof standard / sizeof standard[0]; i++)
        run_set(&self, standard[i], versions);
    check(cudaFree(self.product.work));
    cudaStreamDestroy(stream);
    tms_context_destroy(self.context);
    return 0;
}
