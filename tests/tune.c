/* The tuner and the explanation of choices, where no GPU is needed. Nothing here judges a time. */
#define _GNU_SOURCE /* mkdtemp */
#include "support/support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/context.h"
#include "base/memory.h"
#include "spmm/kernel.h"
#include "spmm/tuning.h"

/* ---- Tuning ---------------------------------------------------------------------------------- */

typedef struct seen {
    int64_t rows, steps, stop_at_row, stop_at_step; /* 0: never */
} seen;

static int32_t see_row(void *user, const tms_bench_row *row) {
    seen *s = user;

    assert_string_equal(row->op, "spmm");
    assert_true(row->us > 0.0 && row->t >= 1 && row->kernel != NULL);
    return ++s->rows == s->stop_at_row;
}

static int32_t see_step(void *user, const char *what, int64_t done, int64_t total) {
    seen *s = user;

    (void)what;
    assert_true(done >= 0 && done < total);
    return ++s->steps == s->stop_at_step;
}

static void tuner_stops_where_the_caller_says_and_leaves_no_file(void **state) {
    tms_context *context = test_context(1, 0);
    tms_tune_desc desc = tms_tune_desc_default();
    char folder[] = "/tmp/tamis-tune-XXXXXX", path[512];

    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/table.txt", folder);
    desc.out = path;
    desc.progress = see_step;
    for (int i = 0; i < 2; i++) {
        seen s = {0, 0, i == 0 ? 1 : 0, i == 1 ? 2 : 0};

        desc.progress_user = &s;
        if (i == 0 && (context->hardware.isa & TMS_ISA_AVX2) == 0)
            continue; /* references are not measured: there is no row to stop at */
        assert_fails(tms_tune_run(context, &desc, see_row, &s), TMS_ERR_CANCELLED, "");
        assert_int_not_equal(access(path, F_OK), 0);
    }
    assert_int_equal(rmdir(folder), 0); /* it is empty */
    tms_context_destroy(context);
}

static void tuner_says_what_is_wrong_before_it_measures(void **state) {
    tms_context *context = test_context(1, 0);
    const tms_shape shape = {0, 64, 64};
    tms_tune_desc desc = tms_tune_desc_default();
    seen s = {0, 0, 0, 1};

    (void)state;
    desc.progress = see_step;
    desc.progress_user = &s;
    desc.device = (tms_device)7;
    assert_fails(tms_tune_run(context, &desc, NULL, NULL), TMS_ERR_INVALID, "desc->device is 7");
    desc.device = TMS_DEVICE_CUDA;
    assert_fails(tms_tune_run(context, &desc, NULL, NULL), TMS_ERR_DEVICE,
                 "the context has no GPU");
    desc.device = TMS_DEVICE_CPU;
    desc.shape_count = 1;
    assert_fails(tms_tune_run(context, &desc, NULL, NULL), TMS_ERR_INVALID, "desc->shapes is NULL");
    desc.shapes = &shape;
    assert_fails(tms_tune_run(context, &desc, NULL, NULL), TMS_ERR_INVALID,
                 "desc->shapes[0] is t 0");
    desc.shape_count = 0;
    desc.out = "/no/such/folder/table.txt";
    assert_fails(tms_tune_run(context, &desc, NULL, NULL), TMS_ERR_IO, "/no/such/folder");
    assert_int_equal(s.steps, 0);
    tms_context_destroy(context);
}

static tms_status create_table(tms_context *context, void *user) {
    static const char text[] = "tamis-tuning 1\ndevice Zen\nprocessors 0\n"
                               "time spmm_nm_any_1x1_ref t 64 k 128 n 256 us 1\n";
    tmsi_hardware zen = {0};
    tmsi_tuning *tuning = NULL;
    tms_status status;

    (void)user;
    strcpy(zen.name, "Zen");
    status = tmsi_tuning_create(context, &zen, text, sizeof text - 1, &tuning);
    tmsi_free(context, tuning);
    return status;
}

static void table_survives_every_failed_allocation(void **state) {
    (void)state;
    test_every_allocation_fails_once(create_table, NULL);
}

/* ---- Explaining ------------------------------------------------------------------------------ */

typedef struct explained {
    int rows, chosen, dense;
    double chosen_us, least_us; /* least of those whose part is there */
    int64_t first, last;
    char machine[64];
} explained;

static int32_t see_candidate(void *user, const tms_explain_row *row) {
    explained *e = user;

    e->rows++;
    e->chosen += row->is_chosen;
    e->dense += strstr(row->kernel, "dense") != NULL;
    if (row->is_chosen) {
        e->chosen_us = row->us;
        e->first = row->first;
        e->last = row->last;
    }
    if (row->has_part && !row->is_reference && row->us < e->least_us)
        e->least_us = row->us;
    assert_true(fabs(row->us - (row->launch_us + fmax(row->steps_us, row->memory_us) +
                                row->pass_us)) < 1e-9 * row->us ||
                row->is_measured || isinf(row->us));
    snprintf(e->machine, sizeof e->machine, "%s", row->machine);
    return 0;
}

