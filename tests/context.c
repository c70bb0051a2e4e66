/* Contexts, status and element types: what base promises. */
#include <math.h>
#include <string.h>

#include "base/dtype.h"
#include "base/hardware.h"
#include "base/memory.h"
#include "base/threads.h"
#include "support/support.h"

static void context_create_refuses_negative_threads(void **state) {
    tms_context_desc desc = tms_context_desc_default();
    tms_context *context = NULL;
    (void)state;
    desc.threads = -3;
    assert_fails(tms_context_create(&desc, &context), TMS_ERR_INVALID,
                 "tms_context_create: desc->threads is -3");
    assert_null(context);
}

static void context_mask_narrows_the_isa(void **state) {
    tms_context *context = test_context(1, TMS_ISA_NONE);
    (void)state;
    assert_string_equal(tms_context_isa_text(context), "none");
    tms_context_destroy(context);
}

static void isa_text_names_every_set(void **state) {
    char text[64], *cut = text + 40;

    (void)state;
    tmsi_isa_print(TMS_ISA_ALL, text, sizeof text);
    assert_string_equal(text, "avx2 avx512 sm80 sm90");
    tmsi_isa_print(TMS_ISA_SM80 | TMS_ISA_AVX2, text, sizeof text);
    assert_string_equal(text, "avx2 sm80");
    tmsi_isa_print(TMS_ISA_NONE, text, sizeof text);
    assert_string_equal(text, "none");
    *cut = 'x';
    tmsi_isa_print(TMS_ISA_ALL, text, 7); /* room for six characters */
    assert_string_equal(text, "avx2 a");
    assert_int_equal(*cut, 'x');
}

static void no_context_has_no_names(void **state) {
    (void)state;
    assert_string_equal(tms_context_cpu_name(NULL), "");
    assert_string_equal(tms_context_isa_text(NULL), "");
    assert_int_equal(tms_context_threads(NULL), 0);
    tms_context_destroy(NULL);
}

static tms_status create_once(tms_context *context, void *user) {
    void *memory = NULL;
    tms_status status = tmsi_alloc(context, 10, 10, &memory);
    (void)user;
    tmsi_free(context, memory);
    return status;
}

static void running_out_of_memory_is_a_status(void **state) {
    (void)state;
    test_every_allocation_fails_once(create_once, NULL);
}

static void alloc_refuses_sizes_that_overflow(void **state) {
    tms_context *context = test_context(1, 0);
    void *memory = NULL;
    (void)state;
    assert_fails(tmsi_alloc(context, SIZE_MAX / 2, 3, &memory), TMS_ERR_MEMORY, "items of 3 bytes");
    tms_context_destroy(context);
}

static void mark_task(void *arg, int64_t i) {
    ((int32_t *)arg)[i]++;
}

static void parallel_for_runs_each_task_once(void **state) {
    tms_context *context = test_context(4, 0);
    int32_t marks[1000] = {0};
    (void)state;
    tmsi_parallel_for(context, 1000, mark_task, marks);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(marks[i], 1);
    tms_context_destroy(context);
}

/* The caller's loop: last task first. */
static void run_backwards(void *user, int64_t count, tms_task task, void *arg) {
    *(int64_t *)user += count;
    for (int64_t i = count; i-- > 0;)
        task(arg, i);
}

static void callers_parallel_for_runs_what_has_tasks_to_share(void **state) {
    static int32_t marks[1000];
    tms_context_desc desc = tms_context_desc_default();
    int64_t taken = 0;

    (void)state;
    desc.parallel_for = run_backwards;
    desc.parallel_user = &taken;
    for (int32_t threads = 1; threads <= 2; threads++) {
        tms_context *context = NULL;
        desc.threads = threads;
        memset(marks, 0, sizeof marks);
        assert_ok(tms_context_create(&desc, &context));
        tmsi_parallel_for(context, 1, mark_task, marks);
        tmsi_parallel_for(context, 1000, mark_task, marks);
        assert_int_equal(marks[0], 2);
        for (int i = 1; i < 1000; i++)
            assert_int_equal(marks[i], 1);
        assert_int_equal(taken, threads == 1 ? 0 : 1000);
        tms_context_destroy(context);
    }
}

static void every_16_bit_float_survives_a_round_trip(void **state) {
    (void)state;
    for (uint32_t bits = 0; bits < 0x10000; bits++) {
        uint16_t half = (uint16_t)bits;
        if (!isnan(tmsi_f32_from_bf16(half)))
            assert_int_equal(tmsi_bf16_from_f32(tmsi_f32_from_bf16(half)), half);
        if (!isnan(tmsi_f32_from_f16(half)))
            assert_int_equal(tmsi_f16_from_f32(tmsi_f32_from_f16(half)), half);
        else
            assert_true(isnan(tmsi_f32_from_f16(tmsi_f16_from_f32(tmsi_f32_from_f16(half)))));
    }
    for (uint32_t code = 0; code < 256; code++)
        if ((code & 0x7f) != 0x7f)
            assert_int_equal(tmsi_e4m3_from_f32(tmsi_f32_from_e4m3((uint8_t)code)), code);
}

static void floats_round_to_nearest_even(void **state) {
    (void)state;
    /* Halfway between neighbours a, b of each type: the one with the even code wins. */
    for (uint16_t code = 0; code < 0x7bff; code++) {
        float a = tmsi_f32_from_f16(code), b = tmsi_f32_from_f16((uint16_t)(code + 1));
        uint16_t even = code % 2 == 0 ? code : (uint16_t)(code + 1);
        float middle = (float)(((double)a + (double)b) / 2);
        assert_int_equal(tmsi_f16_from_f32(middle), even);
        assert_int_equal(tmsi_f16_from_f32(nextafterf(middle, a)), code);
        assert_int_equal(tmsi_f16_from_f32(nextafterf(middle, b)), code + 1);
    }
    for (uint8_t code = 0; code < 0x7e; code++) {
        float a = tmsi_f32_from_e4m3(code), b = tmsi_f32_from_e4m3((uint8_t)(code + 1));
        uint8_t even = code % 2 == 0 ? code : (uint8_t)(code + 1);
        assert_int_equal(tmsi_e4m3_from_f32((a + b) / 2), even);
    }
    assert_int_equal(tmsi_f16_from_f32(65520.0f), 0x7c00);
    assert_int_equal(tmsi_e4m3_from_f32(1e9f), 0x7e);
    assert_int_equal(tmsi_e4m3_from_f32(-INFINITY), 0xfe);
    assert_int_equal(tmsi_bf16_from_f32(INFINITY), 0x7f80);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(context_create_refuses_negative_threads),
        cmocka_unit_test(context_mask_narrows_the_isa),
        cmocka_unit_test(isa_text_names_every_set),
        cmocka_unit_test(no_context_has_no_names),
        cmocka_unit_test(running_out_of_memory_is_a_status),
        cmocka_unit_test(alloc_refuses_sizes_that_overflow),
        cmocka_unit_test(callers_parallel_for_runs_what_has_tasks_to_share),
        cmocka_unit_test(parallel_for_runs_each_task_once),
        cmocka_unit_test(every_16_bit_float_survives_a_round_trip),
        cmocka_unit_test(floats_round_to_nearest_even),
    };
    return cmocka_run_group_tests_name("context", tests, NULL, NULL);
}
