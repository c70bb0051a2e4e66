#include "model/weights.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/dtype.h"
#include "base/memory.h"
#include "checkpoint/record.h"
#include "format/format.h"
#include "pattern/pattern.h"

/* Share of zeros from which csr is taken. With fewer it stores more bytes than dense in fp32. */
static const double csr_zeros_min = 0.35;
/* Blocks: share of zero blocks, and how many of all zeros must lie in them. */
static const double bsr_blocks_min = 0.2, bsr_zeros_min = 0.8;

enum { BLOCK_SIZES = 4 };
/* Of tms_zero_report's, in the order in which they are tried: kernels are fastest on 32x32. */
static const struct {
    int32_t side, place;
} block_sizes[BLOCK_SIZES] = {{32, 2}, {64, 3}, {16, 1}, {8, 0}};

/* "[384, 1536]". */
static void print_shape(const int64_t *shape, int32_t rank, char text[TMS_RANK_MAX * 22 + 3]) {
    size_t used = 1;

    strcpy(text, "[");
    for (int32_t i = 0; i < rank; i++)
        used += (size_t)sprintf(text + used, "%s%lld", i > 0 ? ", " : "", (long long)shape[i]);
    strcpy(text + used, "]");
}

/* The number of the tensor, checked. */
static tms_status find_tensor(const tms_checkpoint *checkpoint, const char *prefix,
                              const char *name, int32_t rank, const int64_t *shape, int64_t *out) {
    char full[TMSI_NAME_BYTES_MAX + 1], found[TMS_RANK_MAX * 22 + 3], needed[sizeof found];
    const tms_tensor *tensor;
    int64_t number;

    snprintf(full, sizeof full, "%s%s", prefix, name);
    number = tmsi_checkpoint_find(checkpoint, full);
    if (number < 0)
        return tmsi_fail(TMS_ERR_FORMAT, "the checkpoint has no tensor \"%s\"", full);
    tensor = &checkpoint->tensors[number].tensor;
    if (!tmsi_dtype_is_weight(tensor->dtype))
        return tmsi_fail(TMS_ERR_UNSUPPORTED,
                         "tensor \"%s\" is %s, but a model's weights are f32, bf16 or f16", full,
                         tms_dtype_name(tensor->dtype));
    print_shape(tensor->shape, tensor->rank, found);
    print_shape(shape, rank, needed);
    if (strcmp(found, needed) != 0)
        return tmsi_fail(TMS_ERR_FORMAT,
                         "tensor \"%s\" has the shape %s, but by config.json it is %s", full, found,
                         needed);
    *out = number;
    return TMS_OK;
}

static tms_status fail_value(const char *name, float value, int64_t row, int64_t column) {
    return tmsi_fail(TMS_ERR_VALUE, "tensor \"%s\" is %s at row %lld, column %lld", name,
                     isnan(value) ? "NaN" : "infinite", (long long)row, (long long)column);
}

tms_status tmsi_weights_table(const tms_checkpoint *checkpoint, const char *prefix,
                              const char *name, int64_t rows, int64_t columns,
                              const tms_tensor **out) {
    const int64_t shape[2] = {rows, columns};
    const tms_tensor *tensor;
    int64_t number;
    tms_status status = find_tensor(checkpoint, prefix, name, 2, shape, &number);

    if (status != TMS_OK)
        return status;
    tensor = &checkpoint->tensors[number].tensor;
    if (tensor->format != TMS_FORMAT_DENSE)
        return tmsi_fail(TMS_ERR_UNSUPPORTED,
                         "tensor \"%s\" is packed as %s, but only linear layers may be",
                         tensor->name, tms_format_name(tensor->format));
    for (int64_t i = 0; i < rows * columns; i++) {
        float value = tmsi_load_f32(tensor->data, tensor->dtype, i);
        if (!isfinite(value))
            return fail_value(tensor->name, value, i / columns, i % columns);
    }
    *out = tensor;
    return TMS_OK;
}

tms_status tmsi_weights_vector(const tms_checkpoint *checkpoint, const char *prefix,
                               const char *name, int64_t count, float **out) {
    tms_status status = TMS_OK;
    const tms_tensor *tensor;
    float *values = NULL;
    int64_t number;

    TMS_TRY(find_tensor(checkpoint, prefix, name, 1, &count, &number));
    tensor = &checkpoint->tensors[number].tensor;
    TMS_TRY(tmsi_alloc(checkpoint->context, (size_t)count, sizeof *values, &values));
    tmsi_widen_f32(tensor->data, tensor->dtype, count, values);
    for (int64_t i = 0; i < count; i++)
        if (!isfinite(values[i]))
            TMS_TRY(fail_value(tensor->name, values[i], 0, i));
    *out = values;
    values = NULL;
done:
    tmsi_free(checkpoint->context, values);
    return status;
}

/* ---- Weights of linear layers ---- */

static void take_blocks(tmsi_weight *weight, int32_t rows, int32_t columns, double density) {
    weight->format = TMS_FORMAT_BSR;
    weight->block_rows = rows;
    weight->block_columns = columns;
    weight->density = density;
}

/* Share of the weights that bsr stores. Edge blocks are stored whole, so it might pass 1. */
static double stored_share(const tms_matrix *matrix) {
    return fmin(1.0, (double)matrix->nnz / ((double)matrix->n * (double)matrix->k));
}

