#include "demo_speed.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "buffer.h"

enum {
    TEXTS = 400, /* of a round: half a second for the dense model on two cores */
    WORDS = 12,  /* of a text made of vocabulary */
    LAYER_TOKENS = 256
};

static bool is_word(const char *text, size_t length) {
    if (length < 3)
        return false;
    for (size_t i = 0; i < length; i++)
        if (text[i] < 'a' || text[i] > 'z')
            return false;
    return true;
}

/* Makes texts of words of the vocabulary, chosen by a fixed sequence. */
static cli_exit make_texts(const demo_state *demo, demo_texts *out) {
    char path[DEMO_PATH_MAX];
    const char *const *words;
    const size_t *lengths;
    tms_lines *lines = NULL;
    cli_buffer buffer = {0};
    size_t offsets[TEXTS + 1];
    uint32_t state = 1;
    int64_t count;
    tms_status status;

    snprintf(path, sizeof path, "%s/vocab.txt", demo->model);
    status = tms_lines_open(demo->session->context, path, &lines);
    if (status != TMS_OK)
        return cli_fail_status(status);
    count = tms_lines_get(lines, &words, &lengths);
    for (int i = 0; i < TEXTS; i++) {
        offsets[i] = buffer.length;
        for (int found = 0, tries = 0; found < WORDS && tries < 100 * WORDS && count > 0; tries++) {
            int64_t w = (int64_t)((state = state * 1664525u + 1013904223u) >> 8) % count;

            if (is_word(words[w], lengths[w])) {
                cli_buffer_add_bytes(&buffer, words[w], lengths[w]);
                cli_buffer_add_bytes(&buffer, " ", 1);
                found++;
            }
        }
    }
    offsets[TEXTS] = buffer.length;
    tms_lines_close(lines);
    for (int i = 0; i < TEXTS && !buffer.is_broken; i++) {
        out->texts[i] = buffer.text + offsets[i];
        out->lengths[i] = offsets[i + 1] - offsets[i];
    }
    out->owned = buffer.text;
    out->count = TEXTS;
    return buffer.is_broken ? cli_fail(CLI_FAILED, "out of memory for the texts") : CLI_GOOD;
}

cli_exit demo_texts_find(const demo_state *demo, const tms_eval *eval, demo_texts *out) {
    const char *const *texts;
    const size_t *lengths;
    int64_t count;

    out->texts = calloc(TEXTS, sizeof *out->texts);
    out->lengths = calloc(TEXTS, sizeof *out->lengths);
    if (out->texts == NULL || out->lengths == NULL)
        return cli_fail(CLI_FAILED, "out of memory for the texts");
    if (eval == NULL)
        return make_texts(demo, out);
    count = tms_eval_queries(eval, &texts, &lengths);
    out->count = count < TEXTS ? count : TEXTS;
    for (int64_t i = 0; i < out->count; i++) { /* spread evenly over the queries */
        out->texts[i] = texts[i * count / out->count];
        out->lengths[i] = lengths[i * count / out->count];
    }
    return CLI_GOOD;
}

void demo_texts_free(demo_texts *texts) {
    free(texts->texts);
    free(texts->lengths);
    free(texts->owned);
}

cli_exit demo_texts_write(const demo_state *demo, const tms_eval *eval, const demo_texts *texts,
                          char out_path[DEMO_PATH_MAX]) {
    const char *const *items = texts->texts;
    const size_t *lengths = texts->lengths;
    int64_t count = texts->count;
    cli_buffer buffer = {0};
    tms_status status;

    if (eval != NULL)
        count = tms_eval_calibration(eval, &items, &lengths);
    if (!demo_path(demo, "", "calibration.txt", out_path))
        return CLI_FAILED;
    for (int64_t i = 0; i < count; i++) {
        cli_buffer_add_bytes(&buffer, items[i], lengths[i]);
        cli_buffer_add_bytes(&buffer, "\n", 1);
    }
    status =
        tms_file_write(demo->session->context, out_path, demo->force, buffer.text, buffer.length);
    cli_buffer_free(&buffer);
    return status == TMS_OK ? CLI_GOOD : cli_fail_status(status);
}

