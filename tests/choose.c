/* Choice: for fixed lists of problems and described machines, the parts and the kernel of every
 * range of T stand in golden/choose*.txt, a file for the CPUs and one for each GPU's tuning table,
 * so that a change of a cost model or a price shows in review. build/test_choose --update writes
 * the files anew */
#define _GNU_SOURCE /* open_memstream */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "spmm/choose.h"
#include "spmm/problem.h"
#include "support/support.h"

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

/* Machines as the choice sees them; none of them need be this one. */
static const tmsi_hardware hardware[] = {
    {"any x86-64 without AVX2", 6, 45, 7, 0, 32 << 10, 256 << 10, 8 << 20, 0, 0, 0},
    {"EPYC Zen 3", 25, 1, 1, TMS_ISA_AVX2, 32 << 10, 512 << 10, 32 << 20, 0, 0, 0},
    {"EPYC Zen 5", 26, 2, 1, TMS_ISA_AVX2 | TMS_ISA_AVX512, 48 << 10, 1 << 20, 32 << 20, 0, 0, 0},
};

/* The same for GPUs: with cuBLASLt, but for the last one. */
static const tmsi_hardware gpu_hardware[] = {
    {"NVIDIA H100 80GB HBM3", 0, 0, 0, TMS_ISA_ALL, 0, 50 << 20, 0, 132, 1980, 3352},
    {"NVIDIA H200", 0, 0, 0, TMS_ISA_ALL, 0, 50 << 20, 0, 132, 1980, 4800},
    {"NVIDIA A100-SXM4-80GB", 0, 0, 0, TMS_ISA_SM80, 0, 40 << 20, 0, 108, 1410, 2039},
};

enum { GPUS = COUNT_OF(gpu_hardware) };
static tmsi_tuning tunings[COUNT_OF(hardware)], gpu_tunings[GPUS];
static tmsi_machine machines[COUNT_OF(hardware)], gpus[GPUS];

static void make_machine(const tmsi_hardware *described, tmsi_tuning *tuning, tmsi_machine *out) {
    tmsi_tuning_fill(described, tuning);
    out->hardware = described;
    out->tuning = tuning;
}

static void make_machines(void) {
    for (size_t m = 0; m < COUNT_OF(hardware); m++)
        make_machine(&hardware[m], &tunings[m], &machines[m]);
    for (size_t m = 0; m < GPUS; m++)
        make_machine(&gpu_hardware[m], &gpu_tunings[m], &gpus[m]);
}

typedef struct golden_case {
    const char *name;
    int64_t n, k, t_max;
    tms_format format;
    double density;
    int32_t a, b;    /* keep, group; block */
    tms_dtype dtype; /* of x, w and y */
    uint32_t epilogue;
    tms_activation activation;
    bool keep_dense;
} golden_case;

#define BIAS     TMS_EPILOGUE_BIAS
#define RESIDUAL TMS_EPILOGUE_RESIDUAL
#define GATE     TMS_EPILOGUE_GATE

