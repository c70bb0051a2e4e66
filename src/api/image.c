#include <inttypes.h>

#include "api/arguments.h"
#include "base/context.h"
#include "base/dtype.h"
#include "base/memory.h"
#include "cuda/device.h"
#include "format/layout.h"

/* Each matrix is whole, of equal k, and of a type that every part can hold exactly. */
static tms_status check_matrix(tms_context *context, const tms_image_desc *desc, int32_t i) {
    const tms_matrix *matrix = &desc->matrices[i];
    tms_status status;

    status = tmsi_matrix_known(matrix);
    if (status != TMS_OK)
        return tmsi_fail_in(status, "desc->matrices[%d]", i);
    if (matrix->k != desc->layout.k)
        return tmsi_fail(TMS_ERR_INVALID,
                         "desc->matrices[%d].k is %" PRId64 ", but the layout's k is %" PRId64, i,
                         matrix->k, desc->layout.k);
    status = desc->device == TMS_DEVICE_CPU ? tmsi_matrix_validate(context, matrix)
                                            : tmsi_matrix_check_shapes(matrix);
    if (status != TMS_OK)
        return tmsi_fail_in(status, "desc->matrices[%d]", i);
    for (int32_t p = 0; p < desc->layout.part_count; p++) {
        tms_dtype dtype = (tms_dtype)desc->layout.parts[p].dtype;
        if (dtype != matrix->dtype && dtype != TMS_F32)
            return tmsi_fail(TMS_ERR_INVALID,
                             "desc->matrices[%d] holds %s, but part %d of the layout %s, which "
                             "cannot hold it exactly: choose the layout with w_type %s or f32",
                             i, tms_dtype_name(matrix->dtype), p, tms_dtype_name(dtype),
                             tms_dtype_name(matrix->dtype));
    }
    return TMS_OK;
}

/* The matrices join to the layout's n. */
static tms_status check_join(const tms_image_desc *desc) {
    int64_t n = 0;

    if (desc->join != TMS_JOIN_STACK && desc->join != TMS_JOIN_INTERLEAVE)
        return tmsi_fail(TMS_ERR_INVALID,
                         "desc->join is %d, but must be TMS_JOIN_STACK (0) or TMS_JOIN_INTERLEAVE "
                         "(1)",
                         (int)desc->join);
    if (desc->join == TMS_JOIN_INTERLEAVE && desc->count != 2)
        return tmsi_fail(TMS_ERR_INVALID,
                         "desc->count is %d, but two matrices are interleaved (gate and up)",
                         desc->count);
    if (desc->join == TMS_JOIN_INTERLEAVE && desc->matrices[0].n != desc->matrices[1].n)
        return tmsi_fail(TMS_ERR_INVALID,
                         "desc->matrices have %" PRId64 " and %" PRId64
                         " rows, but interleaved ones must have the same",
                         desc->matrices[0].n, desc->matrices[1].n);
    for (int32_t i = 0; i < desc->count; i++) {
        if (desc->matrices[i].n < 0 || desc->matrices[i].n > desc->layout.n - n)
            return tmsi_fail(TMS_ERR_INVALID,
                             "desc->matrices[0..%d] have more rows than the layout's n, %" PRId64,
                             i, desc->layout.n);
        n += desc->matrices[i].n;
    }
    if (n != desc->layout.n)
        return tmsi_fail(TMS_ERR_INVALID,
                         "desc->matrices have %" PRId64 " rows together, but the layout's n is "
                         "%" PRId64,
                         n, desc->layout.n);
    return TMS_OK;
}

/* Where all of it lies. */
static tms_status check_device(const tms_context *context, const tms_image_desc *desc) {
    if ((uint32_t)desc->device >= TMS_DEVICE_COUNT)
        return tmsi_fail(TMS_ERR_INVALID, "desc->device is %d, but devices are 0 (CPU) to %d",
                         (int)desc->device, TMS_DEVICE_COUNT - 1);
    if (desc->device == TMS_DEVICE_CPU && desc->stream != NULL)
        return tmsi_fail(TMS_ERR_INVALID, "desc->stream is %p, but must be NULL on a CPU",
                         desc->stream);
    if (desc->device == TMS_DEVICE_CUDA && context->cuda == NULL)
        return tmsi_fail(TMS_ERR_DEVICE,
                         "desc->device is CUDA, but the context has no GPU: create it with "
                         "desc.device = TMS_DEVICE_CUDA");
    return desc->device == TMS_DEVICE_CUDA ? tmsi_cuda_check_stream(context, desc->stream) : TMS_OK;
}

