#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "api/arguments.h"
#include "base/context.h"
#include "base/memory.h"
#include "measure/bench.h"
#include "measure/tune.h"
#include "pattern/pattern.h"
#include "spmm/explain.h"
#include "spmm/problem.h"

enum { ROUNDS_DEFAULT = 9, ROUNDS_MAX = 100000 };

/* A count and its array belong together. */
static tms_status check_array(const char *name, const void *array, int64_t count) {
    if (count < 0)
        return tmsi_fail(TMS_ERR_INVALID, "desc->%s: the count is %" PRId64 ", but must be >= 0",
                         name, count);
    if (count > 0 && array == NULL)
        return tmsi_fail(TMS_ERR_INVALID, "desc->%s is NULL, but its count is %" PRId64, name,
                         count);
    return TMS_OK;
}

static tms_status check_texts(const char *name, const char *const *texts, int64_t count) {
    tms_status status = check_array(name, texts, count);

    for (int64_t i = 0; status == TMS_OK && i < count; i++)
        if (texts[i] == NULL)
            status = tmsi_fail(TMS_ERR_INVALID, "desc->%s[%" PRId64 "] is NULL", name, i);
    return status;
}

/* They lie in an array, so that their size must be exact. */
static tms_status check_model_descs(const tms_bench_desc *desc) {
    for (int32_t i = 0; desc->model_descs != NULL && i < desc->model_count; i++)
        if (desc->model_descs[i].struct_size != sizeof *desc->model_descs)
            return tmsi_fail(TMS_ERR_INVALID,
                             "desc->model_descs[%d].struct_size is %zu, but must be %zu: use "
                             "tms_model_desc_default",
                             i, desc->model_descs[i].struct_size, sizeof *desc->model_descs);
    return TMS_OK;
}

static tms_status check_shapes(const tms_shape *shapes, int32_t count) {
    for (int32_t i = 0; i < count; i++) {
        const tms_shape *s = &shapes[i];
        size_t elements, bytes;

        if (s->t < 1 || s->k < 1 || s->n < 1)
            return tmsi_fail(TMS_ERR_INVALID,
                             "desc->shapes[%d] is t %" PRId64 ", k %" PRId64 ", n %" PRId64
                             ", but each must be >= 1",
                             i, s->t, s->k, s->n);
        if (!tmsi_mul_bytes((size_t)s->t, (size_t)(s->k > s->n ? s->k : s->n), &elements) ||
            !tmsi_mul_bytes(elements, 64, &bytes) ||
            !tmsi_mul_bytes((size_t)s->n, (size_t)s->k, &elements) ||
            !tmsi_mul_bytes(elements, 64, &bytes))
            return tmsi_fail(TMS_ERR_INVALID,
                             "desc->shapes[%d]: t %" PRId64 ", k %" PRId64 ", n %" PRId64
                             " are more elements than memory can hold",
                             i, s->t, s->k, s->n);
    }
    return TMS_OK;
}

/* What a GPU has no rows of is said, not left out. */
static tms_status check_device(const tms_bench_desc *desc) {
    if ((uint32_t)desc->device >= TMS_DEVICE_COUNT)
        return tmsi_fail(TMS_ERR_INVALID, "desc->device is %d, but devices are 0 (CPU) to %d",
                         (int)desc->device, TMS_DEVICE_COUNT - 1);
    if (desc->device == TMS_DEVICE_CPU)
        return TMS_OK;
    if (desc->checkpoint != NULL || desc->model_count > 0)
        return tmsi_fail(TMS_ERR_UNSUPPORTED,
                         "on a GPU products of shapes are measured, not checkpoints or models");
    for (int32_t i = 0; i < desc->pattern_count; i++)
        if (desc->patterns[i].kind != TMS_PATTERN_NM || desc->patterns[i].keep != 2 ||
            desc->patterns[i].group != 4)
            return tmsi_fail(TMS_ERR_UNSUPPORTED,
                             "desc->patterns[%d] is not 2:4, but a GPU has kernels for 2:4 alone",
                             i);
    return TMS_OK;
}

static tms_status check_desc(const tms_bench_desc *desc) {
    tms_status status;

    TMS_TRY(check_array("shapes", desc->shapes, desc->shape_count));
    TMS_TRY(check_array("patterns", desc->patterns, desc->pattern_count));
    TMS_TRY(check_texts("layers", desc->layers, desc->layer_count));
    TMS_TRY(check_array("tokens", desc->tokens, desc->token_count));
    TMS_TRY(check_texts("models", desc->models, desc->model_count));
    TMS_TRY(check_texts("texts", desc->texts, desc->text_count));
    TMS_TRY(check_array("lengths", desc->lengths, desc->text_count));
    TMS_TRY(check_shapes(desc->shapes, desc->shape_count));
    for (int32_t i = 0; i < desc->pattern_count; i++) {
        TMS_TRY(tmsi_pattern_valid(&desc->patterns[i]));
        if (desc->patterns[i].kind == TMS_PATTERN_NONE)
            return tmsi_fail(TMS_ERR_INVALID,
                             "desc->patterns[%d] is dense, but dense is measured anyway", i);
    }
    for (int32_t i = 0; i < desc->token_count; i++)
        if (desc->tokens[i] < 1)
            return tmsi_fail(TMS_ERR_INVALID, "desc->tokens[%d] is %" PRId64 ", but must be >= 1",
                             i, desc->tokens[i]);
    TMS_TRY(check_model_descs(desc));
    if (desc->model_count > 0 && desc->text_count == 0)
        return tmsi_fail(TMS_ERR_INVALID,
                         "desc->text_count is 0, but models are timed on texts: give some");
    TMS_TRY(check_device(desc));
    if (desc->rounds < 0 || desc->rounds > ROUNDS_MAX)
        return tmsi_fail(TMS_ERR_INVALID, "desc->rounds is %d, but must be 0 (%d) to %d",
                         desc->rounds, ROUNDS_DEFAULT, ROUNDS_MAX);
done:
    return status;
}

