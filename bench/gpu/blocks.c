/* The linear layers of a transformer's block, one after the other as one CUDA graph: ours, cuBLASLt
 * and cuSPARSELt, each with all that its epilogue can fuse and our pass for the rest. Attention and
 * norms are no part of it: they cost all three alike. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "fill.h"

typedef enum buffer { X, QKV, ATTENDED, MIDDLE_IN, WIDE, MIDDLE, OUT, BUFFER_COUNT } buffer;

typedef struct layer {
    int64_t k, n;
    buffer from, to, residual; /* residual: BUFFER_COUNT: none */
    bool has_bias;
    tms_activation activation; /* silu: gated, n halves */
} layer;

enum { LAYERS = 4 };

typedef struct block {
    const char *name;
    int64_t t;
    layer layers[LAYERS];
} block;

static const block blocks[] = {
    {"ViT-H/14",
     16384,
     {{1280, 3840, X, QKV, BUFFER_COUNT, true, TMS_ACT_NONE},
      {1280, 1280, ATTENDED, MIDDLE_IN, X, true, TMS_ACT_NONE},
      {1280, 5120, MIDDLE_IN, MIDDLE, BUFFER_COUNT, true, TMS_ACT_GELU},
      {5120, 1280, MIDDLE, OUT, MIDDLE_IN, true, TMS_ACT_NONE}}},
    {"Llama 7B",
     4096,
     {{4096, 12288, X, QKV, BUFFER_COUNT, false, TMS_ACT_NONE},
      {4096, 4096, ATTENDED, MIDDLE_IN, X, false, TMS_ACT_NONE},
      {4096, 22016, MIDDLE_IN, MIDDLE, BUFFER_COUNT, false, TMS_ACT_SILU},
      {11008, 4096, MIDDLE, OUT, MIDDLE_IN, false, TMS_ACT_NONE}}},
};

/* A layer as one of the three runs it. */
typedef struct step {
    bench_rival *rival;
    tms_spmm_plan *plan;
    tms_spmm_args args;
    tms_image image;
    const layer *layer;
    bool has_gelu_pass, has_silu_pass;
    void *wide, *to; /* of the silu pass: its input and output; of gelu's: to */
} step;

typedef struct running_block {
    bench *bench;
    const block *block;
    void *buffers[BUFFER_COUNT];
    void *w[LAYERS], *w_24[LAYERS], *bias[LAYERS];
    float *bias_f32[LAYERS];
    step ours[LAYERS], dense[LAYERS], sparse[LAYERS];
} running_block;

static bool run_steps(void *data, void *stream) {
    const step *steps = data;
    bool is_good = true;

    for (int i = 0; i < LAYERS && is_good; i++) {
        const step *s = &steps[i];

        is_good = s->rival != NULL ? bench_rival_run(s->rival)
                                   : tms_spmm_plan_run(s->plan, &s->args, stream) == TMS_OK;
        if (s->has_gelu_pass)
            bench_gelu(s->to, s->args.t * s->layer->n, stream);
        if (s->has_silu_pass)
            bench_silu_gate(s->wide, s->to, s->args.t, s->layer->n / 2, stream);
    }
    return is_good;
}

static bench_product product_of(const running_block *self, int i) {
    const layer *l = &self->block->layers[i];
    bench_product p = self->bench->product;

    p.t = self->block->t, p.k = l->k, p.n = l->n;
    p.type = TMS_BF16;
    p.w = self->w[i], p.w_24 = self->w_24[i];
    p.x = self->buffers[l->from];
    p.y = self->buffers[l->activation == TMS_ACT_SILU ? WIDE : l->to];
    p.bias = self->bias[i];
    p.residual = l->residual != BUFFER_COUNT ? self->buffers[l->residual] : NULL;
    p.fused = BENCH_PLAIN;
    if (l->activation == TMS_ACT_GELU)
        p.fused = BENCH_BIAS_GELU;
    else if (p.residual != NULL)
        p.fused = l->has_bias ? BENCH_BIAS_RESIDUAL : BENCH_RESIDUAL;
    else if (l->has_bias)
        p.fused = BENCH_BIAS;
    return p;
}

/* With all that the rival fuses; gelu by a pass where it cannot. */
static bool open_rival(const running_block *self, int i,
                       bench_rival *(*open)(const bench_product *), step *out) {
    const layer *l = &self->block->layers[i];
    bench_product p = product_of(self, i);

    out->layer = l;
    out->args.t = p.t;
    out->wide = self->buffers[WIDE];
    out->to = self->buffers[l->to];
    out->has_silu_pass = l->activation == TMS_ACT_SILU;
    out->rival = open(&p);
    if (out->rival == NULL && p.fused == BENCH_BIAS_GELU) {
        p.fused = BENCH_BIAS;
        out->rival = open(&p);
        out->has_gelu_pass = true;
    }
    return out->rival != NULL;
}

