/* The reader against files that lie, and the writer against the reader. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/safetensors.h"
#include "support/room.h"

static tms_status read_bytes(const void *data, size_t bytes) {
    tmsi_safetensors file;
    tms_status status = tmsi_safetensors_parse(context, data, bytes, &file);
    if (status == TMS_OK)
        tmsi_safetensors_close(&file);
    return status;
}

static tms_status read_header(const char *header, size_t data_bytes) {
    char path[TEST_PATH_MAX];
    tmsi_safetensors file;
    tms_status status;

    test_path(folder, "case.safetensors", path);
    test_header_write(path, header, NULL, data_bytes);
    status = tmsi_safetensors_open(context, path, &file);
    if (status == TMS_OK)
        tmsi_safetensors_close(&file);
    return status;
}

#define W "{\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}"

/* Each hostile header, the bytes behind it, and the words of its sentence. */
static const struct {
    const char *header;
    size_t data_bytes;
    const char *sentence;
} hostile[] = {
    {"", 0, "JSON is malformed"},
    {"[]", 0, "header is an array, but must be an object"},
    {"{\"w\":1}", 0, "tensor \"w\": is a whole number, but must be an object"},
    {"{\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]", 8, "JSON is malformed"},
    {W "}\n x", 8, "JSON is malformed"},
    {"{\"\xff\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}}", 4, "JSON is malformed"},
    {W ",\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8,
     "duplicate object key"},
    {"{\"w\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8,
     "duplicate object key"},
    {"{\"w\":{\"dtype\":\"F32\",\"shape\":[[[2]]],\"data_offsets\":[0,8]}}", 8,
     "nests 5 deep, but at most 3"},
    {"{\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8],\"strides\":[1]}}", 8,
     "has a key \"strides\" beside dtype, shape and data_offsets"},
    {"{\"w\":{\"shape\":[2],\"data_offsets\":[0,8]}}", 8, "\"dtype\" is missing"},
    {"{\"w\":{\"dtype\":\"F32\",\"data_offsets\":[0,8]}}", 8, "shape is missing"},
    {"{\"w\":{\"dtype\":\"F32\",\"shape\":[2]}}", 8, "data_offsets is missing"},
    {"{\"w\":{\"dtype\":\"F33\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8,
     "dtype \"F33\" is not known"},
    {"{\"w\":{\"dtype\":7,\"shape\":[2],\"data_offsets\":[0,8]}}", 8,
     "\"dtype\" is a whole number"},
    {"{\"w\":{\"dtype\":\"F32\",\"shape\":2,\"data_offsets\":[0,8]}}", 8,
     "shape is a whole number"},
    {"{\"w\":{\"dtype\":\"F32\",\"shape\":[2.0],\"data_offsets\":[0,8]}}", 8,
     "a dimension of shape is a number with a fraction"},
    {"{\"w\":{\"dtype\":\"F32\",\"shape\":[-2],\"data_offsets\":[0,8]}}", 8,
     "a dimension of shape is -2, but must be 0 to 281474976710655"},
    {"{\"w\":{\"dtype\":\"F32\",\"shape\":[281474976710656],\"data_offsets\":[0,8]}}", 8,
     "a dimension of shape is 281474976710656"},
    {"{\"w\":{\"dtype\":\"F32\",\"shape\":[99999999999999999999],\"data_offsets\":[0,8]}}", 8,
     "JSON is malformed"},
    {"{\"w\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,4]}}", 4,
     "shape has 9 dimensions, but at most 8"},
    {"{\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0]}}", 8,
     "data_offsets is an array of another length"},
    {"{\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[-8,0]}}", 8,
     "data_offsets' begin is -8"},
    {"{\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,1e1]}}", 8,
     "data_offsets' end is a number with a fraction"},
    {"{\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,0]}}", 8,
     "tensor \"w\" ends at byte 0, before its begin 8"},
    {"{\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]}}", 12,
     "tensor \"w\" begins at byte 4 of the data, but must at 0"},
    {W ",\"v\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[12,16]}}", 16,
     "tensor \"v\" begins at byte 12 of the data, but must at 8"},
    {W ",\"v\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]}}", 12,
     "tensor \"v\" begins at byte 4 of the data, but must at 8"},
    {W ",\"v\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8,
     "begins at byte 0 of the data, but must at 8"},
    /* The product of the dimensions is 2^64, which wraps to 0: "an empty tensor". */
    {"{\"w\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]}}", 0,
     "a shape, [4294967296, 4294967296], whose size in f32 overflows"},
    {"{\"w\":{\"dtype\":\"U8\",\"shape\":[0,281474976710655,281474976710655],"
     "\"data_offsets\":[0,0]}}",
     0, "overflows"},
    {"{\"w\":{\"dtype\":\"F64\",\"shape\":[65536,65536,536870912],\"data_offsets\":[0,0]}}", 0,
     "overflows"},
    {"{\"w\":{\"dtype\":\"F4\",\"shape\":[3],\"data_offsets\":[0,1]}}", 1,
     "a shape, [3], whose size in"},
    {"{\"w\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,8]}}", 8,
     "tensor \"w\" has 12 bytes by its shape, but 8 by its data_offsets"},
    {"{\"w\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8,
     "tensor \"w\" has 4 bytes by its shape, but 8"},
    {W "}", 7, "the tensors end at byte 70, but the file has 69 bytes"},
    {W "}", 9, "the tensors end at byte 70, but the file has 71 bytes"},
    {"{}", 1, "the tensors end at byte 10, but the file has 11 bytes"},
    {"{\"__metadata__\":[],\"w\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}}", 4,
     "__metadata__ is an array, but must be an object"},
    {"{\"__metadata__\":{\"a\":1}}", 0, "key \"a\" is a whole number, but must be a string"},
    {"{\"\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}}", 4, "name is empty"},
    {"{\"a\\u001b[2J\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}}", 4,
     "control character"},
    {"{\"a\\u009b2J\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}}", 4,
     "control character"},
    {"{\"a\\u0000b\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}}", 4, "\\u0000"},
};

