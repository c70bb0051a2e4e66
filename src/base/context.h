/* What a context holds. Rooms read it; only context.c writes it. */
#ifndef TAMIS_BASE_CONTEXT_H
#define TAMIS_BASE_CONTEXT_H

#include "base/hardware.h"
#include "base/status.h"

struct tms_context {
    tms_allocator allocator;
    int32_t threads;               /* >= 1 */
    tms_parallel_for parallel_for; /* NULL: OpenMP */
    void *parallel_user;
    tmsi_hardware hardware; /* as probed, its isa narrowed by the caller's mask */
    char isa_text[64];
};

#endif
