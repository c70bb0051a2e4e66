/* Packed files that lie about their components. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "checkpoint/checkpoint.h"
#include "support/room.h"
#include "support/sample.h"

/* "w" of 8 x 16 as nm, csr and bsr, and a vector. */
static int make_files(void **state) {
    float values[8 * 16] = {0};
    tms_tensor tensors[] = {test_tensor_f32("w", 8, 16, values),
                            test_tensor_f32("v", 1, 16, values)};
    tms_layer_table *table = NULL;

    make_room(state);
    sample_random(values, 8 * 16, 1);
    for (int i = 0; i < 8 * 16; i++)
        values[i] *= i % 4 == 1;
    test_tensors_write(at("in"), tensors, 2, "{\"format\":\"pt\"}");
    for (int f = TMS_FORMAT_NM; f < TMS_FORMAT_COUNT; f++) {
        tms_job_desc desc = sample_job(at("in"), at(tms_format_name((tms_format)f)));
        const char *layer = "w";
        desc.layers = &layer;
        desc.has_format = 1;
        desc.format = (tms_format)f;
        assert_ok(tms_pack_run(context, &desc, &table));
        tms_layer_table_destroy(table);
    }
    return 0;
}

static uint64_t header_length(const char *file) {
    uint64_t length = 0;
    for (int i = 7; i >= 0; i--)
        length = length << 8 | (unsigned char)file[i];
    return length;
}

/* The packed file of that format with one text of its header replaced, as "hostile". */
static void write_patched(const char *format, const char *old, const char *new) {
    size_t bytes, length;
    char *file = test_file_read(at(format), &bytes), *header, *found, *patched;

    length = (size_t)header_length(file);
    header = calloc(length + 1, 1);
    memcpy(header, file + 8, length);
    found = strstr(header, old);
    if (found == NULL)
        fail_msg("%s is not in %s", old, header);
    patched = calloc(length + strlen(new) + 1, 1);
    sprintf(patched, "%.*s%s%s", (int)(found - header), header, new, found + strlen(old));
    test_header_write(at("hostile"), patched, file + 8 + length, bytes - 8 - length);
    free(patched);
    free(header);
    free(file);
}

/* Quotes as they stand in a header's text: within a string. */
#define Q "\\\""

static void lying_descriptions_are_refused(void **state) {
    static const struct {
        const char *format, *old, *new, *sentence;
    } cases[] = {
        {"nm", "tamis-packed 1", "tamis-packed 2",
         "metadata key tamis.packed is \"tamis-packed 2\", but this library reads \"tamis-packed "
         "1\""},
        {"nm", "{" Q "format", "[1]{" Q "format", "JSON is malformed"},
        {"nm", Q "format" Q ":" Q "nm" Q, Q "format" Q ":" Q "mn" Q, "format \"mn\" is not known"},
        {"nm", Q "format" Q ":" Q "nm" Q, Q "format" Q ":" Q "dense" Q,
         "such a tensor is not packed"},
        {"nm", Q "format" Q ":" Q "nm" Q, Q "format" Q ":[" Q "nm" Q "]", "nests 2 deep"},
        {"nm", Q "format" Q ":" Q "nm" Q, Q "format" Q ":1", "\"format\" is a whole number"},
        {"nm", Q "dtype" Q ":" Q "F32" Q, Q "dtype" Q ":" Q "F64" Q,
         "\"dtype\" is \"F64\", but must be F32, BF16 or F16"},
        {"nm", Q "dtype" Q ":" Q "F32" Q, Q "dtype" Q ":" Q "F16" Q, "in another shape"},
        {"nm", Q "n" Q ":8", Q "n" Q ":8,\\\"n\\\":8", "duplicate"},
        {"nm", Q "n" Q ":8", Q "n" Q ":8.0", "\"n\" is a number with a fraction"},
        {"nm", Q "n" Q ":8", Q "n" Q ":-8", "\"n\" is -8, but must be 0 to 281474976710655"},
        {"nm", Q "n" Q ":8", Q "m" Q ":8", "has a key \"m\", which nm has not"},
        {"nm", Q "n" Q ":8", Q "n" Q ":9", "\"nnz\" is"},
        {"nm", Q "k" Q ":16", Q "k" Q ":18", "packed tensor \"w\": "},
        {"nm", Q "keep" Q ":1", Q "keep" Q ":4", "packed tensor \"w\": "},
        {"nm", Q "keep" Q ":1", Q "keep" Q ":0", "\"keep\" is 0"},
        {"nm", Q "group" Q ":4", Q "group" Q ":8", "\"nnz\" is"},
        {"nm", "," Q "group" Q ":4", "", "\"group\" is missing"},
        {"nm", Q "hash" Q ":" Q, Q "hash" Q ":" Q "0", "must be 16 hexadecimal digits"},
        {"nm", "\"w.index\"", "\"w.indices\"", "its component \"w.index\" is missing"},
        {"nm", "\"w.index\"", "\"w\"", "its component \"w.index\" is missing"},
        {"nm", "\"tamis.w\"", "\"tamis.x\"", "its component \"x.values\" is missing"},
        {"nm", "\"tamis.w\"", "\"tamis.\"", "a tensor's name is empty"},
        {"nm", "\"tamis.w\"", "\"tamis.w\\u001b\"", "control character"},
        {"nm", "\"v\"", "\"w\"", "tensor \"w\" is stored twice"},
        {"nm", "\"dtype\":\"U8\"", "\"dtype\":\"I8\"", "is i8 of"},
        {"csr", Q "nnz" Q ":32", Q "nnz" Q ":31", "in another shape"},
        {"csr", Q "nnz" Q ":32", Q "nnz" Q ":129", "nnz is 129"},
        {"csr", Q "nnz" Q ":32", Q "nnz" Q ":32," Q "keep" Q ":2", "which csr has not"},
        {"csr", Q "n" Q ":8", Q "n" Q ":281474976710655", "packed tensor \"w\": "},
        {"csr", Q "k" Q ":16", Q "k" Q ":281474976710655", "packed tensor \"w\": "},
        {"bsr", Q "block_rows" Q ":", Q "block_rows" Q ":9", "packed tensor \"w\": "},
        {"bsr", Q "block_rows" Q ":", Q "block_rows" Q ":99999", "packed tensor \"w\": "},
    };
    tms_checkpoint *checkpoint = NULL;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        print_message("%s: %s -> %s\n", cases[i].format, cases[i].old, cases[i].new);
        write_patched(cases[i].format, cases[i].old, cases[i].new);
        assert_fails(tms_checkpoint_open(context, at("hostile"), &checkpoint), TMS_ERR_FORMAT,
                     cases[i].sentence);
        assert_null(checkpoint);
    }
}