/* bsr by the blocks of the recorded pattern, whatever their shape. */
static tms_status try_recorded(tms_context *context, const json_t *record, tmsi_weight *weight) {
    tms_format_desc desc = tms_format_desc_default(TMS_FORMAT_BSR);
    tms_status status = TMS_OK;
    tms_pattern pattern;
    tms_matrix sized;

    if (!tmsi_record_find(record, weight->name, &pattern) || pattern.kind != TMS_PATTERN_BLOCK)
        return TMS_OK;
    desc.block_rows = pattern.block_rows;
    desc.block_columns = pattern.block_columns;
    TMS_TRY(tmsi_matrix_size(context, &weight->matrix, &desc, &sized));
    if (stored_share(&sized) <= 1.0 - bsr_blocks_min)
        take_blocks(weight, desc.block_rows, desc.block_columns, stored_share(&sized));
done:
    return status;
}

static void try_zeros(const tms_zero_report *zeros, tmsi_weight *weight) {
    double elements = (double)zeros->elements;

    for (int i = 0; i < BLOCK_SIZES; i++) {
        int32_t place = block_sizes[i].place, side = block_sizes[i].side;
        double share = (double)zeros->zero_blocks[place] / (double)zeros->blocks[place];
        if (share >= bsr_blocks_min && share * elements >= bsr_zeros_min * (double)zeros->zeros) {
            take_blocks(weight, side, side, 1.0 - share);
            return;
        }
    }
    if ((double)zeros->zeros >= csr_zeros_min * elements) {
        weight->format = TMS_FORMAT_CSR;
        weight->density = 1.0 - (double)zeros->zeros / elements;
    }
}

static tms_status suggest_format(tms_context *context, const json_t *record, tmsi_weight *weight) {
    tms_status status = TMS_OK;
    tms_zero_report zeros;

    TMS_TRY(tmsi_matrix_count(context, &weight->matrix, &zeros));
    if (zeros.non_finite > 0) {
        int64_t row = zeros.first_non_finite_row, column = zeros.first_non_finite_column;
        float value = tmsi_load_f32(weight->matrix.components[0].data, weight->matrix.dtype,
                                    row * weight->matrix.k + column);
        TMS_TRY(fail_value(weight->name, value, row, column));
    }
    weight->zeros = zeros.zeros;
    weight->density = 1.0;
    if (zeros.holds_2_4) {
        weight->format = TMS_FORMAT_NM;
        weight->keep = 2;
        weight->group = 4;
        weight->density = 0.5;
        return TMS_OK;
    }
    TMS_TRY(try_recorded(context, record, weight));
    if (weight->format == TMS_FORMAT_DENSE)
        try_zeros(&zeros, weight);
done:
    return status;
}

/* Zeros of a packed weight, and that all is finite. */
static tms_status count_packed(tms_context *context, tmsi_weight *weight) {
    const tms_matrix *matrix = &weight->matrix;
    tms_status status = TMS_OK;
    float *values = NULL;

    TMS_TRY(tmsi_alloc(context, (size_t)matrix->k, sizeof *values, &values));
    for (int64_t row = 0; row < matrix->n; row++) {
        tmsi_matrix_rows_f32(matrix, row, 1, values);
        for (int64_t column = 0; column < matrix->k; column++) {
            weight->zeros += values[column] == 0.0f;
            if (!isfinite(values[column]))
                TMS_TRY(fail_value(weight->name, values[column], row, column));
        }
    }
done:
    tmsi_free(context, values);
    return status;
}

static tms_status take_packed(tms_context *context, tmsi_weight *weight) {
    const tms_matrix *matrix = &weight->matrix;

    weight->format = matrix->format;
    weight->keep = matrix->keep;
    weight->group = matrix->group;
    weight->block_rows = matrix->block_rows;
    weight->block_columns = matrix->block_columns;
    weight->density = stored_share(matrix);
    return count_packed(context, weight);
}

tms_status tmsi_weights_matrix(const tms_checkpoint *checkpoint, const json_t *record,
                               const char *prefix, const char *name, int64_t n, int64_t k,
                               tmsi_weight *out) {
    tms_context *context = checkpoint->context;
    const int64_t shape[2] = {n, k};
    tms_status status = TMS_OK;
    tmsi_weight self = {0};
    int64_t number;

    TMS_TRY(find_tensor(checkpoint, prefix, name, 2, shape, &number));
    self.name = checkpoint->tensors[number].tensor.name;
    TMS_TRY(tmsi_checkpoint_matrix(checkpoint, number, &self.matrix, &self.copy));
    if (self.matrix.format != TMS_FORMAT_DENSE)
        TMS_TRY(take_packed(context, &self));
    else
        TMS_TRY(suggest_format(context, record, &self));
    *out = self;
    self = (tmsi_weight){0};
done:
    tmsi_weight_free(context, &self);
    return status;
}

void tmsi_weight_free(tms_context *context, tmsi_weight *weight) {
    tmsi_free(context, weight->copy);
}

tms_spmm_problem tmsi_weight_problem(const tmsi_weight *weight) {
    tms_spmm_problem problem = tms_spmm_problem_default();

    problem.n = weight->matrix.n;
    problem.k = weight->matrix.k;
    problem.format = weight->format;
    problem.density = weight->density;
    problem.keep = weight->keep;
    problem.group = weight->group;
    problem.block_rows = weight->block_rows;
    problem.block_columns = weight->block_columns;
    return problem;
}

bool tmsi_weights_alike(const tmsi_weight *a, const tmsi_weight *b) {
    return a->format == b->format && a->keep == b->keep && a->group == b->group &&
           a->block_rows == b->block_rows && a->block_columns == b->block_columns;
}
