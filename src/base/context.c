#include "base/context.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/threads.h"

enum { THREADS_MAX = 4096 };

static void *allocate_default(void *user, size_t bytes, size_t alignment) {
    (void)user;
    return aligned_alloc(alignment, tmsi_round_up(bytes, alignment));
}

static void release_default(void *user, void *memory) {
    (void)user;
    free(memory);
}

/* Only the fields that the caller's struct_size covers count; the rest stay zero. */
tms_status tmsi_context_read(const tms_context_desc *given, tms_context_desc *out) {
    *out = tms_context_desc_default();
    if (given == NULL)
        return TMS_OK;
    if (given->struct_size < sizeof(size_t) || given->struct_size > sizeof *out)
        return tmsi_fail(TMS_ERR_INVALID,
                         "desc->struct_size is %zu, but this library knows at most %zu bytes: use "
                         "tms_context_desc_default",
                         given->struct_size, sizeof *out);
    memcpy(out, given, given->struct_size);
    if (out->threads < 0 || out->threads > THREADS_MAX)
        return tmsi_fail(TMS_ERR_INVALID, "desc->threads is %d, but must be 0 (all cores) to %d",
                         out->threads, THREADS_MAX);
    if (out->allocator != NULL &&
        (out->allocator->allocate == NULL || out->allocator->release == NULL))
        return tmsi_fail(TMS_ERR_INVALID,
                         "desc->allocator->%s is NULL, but both functions are needed",
                         out->allocator->allocate == NULL ? "allocate" : "release");
    if ((uint32_t)out->device >= TMS_DEVICE_COUNT)
        return tmsi_fail(TMS_ERR_INVALID, "desc->device is %d, but devices are 0 (CPU) to %d",
                         (int)out->device, TMS_DEVICE_COUNT - 1);
    return TMS_OK;
}

tms_status tmsi_context_create(const tms_context_desc *desc, tms_context **out_context) {
    const tms_allocator standard = {allocate_default, release_default, NULL};
    const tms_allocator *allocator = desc->allocator != NULL ? desc->allocator : &standard;
    tms_context *context;

    context = allocator->allocate(allocator->user, tmsi_round_up(sizeof *context, TMSI_ALIGNMENT),
                                  TMSI_ALIGNMENT);
    if (context == NULL)
        return tmsi_fail(TMS_ERR_MEMORY, "out of memory: %zu bytes were not to be had",
                         sizeof *context);
    memset(context, 0, sizeof *context);
    context->allocator = *allocator;
    context->threads = desc->threads > 0 ? desc->threads : tmsi_threads_available();
    context->parallel_for = desc->parallel_for;
    context->parallel_user = desc->parallel_user;
    tmsi_hardware_probe(&context->hardware);
    if (desc->isa_mask != 0)
        context->hardware.isa &= desc->isa_mask;
    tmsi_isa_print(context->hardware.isa, context->isa_text, sizeof context->isa_text);
    snprintf(context->device_text, sizeof context->device_text, "none");
    *out_context = context;
    return TMS_OK;
}

void tms_context_destroy(tms_context *context) {
    if (context != NULL) {
        if (context->release_device != NULL)
            context->release_device(context);
        tmsi_free(context, context->cuda);
        tmsi_free(context, context->tuning);
        tmsi_free(context, context->gpu_tuning);
    }
    tmsi_free(context, context);
}

const char *tms_context_cpu_name(const tms_context *context) {
    return context != NULL ? context->hardware.name : "";
}

const char *tms_context_isa_text(const tms_context *context) {
    return context != NULL ? context->isa_text : "";
}

int32_t tms_context_threads(const tms_context *context) {
    return context != NULL ? context->threads : 0;
}

const char *tms_context_device_text(const tms_context *context) {
    return context != NULL ? context->device_text : "";
}

const char *tms_context_driver_text(const tms_context *context) {
    return context != NULL ? context->driver_text : "";
}

const char *tms_context_cublaslt_text(const tms_context *context) {
    return context != NULL ? context->cublaslt_text : "";
}