static const golden_case cases[] = {
    {"dense attention", 384, 384, 256, TMS_FORMAT_DENSE, 1, 0, 0, TMS_F32, BIAS, 0, false},
    {"dense ffn up", 1536, 384, 256, TMS_FORMAT_DENSE, 1, 0, 0, TMS_F32, BIAS, TMS_ACT_GELU, false},
    {"dense bf16", 384, 384, 256, TMS_FORMAT_DENSE, 1, 0, 0, TMS_BF16, 0, 0, false},
    {"2:4 qkv", 1152, 384, 256, TMS_FORMAT_NM, 0.5, 2, 4, TMS_F32, BIAS, 0, false},
    {"2:4 ffn up", 1536, 384, 256, TMS_FORMAT_NM, 0.5, 2, 4, TMS_F32, BIAS, TMS_ACT_GELU, false},
    {"2:4 ffn down", 384, 1536, 256, TMS_FORMAT_NM, 0.5, 2, 4, TMS_F32, BIAS | RESIDUAL, 0, false},
    {"2:4 ffn up, dense kept", 1536, 384, 256, TMS_FORMAT_NM, 0.5, 2, 4, TMS_F32, BIAS,
     TMS_ACT_GELU, true},
    {"2:4 gated", 1536, 384, 64, TMS_FORMAT_NM, 0.5, 2, 4, TMS_F32, GATE, TMS_ACT_SILU, false},
    {"2:4 bf16", 384, 384, 64, TMS_FORMAT_NM, 0.5, 2, 4, TMS_BF16, 0, 0, false},
    {"4:8", 384, 384, 64, TMS_FORMAT_NM, 0.5, 4, 8, TMS_F32, 0, 0, false},
    {"unstructured 30 %, dense kept", 384, 384, 256, TMS_FORMAT_CSR, 0.7, 0, 0, TMS_F32, 0, 0,
     true},
    {"unstructured 50 %", 1536, 384, 256, TMS_FORMAT_CSR, 0.5, 0, 0, TMS_F32, BIAS, TMS_ACT_GELU,
     false},
    {"unstructured 50 %, dense kept", 1536, 384, 256, TMS_FORMAT_CSR, 0.5, 0, 0, TMS_F32, BIAS,
     TMS_ACT_GELU, true},
    {"unstructured 90 %, dense kept", 1536, 384, 256, TMS_FORMAT_CSR, 0.1, 0, 0, TMS_F32, 0, 0,
     true},
    {"32x32 80 %", 384, 1536, 256, TMS_FORMAT_BSR, 0.2, 32, 32, TMS_F32, 0, 0, false},
    {"32x32 20 %, dense kept", 384, 1536, 256, TMS_FORMAT_BSR, 0.8, 32, 32, TMS_F32, 0, 0, true},
    {"4x1 80 %", 384, 1536, 256, TMS_FORMAT_BSR, 0.2, 4, 1, TMS_F32, 0, 0, false},
    {"5x7 80 %", 385, 1001, 7, TMS_FORMAT_BSR, 0.2, 5, 7, TMS_F32, 0, 0, false},
    {"one token, one row", 1, 1, 1, TMS_FORMAT_CSR, 1.0, 0, 0, TMS_F32, 0, 0, true},
    {"empty weight", 64, 64, 3, TMS_FORMAT_CSR, 0.0, 0, 0, TMS_F32, 0, 0, true},
};

/* Layers of transformers, and few tokens; types, epilogues, kept dense weights. */
static const golden_case gpu_cases[] = {
    {"vit-h qkv", 3840, 1280, 16384, TMS_FORMAT_NM, 0.5, 2, 4, TMS_BF16, BIAS, 0, false},
    {"vit-h proj", 1280, 1280, 16384, TMS_FORMAT_NM, 0.5, 2, 4, TMS_BF16, BIAS | RESIDUAL, 0,
     false},
    {"vit-h fc1, dense kept", 5120, 1280, 16384, TMS_FORMAT_NM, 0.5, 2, 4, TMS_BF16, BIAS,
     TMS_ACT_GELU, true},
    {"vit-h fc2", 1280, 5120, 16384, TMS_FORMAT_NM, 0.5, 2, 4, TMS_F16, BIAS | RESIDUAL, 0, false},
    {"llama qkv, dense kept", 12288, 4096, 4096, TMS_FORMAT_NM, 0.5, 2, 4, TMS_BF16, 0, 0, true},
    {"llama gate up", 22016, 4096, 4096, TMS_FORMAT_NM, 0.5, 2, 4, TMS_BF16, 0, 0, false},
    {"small, dense kept", 1024, 1024, 8192, TMS_FORMAT_NM, 0.5, 2, 4, TMS_BF16, 0, 0, true},
    {"square 4k", 4096, 4096, 4096, TMS_FORMAT_NM, 0.5, 2, 4, TMS_BF16, 0, 0, false},
    {"square 4k, dense kept", 4096, 4096, 4096, TMS_FORMAT_NM, 0.5, 2, 4, TMS_BF16, 0, 0, true},
    {"square 8k", 8192, 8192, 8192, TMS_FORMAT_NM, 0.5, 2, 4, TMS_BF16, 0, 0, false},
    {"odd", 1000, 1004, 4096, TMS_FORMAT_NM, 0.5, 2, 4, TMS_BF16, BIAS, TMS_ACT_SILU, false},
    {"i8", 4096, 4096, 4096, TMS_FORMAT_NM, 0.5, 2, 4, TMS_I8, 0, 0, true},
    {"e4m3", 4096, 4096, 4096, TMS_FORMAT_NM, 0.5, 2, 4, TMS_E4M3, 0, 0, true},
};

