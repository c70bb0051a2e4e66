/* Images built on the GPU: each way into one and back, a device-to-device copy that moves as many
 * bytes, and cuSPARSELt's pruning and compression where it is there.
 *
 * Calls go round COPIES sets of memory, each larger than the L2 cache, so that nothing a call reads
 * is left there by the one before: "cold". Bytes are those that must be read and written. A way
 * that waits for the GPU cannot be captured in a graph, so all are enqueued, in batches. */
#include <stdio.h>
#include <string.h>

#include "base/dtype.h"
#include "bench.h"
#include "fill.h"
#include "measure/rows.h"

enum { COPIES = 3, WAYS_MAX = 8 };

/* One weight in all its forms. */
typedef struct memory_set {
    void *dense, *image, *work;
    tms_matrix dense_matrix, nm_matrix; /* nm's components are on the GPU */
} memory_set;

typedef struct build_bench build_bench;

typedef struct way {
    const char *who, *kernel;
    tms_status (*run)(build_bench *self, memory_set *set);
    int64_t bytes; /* read and written */
    double us[BENCH_ROUNDS_MAX];
} way;

struct build_bench {
    tms_context *context;
    cudaStream_t stream;
    int rounds;
    double ms;
    int64_t n, k;
    tms_dtype dtype;
    tms_layout layout;
    size_t dense_bytes, nm_bytes, image_bytes;
    memory_set sets[COPIES];
    bench_rival *rival;
    way ways[WAYS_MAX];
    int count;
};

/* ---- Ways ------------------------------------------------------------------------------------ */

static tms_image_desc desc_of(const build_bench *self, const memory_set *set,
                              const tms_matrix *matrix) {
    tms_image_desc desc = tms_image_desc_default();

    desc.matrices = matrix;
    desc.count = 1;
    desc.layout = self->layout;
    desc.device = TMS_DEVICE_CUDA;
    desc.stream = self->stream;
    desc.work = set->work;
    return desc;
}

static tms_status run_select(build_bench *self, memory_set *set) {
    tms_image_desc desc = desc_of(self, set, &set->dense_matrix);
    tms_image image;

    desc.intake = TMS_INTAKE_SELECT;
    desc.nan = TMS_NAN_KEEP;
    return tms_image_build(self->context, &desc, set->image, self->image_bytes, &image);
}

/* Of the weight that the image holds, dense again: so the GPU finds nothing wrong. */
static tms_status run_check(build_bench *self, memory_set *set) {
    tms_image_desc desc = desc_of(self, set, &set->dense_matrix);
    tms_image image;

    return tms_image_build(self->context, &desc, set->image, self->image_bytes, &image);
}

static tms_status run_nm(build_bench *self, memory_set *set) {
    tms_image_desc desc = desc_of(self, set, &set->nm_matrix);
    tms_image image;

    desc.intake = TMS_INTAKE_SELECT;
    desc.nan = TMS_NAN_KEEP;
    return tms_image_build(self->context, &desc, set->image, self->image_bytes, &image);
}

static tms_status decode(build_bench *self, memory_set *set, const tms_matrix *to) {
    tms_image_desc desc = desc_of(self, set, to);
    tms_image image = {0};

    image.struct_size = sizeof image;
    image.layout = self->layout;
    image.data = set->image;
    image.bytes = image.part_bytes[0] = self->image_bytes;
    return tms_image_decode(self->context, &image, &desc);
}

static tms_status run_decode(build_bench *self, memory_set *set) {
    return decode(self, set, &set->nm_matrix);
}

/* As many bytes read and written as selecting reads and writes. */
static tms_status run_copy(build_bench *self, memory_set *set) {
    const size_t bytes = (self->dense_bytes + self->image_bytes) / 2;
    const memory_set *next = &self->sets[(set - self->sets + 1) % COPIES];

    bench_check(
        cudaMemcpyAsync(set->dense, next->dense, bytes, cudaMemcpyDeviceToDevice, self->stream));
    return TMS_OK;
}

static tms_status run_cusparselt(build_bench *self, memory_set *set) {
    const memory_set *next = &self->sets[(set - self->sets + 1) % COPIES];

    return bench_cusparselt_build(self->rival, set->dense, next->dense) ? TMS_OK : TMS_ERR_DEVICE;
}