/* How weights come in. */
static tms_status check_intake(const tms_image_desc *desc) {
    bool has_nm = false;

    if (desc->intake != TMS_INTAKE_CHECK && desc->intake != TMS_INTAKE_SELECT)
        return tmsi_fail(TMS_ERR_INVALID, "desc->intake is %d, but must be 0 (check) or 1 (select)",
                         (int)desc->intake);
    if (desc->nan != TMS_NAN_ERROR && desc->nan != TMS_NAN_KEEP)
        return tmsi_fail(TMS_ERR_INVALID, "desc->nan is %d, but must be 0 (error) or 1 (keep)",
                         (int)desc->nan);
    for (int32_t i = 0; desc->intake == TMS_INTAKE_SELECT && i < desc->layout.part_count; i++) {
        const tms_part *part = &desc->layout.parts[i];

        has_nm = has_nm || part->format == TMS_FORMAT_NM;
        if (part->format == TMS_FORMAT_NM && desc->layout.k % part->group != 0)
            return tmsi_fail(TMS_ERR_PATTERN,
                             "desc->layout.k is %" PRId64 ", but must be a multiple of %d for "
                             "%d:%d",
                             desc->layout.k, part->group, part->keep, part->group);
    }
    if (desc->intake == TMS_INTAKE_SELECT && !has_nm)
        return tmsi_fail(TMS_ERR_INVALID, "desc->intake is TMS_INTAKE_SELECT, but no part of "
                                          "desc->layout is n:m");
    return TMS_OK;
}

static tms_status read_desc(tms_context *context, const tms_image_desc *given,
                            tms_image_desc *out) {
    tms_status status = TMS_OK;

    TMSI_NEED(context);
    TMS_TRY(tmsi_struct_read("desc", given, sizeof *out, out));
    if (out->matrices == NULL || out->count < 1)
        return tmsi_fail(TMS_ERR_INVALID,
                         "desc->matrices is %s and desc->count %d, but an image needs at least one "
                         "matrix",
                         out->matrices == NULL ? "NULL" : "set", out->count);
    TMS_TRY(tmsi_layout_check(&out->layout, "desc->layout"));
    TMS_TRY(check_device(context, out));
    TMS_TRY(check_intake(out));
    TMS_TRY(check_join(out));
    for (int32_t i = 0; i < out->count; i++)
        TMS_TRY(check_matrix(context, out, i));
    if (out->device != TMS_DEVICE_CPU)
        TMS_TRY(tmsi_image_device_check(out));
done:
    return status;
}

static tms_status check_aligned(const char *name, const void *memory) {
    if ((uintptr_t)memory % TMSI_ALIGNMENT != 0)
        return tmsi_fail(TMS_ERR_INVALID, "%s is %p, but must be aligned to %d bytes", name, memory,
                         TMSI_ALIGNMENT);
    return TMS_OK;
}

tms_status tms_image_bytes(tms_context *context, const tms_image_desc *given, size_t *out_bytes) {
    tms_image_desc desc;
    tms_status status = TMS_OK;

    tmsi_enter(__func__);
    TMSI_NEED(out_bytes);
    TMS_TRY(read_desc(context, given, &desc));
    TMS_TRY(tmsi_image_bytes(context, &desc, out_bytes));
done:
    return status;
}

/* A word that the GPU answers with; an alignment's worth, so that works lie side by side. */
static size_t work_bytes(const tms_image_desc *desc) {
    return tmsi_image_waits(desc) ? TMSI_ALIGNMENT : 0;
}

tms_status tms_image_work_bytes(tms_context *context, const tms_image_desc *given,
                                size_t *out_bytes) {
    tms_image_desc desc;
    tms_status status = TMS_OK;

    tmsi_enter(__func__);
    TMSI_NEED(out_bytes);
    TMS_TRY(read_desc(context, given, &desc));
    *out_bytes = work_bytes(&desc);
done:
    return status;
}

