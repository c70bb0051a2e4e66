/* What stands in for device code in a library built without CUDA: no context has a GPU there, so
 * none of it is reached. */
#include "base/status.h"
#include "measure/cuda/gpu.h"

static tms_status fail(void) {
    return tmsi_fail(TMS_ERR_DEVICE, "this library was built without CUDA");
}

tms_status tmsi_gpu_alloc(tms_context *context, size_t bytes, void **out) {
    (void)context, (void)bytes, (void)out;
    return fail();
}

void tmsi_gpu_free(tms_context *context, void *memory) {
    (void)context, (void)memory;
}

tms_status tmsi_gpu_upload(tms_context *context, void *to, const void *from, size_t bytes) {
    (void)context, (void)to, (void)from, (void)bytes;
    return fail();
}

size_t tmsi_gpu_free_bytes(tms_context *context) {
    (void)context;
    return 0;
}

tms_status tmsi_gpu_noise(tms_context *context, void *out, tms_dtype type, int64_t count,
                          uint64_t seed) {
    (void)context, (void)out, (void)type, (void)count, (void)seed;
    return fail();
}

tms_status tmsi_gpu_clock_open(tms_context *context, tmsi_gpu_clock **out) {
    (void)context, (void)out;
    return fail();
}

void tmsi_gpu_clock_close(tms_context *context, tmsi_gpu_clock *clock) {
    (void)context, (void)clock;
}

tms_status tmsi_gpu_time(tms_context *context, tmsi_gpu_clock *clock, const tmsi_gpu_work *work,
                         double warm_us, double timed_us, double *out_us) {
    (void)context, (void)clock, (void)work, (void)warm_us, (void)timed_us, (void)out_us;
    return fail();
}
