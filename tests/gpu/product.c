#include "gpu/product.h"

#include <cuda_runtime_api.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/dtype.h"
#include "base/memory.h"
#include "spmm/problem.h"
#include "support/matrices.h"

static void check(cudaError_t error, const char *what) {
    if (error == cudaSuccess)
        return;
    print_message("test_gpu: %s: %s\n", what, cudaGetErrorString(error));
    exit(70);
}

void *gpu_alloc(size_t bytes) {
    void *memory = NULL;

    check(cudaMalloc(&memory, bytes + 256), "cudaMalloc");
    return memory;
}

void gpu_free(void *memory) {
    check(cudaFree(memory), "cudaFree");
}

void gpu_wait(const char *what) {
    check(cudaDeviceSynchronize(), what);
}

static void *host_alloc(size_t bytes) {
    void *memory = malloc(bytes + 1);

    assert_non_null(memory);
    return memory;
}

/* ---- Inputs ---------------------------------------------------------------------------------- */

static int64_t pitch_of(int64_t width, bool is_aligned, uint64_t turn) {
    if (is_aligned)
        return (width + 15) / 16 * 16 + 16 * (int64_t)(turn % 3);
    return width + 1 + width % 2; /* odd for both parities */
}

/* Between rows and behind them x is NaN (-1 in i8): what must not be read would be seen. */
static void make_x(gpu_ground *self, int i) {
    const size_t element = tmsi_dtype_bytes(self->type);
    const test_draw draw = {self->kind, self->type, self->seed + 1};
    size_t bytes;

    self->ldx[i] = pitch_of(self->k, i == 0, self->seed);
    self->x_offset[i] = i == 0 ? 0 : element;
    bytes = self->x_offset[i] + (size_t)(self->t * self->ldx[i]) * element;
    self->x[i] = gpu_alloc(bytes);
    check(cudaMemset(self->x[i], 0xff, bytes + 256), "cudaMemset");
    test_draw_x(draw, (char *)self->x[i] + self->x_offset[i], self->t, self->k, self->ldx[i]);
}

static float *make_floats(test_random *random, int64_t count, bool is_scale,
                          const gpu_ground *ground) {
    const bool is_exact = ground->kind == TEST_INTEGER;
    /* Those of i8 bring sums back to where activations are not straight. */
    const double size = !is_exact && ground->type == TMS_I8 ? 0x1p-7 : 1.0;
    float *values = host_alloc((size_t)count * sizeof *values), *memory;

    for (int64_t i = 0; i < count; i++) {
        const double unit = test_random_unit(random);
        const double whole = (double)test_random_int(random, -2, 2);

        if (is_scale)
            values[i] = (float)(is_exact ? ldexp(1.0, (int)whole / 2) : size * (0.5 + 1.5 * unit));
        else
            values[i] = (float)(is_exact ? whole
                                         : test_size_of(ground->kind == TEST_HUGE ? TEST_RANDOM
                                                                                  : ground->kind,
                                                        TMS_F32) *
                                               (4.0 * unit - 2.0));
    }
    memory = gpu_alloc((size_t)count * sizeof *values);
    check(cudaMemcpy(memory, values, (size_t)count * sizeof *values, cudaMemcpyHostToDevice),
          "cudaMemcpy");
    free(values);
    return memory;
}

/* Sums of whole numbers must be such that the kernel's accumulators hold them. */
static void check_exactness(const gpu_ground *self) {
    const test_truth truth = {.n = self->n,
                              .columns = self->n,
                              .t = self->t,
                              .sum = self->sum,
                              .magnitude = self->magnitude,
                              .nnz = self->nnz,
                              .scale_y = 1.0f,
                              .any_token = -1};
    double value, magnitude;

    test_ground_largest(&truth, &value, &magnitude);
    assert_true(magnitude < (self->type == TMS_E4M3 ? 0x1p13 : 0x1p24));
}

