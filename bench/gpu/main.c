/* 2:4 products on GPU 0 beside cuBLASLt (dense) and cuSPARSELt (2:4): rows of JSON.
 *
 *     bench_gpu [-l CUBLASLT.so] [-s CUSPARSELT.so] [-m MS] [-r ROUNDS] [-d TYPE] [-p T,K,N]
 *               [-k KERNEL] [SET ...]
 *
 * Sets: shapes (layers of transformers), few (T = 1 .. 4096), fused (epilogues against the plain
 * product), blocks (a transformer's linear layers as one graph), host (what a call costs the CPU),
 * build (images built on the GPU beside a copy), tiles (shapes and few with every kernel: what the
 * cost model is fitted to). Without one: all but tiles. -m: milliseconds of a turn (a
 * set's own: 250 for shapes and blocks); -r: rounds (9); -d: bf16, f16, e4m3 or i8, and may be
 * given several times (without: all four for shapes, bf16 for few and fused); -p: products in the
 * place of those of shapes and tiles, -k: of the kernels in tiles those whose names have this in
 * them, 16 of each at most. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"

static const tms_dtype every_type[] = {TMS_BF16, TMS_F16, TMS_E4M3, TMS_I8};

static const struct {
    const char *name;
    void (*run)(bench *self);
    bool is_standard; /* run where no set is named */
    bool has_types;   /* all four, where none is named; else bf16 */
    double ms;        /* of a turn, unless -m says another: the power cap follows some 100 ms */
} sets[] = {
    {"shapes", bench_shapes, true, true, 250.0},   {"few", bench_few, true, false, 40.0},
    {"fused", bench_fused_set, true, false, 60.0}, {"blocks", bench_blocks, true, false, 250.0},
    {"host", bench_host, true, false, 20.0},       {"build", bench_build, true, false, 30.0},
    {"tiles", bench_tiles, false, false, 60.0},
};
enum { SET_COUNT = sizeof sets / sizeof sets[0] };

typedef struct request {
    const char *cublaslt, *cusparselt;
    double ms; /* 0: each set's own */
    tms_dtype types[4];
    int type_count;
} request;

static void add_type(request *self, const char *name) {
    for (int i = 0; i < 4 && self->type_count < 4; i++)
        if (strcmp(tms_dtype_name(every_type[i]), name) == 0) {
            self->types[self->type_count++] = every_type[i];
            return;
        }
    fprintf(stderr, "bench_gpu: -d is %s, but types are bf16, f16, e4m3 and i8\n", name);
    exit(2);
}

static void add_product(bench_options *options, const char *text) {
    long long t, k, n;
    int length = 0;

    if (sscanf(text, "%lld,%lld,%lld%n", &t, &k, &n, &length) != 3 || text[length] != '\0' ||
        t < 1 || k < 4 || k % 4 != 0 || n < 1) {
        fprintf(stderr, "bench_gpu: -p is %s, but takes T,K,N, all above 0, K a multiple of 4\n",
                text);
        exit(2);
    }
    if (options->product_count == BENCH_ASKED_MAX) {
        fprintf(stderr, "bench_gpu: -p is given more than %d times\n", BENCH_ASKED_MAX);
        exit(2);
    }
    options->products[options->product_count][0] = t;
    options->products[options->product_count][1] = k;
    options->products[options->product_count++][2] = n;
}

static void add_kernel(bench_options *options, const char *name) {
    if (options->kernel_count == BENCH_ASKED_MAX) {
        fprintf(stderr, "bench_gpu: -k is given more than %d times\n", BENCH_ASKED_MAX);
        exit(2);
    }
    options->kernels[options->kernel_count++] = name;
}

static void read_options(int argc, char **argv, bench_options *options, request *out) {
    int option;

    options->rounds = 9;
    while ((option = getopt(argc, argv, "l:s:m:r:d:p:k:")) != -1) {
        if (option == 'l')
            out->cublaslt = optarg;
        else if (option == 's')
            out->cusparselt = optarg;
        else if (option == 'm')
            out->ms = atof(optarg) > 0.0 ? atof(optarg) : -1.0;
        else if (option == 'r')
            options->rounds = atoi(optarg);
        else if (option == 'd')
            add_type(out, optarg);
        else if (option == 'p')
            add_product(options, optarg);
        else if (option == 'k')
            add_kernel(options, optarg);
        else
            exit(2);
    }
    if (out->ms < 0.0 || options->rounds < 1 || options->rounds > BENCH_ROUNDS_MAX) {
        fprintf(stderr, "bench_gpu: -m takes milliseconds above 0, -r 1 to %d\n", BENCH_ROUNDS_MAX);
        exit(2);
    }
}

static bool is_named(int count, char **names, const char *set) {
    for (int i = 0; i < count; i++)
        if (strcmp(names[i], set) == 0)
            return true;
    return false;
}

/* A name that is no set, or a product or kernel that no named set would look at, was meant to do
 * something. */
static void check_sets(int count, char **names, const bench_options *options) {
    const bool has_tiles = is_named(count, names, "tiles");
    const bool has_shapes = has_tiles || count == 0 || is_named(count, names, "shapes");

    for (int a = 0; a < count; a++) {
        bool is_known = false;

        for (int i = 0; i < SET_COUNT; i++)
            is_known = is_known || strcmp(names[a], sets[i].name) == 0;
        if (!is_known) {
            fprintf(stderr, "bench_gpu: %s is no set: they are", names[a]);
            for (int i = 0; i < SET_COUNT; i++)
                fprintf(stderr, " %s", sets[i].name);
            fprintf(stderr, "\n");
            exit(2);
        }
    }
    if ((options->product_count > 0 && !has_shapes) || (options->kernel_count > 0 && !has_tiles)) {
        fprintf(stderr, "bench_gpu: -p is for the sets shapes and tiles, -k for tiles\n");
        exit(2);
    }
}

static void run_set(bench *self, int i, const request *asked) {
    self->options.types = asked->type_count > 0 ? asked->types : every_type;
    self->options.type_count = asked->type_count > 0 ? asked->type_count
                               : sets[i].has_types   ? 4
                                                     : 1;
    self->options.ms = asked->ms > 0.0 ? asked->ms : sets[i].ms;
    sets[i].run(self);
}

int main(int argc, char **argv) {
    static bench self;
    tms_context_desc desc = tms_context_desc_default();
    request asked = {0};
    cudaStream_t stream;

    read_options(argc, argv, &self.options, &asked);
    check_sets(argc - optind, argv + optind, &self.options);
    desc.device = TMS_DEVICE_CUDA;
    if (tms_context_create(&desc, &self.context) != TMS_OK) {
        printf("skipped: %s\n", tms_error_text());
        return 0;
    }
    self.versions = bench_rivals_load(asked.cublaslt, asked.cusparselt);
    bench_check(cudaStreamCreate(&stream));
    self.product.stream = stream;
    self.product.work = bench_alloc(BENCH_WORK_BYTES);
    bench_stamps_open(&self);
    for (int i = 0; i < SET_COUNT; i++)
        if (optind == argc && sets[i].is_standard)
            run_set(&self, i, &asked);
    for (int a = optind; a < argc; a++)
        for (int i = 0; i < SET_COUNT; i++)
            if (strcmp(argv[a], sets[i].name) == 0)
                run_set(&self, i, &asked);
    bench_check(cudaFree(self.product.work));
    bench_check(cudaFree(self.stamps));
    cudaStreamDestroy(stream);
    tms_context_destroy(self.context);
    return 0;
}
