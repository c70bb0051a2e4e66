#include <string.h>

#include "base/memory.h"
#include "format/layout.h"

/* The matrix that a row of the joined weight is of, and its number there. */
static const tms_matrix *matrix_of(const tmsi_source *source, int64_t *row) {
    const tms_matrix *matrix = source->matrices;

    if (source->join == TMS_JOIN_INTERLEAVE) {
        matrix += *row % source->count;
        *row /= source->count;
    } else {
        for (; *row >= matrix->n; matrix++)
            *row -= matrix->n;
    }
    return matrix;
}

void tmsi_source_row_bits(const tmsi_source *source, int64_t row, void *out) {
    const tms_matrix *matrix = matrix_of(source, &row);

    tmsi_formats[matrix->format].decode_rows(matrix, row, 1, out);
}

void tmsi_source_row(const tmsi_source *source, int64_t row, float *out) {
    const tms_matrix *matrix = matrix_of(source, &row);

    tmsi_matrix_rows_f32(matrix, row, 1, out);
}

static tmsi_source source_of(const tms_image_desc *desc) {
    tmsi_source source = {desc->matrices, desc->count, desc->join, desc->layout.n, desc->layout.k};
    return source;
}

/* Where each part begins, and how long the image is. */
static tms_status place_parts(tms_context *context, const tms_image_desc *desc, tms_image *out) {
    tmsi_source source = source_of(desc);
    size_t total = 0;

    for (int32_t i = 0; i < desc->layout.part_count; i++) {
        const tms_part *part = &desc->layout.parts[i];
        size_t bytes = 0;
        tms_status status = tmsi_layouts[part->id].bytes(context, &source, part, &bytes);

        if (status != TMS_OK)
            return status;
        out->part_offset[i] = total;
        out->part_bytes[i] = bytes;
        if (bytes > SIZE_MAX - TMSI_ALIGNMENT ||
            !tmsi_add_bytes(total, tmsi_round_up(bytes, TMSI_ALIGNMENT), &total))
            return tmsi_fail(TMS_ERR_INVALID,
                             "desc->layout: parts 0 to %d together are more bytes than memory can "
                             "hold",
                             i);
    }
    out->bytes = total;
    return TMS_OK;
}

tms_status tmsi_image_bytes(tms_context *context, const tms_image_desc *desc, size_t *out_bytes) {
    tms_image image;
    tms_status status = place_parts(context, desc, &image);

    if (status == TMS_OK)
        *out_bytes = image.bytes;
    return status;
}

tms_status tmsi_image_build(tms_context *context, const tms_image_desc *desc, void *data,
                            size_t data_bytes, tms_image *out) {
    tmsi_source source = source_of(desc);
    tms_image image = {0};
    tms_status status = TMS_OK;

    image.struct_size = sizeof image;
    image.layout = desc->layout;
    image.data = data;
    TMS_TRY(place_parts(context, desc, &image));
    if (data_bytes < image.bytes)
        return tmsi_fail(TMS_ERR_INVALID,
                         "data_bytes is %zu, but this image has %zu bytes (tms_image_bytes)",
                         data_bytes, image.bytes);
    memset(data, 0, image.bytes);
    for (int32_t i = 0; i < desc->layout.part_count; i++) {
        const tms_part *part = &desc->layout.parts[i];
        TMS_TRY(tmsi_layouts[part->id].build(context, &source, part,
                                             (char *)data + image.part_offset[i]));
    }
    *out = image;
done:
    return status;
}