gpu_ground *gpu_ground_make(tms_dtype type, int64_t n, int64_t k, int64_t t, test_kind kind,
                            int pair, uint64_t seed) {
    const size_t w_bytes = (size_t)(n * k) * tmsi_dtype_bytes(type);
    const test_draw draw = {kind, type, seed};
    gpu_ground *self = calloc(1, sizeof *self);
    test_random random;

    assert_non_null(self);
    self->type = type;
    self->kind = kind;
    self->n = n, self->k = k, self->t = t;
    self->seed = seed;
    self->w = gpu_alloc(w_bytes);
    self->w_host = host_alloc(w_bytes);
    test_draw_w(draw, pair, self->w, n, k);
    check(cudaMemcpy(self->w_host, self->w, w_bytes, cudaMemcpyDeviceToHost), "cudaMemcpy");
    for (int i = 0; i < 2; i++)
        make_x(self, i);
    self->sum = gpu_alloc((size_t)(t * n) * sizeof(double));
    self->magnitude = gpu_alloc((size_t)(t * n) * sizeof(double));
    self->nnz = gpu_alloc((size_t)n * sizeof(double));
    test_ground_sum(type, self->x[0], self->ldx[0], t, self->w, n, k, self->sum, self->magnitude,
                    self->nnz);
    test_random_seed(&random, seed);
    self->scale_n = make_floats(&random, n, true, self);
    self->scale_t = make_floats(&random, t, true, self);
    self->bias = make_floats(&random, n, false, self);
    if (kind == TEST_INTEGER)
        check_exactness(self);
    return self;
}

void gpu_ground_free(gpu_ground *self) {
    void *const memory[] = {self->w,   self->x[0],    self->x[1],    self->sum, self->magnitude,
                            self->nnz, self->scale_n, self->scale_t, self->bias};

    for (size_t i = 0; i < TEST_COUNT(memory); i++)
        gpu_free(memory[i]);
    for (int i = 0; i < self->image_count; i++)
        gpu_free(self->images[i].data);
    free(self->w_host);
    free(self);
}

tms_image gpu_image_of(const gpu_ground *self, tms_context *context, const tms_layout *layout,
                       const void *w_host) {
    const tms_matrix weight = tms_matrix_dense(self->type, self->n, self->k, w_host);
    tms_image image = test_image_of(context, layout, &weight);
    void *host = image.data;

    image.data = gpu_alloc(image.bytes);
    check(cudaMemcpy(image.data, host, image.bytes, cudaMemcpyHostToDevice), "cudaMemcpy");
    free(host);
    return image;
}

const tms_image *gpu_ground_image(gpu_ground *self, tms_context *context,
                                  const tms_layout *layout) {
    for (int i = 0; i < self->image_count; i++)
        if (tmsi_layout_equal(&self->images[i].layout, layout))
            return &self->images[i];
    assert_true(self->image_count < (int)TEST_COUNT(self->images));
    self->images[self->image_count] = gpu_image_of(self, context, layout, self->w_host);
    return &self->images[self->image_count++];
}

/* ---- Runs ------------------------------------------------------------------------------------ */

static void grow(void **memory, size_t *there, size_t bytes) {
    if (bytes <= *there && *memory != NULL)
        return;
    if (*memory != NULL)
        gpu_free(*memory);
    *there = bytes + bytes / 2;
    *memory = gpu_alloc(*there);
}

void gpu_room_free(gpu_room *room) {
    void *const memory[] = {room->y, room->residual, room->work, room->absmax_t};

    for (size_t i = 0; i < TEST_COUNT(memory); i++)
        if (memory[i] != NULL)
            gpu_free(memory[i]);
    memset(room, 0, sizeof *room);
}

static int64_t y_rows(const gpu_product *self) {
    return self->truth.is_transposed ? self->truth.columns : self->truth.t;
}

static int64_t y_width(const gpu_product *self) {
    return self->truth.is_transposed ? self->truth.t : self->truth.columns;
}

size_t gpu_product_y_bytes(const gpu_product *self) {
    return (size_t)(y_rows(self) * self->place.ldy) * tmsi_dtype_bytes(self->problem.y_type);
}