/* Model rows come in the order of the demo's. */
typedef struct model_sink {
    demo_state *demo;
    int next;
} model_sink;

static int32_t take_model_row(void *user, const tms_bench_row *row) {
    model_sink *sink = user;
    demo_state *demo = sink->demo;
    demo_row *own;

    if (strcmp(row->op, "model") != 0 || sink->next >= DEMO_ROWS)
        return 0;
    own = &demo->rows[sink->next++];
    own->us = row->us;
    own->us_min = row->us_min;
    own->us_max = row->us_max;
    own->ratio = row->ratio_dense;
    own->texts_per_second = row->texts_per_second;
    demo->rounds = row->rounds;
    snprintf(demo->device, sizeof demo->device, "%s", row->device);
    snprintf(demo->isa, sizeof demo->isa, "%s", row->isa);
    snprintf(demo->versions, sizeof demo->versions, "%s", row->versions);
    snprintf(demo->commit, sizeof demo->commit, "%s", row->commit);
    snprintf(demo->date, sizeof demo->date, "%s", row->date);
    return 0;
}

cli_exit demo_time_models(demo_state *demo, const demo_texts *texts) {
    tms_bench_desc desc = tms_bench_desc_default();
    tms_model_desc options[DEMO_ROWS];
    const char *models[DEMO_ROWS];
    model_sink sink = {demo, 0};
    tms_status status;

    demo_begin_step(demo, "timing the models in turns", DEMO_MODELS_WEIGHT);
    cli_bench_prepare(demo->session->context);
    for (int i = 0; i < DEMO_ROWS; i++) {
        models[i] = demo->rows[i].path;
        options[i] = tms_model_desc_default();
        options[i].dense_kernels = demo->rows[i].recipe->kernels_of != NULL;
    }
    demo->text_count = texts->count;
    desc.models = models;
    desc.model_descs = options;
    desc.model_count = DEMO_ROWS;
    desc.texts = texts->texts;
    desc.lengths = texts->lengths;
    desc.text_count = texts->count;
    desc.progress = demo_progress;
    desc.progress_user = demo;
    status = tms_bench_run(demo->session->context, &desc, take_model_row, &sink);
    return status == TMS_OK ? CLI_GOOD : cli_fail_status(status);
}

/* Rows of one layer come together: the peak, then dense ones, then the sparse one. */
static int32_t take_layer_row(void *user, const tms_bench_row *row) {
    demo_state *demo = user;
    demo_layer *layer = demo->layer_count > 0 ? &demo->layers[demo->layer_count - 1] : NULL;

    if (strcmp(row->op, "spmm") != 0 || row->label == NULL)
        return 0;
    if (layer == NULL || strcmp(layer->name, row->label) != 0) {
        demo_layer *layers =
            realloc(demo->layers, ((size_t)demo->layer_count + 1) * sizeof *layers);

        if (layers == NULL)
            return 1;
        demo->layers = layers;
        layer = &layers[demo->layer_count++];
        snprintf(layer->name, sizeof layer->name, "%s", row->label);
        layer->dense_us = layer->sparse_us = NAN;
    }
    if (row->pattern != NULL)
        layer->sparse_us = row->us;
    else if (!(layer->dense_us <= row->us))
        layer->dense_us = row->us;
    return 0;
}

cli_exit demo_time_layers(demo_state *demo) {
    static const int64_t tokens = LAYER_TOKENS;
    tms_bench_desc desc = tms_bench_desc_default();
    tms_status status;

    demo_begin_step(demo, "timing the layers in turns", DEMO_LAYERS_WEIGHT);
    for (int i = 0; i < DEMO_ROWS; i++) {
        const demo_recipe *recipe = demo->rows[i].recipe;

        if (recipe->pattern != NULL && strcmp(recipe->pattern, "2:4") == 0 && !recipe->is_ffn &&
            recipe->kernels_of == NULL)
            desc.checkpoint = demo->rows[i].path;
    }
    demo->tokens = tokens;
    desc.tokens = &tokens;
    desc.token_count = 1;
    desc.progress = demo_progress;
    desc.progress_user = demo;
    status = tms_bench_run(demo->session->context, &desc, take_layer_row, demo);
    return status == TMS_OK ? CLI_GOOD : cli_fail_status(status);
}