static void reader_refuses_every_hostile_header(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
        print_message("%.100s\n", hostile[i].header);
        assert_fails(read_header(hostile[i].header, hostile[i].data_bytes), TMS_ERR_FORMAT,
                     hostile[i].sentence);
    }
}

static void reader_refuses_names_past_their_limit(void **state) {
    char header[1024], name[512];
    (void)state;
    memset(name, 'n', sizeof name);
    name[TMSI_NAME_BYTES_MAX + 1] = '\0';
    snprintf(header, sizeof header,
             "{\"%s\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1]}}", name);
    assert_fails(read_header(header, 1), TMS_ERR_FORMAT, "a name of 401 bytes, but at most 400");
    name[TMSI_NAME_BYTES_MAX] = '\0';
    snprintf(header, sizeof header,
             "{\"%s\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1]}}", name);
    assert_ok(read_header(header, 1));
}

static void reader_refuses_header_lengths_that_lie(void **state) {
    const uint8_t beyond[] = {7, 0, 0, 0, 0, 0, 0, 0, '{', '}'};
    const uint8_t huge[] = {0x01, 0xe1, 0xf5, 0x05, 0, 0, 0, 0, '{', '}'};
    const uint8_t wraps[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, '{', '}'};
    (void)state;
    assert_fails(read_bytes(beyond, 7), TMS_ERR_FORMAT, "has 7 bytes");
    assert_fails(read_bytes(NULL, 0), TMS_ERR_FORMAT, "has 0 bytes");
    assert_fails(read_bytes(beyond, 10), TMS_ERR_FORMAT,
                 "header ends at byte 15, but the file has 10 bytes");
    assert_fails(read_bytes(huge, 10), TMS_ERR_FORMAT,
                 "header claims 100000001 bytes, but at most 100000000");
    assert_fails(read_bytes(wraps, 10), TMS_ERR_FORMAT, "header claims 18446744073709551615 bytes");
}

/* Exactly sized copies, so that the sanitizers see one byte too far. */
static void reader_survives_truncation_at_every_byte(void **state) {
    const float values[] = {1, 2, 3, 4};
    tms_tensor tensors[] = {test_tensor_f32("a", 2, 2, values),
                            test_tensor_f32("b.\\u00e9", 1, 2, values)};
    char path[TEST_PATH_MAX];
    size_t bytes;
    char *whole;
    (void)state;
    test_path(folder, "whole.safetensors", path);
    test_tensors_write(path, tensors, 2, "{\"format\":\"pt\"}");
    whole = test_file_read(path, &bytes);
    assert_ok(read_bytes(whole, bytes));
    for (size_t cut = 0; cut < bytes; cut++) {
        char *part = malloc(cut + (cut == 0));
        memcpy(part, whole, cut);
        assert_int_equal(read_bytes(part, cut), TMS_ERR_FORMAT);
        free(part);
    }
    free(whole);
}