static void state_truth(gpu_product *self, int64_t t, uint64_t seed) {
    const gpu_ground *ground = self->ground;
    const tms_spmm_problem *p = &self->problem;
    test_truth *truth = &self->truth;

    truth->n = p->n;
    truth->columns = tmsi_spmm_columns(p);
    truth->t = t;
    truth->sum = ground->sum;
    truth->magnitude = ground->magnitude;
    truth->nnz = ground->nnz;
    truth->scale_n = tmsi_spmm_has(p, TMS_EPILOGUE_SCALE_N) ? ground->scale_n : NULL;
    truth->scale_t = tmsi_spmm_has(p, TMS_EPILOGUE_SCALE_T) ? ground->scale_t : NULL;
    truth->bias = tmsi_spmm_has(p, TMS_EPILOGUE_BIAS) ? ground->bias : NULL;
    truth->is_gated = tmsi_spmm_has(p, TMS_EPILOGUE_GATE);
    truth->has_residual = tmsi_spmm_has(p, TMS_EPILOGUE_RESIDUAL);
    truth->is_exact = ground->kind == TEST_INTEGER;
    truth->is_transposed = p->y_order == TMS_ORDER_NT;
    truth->residual.kind = ground->kind == TEST_INTEGER ? TEST_INTEGER : TEST_RANDOM;
    truth->residual.type = tmsi_spmm_residual_type(p->y_type);
    truth->residual.seed = seed;
    truth->rule.unit = test_accumulator_unit(TMS_DEVICE_CUDA, p->x_type);
    truth->rule.activation = p->activation;
    truth->rule.y_type = p->y_type;
    truth->scale_y = 1.0f;
    truth->any_token = -1;
}

/* Such that most of y is in the type's range, and some of it saturates. */
static void choose_scale_y(gpu_product *self, uint64_t seed) {
    const int shift = (int)(seed >> 20 & 3) - 1;
    double largest = 0.0, magnitude;

    if (!tmsi_spmm_is_scaled(self->problem.y_type) || self->truth.t == 0)
        return;
    test_ground_largest(&self->truth, &largest, &magnitude);
    largest = fmin(fmax(largest, 0x1p-60), 0x1p60);
    self->truth.scale_y =
        ldexpf(self->truth.is_exact ? 1.0f : 1.0f + (float)(seed >> 30 & 1023) / 1024.0f,
               shift + ilogb(largest) - ilogb(test_largest(self->problem.y_type)));
}

static void lay_out(gpu_product *self, uint64_t seed) {
    const size_t element = tmsi_dtype_bytes(self->problem.y_type);
    const bool is_aligned = self->rows == GPU_ROWS_ALIGNED;
    gpu_room *room = self->room;
    test_place *place = &self->place;
    int64_t ldr;

    place->ldy = pitch_of(y_width(self), is_aligned, seed >> 6);
    place->offset = TEST_GPU_MARGIN + (is_aligned ? 0 : (int64_t)element);
    place->bytes = 2 * TEST_GPU_MARGIN + element + gpu_product_y_bytes(self);
    grow((void **)&room->y, &room->y_bytes, place->bytes);
    place->memory = room->y;
    if (tmsi_spmm_has(&self->problem, TMS_EPILOGUE_ABSMAX_T)) {
        grow((void **)&room->absmax_t, &room->absmax_bytes,
             (size_t)(self->truth.t + 1) * sizeof(float));
        place->absmax_t = room->absmax_t;
    }
    if (!self->truth.has_residual)
        return;
    ldr = self->residual_is_y ? place->ldy : place->ldy + (is_aligned ? 16 : 2);
    if (!self->residual_is_y) {
        grow(&room->residual, &room->residual_bytes, (size_t)(y_rows(self) * ldr + 1) * 4);
        test_draw_residual(&self->truth, room->residual, ldr);
    }
    self->args.ldr = ldr;
}