tms_status tms_bench_run(tms_context *context, const tms_bench_desc *given, tms_bench_sink sink,
                         void *sink_user) {
    static const int64_t tokens[] = {1, 64, 256};
    static const char *const texts[] = {"2:4", "unstructured 80%", "block 32x32 80%"};
    enum { TOKENS = sizeof tokens / sizeof tokens[0], PATTERNS = sizeof texts / sizeof texts[0] };
    tms_pattern patterns[PATTERNS];
    tms_bench_desc desc;
    tms_status status;

    tmsi_enter(__func__);
    TMSI_NEED(context);
    TMSI_NEED(sink);
    TMS_TRY(tmsi_struct_read("desc", given, sizeof desc, &desc));
    TMS_TRY(check_desc(&desc));
    if (desc.device == TMS_DEVICE_CUDA && context->cuda == NULL)
        return tmsi_fail(TMS_ERR_DEVICE, "desc->device is TMS_DEVICE_CUDA, but the context has no "
                                         "GPU: create it with desc->device TMS_DEVICE_CUDA");
    if (desc.pattern_count == 0) {
        for (int i = 0; i < PATTERNS; i++)
            TMS_TRY(tmsi_pattern_parse(texts[i], &patterns[i]));
        desc.patterns = patterns;
        desc.pattern_count = PATTERNS;
    }
    if (desc.token_count == 0) {
        desc.tokens = tokens;
        desc.token_count = TOKENS;
    }
    if (desc.rounds == 0)
        desc.rounds = ROUNDS_DEFAULT;
    TMS_TRY(tmsi_bench_run(context, &desc, sink, sink_user));
done:
    return status;
}

tms_status tms_tune_run(tms_context *context, const tms_tune_desc *given, tms_bench_sink sink,
                        void *sink_user) {
    tms_tune_desc desc;
    tms_status status;

    tmsi_enter(__func__);
    TMSI_NEED(context);
    TMS_TRY(tmsi_struct_read("desc", given, sizeof desc, &desc));
    if ((uint32_t)desc.device >= TMS_DEVICE_COUNT)
        return tmsi_fail(TMS_ERR_INVALID, "desc->device is %d, but devices are 0 (CPU) to %d",
                         (int)desc.device, TMS_DEVICE_COUNT - 1);
    if (desc.device == TMS_DEVICE_CUDA && context->cuda == NULL)
        return tmsi_fail(TMS_ERR_DEVICE, "desc->device is TMS_DEVICE_CUDA, but the context has no "
                                         "GPU: create it with desc->device TMS_DEVICE_CUDA");
    TMS_TRY(check_array("shapes", desc.shapes, desc.shape_count));
    TMS_TRY(check_shapes(desc.shapes, desc.shape_count));
    TMS_TRY(tmsi_tune_run(context, &desc, sink, sink_user));
done:
    return status;
}

static tms_status describe_machine(const char *name, tmsi_hardware *out) {
    char names[64];

    if (tmsi_machine_describe(name, out))
        return TMS_OK;
    tmsi_machine_names(names, sizeof names);
    return tmsi_fail(TMS_ERR_INVALID, "desc->machine is \"%s\", but those described are %s", name,
                     names);
}

tms_status tms_spmm_explain(tms_context *context, const tms_explain_desc *given,
                            tms_explain_sink sink, void *sink_user) {
    tms_spmm_problem problem;
    tms_explain_desc desc;
    tmsi_hardware described;
    tmsi_machine machine;
    tmsi_tuning tuning;
    tms_status status;

    tmsi_enter(__func__);
    TMSI_NEED(context);
    TMSI_NEED(sink);
    TMS_TRY(tmsi_struct_read("desc", given, sizeof desc, &desc));
    TMS_TRY(tmsi_struct_read("desc->problem", desc.problem, sizeof problem, &problem));
    TMS_TRY(tmsi_spmm_problem_check(&problem));
    if (desc.t < 1 || desc.t > problem.t_max)
        return tmsi_fail(TMS_ERR_INVALID, "desc->t is %" PRId64 ", but must be 1 to %" PRId64,
                         desc.t, problem.t_max);
    if (desc.machine == NULL) {
        TMS_TRY(tmsi_spmm_device_check(context, &problem));
        machine = tmsi_spmm_machine(context, &problem);
    } else {
        TMS_TRY(describe_machine(desc.machine, &described));
        tmsi_tuning_fill(&described, &tuning);
        problem.device = TMS_DEVICE_CUDA;
        machine.hardware = &described;
        machine.tuning = &tuning;
    }
    TMS_TRY(tmsi_spmm_explain(&problem, desc.t, &machine, desc.keep_dense != 0, sink, sink_user));
done:
    return status;
}

size_t tms_bench_row_print(const tms_bench_row *row, char *text, size_t text_bytes) {
    tms_bench_row known;

    if (text == NULL)
        text_bytes = 0;
    if (text_bytes > 0)
        text[0] = '\0';
    tmsi_enter(__func__);
    return tmsi_struct_read("row", row, sizeof known, &known) == TMS_OK
               ? tmsi_row_print(&known, text, text_bytes)
               : 0;
}