static void reader_takes_what_the_format_allows(void **state) {
    (void)state;
    assert_ok(read_header("{}", 0));
    assert_ok(read_header(" \t\r\n" W "}  \n ", 8));
    /* Keys in any order, scalars, zero-sized dimensions, sub-byte types in whole bytes. */
    assert_ok(read_header("{\"b\":{\"data_offsets\":[8,8],\"shape\":[0,3],\"dtype\":\"F32\"},"
                          "\"a\":{\"shape\":[],\"dtype\":\"F64\",\"data_offsets\":[0,8]},"
                          "\"c\":{\"shape\":[2,1],\"dtype\":\"F4\",\"data_offsets\":[8,9]},"
                          "\"__metadata__\":{\"a\":\"\",\"\":\"b\"}}",
                          9));
}

static void reader_gives_tensors_in_the_order_of_their_bytes(void **state) {
    const char *header = "{\"z\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},"
                         "\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[3,4]},"
                         "\"m\":{\"dtype\":\"U8\",\"shape\":[1,1],\"data_offsets\":[2,3]},"
                         "\"__metadata__\":{\"k\":\"v\",\"j\":\"\\u00e9\"}}";
    const char *data = "abcd";
    char path[TEST_PATH_MAX];
    tmsi_safetensors file;
    (void)state;
    test_path(folder, "order.safetensors", path);
    test_header_write(path, header, data, 4);
    assert_ok(tmsi_safetensors_open(context, path, &file));
    assert_int_equal(file.tensor_count, 3);
    assert_string_equal(file.tensors[0].name, "z");
    assert_string_equal(file.tensors[1].name, "m");
    assert_string_equal(file.tensors[2].name, "a");
    assert_int_equal(file.tensors[1].rank, 2);
    assert_int_equal(((const char *)file.tensors[1].data)[0], 'c');
    assert_ptr_equal(tmsi_safetensors_find(&file, "a"), &file.tensors[2]);
    assert_null(tmsi_safetensors_find(&file, "b"));
    assert_int_equal(file.metadata_count, 2);
    assert_string_equal(tmsi_safetensors_metadata(&file, "j"), "\xc3\xa9");
    tmsi_safetensors_close(&file);
}

static void reader_says_what_is_no_file(void **state) {
    char path[TEST_PATH_MAX];
    tmsi_safetensors file;
    (void)state;
    test_path(folder, "nothing", path);
    assert_fails(tmsi_safetensors_open(context, path, &file), TMS_ERR_IO,
                 "No such file or directory");
    assert_fails(tmsi_safetensors_open(context, folder, &file), TMS_ERR_IO, "is a folder");
    assert_fails(tmsi_safetensors_open(context, "/dev/null", &file), TMS_ERR_IO,
                 "is a device or pipe");
    test_path(folder, "empty", path);
    test_file_write(path, "", 0);
    assert_fails(tmsi_safetensors_open(context, path, &file), TMS_ERR_FORMAT,
                 "has 0 bytes, but a safetensors file has at least 8");
}

static tms_status open_once(tms_context *failing, void *user) {
    tmsi_safetensors file;
    tms_status status = tmsi_safetensors_open(failing, user, &file);
    if (status == TMS_OK)
        tmsi_safetensors_close(&file);
    return status;
}

static void reader_survives_every_failing_allocation(void **state) {
    char path[TEST_PATH_MAX];
    (void)state;
    test_path(folder, "memory.safetensors", path);
    test_header_write(path, W ",\"__metadata__\":{\"a\":\"b\"}}", NULL, 8);
    test_every_allocation_fails_once(open_once, path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reader_refuses_every_hostile_header),
        cmocka_unit_test(reader_refuses_names_past_their_limit),
        cmocka_unit_test(reader_refuses_header_lengths_that_lie),
        cmocka_unit_test(reader_survives_truncation_at_every_byte),
        cmocka_unit_test(reader_takes_what_the_format_allows),
        cmocka_unit_test(reader_gives_tensors_in_the_order_of_their_bytes),
        cmocka_unit_test(reader_says_what_is_no_file),
        cmocka_unit_test(reader_survives_every_failing_allocation),
    };
    return cmocka_run_group_tests_name("safetensors", tests, make_room, remove_room);
}