void gpu_product_make(gpu_product *out, gpu_room *room, gpu_ground *ground,
                      const tms_spmm_problem *problem, int64_t t, gpu_rows rows, bool residual_is_y,
                      uint64_t seed) {
    const int x = rows == GPU_ROWS_X_ODD;

    memset(out, 0, sizeof *out);
    out->ground = ground;
    out->problem = *problem;
    out->rows = rows;
    out->room = room;
    out->args = tms_spmm_args_default();
    state_truth(out, t, seed);
    out->residual_is_y =
        residual_is_y && out->truth.has_residual && !tmsi_spmm_is_scaled(problem->y_type);
    choose_scale_y(out, seed);
    lay_out(out, seed);
    out->args.t = t;
    out->args.x = (char *)ground->x[x] + ground->x_offset[x];
    out->args.ldx = ground->ldx[x];
    out->args.y = room->y + out->place.offset;
    out->args.ldy = out->place.ldy;
    out->args.scale_n = out->truth.scale_n;
    out->args.scale_t = out->truth.scale_t;
    out->args.bias = out->truth.bias;
    if (out->truth.has_residual)
        out->args.residual = out->residual_is_y ? out->args.y : room->residual;
    if (tmsi_spmm_is_scaled(problem->y_type))
        out->args.scale_y = out->truth.scale_y;
    if (out->place.absmax_t != NULL)
        out->args.absmax_t = room->absmax_t;
}

void gpu_product_bind(gpu_product *self, const tms_spmm_plan *plan, const tms_image *image) {
    const size_t bytes = tms_spmm_plan_work_bytes(plan);

    if (bytes > 0)
        grow(&self->room->work, &self->room->work_bytes, bytes);
    self->kernel = tms_spmm_plan_kernel(plan, self->truth.t);
    self->args.image = image;
    self->args.work = bytes > 0 ? self->room->work : NULL;
    gpu_product_reset(self);
}

void gpu_product_reset(gpu_product *self) {
    check(cudaMemset(self->room->y, TEST_GPU_MARK, self->place.bytes), "cudaMemset");
    if (self->args.work != NULL)
        check(cudaMemset(self->args.work, 0xff, self->room->work_bytes), "cudaMemset");
    if (self->args.absmax_t != NULL)
        check(cudaMemset(self->args.absmax_t, 0xff, (size_t)self->truth.t * sizeof(float)),
              "cudaMemset");
    if (self->residual_is_y)
        test_draw_residual(&self->truth, self->args.y, self->args.ldy);
}

void gpu_product_print(const gpu_product *self, char text[256]) {
    static const char *const activations[] = {"",      " relu",      " relu2",
                                              " gelu", " gelu-tanh", " silu"};
    static const char *const rows[] = {"aligned", "odd rows of y", "odd rows of x and y"};
    const tms_spmm_problem *p = &self->problem;

    snprintf(text, 256,
             "n %" PRId64 " k %" PRId64 " t %" PRId64
             " split %d, %s y %s%s epilogue 0x%x%s%s, %s, %s",
             p->n, p->k, self->truth.t, self->split, tms_dtype_name(p->x_type),
             tms_dtype_name(p->y_type), self->truth.is_transposed ? " transposed" : "", p->epilogue,
             activations[p->activation], self->residual_is_y ? " in place" : "", rows[self->rows],
             test_kind_name(self->ground->kind));
}

bool gpu_product_is_right(const gpu_product *self, char message[512]) {
    static const char *const whats[] = {"", "y", "absmax_t", "a byte outside y",
                                        "the exact test's own value"};
    test_finding found;
    char name[256];

    test_ground_compare(&self->truth, &self->place, &found);
    if (found.fault == TEST_FAULT_NONE)
        return true;
    gpu_product_print(self, name);
    snprintf(message, 512,
             "%s: %s[%" PRId64 ",%" PRId64 "] is %.9g, but should be %.9g +- %.3g (%" PRId64
             " wrong)",
             name, whats[found.fault], found.token, found.column, found.got, found.value,
             found.bound, found.count);
    return false;
}
