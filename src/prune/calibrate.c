/* The calibrated job, block by block. Statistics are the sums of squares of each input feature, in
 * double, token after token; the error is that of the layer's output on the very same inputs,
 * ||X D^T|| / ||X W^T|| with D = W - W', by the network's own product in f32, its squares summed in
 * double. Memory: two f32 copies of the chosen weights of one block, and one batch of outputs. */
#include "prune/calibrate.h"

#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/dtype.h"
#include "base/memory.h"
#include "base/rows.h"
#include "base/threads.h"

/* A chosen layer of the block at hand. */
typedef struct layer {
    const char *name;  /* NULL: stays dense */
    tms_matrix dense;  /* the store's */
    double *squares;   /* [k]: sum over tokens of x_j^2 */
    float *norms;      /* [k]: their roots */
    float *weights;    /* [n, k]: W */
    float *difference; /* [n, k]: W - W' */
    double error_squares, output_squares;
    tmsi_prune_result result;
} layer;

typedef struct job {
    tms_context *context;
    const tmsi_network *network;
    const tmsi_prune_settings *settings;
    const tmsi_layer_store *store;
    tms_progress progress;
    void *progress_user;
    int64_t steps; /* done */
    layer *layers; /* of this block */
    int64_t layer_count;
    float *outputs; /* [t, n] of the batch at hand */
    int64_t output_capacity;
    double *row_squares; /* [t] */
    int64_t row_capacity;
    tms_status status; /* what went wrong while watching */
} job;

enum { STEPS_A_BLOCK = 3, COLUMNS_A_TASK = 256 };

static tms_status step(job *j, const char *name) {
    int64_t total = STEPS_A_BLOCK * j->network->block_count;

    if (j->progress != NULL && j->progress(j->progress_user, name, j->steps, total) != 0)
        return tmsi_fail(TMS_ERR_CANCELLED, "stopped by the caller before %s, step %lld of %lld",
                         name, (long long)j->steps + 1, (long long)total);
    j->steps++;
    return TMS_OK;
}

typedef struct squaring {
    const float *x;
    int64_t t, k;
    double *squares;
} squaring;

static void square_columns(void *arg, int64_t task) {
    const squaring *s = arg;
    int64_t begin = task * COLUMNS_A_TASK, end = tmsi_min(s->k, begin + COLUMNS_A_TASK);

    for (int64_t row = 0; row < s->t; row++)
        for (int64_t column = begin; column < end; column++) {
            double x = (double)s->x[row * s->k + column];
            s->squares[column] += x * x;
        }
}

static void square_row(const void *arg, int64_t row) {
    const squaring *s = arg;
    double sum = 0.0;

    for (int64_t column = 0; column < s->k; column++) {
        double x = (double)s->x[row * s->k + column];
        sum += x * x;
    }
    s->squares[row] = sum;
}

/* The layer that is being watched, or NULL where there is nothing to do. */
static layer *watched_layer(job *j, int64_t index, int64_t k) {
    layer *l = &j->layers[index];

    TMS_ASSERT(index >= 0 && index < j->layer_count);
    if (j->status != TMS_OK || l->name == NULL)
        return NULL;
    if (k == l->dense.k)
        return l;
    j->status = tmsi_fail(TMS_ERR_INVALID,
                          "layer %s gets %lld input features, but its weight is %lld x %lld",
                          l->name, (long long)k, (long long)l->dense.n, (long long)l->dense.k);
    return NULL;
}

static void watch_inputs(void *user, int64_t index, const float *x, int64_t t, int64_t k) {
    job *j = user;
    layer *l = watched_layer(j, index, k);
    double start = tmsi_clock_us();
    squaring s = {x, t, k, NULL};

    if (l == NULL)
        return;
    s.squares = l->squares;
    tmsi_parallel_for(j->context, tmsi_div_up(k, COLUMNS_A_TASK), square_columns, &s);
    l->result.seconds += (tmsi_clock_us() - start) * 1e-6;
}

