/* nm24-mma on a GPU, and the dense part that may stand beside it: what the device code is told, and
 * what its answer means. */
#include <string.h>

#include "base/context.h"
#include "base/dtype.h"
#include "base/memory.h"
#include "format/cuda/launch.h"
#include "format/element.h"
#include "format/layout.h"
#include "format/layout/nm24_mma.h"
#include "format/layout/plain.h"
#include "format/nm.h"

enum { VALUES, INDEX };

_Static_assert(sizeof(tmsi_plain_header) == TMSI_PLAIN_HEADER_BYTES, "device code writes it");
_Static_assert(TMSI_NM24_MMA_BLOCK_BYTES % TMSI_PART_ALIGNMENT == 0 &&
                   TMSI_NM24_MMA_BLOCK_BYTES_8 % TMSI_PART_ALIGNMENT == 0,
               "no zeros are owed behind blocks");

tms_status tmsi_nm24_mma_device_check(const tmsi_source *source, const tms_part *part) {
    const tms_format format = source->matrices[0].format;

    if (source->count > TMSI_NM24_MMA_MATRICES_MAX)
        return tmsi_fail(TMS_ERR_UNSUPPORTED, "desc->count is %d, but a GPU joins at most %d",
                         source->count, TMSI_NM24_MMA_MATRICES_MAX);
    if (source->n > INT32_MAX - TMSI_NM24_MMA_BLOCK ||
        source->k > INT32_MAX - TMSI_NM24_MMA_BLOCK_8 ||
        tmsi_div_up(source->n, TMSI_NM24_MMA_BLOCK) * tmsi_div_up(source->k, TMSI_NM24_MMA_BLOCK) >
            INT32_MAX)
        return tmsi_fail(TMS_ERR_UNSUPPORTED,
                         "desc->layout is for %lld x %lld weights, but a GPU builds at most 2^31 "
                         "blocks of 64 x 64",
                         (long long)source->n, (long long)source->k);
    for (int32_t i = 0; i < source->count; i++) {
        const tms_matrix *matrix = &source->matrices[i];

        if (matrix->format != format ||
            (format != TMS_FORMAT_DENSE &&
             (format != TMS_FORMAT_NM || matrix->keep != 2 || matrix->group != 4)))
            return tmsi_fail(TMS_ERR_UNSUPPORTED,
                             "desc->matrices[%d] is %s, but on a GPU all must be dense, or all nm "
                             "2:4",
                             i, tms_format_name(matrix->format));
        if ((int32_t)matrix->dtype != part->dtype)
            return tmsi_fail(TMS_ERR_INVALID, "desc->matrices[%d] holds %s, but the part %s", i,
                             tms_dtype_name(matrix->dtype), tms_dtype_name((tms_dtype)part->dtype));
    }
    return TMS_OK;
}

static void fill_job(const tmsi_source *source, const tms_part *part, tmsi_nm24_mma_find find,
                     tmsi_nm24_mma_job *job) {
    int32_t first = 0;

    memset(job, 0, sizeof *job);
    job->n = (int32_t)source->n;
    job->k = (int32_t)source->k;
    job->dtype = (tms_dtype)part->dtype;
    job->find = find;
    job->exponent = tmsi_element_of(job->dtype).exponent;
    job->is_nm = source->matrices[0].format == TMS_FORMAT_NM;
    job->is_interleaved = source->join == TMS_JOIN_INTERLEAVE;
    job->is_selected = source->group > 0;
    job->count = source->count;
    for (int32_t i = 0; i < source->count; i++) {
        const tms_matrix *matrix = &source->matrices[i];

        job->matrices[i].values = matrix->components[VALUES].data;
        job->matrices[i].index = job->is_nm ? matrix->components[INDEX].data : NULL;
        job->matrices[i].first = first;
        first += (int32_t)matrix->n;
    }
}

static tmsi_nm24_mma_find find_of(const tms_image_desc *desc, bool is_nm, tms_dtype dtype) {
    if (desc->intake == TMS_INTAKE_CHECK)
        return is_nm ? TMSI_FIND_POSITIONS : TMSI_FIND_THIRD;
    return desc->nan == TMS_NAN_ERROR && dtype != TMS_I8 ? TMSI_FIND_NON_FINITE : TMSI_FIND_NOTHING;
}

/* Positions of a row, counted over the matrices one below the other, are wrong: that row's index is
 * fetched, and judged as on the host. */
static tms_status fail_positions(tms_context *context, const tmsi_source *source,
                                 const tms_image_desc *desc, int64_t row) {
    const tms_matrix *matrix = source->matrices;
    const tms_component *component;
    uint8_t *index = NULL;
    tms_status status = TMS_OK;

    for (; row >= matrix->n; matrix++)
        row -= matrix->n;
    component = &matrix->components[INDEX];
    TMS_TRY(tmsi_alloc(context, (size_t)component->shape[1], 1, &index));
    TMS_TRY(tmsi_device_read(context->cuda,
                             (const char *)component->data + row * component->shape[1],
                             (size_t)component->shape[1], desc->stream, index));
    status = tmsi_fail_in(tmsi_nm_fail_row(matrix, row, index), "desc->matrices[%d]",
                          (int)(matrix - source->matrices));
done:
    tmsi_free(context, index);
    return status;
}

tms_status tmsi_nm24_mma_device_build(tms_context *context, const tmsi_source *source,
                                      const tms_part *part, const tms_image_desc *desc, void *dst) {
    tmsi_nm24_mma_job job;
    int64_t found = -1;
    tms_status status = TMS_OK;

    fill_job(source, part,
             find_of(desc, source->matrices[0].format == TMS_FORMAT_NM, (tms_dtype)part->dtype),
             &job);
    TMS_TRY(tmsi_nm24_mma_build_launch(context->cuda, &job, dst, desc->work, desc->stream, &found));
    if (found < 0)
        return TMS_OK;
    switch (job.find) {
    case TMSI_FIND_THIRD:
        return tmsi_source_fail_third(source, found / source->k, found % source->k);
    case TMSI_FIND_NON_FINITE:
        return tmsi_source_fail_finite(source, found / source->k, found % source->k);
    default:
        return fail_positions(context, source, desc, found / source->k);
    }
done:
    return status;
}

tms_status tmsi_nm24_mma_device_decode(tms_context *context, const tmsi_source *target,
                                       const tms_part *part, const tms_image_desc *desc,
                                       const void *data) {
    tmsi_nm24_mma_job job;

    fill_job(target, part, TMSI_FIND_NOTHING, &job);
    return tmsi_nm24_mma_decode_launch(context->cuda, &job, data, desc->stream);
}

/* ---- The dense part -------------------------------------------------------------------------- */

static tms_status check_plain(const tmsi_source *source, const tms_part *part) {
    if (part->format != TMS_FORMAT_DENSE)
        return tmsi_fail(TMS_ERR_UNSUPPORTED,
                         "desc->layout has a plain part of %s, but a GPU builds plain parts of "
                         "dense alone",
                         tms_format_name((tms_format)part->format));
    return tmsi_nm24_mma_device_check(source, part);
}

static tms_status build_plain(tms_context *context, const tmsi_source *source, const tms_part *part,
                              const tms_image_desc *desc, void *dst) {
    tmsi_nm24_mma_job job;

    fill_job(source, part, TMSI_FIND_NOTHING, &job);
    return tmsi_plain_build_launch(context->cuda, &job, dst, desc->stream);
}

const tmsi_layout_extra tmsi_layout_plain_extra = {NULL, check_plain, build_plain, NULL};
