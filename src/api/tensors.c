#include <inttypes.h>

#include "api/arguments.h"
#include "io/safetensors.h"

/* What the writer below takes on trust. */
static tms_status check_tensors(const tms_tensor *tensors, int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        const tms_tensor *tensor = &tensors[i];
        size_t bytes;

        if (tensor->name == NULL || (tensor->data == NULL && tensor->bytes > 0))
            return tmsi_fail(TMS_ERR_INVALID, "tensors[%" PRId64 "].%s is NULL", i,
                             tensor->name == NULL ? "name" : "data");
        if (tmsi_tensor_name_check(tensor->name) != TMS_OK)
            return tmsi_fail_in(TMS_ERR_INVALID, "tensors[%" PRId64 "]", i);
        if (tensor->format != TMS_FORMAT_DENSE)
            return tmsi_fail(TMS_ERR_INVALID,
                             "tensors[%" PRId64 "].format is %s, but only dense tensors are "
                             "written here",
                             i, tms_format_name(tensor->format));
        if (tensor->rank < 0 || tensor->rank > TMS_RANK_MAX)
            return tmsi_fail(TMS_ERR_INVALID,
                             "tensors[%" PRId64 "].rank is %d, but must be 0 to %d", i,
                             tensor->rank, TMS_RANK_MAX);
        if ((unsigned)tensor->dtype >= TMS_DTYPE_COUNT ||
            !tmsi_tensor_bytes(tensor->dtype, tensor->rank, tensor->shape, &bytes) ||
            bytes != tensor->bytes)
            return tmsi_fail(TMS_ERR_INVALID,
                             "tensors[%" PRId64 "].bytes is %zu, which its dtype and shape do not "
                             "give",
                             i, tensor->bytes);
    }
    return TMS_OK;
}

tms_status tms_tensors_write(tms_context *context, const char *path, int32_t force,
                             const tms_tensor *tensors, int64_t count) {
    tmsi_safetensors_writer *writer = NULL;
    tms_status status;

    tmsi_enter(__func__);
    TMSI_NEED(context);
    TMSI_NEED(path);
    if (count > 0)
        TMSI_NEED(tensors);
    if (count < 0)
        return tmsi_fail(TMS_ERR_INVALID, "count is %" PRId64 ", but must be >= 0", count);
    TMS_TRY(check_tensors(tensors, count));
    TMS_TRY(tmsi_safetensors_create(context, path, force != 0, tensors, count, NULL, 0, &writer));
    for (int64_t i = 0; i < count; i++)
        TMS_TRY(tmsi_safetensors_write(writer, i, 0, tensors[i].data, tensors[i].bytes));
    TMS_TRY(tmsi_safetensors_commit(writer));
done:
    tmsi_safetensors_writer_destroy(writer);
    return status;
}