tms_status tms_image_build(tms_context *context, const tms_image_desc *given, void *data,
                           size_t data_bytes, tms_image *out_image) {
    tms_image_desc desc;
    tms_status status = TMS_OK;

    tmsi_enter(__func__);
    TMSI_NEED(data);
    TMSI_NEED(out_image);
    TMS_TRY(check_aligned("data", data));
    TMS_TRY(read_desc(context, given, &desc));
    if (work_bytes(&desc) > 0 && desc.work == NULL)
        return tmsi_fail(TMS_ERR_INVALID,
                         "desc->work is NULL, but this build needs %zu bytes "
                         "(tms_image_work_bytes)",
                         work_bytes(&desc));
    TMS_TRY(check_aligned("desc->work", desc.work));
    TMS_TRY(tmsi_image_build(context, &desc, data, data_bytes, out_image));
done:
    return status;
}

static tms_status check_image(const tms_image *image, const tms_layout *layout) {
    char built[TMSI_LAYOUT_TEXT_MAX], wanted[TMSI_LAYOUT_TEXT_MAX];

    if (image == NULL || image->data == NULL)
        return tmsi_fail(TMS_ERR_INVALID, "image%s is NULL", image == NULL ? "" : "->data");
    if (image->struct_size != sizeof *image)
        return tmsi_fail(TMS_ERR_INVALID,
                         "image->struct_size is %zu, but must be %zu: use tms_image_build",
                         image->struct_size, sizeof *image);
    if (tmsi_layout_equal(&image->layout, layout))
        return check_aligned("image->data", image->data);
    tmsi_layout_print(&image->layout, built);
    tmsi_layout_print(layout, wanted);
    return tmsi_fail(TMS_ERR_INVALID,
                     "image was built in layout %s for %" PRId64 " x %" PRId64
                     ", but desc->layout is %s for %" PRId64 " x %" PRId64,
                     built, image->layout.n, image->layout.k, wanted, layout->n, layout->k);
}

/* What an image is decoded to: dense or nm 2:4, of the part's type. */
static tms_status check_targets(const tms_image_desc *desc, const tms_part *part) {
    for (int32_t i = 0; i < desc->count; i++) {
        const tms_matrix *matrix = &desc->matrices[i];
        tms_status status = tmsi_matrix_known(matrix);

        if (status == TMS_OK)
            status = tmsi_matrix_check_shapes(matrix);
        if (status != TMS_OK)
            return tmsi_fail_in(status, "desc->matrices[%d]", i);
        if (matrix->k != desc->layout.k || (int32_t)matrix->dtype != part->dtype)
            return tmsi_fail(TMS_ERR_INVALID,
                             "desc->matrices[%d] has k = %" PRId64 " of %s, but the image %" PRId64
                             " of %s",
                             i, matrix->k, tms_dtype_name(matrix->dtype), desc->layout.k,
                             tms_dtype_name((tms_dtype)part->dtype));
        if (matrix->format != TMS_FORMAT_DENSE &&
            (matrix->format != TMS_FORMAT_NM || matrix->keep != 2 || matrix->group != 4))
            return tmsi_fail(TMS_ERR_UNSUPPORTED,
                             "desc->matrices[%d] is %s, but images are decoded to dense or nm 2:4",
                             i, tms_format_name(matrix->format));
    }
    return TMS_OK;
}

tms_status tms_image_decode(tms_context *context, const tms_image *image,
                            const tms_image_desc *given) {
    tms_image_desc desc;
    int32_t part;
    tms_status status = TMS_OK;

    tmsi_enter(__func__);
    TMSI_NEED(context);
    TMS_TRY(tmsi_struct_read("desc", given, sizeof desc, &desc));
    desc.intake = TMS_INTAKE_CHECK;
    if (desc.matrices == NULL || desc.count < 1)
        return tmsi_fail(TMS_ERR_INVALID,
                         "desc->matrices is %s and desc->count %d, but an image "
                         "is decoded to at least one matrix",
                         desc.matrices == NULL ? "NULL" : "set", desc.count);
    TMS_TRY(tmsi_layout_check(&desc.layout, "desc->layout"));
    TMS_TRY(check_image(image, &desc.layout));
    part = tmsi_image_decoded_part(&desc.layout);
    if (part < 0)
        return tmsi_fail(TMS_ERR_UNSUPPORTED,
                         "no part of the image can be decoded (the first is %s): keep the matrices",
                         tmsi_layouts[desc.layout.parts[0].id].name);
    TMS_TRY(check_device(context, &desc));
    TMS_TRY(check_join(&desc));
    TMS_TRY(check_targets(&desc, &desc.layout.parts[part]));
    if (desc.device != TMS_DEVICE_CPU)
        TMS_TRY(tmsi_image_device_check(&desc));
    TMS_TRY(tmsi_image_decode(context, image, &desc));
done:
    return status;
}