static void files_without_the_key_are_not_packed(void **state) {
    tms_checkpoint *checkpoint = NULL;
    (void)state;
    write_patched("nm", "tamis.packed", "other.packed");
    assert_ok(tms_checkpoint_open(context, at("hostile"), &checkpoint));
    assert_int_equal(tms_checkpoint_is_packed(checkpoint), 0);
    assert_int_equal(tmsi_checkpoint_find(checkpoint, "w"), -1);
    assert_true(tmsi_checkpoint_find(checkpoint, "w.values") >= 0);
    tms_checkpoint_close(checkpoint);
}

/* One bit flipped anywhere in the components: unpack says so and leaves nothing. */
static void damaged_components_are_noticed(void **state) {
    (void)state;
    for (int f = TMS_FORMAT_NM; f < TMS_FORMAT_COUNT; f++) {
        const char *name = tms_format_name((tms_format)f);
        size_t bytes, begin;
        char *file = test_file_read(at(name), &bytes);

        begin = 8 + (size_t)header_length(file);
        for (size_t i = begin; i < bytes; i += 7) {
            tms_job_desc desc = sample_job(at("hostile"), at("unpacked"));
            tms_layer_table *table = NULL;
            tms_status status;
            file[i] ^= 0x10;
            test_file_write(at("hostile"), file, bytes);
            file[i] ^= 0x10;
            status = tms_unpack_run(context, &desc, &table);
            tms_layer_table_destroy(table);
            if (status == TMS_OK) { /* it was in "v", which has no hash */
                assert_int_equal(remove(at("unpacked")), 0);
                continue;
            }
            assert_int_equal(status, TMS_ERR_FORMAT);
            test_assert_contains(tms_error_text(), "tensor \"w\": its components hash to ");
            assert_false(test_file_exists(at("unpacked")));
        }
        free(file);
    }
}

