/* The dense library found at run time: what is said where it cannot be used. No GPU is needed. */
#include <dlfcn.h>
#include <string.h>

#include "base/context.h"
#include "cuda/cublaslt.h"
#include "spmm/cuda/dense.h"
#include "support/support.h"

static void path_that_is_no_library_is_refused_with_the_reason(void **state) {
    tms_context *context = test_context(1, 0);

    (void)state;
    assert_fails(
        tmsi_cublaslt_open(context, "/no/such/libcublasLt.so"), TMS_ERR_INVALID,
        "desc->cublaslt_path is \"/no/such/libcublasLt.so\", but cannot be used: it was not "
        "found: ");
    assert_null(context->cublaslt);
    tms_context_destroy(context);
}

static void library_of_another_kind_is_refused_by_what_it_lacks(void **state) {
    tms_context *context = test_context(1, 0);

    (void)state;
    assert_fails(tmsi_cublaslt_open(context, "libm.so.6"), TMS_ERR_INVALID,
                 "it has no cublasLtCreate");
    tms_context_destroy(context);
}

/* Where it is there, tests on a GPU use it; and without one its cublasLtCreate leaks. */
static void missing_library_is_a_sentence_and_no_failure(void **state) {
    void *library = dlopen("libcublasLt.so.13", RTLD_LAZY);
    tms_context *context;

    (void)state;
    if (library != NULL || dlopen("libcublasLt.so.12", RTLD_LAZY) != NULL)
        skip();
    context = test_context(1, 0);
    assert_ok(tmsi_cublaslt_open(context, NULL));
    assert_null(context->cublaslt);
    assert_int_equal(strncmp(context->cublaslt_text, "no cuBLASLt: it was not found: ", 31), 0);
    tmsi_cublaslt_close(context);
    tms_context_destroy(context);
}

static tms_spmm_problem problem_of(tms_dtype type, tms_dtype y_type, uint32_t epilogue,
                                   tms_activation activation) {
    tms_spmm_problem problem = tms_spmm_problem_default();

    problem.n = 64;
    problem.k = 64;
    problem.x_type = problem.w_type = type;
    problem.y_type = y_type;
    problem.epilogue = epilogue;
    problem.activation = activation;
    return problem;
}

/* What the library would do in another order or precision goes through our own pass. */
static void library_finishes_only_what_it_finishes_as_we_do(void **state) {
    const struct {
        tms_dtype type, y_type;
        uint32_t epilogue;
        tms_activation activation;
        bool is_direct;
    } cases[] = {
        {TMS_BF16, TMS_BF16, 0, TMS_ACT_NONE, true},
        {TMS_BF16, TMS_BF16, 0, TMS_ACT_RELU, true},
        {TMS_BF16, TMS_BF16, TMS_EPILOGUE_RESIDUAL, TMS_ACT_NONE, true},
        {TMS_BF16, TMS_BF16, TMS_EPILOGUE_RESIDUAL, TMS_ACT_RELU, false},
        {TMS_BF16, TMS_BF16, TMS_EPILOGUE_SCALE_N, TMS_ACT_NONE, false},
        {TMS_BF16, TMS_BF16, TMS_EPILOGUE_GATE, TMS_ACT_SILU, false},
        {TMS_BF16, TMS_BF16, 0, TMS_ACT_GELU, false},
        {TMS_BF16, TMS_F32, 0, TMS_ACT_GELU_TANH, false},
        {TMS_BF16, TMS_I8, 0, TMS_ACT_NONE, false},
        {TMS_BF16, TMS_F16, 0, TMS_ACT_NONE, false},
        {TMS_BF16, TMS_F32, TMS_EPILOGUE_BIAS, TMS_ACT_NONE, true},
        {TMS_BF16, TMS_BF16, TMS_EPILOGUE_BIAS, TMS_ACT_NONE, false},
        {TMS_E4M3, TMS_F16, 0, TMS_ACT_NONE, true},
        {TMS_E4M3, TMS_BF16, 0, TMS_ACT_NONE, true},
        {TMS_I8, TMS_BF16, 0, TMS_ACT_NONE, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const tms_spmm_problem problem =
            problem_of(cases[i].type, cases[i].y_type, cases[i].epilogue, cases[i].activation);

        assert_int_equal(tmsi_dense_is_direct(&problem), cases[i].is_direct);
        assert_int_equal(tmsi_dense_sum_bytes(&problem, 10),
                         cases[i].is_direct ? 0 : 10 * 64 * sizeof(float));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(path_that_is_no_library_is_refused_with_the_reason),
        cmocka_unit_test(library_of_another_kind_is_refused_by_what_it_lacks),
        cmocka_unit_test(missing_library_is_a_sentence_and_no_failure),
        cmocka_unit_test(library_finishes_only_what_it_finishes_as_we_do),
    };
    return cmocka_run_group_tests_name("cublaslt", tests, NULL, NULL);
}