static tms_spmm_problem problem_of(const golden_case *c) {
    tms_spmm_problem problem = tms_spmm_problem_default();

    problem.n = c->n;
    problem.k = c->k;
    problem.t_max = c->t_max;
    problem.format = c->format;
    problem.density = c->density;
    problem.keep = problem.block_rows = c->a;
    problem.group = problem.block_columns = c->b;
    problem.x_type = problem.w_type = problem.y_type = c->dtype;
    if (c->dtype == TMS_I8 || c->dtype == TMS_E4M3)
        problem.y_type = TMS_BF16;
    problem.epilogue = c->epilogue;
    problem.activation = c->activation;
    assert_ok(tmsi_spmm_problem_check(&problem));
    return problem;
}

/* Costs are left out: they change with every measurement, choices only where it matters. */
static void print_choice(FILE *out, const golden_case *c, const tmsi_machine *machine) {
    tms_spmm_problem problem = problem_of(c);
    tmsi_spmm_range ranges[TMSI_SPMM_RANGE_MAX];
    char text[TMSI_LAYOUT_TEXT_MAX];
    int64_t first = 1;
    int32_t count = 0;
    tms_layout layout;

    fprintf(out, "%s | n %" PRId64 " k %" PRId64 " | %s", c->name, c->n, c->k,
            machine->hardware->name);
    if (tmsi_spmm_layout_choose(&problem, machine, 1, c->t_max, c->keep_dense, &layout) != TMS_OK) {
        fprintf(out, " | none\n");
        return;
    }
    assert_ok(tmsi_spmm_ranges(&problem, machine, &layout, ranges, &count));
    tmsi_layout_print(&layout, text);
    fprintf(out, " | %s\n", text);
    for (int32_t i = 0; i < count; i++) {
        fprintf(out, "    t %" PRId64 "..%" PRId64 ": %s, part %d\n", first, ranges[i].last,
                ranges[i].choice.kernel->name, ranges[i].choice.part_index);
        first = ranges[i].last + 1;
    }
}

/* A golden file: some cases on some machines. */
typedef struct golden_file {
    const char *name;
    const golden_case *cases;
    size_t case_count;
    const tmsi_machine *machines;
    size_t machine_count;
} golden_file;

static const golden_file files[] = {
    {"choose.txt", cases, COUNT_OF(cases), machines, COUNT_OF(hardware)},
    {"choose-h100.txt", gpu_cases, COUNT_OF(gpu_cases), &gpus[0], 1},
    {"choose-h200.txt", gpu_cases, COUNT_OF(gpu_cases), &gpus[1], 1},
    {"choose-a100.txt", gpu_cases, COUNT_OF(gpu_cases), &gpus[2], 1},
};

/* Those of GPUs need a library that has kernels for them. */
static bool can_print(const golden_file *file) {
    return tmsi_spmm_table_of(file->machines[0].hardware).count > 0;
}

static FILE *open_golden(const golden_file *file, const char *mode) {
    char path[512];

    snprintf(path, sizeof path, "%s/golden/%s", TESTS_DIR, file->name);
    return fopen(path, mode);
}

static char *print_all(const golden_file *file) {
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);

    assert_non_null(out);
    for (size_t i = 0; i < file->case_count; i++)
        for (size_t m = 0; m < file->machine_count; m++)
            print_choice(out, &file->cases[i], &file->machines[m]);
    assert_int_equal(fclose(out), 0);
    return text;
}

/* Prints the first line that differs. */
static bool texts_match(const char *name, const char *got, const char *expected) {
    for (int line = 1; *got != '\0' || *expected != '\0'; line++) {
        size_t got_bytes = strcspn(got, "\n"), expected_bytes = strcspn(expected, "\n");
        if (got_bytes != expected_bytes || memcmp(got, expected, got_bytes) != 0) {
            print_error("golden/%s line %d is\n%.*s\nbut the choice now is\n%.*s\n"
                        "(test_choose --update writes it anew)\n",
                        name, line, (int)expected_bytes, expected, (int)got_bytes, got);
            return false;
        }
        got += got_bytes + (got[got_bytes] == '\n');
        expected += expected_bytes + (expected[expected_bytes] == '\n');
    }
    return true;
}

