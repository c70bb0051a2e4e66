/* A small checkpoint that has everything a job must deal with, and jobs on it in a line. */
#ifndef TAMIS_TESTS_SAMPLE_H
#define TAMIS_TESTS_SAMPLE_H

#include "support/files.h"

/* Layers of the sample: "a.weight" is N x K, "b.weight" K x N. */
enum { SAMPLE_N = 32, SAMPLE_K = 64 };

/* Two layers, and beside them all that a job must pass through: a vector, a scalar, an empty
 * matrix, whole numbers, and odd bytes that put what follows out of alignment. dtype: f32, bf16 or
 * f16; metadata: a JSON object's text or NULL. */
void sample_write(const char *path, tms_dtype dtype, const char *metadata);

void sample_random(float *values, int64_t count, uint64_t seed);

/* On the sample's layers, with force: tests share a folder. */
tms_job_desc sample_job(const char *in, const char *out);

tms_pattern sample_pattern(const char *text);

/* Run with success. */
void sample_prune(tms_context *context, const char *in, const char *out, const char *pattern);
void sample_pack(tms_context *context, const char *in, const char *out);
void sample_unpack(tms_context *context, const char *in, const char *out);

/* The tensor of that name, which must be there. */
tms_tensor sample_tensor(const tms_checkpoint *checkpoint, const char *name);

#endif
