/* What a context holds. Rooms read it; only context.c and the public functions write it. */
#ifndef TAMIS_BASE_CONTEXT_H
#define TAMIS_BASE_CONTEXT_H

#include "base/hardware.h"
#include "base/status.h"

struct tms_context {
    tms_allocator allocator;
    int32_t threads;               /* >= 1 */
    tms_parallel_for parallel_for; /* NULL: OpenMP */
    void *parallel_user;
    tmsi_hardware hardware;        /* as probed, its isa narrowed by the caller's mask */
    char isa_text[64];             /* of both */
    tmsi_hardware gpu;             /* likewise; processors is 0 where there is none */
    struct tmsi_cuda_device *cuda; /* that GPU; freed with the context */
    char device_text[128];
    struct tmsi_tuning *tuning, *gpu_tuning;      /* of each of the two; freed with the context */
    struct tmsi_cublaslt *cublaslt;               /* or NULL */
    char cublaslt_text[256];                      /* "cuBLASLt 13.1.0", or why there is none */
    char driver_text[64];                         /* "CUDA 13.0" */
    void (*release_device)(tms_context *context); /* what the GPU has to say at the end, or NULL */
};

/* Checks and copies what the caller knows of a description. */
tms_status tmsi_context_read(const tms_context_desc *given, tms_context_desc *out);
/* A context on the CPU alone, whatever desc->device says. */
tms_status tmsi_context_create(const tms_context_desc *desc, tms_context **out_context);

#endif