static tms_spmm_problem problem_24(tms_dtype type) {
    tms_spmm_problem problem = tms_spmm_problem_default();

    problem.n = 4096;
    problem.k = 4096;
    problem.t_max = 1000;
    problem.format = TMS_FORMAT_NM;
    problem.keep = 2;
    problem.group = 4;
    problem.x_type = problem.w_type = problem.y_type = type;
    return problem;
}

/* Of all that is explained the cheapest that the layout has a part for is the chosen one, and its
 * range holds t. */
static void explained_choice_is_the_cheapest_there(void **state) {
    const char *const machines[] = {"h100", "H200"};
    tms_spmm_problem problem = problem_24(TMS_BF16);
    tms_explain_desc desc = tms_explain_desc_default();
    const tmsi_hardware gpu = {"", 0, 0, 0, TMS_ISA_ALL, 0, 0, 0, 132, 0, 0};
    tms_context *context;

    (void)state;
    if (tmsi_spmm_table_of(&gpu).count == 0)
        skip(); /* built without CUDA */
    context = test_context(1, 0);
    desc.problem = &problem;
    desc.keep_dense = 1;
    for (size_t m = 0; m < 2; m++)
        for (desc.t = 1; desc.t <= problem.t_max; desc.t = desc.t * 3 + 1) {
            explained e = {0};

            e.least_us = INFINITY;
            desc.machine = machines[m];
            assert_ok(tms_spmm_explain(context, &desc, see_candidate, &e));
            assert_int_equal(e.chosen, 1);
            assert_int_equal(e.dense, 1);
            assert_true(e.rows > 5);
            assert_true(e.chosen_us == e.least_us);
            assert_true(e.first <= desc.t && desc.t <= e.last);
            assert_string_equal(e.machine, m == 0 ? "H100" : "H200");
        }
    tms_context_destroy(context);
}

static void explanation_refuses_what_it_does_not_know(void **state) {
    tms_context *context = test_context(1, 0);
    tms_spmm_problem problem = problem_24(TMS_F32);
    tms_explain_desc desc = tms_explain_desc_default();
    explained e = {0};

    (void)state;
    assert_fails(tms_spmm_explain(context, &desc, see_candidate, &e), TMS_ERR_INVALID, "problem");
    desc.problem = &problem;
    assert_fails(tms_spmm_explain(context, &desc, see_candidate, &e), TMS_ERR_INVALID,
                 "desc->t is 0, but must be 1 to 1000");
    desc.t = 1001;
    assert_fails(tms_spmm_explain(context, &desc, see_candidate, &e), TMS_ERR_INVALID,
                 "desc->t is 1001");
    desc.t = 1;
    desc.machine = "b200";
    assert_fails(tms_spmm_explain(context, &desc, see_candidate, &e), TMS_ERR_INVALID,
                 "desc->machine is \"b200\", but those described are h100, h200");
    desc.machine = NULL;
    problem.device = TMS_DEVICE_CUDA;
    assert_fails(tms_spmm_explain(context, &desc, see_candidate, &e), TMS_ERR_DEVICE,
                 "the context has no GPU");
    assert_fails(tms_spmm_explain(context, &desc, NULL, &e), TMS_ERR_INVALID, "sink is NULL");
    assert_int_equal(e.rows, 0);
    tms_context_destroy(context);
}

/* ---- Rows of a GPU --------------------------------------------------------------------------- */

static void bench_on_a_gpu_says_what_it_has_no_rows_of(void **state) {
    tms_context *context = test_context(1, 0);
    const tms_shape shape = {4, 64, 64};
    tms_pattern pattern;
    tms_bench_desc desc = tms_bench_desc_default();
    seen s = {0};

    (void)state;
    desc.shapes = &shape;
    desc.shape_count = 1;
    desc.device = TMS_DEVICE_CUDA;
    assert_fails(tms_bench_run(context, &desc, see_row, &s), TMS_ERR_DEVICE,
                 "the context has no GPU");
    desc.checkpoint = "model.safetensors";
    assert_fails(tms_bench_run(context, &desc, see_row, &s), TMS_ERR_UNSUPPORTED,
                 "on a GPU products of shapes are measured");
    desc.checkpoint = NULL;
    assert_ok(tms_pattern_parse("4:8", &pattern));
    desc.patterns = &pattern;
    desc.pattern_count = 1;
    assert_fails(tms_bench_run(context, &desc, see_row, &s), TMS_ERR_UNSUPPORTED,
                 "desc->patterns[0] is not 2:4");
    desc.device = (tms_device)3;
    assert_fails(tms_bench_run(context, &desc, see_row, &s), TMS_ERR_INVALID, "desc->device is 3");
    assert_int_equal(s.rows, 0);
    tms_context_destroy(context);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tuner_stops_where_the_caller_says_and_leaves_no_file),
        cmocka_unit_test(tuner_says_what_is_wrong_before_it_measures),
        cmocka_unit_test(table_survives_every_failed_allocation),
        cmocka_unit_test(explained_choice_is_the_cheapest_there),
        cmocka_unit_test(explanation_refuses_what_it_does_not_know),
        cmocka_unit_test(bench_on_a_gpu_says_what_it_has_no_rows_of),
    };
    return cmocka_run_group_tests_name("tune", tests, NULL, NULL);
}
