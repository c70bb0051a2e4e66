#include "checkpoint/checkpoint.h"

#include <inttypes.h>

#include "api/arguments.h"
#include "checkpoint/layers.h"

tms_status tms_checkpoint_open(tms_context *context, const char *path,
                               tms_checkpoint **out_checkpoint) {
    tmsi_enter(__func__);
    TMSI_NEED(context);
    TMSI_NEED(path);
    TMSI_NEED(out_checkpoint);
    return tmsi_checkpoint_open(context, path, out_checkpoint);
}

void tms_checkpoint_close(tms_checkpoint *checkpoint) {
    tmsi_checkpoint_close(checkpoint);
}

int64_t tms_checkpoint_tensor_count(const tms_checkpoint *checkpoint) {
    return checkpoint == NULL ? 0 : checkpoint->tensor_count;
}

tms_status tms_checkpoint_tensor(const tms_checkpoint *checkpoint, int64_t i,
                                 tms_tensor *out_tensor) {
    tmsi_enter(__func__);
    TMSI_NEED(checkpoint);
    TMSI_NEED(out_tensor);
    if (i < 0 || i >= checkpoint->tensor_count)
        return tmsi_fail(TMS_ERR_INVALID,
                         "i is %" PRId64 ", but the checkpoint has %" PRId64 " tensors", i,
                         checkpoint->tensor_count);
    *out_tensor = checkpoint->tensors[i].tensor;
    return TMS_OK;
}

const char *tms_checkpoint_metadata(const tms_checkpoint *checkpoint, const char *key) {
    return checkpoint == NULL || key == NULL ? NULL : tmsi_checkpoint_metadata(checkpoint, key);
}

const char *tms_checkpoint_architecture(const tms_checkpoint *checkpoint) {
    const tmsi_architecture *found = checkpoint == NULL ? NULL : tmsi_architecture_find(checkpoint);

    return found == NULL ? NULL : found->name;
}

int32_t tms_checkpoint_is_packed(const tms_checkpoint *checkpoint) {
    for (int64_t i = 0; checkpoint != NULL && i < checkpoint->tensor_count; i++)
        if (checkpoint->tensors[i].tensor.format != TMS_FORMAT_DENSE)
            return 1;
    return 0;
}
