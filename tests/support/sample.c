#include "support/sample.h"

#include <math.h>
#include <string.h>

#include "base/dtype.h"

enum { N = SAMPLE_N, K = SAMPLE_K };

void sample_random(float *values, int64_t count, uint64_t seed) {
    test_random random;
    test_random_seed(&random, test_seed() + seed);
    for (int64_t i = 0; i < count; i++)
        values[i] = (float)test_random_normal(&random);
}

void sample_write(const char *path, tms_dtype dtype, const char *metadata) {
    static float a[N * K], b[K * N];
    static uint16_t a16[N * K], b16[K * N];
    static const float bias[] = {1.0f, -0.0f, NAN};
    static const int64_t ids[] = {1, 2, 3, 4};
    static const int64_t three[] = {3}, square[] = {2, 2}, empty[] = {0, 4}, nk[] = {N, K},
                         kn[] = {K, N};
    bool is_f32 = dtype == TMS_F32;
    tms_tensor tensors[] = {
        test_tensor("odd", TMS_U8, 1, three, "abc"),
        test_tensor("a.weight", dtype, 2, nk, is_f32 ? (void *)a : a16),
        test_tensor("b.weight", dtype, 2, kn, is_f32 ? (void *)b : b16),
        test_tensor("bias", TMS_F32, 1, three, bias),
        test_tensor("scalar", TMS_F32, 0, NULL, bias),
        test_tensor("empty", TMS_F32, 2, empty, bias),
        test_tensor("ids", TMS_I64, 2, square, ids),
    };

    sample_random(a, N * K, 1);
    sample_random(b, K * N, 2);
    for (int i = 0; i < N * K; i++) {
        a16[i] = dtype == TMS_F16 ? tmsi_f16_from_f32(a[i]) : tmsi_bf16_from_f32(a[i]);
        b16[i] = dtype == TMS_F16 ? tmsi_f16_from_f32(b[i]) : tmsi_bf16_from_f32(b[i]);
    }
    test_tensors_write(path, tensors, 7, metadata);
}

/* The empty tensor is a 2-D float one too, and no layer. */
static const char *const layers[] = {"[ab].weight"};

tms_job_desc sample_job(const char *in, const char *out) {
    tms_job_desc desc = tms_job_desc_default();
    desc.in = in;
    desc.out = out;
    desc.force = 1;
    desc.layers = layers;
    desc.layer_count = 1;
    return desc;
}

tms_pattern sample_pattern(const char *text) {
    tms_pattern pattern;
    assert_ok(tms_pattern_parse(text, &pattern));
    return pattern;
}

static void run(tms_status (*verb)(tms_context *, const tms_job_desc *, tms_layer_table **),
                tms_context *context, const tms_job_desc *desc) {
    tms_layer_table *table = NULL;
    assert_ok(verb(context, desc, &table));
    tms_layer_table_destroy(table);
}

void sample_prune(tms_context *context, const char *in, const char *out, const char *text) {
    tms_pattern pattern = sample_pattern(text);
    tms_job_desc desc = sample_job(in, out);
    desc.pattern = &pattern;
    run(tms_prune_run, context, &desc);
}

void sample_pack(tms_context *context, const char *in, const char *out) {
    tms_job_desc desc = sample_job(in, out);
    run(tms_pack_run, context, &desc);
}

void sample_unpack(tms_context *context, const char *in, const char *out) {
    tms_job_desc desc = sample_job(in, out);
    run(tms_unpack_run, context, &desc);
}

tms_tensor sample_tensor(const tms_checkpoint *checkpoint, const char *name) {
    tms_tensor tensor;
    for (int64_t i = 0; i < tms_checkpoint_tensor_count(checkpoint); i++) {
        assert_ok(tms_checkpoint_tensor(checkpoint, i, &tensor));
        if (strcmp(tensor.name, name) == 0)
            return tensor;
    }
    fail_msg("no tensor %s", name);
    return tensor;
}
