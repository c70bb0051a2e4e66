#include <string.h>

#include "base/memory.h"
#include "format/layout.h"

/* Selection follows the first n:m part, and so do the dense parts beside it. */
static tmsi_source source_of(const tms_image_desc *desc) {
    tmsi_source source = {desc->matrices, desc->count, desc->join, desc->layout.n,
                          desc->layout.k, 0,           0};

    for (int32_t i = desc->layout.part_count - 1; desc->intake == TMS_INTAKE_SELECT && i >= 0; i--)
        if (desc->layout.parts[i].format == TMS_FORMAT_NM) {
            source.keep = desc->layout.parts[i].keep;
            source.group = desc->layout.parts[i].group;
        }
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
        if (bytes > SIZE_MAX - TMSI_PART_ALIGNMENT ||
            !tmsi_add_bytes(total, tmsi_round_up(bytes, TMSI_PART_ALIGNMENT), &total))
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

static tms_status build_on_host(tms_context *context, const tms_image_desc *desc,
                                const tms_image *image) {
    const tmsi_source source = source_of(desc);
    tms_status status = TMS_OK;

    if (desc->intake == TMS_INTAKE_SELECT && desc->nan == TMS_NAN_ERROR)
        TMS_TRY(tmsi_source_check_finite(context, &source));
    memset(image->data, 0, image->bytes);
    for (int32_t i = 0; i < desc->layout.part_count; i++) {
        const tms_part *part = &desc->layout.parts[i];
        TMS_TRY(tmsi_layouts[part->id].build(context, &source, part,
                                             (char *)image->data + image->part_offset[i]));
    }
done:
    return status;
}

static tms_status build_on_device(tms_context *context, const tms_image_desc *desc,
                                  const tms_image *image) {
    const tmsi_source source = source_of(desc);
    tms_status status = TMS_OK;

    for (int32_t i = 0; i < desc->layout.part_count; i++) {
        const tms_part *part = &desc->layout.parts[i];
        TMS_TRY(tmsi_layouts[part->id].extra->device_build(
            context, &source, part, desc, (char *)image->data + image->part_offset[i]));
    }
done:
    return status;
}

tms_status tmsi_image_build(tms_context *context, const tms_image_desc *desc, void *data,
                            size_t data_bytes, tms_image *out) {
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
    TMS_TRY(desc->device == TMS_DEVICE_CPU ? build_on_host(context, desc, &image)
                                           : build_on_device(context, desc, &image));
    *out = image;
done:
    return status;
}

int32_t tmsi_image_decoded_part(const tms_layout *layout) {
    for (int32_t i = 0; i < layout->part_count; i++) {
        const tmsi_layout_extra *extra = tmsi_layouts[layout->parts[i].id].extra;

        if (extra != NULL && extra->decode != NULL)
            return i;
    }
    return -1;
}

tms_status tmsi_image_decode(tms_context *context, const tms_image *image,
                             const tms_image_desc *desc) {
    const tmsi_source target = source_of(desc);
    const int32_t i = tmsi_image_decoded_part(&desc->layout);
    const tms_part *part = &desc->layout.parts[i];
    const tmsi_layout_extra *extra = tmsi_layouts[part->id].extra;
    const char *data = (const char *)image->data + image->part_offset[i];

    return desc->device == TMS_DEVICE_CPU
               ? extra->decode(context, &target, part, data)
               : extra->device_decode(context, &target, part, desc, data);
}

tms_status tmsi_image_device_check(const tms_image_desc *desc) {
    const tmsi_source source = source_of(desc);
    tms_status status = TMS_OK;

    for (int32_t i = 0; i < desc->layout.part_count; i++) {
        const tms_part *part = &desc->layout.parts[i];
        const tmsi_layout_extra *extra = tmsi_layouts[part->id].extra;

        if (extra == NULL)
            return tmsi_fail(TMS_ERR_UNSUPPORTED,
                             "part %d of desc->layout is %s, which is built on the host alone", i,
                             tmsi_layouts[part->id].name);
        TMS_TRY(extra->device_check(&source, part));
    }
done:
    return status;
}
