/* Weights of all-MiniLM-L6-v2, where it is cached, pruned to every pattern, packed and unpacked:
 * the first and the last block, as they are and in 16 bits. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/dtype.h"
#include "support/sample.h"

static char folder[256];

static const char *at(const char *name) {
    return test_at(folder, name);
}

static const char *const patterns[] = {
    "unstructured 50%",
    "unstructured 80%",
    "unstructured 95% per row",
    "2:4",
    "1:4",
    "4:8",
    "block 32x32 50%",
    "block 32x32 80%",
    "block 7x5 90%",
    "rows 50%",
    "columns 50%",
    "2:4 in block 64x64 50%",
};

/* Tensors of those blocks in a file of their own, weights in that type. */
static void write_blocks(const tms_checkpoint *checkpoint, tms_dtype dtype, const char *path) {
    static tms_tensor tensors[64];
    static uint16_t *copies[64];
    int count = 0;

    for (int64_t i = 0; i < tms_checkpoint_tensor_count(checkpoint) && count < 64; i++) {
        tms_tensor *tensor = &tensors[count];
        assert_ok(tms_checkpoint_tensor(checkpoint, i, tensor));
        if (strstr(tensor->name, "layer.0.") == NULL && strstr(tensor->name, "layer.5.") == NULL)
            continue;
        if (dtype != TMS_F32) {
            int64_t elements = (int64_t)tensor->bytes / 4;
            copies[count] = malloc((size_t)elements * 2);
            for (int64_t e = 0; e < elements; e++) {
                float value = tmsi_load_f32(tensor->data, TMS_F32, e);
                copies[count][e] =
                    dtype == TMS_F16 ? tmsi_f16_from_f32(value) : tmsi_bf16_from_f32(value);
            }
            tensor->dtype = dtype;
            tensor->bytes /= 2;
            tensor->data = copies[count];
        }
        count++;
    }
    test_tensors_write(path, tensors, count, "{\"format\":\"pt\"}");
    for (int i = 0; i < count && dtype != TMS_F32; i++)
        free(copies[i]);
}

static void prune(tms_context *context, const char *in, const char *out, const char *text) {
    tms_pattern pattern = sample_pattern(text);
    tms_job_desc desc = sample_job(in, out);
    tms_layer_table *table = NULL;

    desc.layer_count = 0;
    desc.pattern = &pattern;
    assert_ok(tms_prune_run(context, &desc, &table));
    assert_int_equal(tms_layer_table_count(table), 12);
    tms_layer_table_destroy(table);
}

static void pack(tms_context *context, const char *in, const char *out) {
    tms_job_desc desc = sample_job(in, out);
    tms_layer_table *table = NULL;

    desc.layer_count = 0;
    assert_ok(tms_pack_run(context, &desc, &table));
    tms_layer_table_destroy(table);
}

static void real_weights_survive_packing_in_every_pattern(void **state) {
    static const tms_dtype dtypes[] = {TMS_F32, TMS_BF16, TMS_F16};
    char path[TEST_PATH_MAX];
    tms_context *context;
    tms_checkpoint *checkpoint = NULL;
    (void)state;

    if (!test_real_model(path)) {
        print_message("skipped: all-MiniLM-L6-v2 is not at %s (scripts/fetch_model.sh fetches it); "
                      "its weights were not packed\n",
                      path);
        skip();
    }
    context = test_context(0, 0);
    test_folder_make(folder);
    assert_ok(tms_checkpoint_open(context, path, &checkpoint));
    for (size_t p = 0; p < sizeof patterns / sizeof *patterns; p++) {
        struct stat pruned, packed;
        write_blocks(checkpoint, dtypes[p % 3], at("in"));
        print_message("%s %s\n", tms_dtype_name(dtypes[p % 3]), patterns[p]);
        prune(context, at("in"), at("pruned"), patterns[p]);
        pack(context, at("pruned"), at("packed"));
        sample_unpack(context, at("packed"), at("unpacked"));
        test_assert_same_files(at("pruned"), at("unpacked"));
        assert_int_equal(stat(at("pruned"), &pruned), 0);
        assert_int_equal(stat(at("packed"), &packed), 0);
        assert_true(packed.st_size <= pruned.st_size);
    }
    tms_checkpoint_close(checkpoint);
    test_folder_remove(folder);
    tms_context_destroy(context);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(real_weights_survive_packing_in_every_pattern),
    };
    return cmocka_run_group_tests_name("real_weights", tests, NULL, NULL);
}
