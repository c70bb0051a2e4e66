#include <string.h>

#include "base/context.h"

#include "base/memory.h"
#include "cuda/device.h"
#include "spmm/cuda/launch.h"
#include "spmm/tuning.h"

static size_t tuning_bytes(const tms_context_desc *desc) {
    return desc->tuning == NULL     ? 0
           : desc->tuning_bytes > 0 ? desc->tuning_bytes
                                    : strlen(desc->tuning);
}

/* The GPU of a description, and the kernels that run on it. */
static tms_status attach_device(tms_context *context, const tms_context_desc *desc) {
    tms_status status = TMS_OK;

    TMS_TRY(tmsi_cuda_attach(context, desc->device_index));
    TMS_TRY(tmsi_cuda_attach_cublaslt(context, desc->cublaslt_path));
    if (desc->isa_mask != 0)
        context->gpu.isa &= desc->isa_mask;
    tmsi_isa_print(context->hardware.isa | context->gpu.isa, context->isa_text,
                   sizeof context->isa_text);
    TMS_TRY(tmsi_spmm_cuda_prepare(context->cuda, context->gpu.isa));
    TMS_TRY(tmsi_tuning_create(context, &context->gpu, desc->tuning, tuning_bytes(desc),
                               &context->gpu_tuning));
done:
    return status;
}

tms_status tms_context_create(const tms_context_desc *given, tms_context **out_context) {
    tms_context_desc desc;
    tms_context *context = NULL;
    tms_status status = TMS_OK;

    tmsi_enter(__func__);
    if (out_context == NULL)
        return tmsi_fail(TMS_ERR_INVALID, "out_context is NULL");
    TMS_TRY(tmsi_context_read(given, &desc));
    TMS_TRY(tmsi_context_create(&desc, &context));
    TMS_TRY(tmsi_tuning_create(context, &context->hardware, desc.tuning, tuning_bytes(&desc),
                               &context->tuning));
    if (desc.device == TMS_DEVICE_CUDA)
        TMS_TRY(attach_device(context, &desc));
    *out_context = context;
    context = NULL;
done:
    tms_context_destroy(context);
    return status;
}
