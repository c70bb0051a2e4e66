/* Two ways in, by the first byte: components from anywhere must be refused or be safe to decode;
 * and dense weights from anywhere must come back bit for bit. */
#include <stdlib.h>
#include <string.h>

#include "format/element.h"
#include "format/format.h"
#include "format/layout.h"

/* Plain memory for the input's numbers; reads past the end give zeros. */
typedef struct input {
    const uint8_t *data;
    size_t bytes;
} input;

static uint8_t take(input *in) {
    if (in->bytes == 0)
        return 0;
    in->bytes--;
    return *in->data++;
}

static void take_bytes(input *in, void *out, size_t bytes) {
    for (size_t i = 0; i < bytes; i++)
        ((uint8_t *)out)[i] = take(in);
}

static void allocate_components(tms_matrix *matrix) {
    for (int32_t i = 0; i < matrix->component_count; i++) {
        tms_component *component = &matrix->components[i];
        component->data = malloc(component->bytes + (component->bytes == 0));
        if (component->data == NULL)
            abort();
    }
}

static void free_components(tms_matrix *matrix) {
    for (int32_t i = 0; i < matrix->component_count; i++)
        free(matrix->components[i].data);
}

/* Whatever validate lets pass must be safe to decode, whole and row by row. */
static void fuzz_components(tms_context *context, tms_matrix matrix, input *in) {
    size_t count = (size_t)(matrix.n * matrix.k);
    float *rows = malloc((count + 1) * sizeof(float));
    void *values = malloc((count + 1) * sizeof(float));

    matrix.nnz = take(in);
    if (matrix.format == TMS_FORMAT_BSR)
        matrix.nnz *= (int64_t)matrix.block_rows * matrix.block_columns;
    if (tmsi_matrix_describe(&matrix) != TMS_OK)
        goto done;
    allocate_components(&matrix);
    for (int32_t i = matrix.component_count - 1; i >= 0; i--) /* indices first: they are short */
        take_bytes(in, matrix.components[i].data, matrix.components[i].bytes);
    if (tms_matrix_decode(context, &matrix, values) == TMS_OK)
        for (int64_t row = 0; row < matrix.n; row++)
            tmsi_matrix_rows_f32(&matrix, row, 1, rows);
    free_components(&matrix);
done:
    free(values);
    free(rows);
}

/* A 2:4 matrix through an image for sparse tensor cores and back, bit for bit. */
static void fuzz_image(tms_context *context, const tms_matrix *matrix) {
    tms_image_desc desc = tms_image_desc_default();
    tms_part *part = &desc.layout.parts[0];
    tms_matrix back = *matrix;
    size_t bytes = 0;
    void *data = NULL;
    tms_image image;

    desc.matrices = matrix;
    desc.count = 1;
    desc.layout.struct_size = sizeof desc.layout;
    desc.layout.n = matrix->n;
    desc.layout.k = matrix->k;
    desc.layout.part_count = 1;
    part->id = TMSI_LAYOUT_NM24_MMA;
    part->version = tmsi_layouts[TMSI_LAYOUT_NM24_MMA].version;
    part->format = TMS_FORMAT_NM;
    part->dtype = (int32_t)matrix->dtype;
    part->keep = matrix->keep;
    part->group = matrix->group;
    if (tms_image_bytes(context, &desc, &bytes) != TMS_OK)
        return; /* other patterns, f32, no weights */
    data = aligned_alloc(64, bytes);
    if (data == NULL || tms_image_build(context, &desc, data, bytes, &image) != TMS_OK)
        abort();
    allocate_components(&back);
    desc.matrices = &back;
    if (tms_image_decode(context, &image, &desc) != TMS_OK)
        abort();
    for (int32_t i = 0; i < back.component_count; i++)
        if (memcmp(back.components[i].data, matrix->components[i].data, back.components[i].bytes) !=
            0)
            abort();
    free_components(&back);
    free(data);
}

static void fuzz_weights(tms_context *context, const tms_matrix *shape, input *in) {
    tmsi_element element = tmsi_element_of(shape->dtype);
    tms_format_desc desc = tms_format_desc_default(shape->format);
    int64_t count = shape->n * shape->k, negative_zeros;
    char *values = malloc((size_t)(count * element.bytes) + 1);
    char *decoded = malloc((size_t)(count * element.bytes) + 1);
    tms_matrix matrix, dense = tms_matrix_dense(shape->dtype, shape->n, shape->k, values);

    desc.keep = shape->keep;
    desc.group = shape->group;
    desc.block_rows = shape->block_rows;
    desc.block_columns = shape->block_columns;
    take_bytes(in, values, (size_t)(count * element.bytes));
    if (tms_matrix_size(context, &dense, &desc, &matrix) == TMS_OK) {
        allocate_components(&matrix);
        if (tms_matrix_encode(context, &dense, &matrix, &negative_zeros) != TMS_OK ||
            tms_matrix_decode(context, &matrix, decoded) != TMS_OK)
            abort();
        for (int64_t i = 0; i < count; i++) {
            uint32_t before = tmsi_element_load(values, element.bytes, i);
            uint32_t after = tmsi_element_load(decoded, element.bytes, i);
            if (after != tmsi_element_plain_zero(element, before))
                abort();
            negative_zeros -= before != after;
        }
        if (negative_zeros != 0)
            abort();
        if (matrix.format == TMS_FORMAT_NM)
            fuzz_image(context, &matrix);
        free_components(&matrix);
    }
    free(values);
    free(decoded);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    static const tms_dtype dtypes[] = {TMS_F32,  TMS_BF16, TMS_F16, TMS_I8,
                                       TMS_E4M3, TMS_U8,   TMS_F32, TMS_F32};
    input in = {data, bytes};
    tms_context_desc desc = tms_context_desc_default();
    tms_context *context = NULL;
    tms_matrix matrix = {.struct_size = sizeof matrix};
    uint8_t way = take(&in);

    desc.threads = 1;
    if (tms_context_create(&desc, &context) != TMS_OK)
        abort();
    matrix.format = (tms_format)(way >> 1 & 3);
    matrix.dtype = dtypes[way >> 3 & 7];
    matrix.n = take(&in) % 40;
    matrix.k = take(&in) % 80;
    if (matrix.format == TMS_FORMAT_NM) {
        matrix.keep = take(&in) % 66;
        matrix.group = take(&in) % 66;
    }
    if (matrix.format == TMS_FORMAT_BSR) {
        matrix.block_rows = take(&in) % 20;
        matrix.block_columns = take(&in) % 20;
    }
    if (way & 1)
        fuzz_components(context, matrix, &in);
    else if (matrix.dtype != TMS_U8)
        fuzz_weights(context, &matrix, &in);
    tms_context_destroy(context);
    return 0;
}
