/* Whole models on the same texts, in turns: tokenizing, attention and norms included. */
#include "base/memory.h"
#include "measure/bench.h"
#include "model/batches.h"

/* A model and what its runs write and count. */
typedef struct model_case {
    tms_model *model;
    const tms_bench_desc *desc;
    float *embeddings; /* [texts, hidden] */
} model_case;

static tms_status run_model(void *self) {
    model_case *c = self;

    return tmsi_model_embed(c->model, c->desc->texts, c->desc->lengths, c->desc->text_count, NULL,
                            NULL, c->embeddings);
}

static tms_model_desc desc_of(const tms_bench_desc *desc, int32_t i) {
    return desc->model_descs != NULL ? desc->model_descs[i] : tms_model_desc_default();
}

static tms_status open_models(tmsi_bench *bench, model_case *cases, tmsi_candidate *candidates) {
    const tms_bench_desc *desc = bench->desc;
    tms_status status = TMS_OK;

    for (int32_t i = 0; i < desc->model_count; i++) {
        tms_model_desc model = desc_of(desc, i);
        tmsi_encoder_options options = tmsi_model_options(&model);
        tms_model_info info = {.struct_size = sizeof info};

        cases[i].desc = desc;
        TMS_TRY(tmsi_model_open(bench->context, desc->models[i], &options, model.max_tokens,
                                &cases[i].model));
        tmsi_model_describe(cases[i].model, &info);
        TMS_TRY(tmsi_alloc(bench->context, (size_t)(desc->text_count * info.hidden), sizeof(float),
                           &cases[i].embeddings));
        candidates[i].run = run_model;
        candidates[i].self = &cases[i];
    }
done:
    return status;
}

/* Tokens of all texts: the first model's, since all read the same. */
static tms_status count_tokens(const tmsi_bench *bench, const model_case *cases, int64_t *out) {
    const tms_bench_desc *desc = bench->desc;
    tmsi_batches batches = {0};
    tms_status status =
        tmsi_batches_create(cases[0].model, desc->texts, desc->lengths, desc->text_count, &batches);

    if (status == TMS_OK)
        *out = batches.offsets[batches.count];
    tmsi_batches_free(&batches);
    return status;
}

static tms_status emit_model(tmsi_bench *bench, const model_case *c, int32_t i,
                             const tmsi_timing *timing, double first_us, int64_t tokens) {
    const tms_bench_desc *desc = bench->desc;
    tms_model_info info = {.struct_size = sizeof info};
    tms_bench_row row = bench->frame.row;

    tmsi_model_describe(c->model, &info);
    row.op = "model";
    row.who = "tamis";
    row.kernel = desc_of(desc, i).dense_kernels ? "dense" : "as stored";
    row.label = desc->models[i];
    row.dtype = tms_dtype_name(TMS_F32);
    row.state = "warm";
    row.sparsity =
        info.linear_weights > 0 ? (double)info.linear_zeros / (double)info.linear_weights : 0.0;
    row.bytes = (int64_t)info.dense_bytes;
    row.resident_bytes = (int64_t)info.image_bytes;
    tmsi_row_set_timing(&row, timing);
    row.texts_per_second = (double)desc->text_count * 1e6 / timing->us;
    row.tokens_per_second = (double)tokens * 1e6 / timing->us;
    row.ratio_dense = first_us / timing->us;
    return tmsi_bench_emit(bench, &row);
}

int64_t tmsi_bench_models_samples(const tmsi_bench *bench) {
    return (int64_t)bench->desc->model_count * bench->desc->rounds;
}

tms_status tmsi_bench_models(tmsi_bench *bench) {
    const tms_bench_desc *desc = bench->desc;
    tms_context *context = bench->context;
    size_t count = (size_t)desc->model_count;
    model_case *cases = NULL;
    tmsi_candidate *candidates = NULL;
    tmsi_timing *timings = NULL;
    int64_t tokens = 0;
    tms_status status;

    if (count == 0)
        return TMS_OK;
    TMS_TRY(tmsi_alloc(context, count, sizeof *cases, &cases));
    TMS_TRY(tmsi_alloc(context, count, sizeof *candidates, &candidates));
    TMS_TRY(tmsi_alloc(context, count, sizeof *timings, &timings));
    TMS_TRY(open_models(bench, cases, candidates));
    TMS_TRY(count_tokens(bench, cases, &tokens));
    TMS_TRY(tmsi_bench_time(bench, "models", candidates, desc->model_count, timings));
    for (int32_t i = 0; i < desc->model_count; i++)
        TMS_TRY(emit_model(bench, &cases[i], i, &timings[i], timings[0].us, tokens));
done:
    for (size_t i = 0; cases != NULL && i < count; i++) {
        tmsi_model_close(cases[i].model);
        tmsi_free(context, cases[i].embeddings);
    }
    tmsi_free(context, timings);
    tmsi_free(context, candidates);
    tmsi_free(context, cases);
    return status;
}