static bool open_ours(running_block *self, int i, step *out) {
    const layer *l = &self->block->layers[i];
    const bench_product p = product_of(self, i);
    tms_spmm_problem problem = bench_problem(&p, TMS_BF16, 0, l->activation);

    if (l->has_bias)
        problem.epilogue |= TMS_EPILOGUE_BIAS;
    if (p.residual != NULL)
        problem.epilogue |= TMS_EPILOGUE_RESIDUAL;
    if (l->activation == TMS_ACT_SILU)
        problem.epilogue |= TMS_EPILOGUE_GATE;
    out->layer = l;
    out->image = bench_image_build(self->bench, &problem, self->w_24[i], false);
    if (out->image.data == NULL || tms_spmm_plan_create(self->bench->context, &problem,
                                                        &out->image.layout, &out->plan) != TMS_OK) {
        fprintf(stderr, "bench_gpu: %s\n", tms_error_text());
        return false;
    }
    out->args = tms_spmm_args_default();
    out->args.t = p.t;
    out->args.image = &out->image;
    out->args.x = p.x;
    out->args.y = self->buffers[l->to];
    out->args.bias = self->bias_f32[i];
    out->args.residual = p.residual;
    out->args.work = bench_work_of(self->bench, out->plan);
    return true;
}

static void fill_block(running_block *self) {
    const int64_t t = self->block->t;
    int64_t widest = 0;

    for (int i = 0; i < LAYERS; i++) {
        const layer *l = &self->block->layers[i];
        const size_t bytes = (size_t)(l->n * l->k) * 2;

        widest = l->n > widest ? l->n : widest;
        widest = l->k > widest ? l->k : widest;
        self->w[i] = bench_alloc(bytes);
        self->w_24[i] = bench_alloc(bytes);
        self->bias[i] = bench_alloc((size_t)l->n * 2);
        self->bias_f32[i] = bench_alloc((size_t)l->n * 4);
        bench_fill(self->w[i], TMS_BF16, l->n * l->k, 0, (uint64_t)i, NULL);
        bench_fill(self->w_24[i], TMS_BF16, l->n * l->k, 1, (uint64_t)i, NULL);
        bench_fill(self->bias[i], TMS_BF16, l->n, 0, 7, NULL);
        bench_fill_f32(self->bias_f32[i], l->n, 7, NULL);
    }
    for (int b = 0; b < BUFFER_COUNT; b++) {
        self->buffers[b] = bench_alloc((size_t)(t * widest) * 2);
        bench_fill(self->buffers[b], TMS_BF16, t * widest, 0, (uint64_t)(100 + b), NULL);
    }
    bench_check(cudaDeviceSynchronize());
}

static void close_steps(step *steps) {
    for (int i = 0; i < LAYERS; i++) {
        bench_rival_close(steps[i].rival);
        tms_spmm_plan_destroy(steps[i].plan);
        if (steps[i].image.data != NULL)
            bench_check(cudaFree(steps[i].image.data));
    }
}

static void close_block(running_block *self) {
    bench_candidates_close(self->bench);
    close_steps(self->ours);
    close_steps(self->dense);
    close_steps(self->sparse);
    for (int i = 0; i < LAYERS; i++) {
        bench_check(cudaFree(self->w[i]));
        bench_check(cudaFree(self->w_24[i]));
        bench_check(cudaFree(self->bias[i]));
        bench_check(cudaFree(self->bias_f32[i]));
    }
    for (int b = 0; b < BUFFER_COUNT; b++)
        bench_check(cudaFree(self->buffers[b]));
}

static void add_steps(running_block *self, const char *who, step *steps, bool is_good) {
    bench_candidate *added;

    if (!is_good)
        return;
    added = bench_add(self->bench, who, "block", TMS_BF16);
    added->type = TMS_BF16;
    added->op = "block";
    added->label = self->block->name;
    added->steps = run_steps;
    added->data = steps;
}

void bench_blocks(bench *self) {
    for (size_t b = 0; b < sizeof blocks / sizeof blocks[0]; b++) {
        running_block running;
        bool ours = true, dense = true, sparse = true;

        memset(&running, 0, sizeof running);
        running.bench = self;
        running.block = &blocks[b];
        fill_block(&running);
        for (int i = 0; i < LAYERS; i++) {
            ours = ours && open_ours(&running, i, &running.ours[i]);
            dense = dense && open_rival(&running, i, bench_cublaslt_open, &running.dense[i]);
            sparse = sparse && open_rival(&running, i, bench_cusparselt_open, &running.sparse[i]);
        }
        self->product.t = blocks[b].t;
        self->product.k = blocks[b].layers[0].k;
        self->product.n = blocks[b].layers[2].n;
        self->product.type = TMS_BF16;
        memset(&self->image, 0, sizeof self->image);
        for (int i = 0; i < LAYERS; i++)
            self->image.bytes += running.ours[i].image.bytes;
        add_steps(&running, "cublaslt", running.dense, dense);
        add_steps(&running, "cusparselt", running.sparse, sparse);
        add_steps(&running, "tamis", running.ours, ours);
        bench_measure(self);
        bench_print_rows(self, "sustained");
        close_block(&running);
    }
}
