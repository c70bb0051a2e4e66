#include "cuda/device.cuh"

extern "C" {
#include "base/context.h"

int gpu_set_processors(tms_context *context, int processors);
}

int gpu_set_processors(tms_context *context, int processors) {
    const int before = context->cuda->processors;

    context->cuda->processors = processors;
    return before;
}