static void choices_are_the_golden_ones(void **state) {
    (void)state;
    for (size_t f = 0; f < COUNT_OF(files); f++) {
        char *got, *golden = calloc(1, 1 << 20);
        FILE *file = open_golden(&files[f], "rb");
        size_t bytes;

        assert_non_null(file);
        assert_non_null(golden);
        bytes = fread(golden, 1, (1 << 20) - 1, file);
        assert_true(bytes > 0);
        fclose(file);
        if (can_print(&files[f])) {
            got = print_all(&files[f]);
            assert_true(texts_match(files[f].name, got, golden));
            free(got);
        }
        free(golden);
    }
}

static bool has_dense_part(const tms_layout *layout) {
    for (int32_t i = 0; i < layout->part_count; i++)
        if (layout->parts[i].format == TMS_FORMAT_DENSE)
            return true;
    return false;
}

static void keep_dense_puts_a_dense_part_first(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        for (size_t m = 0; m < COUNT_OF(machines); m++) {
            tms_spmm_problem problem = problem_of(&cases[i]);
            tms_layout layout;
            assert_ok(tmsi_spmm_layout_choose(&problem, &machines[m], 1, 64, true, &layout));
            assert_int_equal(layout.parts[0].format, TMS_FORMAT_DENSE);
        }
}

/* With the dense part there, no choice is modelled slower than the best dense kernel. */
static void keep_dense_is_never_modelled_slower_than_dense(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        for (size_t m = 0; m < COUNT_OF(machines); m++) {
            tms_spmm_problem problem = problem_of(&cases[i]), dense = problem;
            tms_layout layout, dense_layout;
            dense.format = TMS_FORMAT_DENSE;
            dense.density = 1.0;
            assert_ok(tmsi_spmm_layout_choose(&problem, &machines[m], 1, 64, true, &layout));
            assert_ok(tmsi_spmm_layout_choose(&dense, &machines[m], 1, 64, false, &dense_layout));
            for (int64_t t = 1; t <= 64; t += 3) {
                tmsi_spmm_choice a = tmsi_spmm_choose(&problem, t, &machines[m], &layout);
                tmsi_spmm_choice b = tmsi_spmm_choose(&dense, t, &machines[m], &dense_layout);
                assert_true(a.cost_us <= b.cost_us);
            }
        }
}

/* No part lies idle: each serves some t, but for the dense one that was asked for. */
static void every_part_is_used(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        for (size_t m = 0; m < COUNT_OF(machines); m++) {
            tms_spmm_problem problem = problem_of(&cases[i]);
            tmsi_spmm_range ranges[TMSI_SPMM_RANGE_MAX];
            int32_t count = 0;
            tms_layout layout;
            uint32_t used = cases[i].keep_dense ? 1 : 0;

            assert_ok(tmsi_spmm_layout_choose(&problem, &machines[m], 1, problem.t_max,
                                              cases[i].keep_dense, &layout));
            assert_ok(tmsi_spmm_ranges(&problem, &machines[m], &layout, ranges, &count));
            for (int32_t r = 0; r < count; r++)
                used |= 1u << ranges[r].choice.part_index;
            assert_int_equal(used, (1u << layout.part_count) - 1);
        }
}

/* Parts cost memory: a dense one comes unasked only where the sparse format has no fast kernel. */
static void dense_part_comes_unasked_only_in_place_of_a_reference(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        for (size_t m = 0; m < COUNT_OF(machines); m++) {
            tms_spmm_problem problem = problem_of(&cases[i]);
            tms_layout layout;
            if (problem.format == TMS_FORMAT_DENSE)
                continue;
            assert_ok(tmsi_spmm_layout_choose(&problem, &machines[m], 1, 64, false, &layout));
            if (!has_dense_part(&layout))
                continue;
            assert_int_equal(layout.part_count, 1);
            for (int32_t row = 0; row < tmsi_spmm_kernel_count; row++) {
                const tmsi_spmm_kernel *kernel = &tmsi_spmm_kernels[row];
                if (kernel->format == problem.format && kernel->fits(&problem) &&
                    (kernel->needs & ~machines[m].hardware->isa) == 0)
                    assert_true(tmsi_spmm_is_reference(kernel));
            }
        }
}