/* *sum += ||x w^T||^2. */
static tms_status add_output_squares(job *j, const float *x, const float *w, int64_t t, int64_t k,
                                     int64_t n, double *sum) {
    squaring s = {j->outputs, t, n, j->row_squares};
    tms_status status = j->network->product(j->network->self, x, w, j->outputs, t, k, n);

    if (status != TMS_OK)
        return status;
    tmsi_rows_each(j->context, t, n, square_row, &s);
    for (int64_t row = 0; row < t; row++)
        *sum += j->row_squares[row];
    return TMS_OK;
}

static tms_status measure_error(job *j, layer *l, const float *x, int64_t t, int64_t k) {
    int64_t n = l->dense.n;
    tms_status status = TMS_OK;

    TMS_TRY(tmsi_grow(j->context, &j->outputs, &j->output_capacity, t * n, sizeof *j->outputs));
    TMS_TRY(tmsi_grow(j->context, &j->row_squares, &j->row_capacity, t, sizeof *j->row_squares));
    TMS_TRY(add_output_squares(j, x, l->weights, t, k, n, &l->output_squares));
    TMS_TRY(add_output_squares(j, x, l->difference, t, k, n, &l->error_squares));
done:
    return status;
}

static void watch_errors(void *user, int64_t index, const float *x, int64_t t, int64_t k) {
    job *j = user;
    layer *l = watched_layer(j, index, k);
    double start = tmsi_clock_us();

    if (l == NULL)
        return;
    j->status = measure_error(j, l, x, t, k);
    l->result.seconds += (tmsi_clock_us() - start) * 1e-6;
}

static tms_status run_watched(job *j, int64_t block, tmsi_observe observe) {
    tms_status status = j->network->run(j->network->self, block, false, observe, j);
    return status != TMS_OK ? status : j->status;
}

static tms_status find_norms(layer *l) {
    for (int64_t column = 0; column < l->dense.k; column++) {
        l->norms[column] = (float)sqrt(l->squares[column]);
        if (!isfinite(l->norms[column]))
            return tmsi_fail(TMS_ERR_VALUE,
                             "the inputs of layer %s are not finite: the norm of feature %lld is "
                             "%g",
                             l->name, (long long)column, (double)l->norms[column]);
    }
    return TMS_OK;
}

static tms_status prune_layer(job *j, layer *l) {
    int64_t elements = l->dense.n * l->dense.k;
    const void *values = l->dense.components[0].data;
    bool is_weighted = tmsi_methods[j->settings->method].needs_calibration;
    tmsi_prune_result result = {0};
    double watching = l->result.seconds;
    tms_status status = TMS_OK;

    TMS_TRY(find_norms(l));
    tmsi_widen_f32(values, l->dense.dtype, elements, l->weights);
    status = tmsi_prune_matrix(j->context, j->settings, is_weighted ? l->norms : NULL, &l->dense,
                               &result);
    if (status != TMS_OK)
        return tmsi_fail_in(status, "layer %s", l->name);
    tmsi_widen_f32(values, l->dense.dtype, elements, l->difference);
    for (int64_t i = 0; i < elements; i++)
        l->difference[i] = l->weights[i] - l->difference[i];
    l->result = result;
    l->result.seconds += watching;
done:
    return status;
}

/* Gives the layer its pruned weights, in the network and in the store. */
static tms_status finish_layer(job *j, int64_t block, int64_t index) {
    layer *l = &j->layers[index];
    int64_t elements = l->dense.n * l->dense.k;
    tms_status status = TMS_OK;

    l->result.error = l->output_squares > 0.0 ? sqrt(l->error_squares / l->output_squares) : 0.0;
    for (int64_t i = 0; i < elements; i++) /* exact: the difference is 0 or the weight itself */
        l->weights[i] -= l->difference[i];
    TMS_TRY(j->network->replace(j->network->self, block, index, l->weights));
    TMS_TRY(j->store->close(j->store->self, l->name, &l->dense, &l->result));
done:
    return status;
}