/* A hash proves no more than that nobody slipped: entries are judged too. */
static void lying_entries_with_a_right_hash_are_refused(void **state) {
    struct {
        float values[2];
        int32_t columns[2];
        int64_t offsets[3];
    } data = {{1, 2}, {0, 70}, {0, 1, 2}};
    static const int64_t two[] = {2}, three[] = {3};
    tms_tensor tensors[] = {test_tensor("w.values", TMS_F32, 1, two, data.values),
                            test_tensor("w.columns", TMS_I32, 1, two, data.columns),
                            test_tensor("w.offsets", TMS_I64, 1, three, data.offsets)};
    char metadata[512];
    tms_job_desc desc = sample_job(at("hostile"), at("unpacked"));
    tms_layer_table *table = NULL;
    (void)state;
    snprintf(metadata, sizeof metadata,
             "{\"tamis.packed\":\"tamis-packed 1\",\"tamis.w\":\"{" Q "format" Q ":" Q "csr" Q "," Q
             "dtype" Q ":" Q "F32" Q "," Q "n" Q ":2," Q "k" Q ":64," Q "nnz" Q ":2," Q "hash" Q
             ":" Q "%016" PRIx64 Q "}\"}",
             (uint64_t)XXH3_64bits(&data, 40));
    test_tensors_write(at("hostile"), tensors, 3, metadata);
    assert_fails(tms_unpack_run(context, &desc, &table), TMS_ERR_FORMAT,
                 "tensor \"w\": columns[1], in row 1, is 70, but must be 0 to 63");
    assert_false(test_file_exists(at("unpacked")));
}

static void names_that_collide_are_refused(void **state) {
    float values[64] = {1};
    tms_tensor tensors[] = {test_tensor_f32("w", 4, 16, values),
                            test_tensor_f32("w.values", 4, 16, values)};
    tms_tensor reserved = test_tensor_f32("prune", 4, 16, values);
    tms_job_desc desc = sample_job(at("collide"), at("collided"));
    const char *layer = "w";
    tms_layer_table *table = NULL;
    (void)state;
    desc.layers = &layer;
    test_tensors_write(desc.in, tensors, 2, NULL);
    assert_fails(tms_pack_run(context, &desc, &table), TMS_ERR_INVALID,
                 "the output would have two tensors \"w.values\"");
    test_tensors_write(desc.in, tensors, 1, "{\"tamis.w\":\"mine\"}");
    assert_fails(tms_pack_run(context, &desc, &table), TMS_ERR_INVALID,
                 "metadata key \"tamis.w\" is in the way");
    desc.layer_count = 0;
    test_tensors_write(desc.in, &reserved, 1, NULL);
    assert_fails(tms_pack_run(context, &desc, &table), TMS_ERR_INVALID,
                 "tensor \"prune\" cannot be packed: metadata key \"tamis.prune\" has another use");
    assert_false(test_file_exists(desc.out));
}

static void lying_records_are_refused(void **state) {
    static const struct {
        const char *record, *sentence;
    } cases[] = {
        {"[]", "is an array, but must be an object"},
        {"{", "JSON is malformed"},
        {"{" Q "version" Q ":2," Q "runs" Q ":[]}", "\"version\" is 2, but must be 1 to 1"},
        {"{" Q "version" Q ":1}", "\"runs\" is missing"},
        {"{" Q "version" Q ":1," Q "runs" Q ":[1]}", "a run is a whole number"},
        {"{" Q "version" Q ":1," Q "runs" Q ":[{" Q "pattern" Q ":" Q "2:4" Q "}]}",
         "\"layers\" is missing"},
        {"{" Q "version" Q ":1," Q "runs" Q ":[{" Q "pattern" Q ":" Q "4:2" Q "," Q "layers" Q
         ":{}}]}",
         "\"pattern\": "},
        {"{" Q "version" Q ":1," Q "runs" Q ":[{" Q "pattern" Q ":" Q "2:4" Q "," Q "layers" Q
         ":{" Q "w" Q ":" Q "x" Q "}}]}",
         "zeros of layer \"w\" are a string"},
        {"{" Q "version" Q ":1," Q "runs" Q ":[{" Q "pattern" Q ":" Q "2:4" Q "," Q "layers" Q
         ":{" Q "x" Q ":1}}]}",
         "speaks of layer \"x\", but"},
    };
    float values[64] = {1};
    tms_tensor tensor = test_tensor_f32("w", 4, 16, values);
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tms_job_desc desc = sample_job(at("record"), NULL);
        tms_layer_table *table = NULL;
        char metadata[512];
        int32_t holds;
        desc.layer_count = 0;
        snprintf(metadata, sizeof metadata, "{\"tamis.prune\":\"%s\"}", cases[i].record);
        test_tensors_write(desc.in, &tensor, 1, metadata);
        assert_fails(tms_check_run(context, &desc, &holds, &table), TMS_ERR_FORMAT,
                     cases[i].sentence);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lying_descriptions_are_refused),
        cmocka_unit_test(files_without_the_key_are_not_packed),
        cmocka_unit_test(damaged_components_are_noticed),
        cmocka_unit_test(lying_entries_with_a_right_hash_are_refused),
        cmocka_unit_test(names_that_collide_are_refused),
        cmocka_unit_test(lying_records_are_refused),
    };
    return cmocka_run_group_tests_name("packed", tests, make_files, remove_room);
}
