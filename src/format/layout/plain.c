#include "format/layout/plain.h"

#include <string.h>

#include "base/dtype.h"
#include "base/memory.h"
#include "format/element.h"

/* One matrix that is stored as the part wants it: its components are copied. Not dense ones, whose
 * -0.0 leaves as +0.0. */
static bool is_copy(const tmsi_source *source, const tms_part *part) {
    const tms_matrix *matrix = source->matrices;

    if (source->count != 1 || (int32_t)matrix->format != part->format ||
        (int32_t)matrix->dtype != part->dtype || part->format == TMS_FORMAT_DENSE ||
        source->group > 0)
        return false;
    if (matrix->format == TMS_FORMAT_NM)
        return matrix->keep == part->keep && matrix->group == part->group;
    if (matrix->format == TMS_FORMAT_BSR)
        return matrix->block_rows == part->block_rows &&
               matrix->block_columns == part->block_columns;
    return true;
}

/* The joined weight as a dense matrix of the part's type in `values`: in its own type, or widened
 * to f32; -0.0 as +0.0. */
static void write_dense(const tmsi_source *source, tms_dtype dtype, void *values) {
    const size_t row_bytes = (size_t)source->k * tmsi_dtype_bytes(dtype);
    const tmsi_element element = tmsi_element_of(dtype);

    for (int64_t n = 0; n < source->n; n++) {
        void *row = (char *)values + (size_t)n * row_bytes;
        if (dtype == TMS_F32)
            tmsi_source_row(source, n, row);
        else
            tmsi_source_row_bits(source, n, row);
        for (int64_t k = 0; k < source->k; k++)
            tmsi_element_store(
                row, element.bytes, k,
                tmsi_element_plain_zero(element, tmsi_element_load(row, element.bytes, k)));
    }
}

/* A dense matrix without data, of the source's shape and the part's type. */
static tms_status describe_dense(const tmsi_source *source, const tms_part *part, tms_matrix *out) {
    tms_matrix dense = {0};
    tms_status status;

    dense.struct_size = sizeof dense;
    dense.format = TMS_FORMAT_DENSE;
    dense.dtype = (tms_dtype)part->dtype;
    dense.n = source->n;
    dense.k = source->k;
    dense.nnz = source->n * source->k;
    status = tmsi_matrix_describe(&dense);
    if (status == TMS_OK)
        *out = dense;
    return status;
}

/* What a part is made from. */
typedef struct part_content {
    tms_matrix matrix; /* the part's components: shapes, and data where they can be copied */
    tms_matrix dense; /* the joined weight, where it has to be encoded; the caller frees its data */
} part_content;

static void free_content(tms_context *context, part_content *content) {
    tmsi_free(context, content->dense.components[0].data);
}

/* Sizes the part; joined or differently stored weights are made dense first, since the format's own
 * verbs take them from there. */
static tms_status prepare(tms_context *context, const tmsi_source *source, const tms_part *part,
                          part_content *out) {
    tms_format_desc desc = tms_format_desc_default((tms_format)part->format);
    tms_component *values = &out->dense.components[0];
    tms_status status = TMS_OK;

    if (is_copy(source, part)) {
        out->matrix = source->matrices[0];
        return TMS_OK;
    }
    TMS_TRY(describe_dense(source, part, &out->dense));
    if (part->format == TMS_FORMAT_DENSE) {
        out->matrix = out->dense;
        return TMS_OK;
    }
    desc.keep = part->keep;
    desc.group = part->group;
    desc.block_rows = part->block_rows;
    desc.block_columns = part->block_columns;
    TMS_TRY(tmsi_alloc(context, values->bytes, 1, &values->data));
    write_dense(source, out->dense.dtype, values->data);
    TMS_TRY(tmsi_matrix_size(context, &out->dense, &desc, &out->matrix));
done:
    return status;
}

/* Sets the header's offsets and returns the part's bytes. */
static tms_status place_components(const tms_matrix *matrix, tmsi_plain_header *header,
                                   size_t *out_bytes) {
    size_t total = sizeof *header;

    memset(header, 0, sizeof *header);
    for (int32_t i = 0; i < matrix->component_count; i++) {
        header->offset[i] = (int64_t)total;
        if (matrix->components[i].bytes > SIZE_MAX - TMSI_ALIGNMENT ||
            !tmsi_add_bytes(total, tmsi_round_up(matrix->components[i].bytes, TMSI_ALIGNMENT),
                            &total))
            return tmsi_fail(TMS_ERR_INVALID, "component %s has %zu bytes: the image does not fit",
                             matrix->components[i].name, matrix->components[i].bytes);
    }
    *out_bytes = total;
    return TMS_OK;
}

tms_status tmsi_layout_plain_bytes(tms_context *context, const tmsi_source *source,
                                   const tms_part *part, size_t *out) {
    part_content content = {0};
    tmsi_plain_header header;
    tms_status status = TMS_OK;

    TMS_TRY(prepare(context, source, part, &content));
    TMS_TRY(place_components(&content.matrix, &header, out));
done:
    free_content(context, &content);
    return status;
}

tms_status tmsi_layout_plain_build(tms_context *context, const tmsi_source *source,
                                   const tms_part *part, void *dst) {
    part_content content = {0};
    tmsi_plain_header *header = dst;
    tms_matrix placed;
    int64_t negative_zeros; /* become +0.0, which no sum can tell */
    size_t bytes = 0;
    tms_status status = TMS_OK;

    TMS_TRY(prepare(context, source, part, &content));
    TMS_TRY(place_components(&content.matrix, header, &bytes));
    placed = content.matrix;
    for (int32_t i = 0; i < placed.component_count; i++)
        placed.components[i].data = (char *)dst + header->offset[i];
    if (is_copy(source, part)) {
        for (int32_t i = 0; i < placed.component_count; i++)
            if (placed.components[i].bytes > 0)
                memcpy(placed.components[i].data, content.matrix.components[i].data,
                       placed.components[i].bytes);
    } else if (part->format == TMS_FORMAT_DENSE) {
        write_dense(source, placed.dtype, placed.components[0].data);
    } else {
        TMS_TRY(tmsi_matrix_encode(context, &content.dense, &placed, &negative_zeros));
    }
done:
    free_content(context, &content);
    return status;
}