/* Opens the chosen layers of a block; *out_name is that of the first, or NULL. */
static tms_status open_block(job *j, int64_t block, const char **out_name) {
    const tmsi_network *network = j->network;
    tms_status status = TMS_OK;

    *out_name = NULL;
    j->layer_count = network->layer_count(network->self, block);
    TMS_TRY(tmsi_alloc(j->context, (size_t)j->layer_count, sizeof *j->layers, &j->layers));
    for (int64_t i = 0; i < j->layer_count; i++) {
        layer *l = &j->layers[i];
        const char *name = network->layer_name(network->self, block, i);
        size_t k, n;

        TMS_TRY(j->store->open(j->store->self, name, &l->dense));
        if (l->dense.component_count == 0)
            continue;
        n = (size_t)l->dense.n;
        k = (size_t)l->dense.k;
        TMS_TRY(tmsi_alloc(j->context, k, sizeof *l->squares, &l->squares));
        TMS_TRY(tmsi_alloc(j->context, k, sizeof *l->norms, &l->norms));
        TMS_TRY(tmsi_alloc(j->context, n * k, sizeof *l->weights, &l->weights));
        TMS_TRY(tmsi_alloc(j->context, n * k, sizeof *l->difference, &l->difference));
        l->name = name;
        if (*out_name == NULL)
            *out_name = name;
    }
done:
    return status;
}

static void close_block(job *j) {
    for (int64_t i = 0; j->layers != NULL && i < j->layer_count; i++) {
        tmsi_free(j->context, j->layers[i].squares);
        tmsi_free(j->context, j->layers[i].norms);
        tmsi_free(j->context, j->layers[i].weights);
        tmsi_free(j->context, j->layers[i].difference);
    }
    tmsi_free(j->context, j->layers);
    j->layers = NULL;
    j->layer_count = 0;
}

static tms_status prune_chosen(job *j, int64_t block, const char *name) {
    tms_status status = TMS_OK;

    TMS_TRY(step(j, name));
    TMS_TRY(run_watched(j, block, watch_inputs));
    for (int64_t i = 0; i < j->layer_count; i++)
        if (j->layers[i].name != NULL)
            TMS_TRY(prune_layer(j, &j->layers[i]));
    TMS_TRY(step(j, name));
    TMS_TRY(run_watched(j, block, watch_errors));
    for (int64_t i = 0; i < j->layer_count; i++)
        if (j->layers[i].name != NULL)
            TMS_TRY(finish_layer(j, block, i));
done:
    return status;
}

static tms_status prune_block(job *j, int64_t block) {
    bool is_last = block + 1 == j->network->block_count;
    const char *name = NULL;
    tms_status status = TMS_OK;

    TMS_TRY(open_block(j, block, &name));
    if (name != NULL)
        TMS_TRY(prune_chosen(j, block, name));
    if (!is_last) {
        j->steps = STEPS_A_BLOCK * (block + 1) - 1;
        TMS_TRY(step(j, name != NULL ? name : "a block that stays dense"));
        TMS_TRY(j->network->run(j->network->self, block, true, NULL, NULL));
    }
done:
    close_block(j);
    return status;
}

tms_status tmsi_prune_calibrated(tms_context *context, const tmsi_network *network,
                                 const tmsi_prune_settings *settings, const tmsi_layer_store *store,
                                 tms_progress progress, void *progress_user) {
    job j = {.context = context,
             .network = network,
             .settings = settings,
             .store = store,
             .progress = progress,
             .progress_user = progress_user};
    tms_status status = TMS_OK;

    for (int64_t block = 0; block < network->block_count && status == TMS_OK; block++)
        status = prune_block(&j, block);
    tmsi_free(context, j.outputs);
    tmsi_free(context, j.row_squares);
    return status;
}