static void reference_is_chosen_only_where_nothing_else_fits(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        for (size_t m = 0; m < COUNT_OF(machines); m++) {
            tms_spmm_problem problem = problem_of(&cases[i]);
            tms_layout layout;
            tmsi_spmm_choice choice;
            assert_ok(tmsi_spmm_layout_choose(&problem, &machines[m], 1, 64, true, &layout));
            choice = tmsi_spmm_choose(&problem, 64, &machines[m], &layout);
            for (int32_t row = 0;
                 tmsi_spmm_is_reference(choice.kernel) && row < tmsi_spmm_kernel_count; row++) {
                const tmsi_spmm_kernel *kernel = &tmsi_spmm_kernels[row];
                bool is_possible =
                    (kernel->format == problem.format || kernel->format == TMS_FORMAT_DENSE) &&
                    kernel->fits(&problem) && (kernel->needs & ~machines[m].hardware->isa) == 0;
                assert_true(!is_possible || tmsi_spmm_is_reference(kernel));
            }
        }
}

/* Ranges meet: each t has one kernel, and t between the compared points goes with the next one. */
static void ranges_cover_every_t(void **state) {
    const int64_t ends[] = {1, 2, 3, 5, 64, 1000, INT32_MAX};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(ends); i++) {
        tms_spmm_problem problem = problem_of(&cases[3]);
        tmsi_spmm_range ranges[TMSI_SPMM_RANGE_MAX];
        int64_t before = 0;
        int32_t count = 0;
        tms_layout layout;

        problem.t_max = ends[i];
        assert_ok(tmsi_spmm_layout_choose(&problem, &machines[1], 0, ends[i], false, &layout));
        assert_ok(tmsi_spmm_ranges(&problem, &machines[1], &layout, ranges, &count));
        assert_true(count >= 1 && count <= TMSI_SPMM_RANGE_MAX);
        for (int32_t r = 0; r < count; r++) {
            assert_true(ranges[r].last > before);
            before = ranges[r].last;
        }
        assert_int_equal(before, ends[i]);
    }
}

static int update(void) {
    for (size_t f = 0; f < COUNT_OF(files); f++) {
        FILE *file;
        char *text;

        if (!can_print(&files[f]))
            continue;
        text = print_all(&files[f]);
        file = open_golden(&files[f], "wb");
        if (file == NULL || fputs(text, file) < 0 || fclose(file) != 0)
            return 1;
        free(text);
    }
    return 0;
}

/* Between unstructured and kept dense, over shares from 5 to 95 %. */
static void layout_gets_a_part_only_where_it_gains_a_tenth(void **state) {
    int too_little = 0, enough = 0;

    (void)state;
    for (int percent = 5; percent <= 95; percent++) {
        golden_case c = {"", 1536,    384, 64, TMS_FORMAT_CSR, percent * 0.01, 0,
                         0,  TMS_F32, 0,   0,  false};
        tms_spmm_problem problem = problem_of(&c);
        tms_layout sparse, both, dense;
        double sparse_us, dense_us;

        assert_ok(tmsi_spmm_layout_choose(&problem, &machines[1], 64, 64, false, &sparse));
        assert_ok(tmsi_spmm_layout_choose(&problem, &machines[1], 64, 64, true, &both));
        dense = both;
        dense.part_count = 1;
        sparse_us = tmsi_spmm_choose(&problem, 64, &machines[1], &sparse).cost_us;
        dense_us = tmsi_spmm_choose(&problem, 64, &machines[1], &dense).cost_us;
        assert_int_equal(both.part_count, 1.1 * sparse_us < dense_us ? 2 : 1);
        too_little += sparse_us < dense_us && both.part_count == 1;
        enough += both.part_count == 2;
    }
    assert_true(too_little > 0 && enough > 0);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layout_gets_a_part_only_where_it_gains_a_tenth),
        cmocka_unit_test(choices_are_the_golden_ones),
        cmocka_unit_test(keep_dense_puts_a_dense_part_first),
        cmocka_unit_test(keep_dense_is_never_modelled_slower_than_dense),
        cmocka_unit_test(every_part_is_used),
        cmocka_unit_test(dense_part_comes_unasked_only_in_place_of_a_reference),
        cmocka_unit_test(reference_is_chosen_only_where_nothing_else_fits),
        cmocka_unit_test(ranges_cover_every_t),
    };
    make_machines();
    if (argc == 2 && strcmp(argv[1], "--update") == 0)
        return update();
    return cmocka_run_group_tests_name("choose", tests, NULL, NULL);
}