static void add(build_bench *self, const char *who, const char *kernel,
                tms_status (*run)(build_bench *self, memory_set *set), size_t bytes) {
    way *added = &self->ways[self->count++];

    added->who = who;
    added->kernel = kernel;
    added->run = run;
    added->bytes = (int64_t)bytes;
}

/* ---- Measuring ------------------------------------------------------------------------------- */

/* Microseconds a call over at least `ms`. */
static double loop(build_bench *self, const way *who, double ms) {
    cudaEvent_t first, last;
    float elapsed = 0.0f;
    int64_t calls = 0;

    bench_check(cudaEventCreate(&first));
    bench_check(cudaEventCreate(&last));
    bench_check(cudaEventRecord(first, self->stream));
    while (elapsed < (float)ms) {
        for (int i = 0; i < 4 * COPIES; i++, calls++)
            bench_check_tamis(who->run(self, &self->sets[i % COPIES]));
        bench_check(cudaEventRecord(last, self->stream));
        bench_check(cudaEventSynchronize(last));
        bench_check(cudaEventElapsedTime(&elapsed, first, last));
    }
    cudaEventDestroy(first);
    cudaEventDestroy(last);
    return 1e3 * (double)elapsed / (double)calls;
}

static void measure(build_bench *self) {
    for (int i = 0; i < self->count; i++)
        loop(self, &self->ways[i], self->ms);
    for (int round = 0; round < self->rounds; round++)
        for (int i = 0; i < self->count; i++) {
            way *who = &self->ways[(round + i) % self->count];
            who->us[round] = loop(self, who, self->ms);
        }
}

static void print_rows(build_bench *self, const char *versions) {
    tmsi_row_frame frame;

    tmsi_row_frame_fill(self->context, versions, &frame);
    for (int i = 0; i < self->count; i++) {
        const way *who = &self->ways[i];
        const tmsi_median median = tmsi_median_of(self->ways[i].us, self->rounds);
        tms_bench_row row = frame.row;
        char text[2048];

        row.op = "build";
        row.who = who->who;
        row.kernel = who->kernel;
        row.format = "nm";
        row.pattern = "2:4";
        row.dtype = tms_dtype_name(self->dtype);
        row.threads = -1;
        row.k = self->k;
        row.n = self->n;
        row.state = "cold";
        row.us = median.value;
        row.us_min = median.low;
        row.us_max = median.high;
        row.rounds = self->rounds;
        row.bytes = who->bytes;
        row.device = tms_context_device_text(self->context);
        tms_bench_row_print(&row, text, sizeof text);
        puts(text);
    }
    fflush(stdout);
}

/* ---- Memory ---------------------------------------------------------------------------------- */

static tms_layout layout_of(const build_bench *self) {
    tms_layout layout = {0};
    tms_part *part = &layout.parts[0];

    layout.struct_size = sizeof layout;
    layout.n = self->n;
    layout.k = self->k;
    layout.part_count = 1;
    part->id = TMSI_LAYOUT_NM24_MMA;
    part->version = tmsi_layouts[TMSI_LAYOUT_NM24_MMA].version;
    part->format = TMS_FORMAT_NM;
    part->dtype = (int32_t)self->dtype;
    part->keep = 2;
    part->group = 4;
    return layout;
}

static void open_set(build_bench *self, memory_set *set, uint64_t seed) {
    tms_matrix nm = {0};
    tms_image_desc desc;

    set->dense = bench_alloc(self->dense_bytes);
    set->work = bench_alloc(64);
    set->dense_matrix = tms_matrix_dense(self->dtype, self->n, self->k, set->dense);
    nm.struct_size = sizeof nm;
    nm.format = TMS_FORMAT_NM;
    nm.dtype = self->dtype;
    nm.n = self->n;
    nm.k = self->k;
    nm.keep = 2;
    nm.group = 4;
    bench_check_tamis(tmsi_matrix_describe(&nm));
    for (int32_t c = 0; c < nm.component_count; c++)
        nm.components[c].data = bench_alloc(nm.components[c].bytes);
    set->nm_matrix = nm;
    self->nm_bytes = nm.components[0].bytes + nm.components[1].bytes;
    bench_fill(set->dense, self->dtype, self->n * self->k, 0, seed, self->stream);
    desc = desc_of(self, set, &set->dense_matrix);
    bench_check_tamis(tms_image_bytes(self->context, &desc, &self->image_bytes));
    set->image = bench_alloc(self->image_bytes);
    bench_check_tamis(run_select(self, set));
    bench_check_tamis(run_decode(self, set));
}

