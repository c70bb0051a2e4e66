/* Products: layers of transformers, few tokens, fused epilogues. */
#include <string.h>

#include "bench.h"

static const int64_t shapes[][3] = {
    /* t, k, n: ViT-H/14, ViT-L, Llama 7B, and square */
    {16384, 1280, 3840}, {16384, 1280, 1280}, {16384, 1280, 5120}, {16384, 5120, 1280},
    {16384, 1024, 4096}, {4096, 4096, 12288}, {4096, 4096, 22016}, {4096, 4096, 4096},
    {4096, 11008, 4096}, {8192, 28672, 8192}, {8192, 8192, 8192},  {2048, 8192, 57344},
    {512, 4096, 12288}};
static const int64_t few_sizes[] = {4096, 8192};
static const int64_t few_tokens[] = {1,  2,   3,   4,   6,   8,   12,  16,   24,   32,   48,  64,
                                     96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 4096};

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* Who takes part beside the rivals. */
typedef enum entrants {
    CHOSEN,     /* the plan that the library chooses */
    DENSE_KEPT, /* that one, and the one that it chooses with the dense weight kept */
    TILES       /* every kernel that fits */
} entrants;

static bool is_asked(const bench_options *options, const char *kernel) {
    for (int i = 0; i < options->kernel_count; i++)
        if (strstr(kernel, options->kernels[i]) != NULL)
            return true;
    return options->kernel_count == 0;
}

static void bench_shape(bench *self, tms_dtype type, int64_t t, int64_t k, int64_t n,
                        entrants who) {
    const tmsi_spmm_table table = tmsi_spmm_table_of(&self->context->gpu);
    tms_spmm_problem problem;

    bench_product_open(self, type, t, k, n);
    problem = bench_problem(&self->product, type == TMS_F16 ? TMS_F16 : TMS_BF16, 0, TMS_ACT_NONE);
    bench_add_rivals(self);
    if (who != TILES)
        bench_add_ours(self, "none", &problem, NULL);
    if (who == DENSE_KEPT)
        bench_add_dense_kept(self, &problem);
    for (int32_t i = 0; who == TILES && i < table.count; i++)
        if (table.kernels[i].fits(&problem) && is_asked(&self->options, table.kernels[i].name))
            bench_add_ours(self, "none", &problem, &table.kernels[i]);
    bench_measure(self);
    bench_print_rows(self, "sustained");
    bench_product_close(self);
}

static void walk_shapes(bench *self, entrants who) {
    const bench_options *options = &self->options;
    const bool is_given = options->product_count > 0;
    const int count = is_given ? options->product_count : (int)COUNT(shapes);

    for (int type = 0; type < options->type_count; type++)
        for (int i = 0; i < count; i++) {
            const int64_t *size = is_given ? options->products[i] : shapes[i];

            bench_shape(self, options->types[type], size[0], size[1], size[2], who);
        }
}

static void walk_few(bench *self, entrants who) {
    for (int type = 0; type < self->options.type_count; type++)
        for (size_t s = 0; s < COUNT(few_sizes); s++)
            for (size_t t = 0; t < COUNT(few_tokens); t++)
                bench_shape(self, self->options.types[type], few_tokens[t], few_sizes[s],
                            few_sizes[s], who);
}

void bench_shapes(bench *self) {
    walk_shapes(self, CHOSEN);
}

void bench_few(bench *self) {
    walk_few(self, DENSE_KEPT);
}

void bench_tiles(bench *self) {
    walk_shapes(self, TILES);
    if (self->options.product_count == 0)
        walk_few(self, TILES);
}

/* ---- Fused ----------------------------------------------------------------------------------- */

typedef struct fused_row {
    const char *name;
    uint32_t epilogue;
    tms_activation activation;
    tms_dtype y_type; /* F64: the plain product's */
    tms_order y_order;
} fused_row;

static const fused_row fused_rows[] = {
    {"none", 0, TMS_ACT_NONE, TMS_F64, TMS_ORDER_TN},
    {"bias", TMS_EPILOGUE_BIAS, TMS_ACT_NONE, TMS_F64, TMS_ORDER_TN},
    {"bias relu", TMS_EPILOGUE_BIAS, TMS_ACT_RELU, TMS_F64, TMS_ORDER_TN},
    {"bias gelu", TMS_EPILOGUE_BIAS, TMS_ACT_GELU, TMS_F64, TMS_ORDER_TN},
    {"residual", TMS_EPILOGUE_RESIDUAL, TMS_ACT_NONE, TMS_F64, TMS_ORDER_TN},
    {"gate silu", TMS_EPILOGUE_GATE, TMS_ACT_SILU, TMS_F64, TMS_ORDER_TN},
    {"transposed", 0, TMS_ACT_NONE, TMS_F64, TMS_ORDER_NT},
    {"y i8", 0, TMS_ACT_NONE, TMS_I8, TMS_ORDER_TN},
    {"y e4m3", 0, TMS_ACT_NONE, TMS_E4M3, TMS_ORDER_TN},
    {"y i8 absmax", TMS_EPILOGUE_ABSMAX_T, TMS_ACT_NONE, TMS_I8, TMS_ORDER_TN},
};

/* As many bytes as a residual, by the GPU's own copy: what reading it costs at least. */
static bool copy_residual(void *data, void *stream) {
    const bench_product *p = &((const bench *)data)->product;

    return cudaMemcpyAsync(p->y, p->residual, (size_t)(p->t * p->n) * 2, cudaMemcpyDeviceToDevice,
                           stream) == cudaSuccess;
}

static void fuse(bench *self, tms_dtype type) {
    for (size_t i = 0; i < COUNT(fused_rows); i++) {
        const fused_row *row = &fused_rows[i];
        const tms_dtype plain = type == TMS_F16 ? TMS_F16 : TMS_BF16;
        tms_spmm_problem problem =
            bench_problem(&self->product, row->y_type == TMS_F64 ? plain : row->y_type,
                          row->epilogue, row->activation);
        bench_candidate *added;

        problem.y_order = row->y_order;
        added = bench_add_ours(self, row->name, &problem, NULL);
        if (added != NULL && (row->epilogue & TMS_EPILOGUE_ABSMAX_T) != 0)
            added->args.absmax_t = self->scale_n; /* of max(t, n) floats */
    }
}

void bench_fused_set(bench *self) {
    static const int64_t fused[][3] = {
        {16384, 1280, 3840}, {16384, 1280, 5120}, {4096, 4096, 12288}, {4096, 11008, 4096}};

    for (int type = 0; type < self->options.type_count; type++)
        for (size_t i = 0; i < COUNT(fused); i++) {
            bench_candidate *copy;

            bench_product_open(self, self->options.types[type], fused[i][0], fused[i][1],
                               fused[i][2]);
            fuse(self, self->options.types[type]);
            bench_measure(self);
            bench_print_rows(self, "sustained");
            bench_candidates_close(self);
            /* By itself: the GPU cools down in it, which would be its successor's gain. */
            copy = bench_add(self, "cuda", "copy of 2 t n bytes", TMS_BF16);
            copy->op = "copy";
            copy->steps = copy_residual;
            copy->data = self;
            bench_measure(self);
            bench_print_rows(self, "sustained");
            bench_product_close(self);
        }
}