static void close_set(memory_set *set) {
    bench_check(cudaFree(set->dense));
    bench_check(cudaFree(set->image));
    bench_check(cudaFree(set->work));
    for (int32_t c = 0; c < set->nm_matrix.component_count; c++)
        bench_check(cudaFree(set->nm_matrix.components[c].data));
}

static void open_rival(build_bench *self, bench_product *product) {
    product->t = 256;
    product->type = self->dtype;
    product->k = self->k;
    product->n = self->n;
    product->w = product->w_24 = self->sets[0].dense;
    product->x = bench_alloc((size_t)(256 * self->k) * 2);
    product->y = bench_alloc((size_t)(256 * self->n) * 4);
    product->work = bench_alloc(BENCH_WORK_BYTES);
    product->stream = self->stream;
    self->rival = bench_cusparselt_open(product);
}

static void close_rival(build_bench *self, bench_product *product) {
    if (self->rival != NULL)
        bench_rival_close(self->rival);
    bench_check(cudaFree((void *)(uintptr_t)product->x));
    bench_check(cudaFree(product->y));
    bench_check(cudaFree(product->work));
}

/* Selecting first: its images and their decoded weights are what the other ways begin from.
 * Checking reads weights that hold, so each set's dense form becomes that of its image. */
static void bench_shape(build_bench *self, const char *versions) {
    bench_product product = {0};

    self->count = 0;
    self->layout = layout_of(self);
    self->dense_bytes = (size_t)(self->n * self->k) * tmsi_dtype_bytes(self->dtype);
    for (int i = 0; i < COPIES; i++)
        open_set(self, &self->sets[i], (uint64_t)i + 1);
    if (self->dtype == TMS_BF16)
        open_rival(self, &product);
    add(self, "tamis", "select", run_select, self->dense_bytes + self->image_bytes);
    add(self, "tamis", "nm", run_nm, self->nm_bytes + self->image_bytes);
    add(self, "tamis", "decode", run_decode, self->nm_bytes + self->image_bytes);
    add(self, "cuda", "copy", run_copy, (self->dense_bytes + self->image_bytes) / 2 * 2);
    if (self->rival != NULL)
        add(self, "cusparselt", "prune and compress", run_cusparselt,
            self->dense_bytes + self->image_bytes);
    measure(self);
    print_rows(self, versions);
    self->count = 0;
    for (int i = 0; i < COPIES; i++) {
        bench_check_tamis(run_select(self, &self->sets[i]));
        bench_check_tamis(decode(self, &self->sets[i], &self->sets[i].dense_matrix));
    }
    add(self, "tamis", "check", run_check, self->dense_bytes + self->image_bytes);
    measure(self);
    print_rows(self, versions);
    if (self->dtype == TMS_BF16)
        close_rival(self, &product);
    for (int i = 0; i < COPIES; i++)
        close_set(&self->sets[i]);
}

void bench_build(bench *parent) {
    static const struct {
        int64_t n, k;
        tms_dtype dtype;
    } cases[] = {
        {8192, 8192, TMS_BF16}, {8192, 8192, TMS_E4M3},  {8192, 8192, TMS_I8},
        {8192, 8196, TMS_BF16}, {11008, 4096, TMS_BF16}, /* the first: rows of 8 bytes */
    };
    static build_bench self;

    memset(&self, 0, sizeof self);
    self.context = parent->context;
    self.stream = parent->product.stream;
    self.rounds = parent->options.rounds;
    self.ms = parent->options.ms / 12.0; /* no product, so no heat to wait for */
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        self.n = cases[i].n;
        self.k = cases[i].k;
        self.dtype = cases[i].dtype;
        self.rival = NULL;
        bench_shape(&self, parent->versions);
    }
}
