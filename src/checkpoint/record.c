#include "checkpoint/record.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "checkpoint/layers.h"
#include "checkpoint/packed.h"
#include "pattern/pattern.h"
#include "prune/prune.h"

enum {
    VERSION = 1,
    DEPTH_MAX = 4, /* record, runs, run, its layers */
};

/* ---- Reading -------------------------------------------------------------------------------- */

static tms_status check_run(const json_t *run) {
    json_t *layers, *zeros;
    const char *pattern, *name;
    tms_pattern parsed;
    tms_status status = TMS_OK;

    if (!json_is_object(run))
        return tmsi_fail(TMS_ERR_FORMAT, "a run is %s, but must be an object", tmsi_json_kind(run));
    TMS_TRY(tmsi_json_text(run, "pattern", &pattern));
    TMS_TRY(tmsi_json_object(run, "layers", &layers));
    if (tmsi_pattern_parse(pattern, &parsed) != TMS_OK)
        return tmsi_fail_in(TMS_ERR_FORMAT, "\"pattern\"");
    json_object_foreach(layers, name, zeros) {
        if (!json_is_integer(zeros))
            return tmsi_fail(TMS_ERR_FORMAT,
                             "zeros of layer \"%.200s\" are %s, but must be a whole "
                             "number",
                             name, tmsi_json_kind(zeros));
    }
done:
    return status;
}

static tms_status check_record(const json_t *record) {
    const json_t *runs = json_object_get(record, "runs");
    int64_t version;
    tms_status status = TMS_OK;

    if (!json_is_object(record))
        return tmsi_fail(TMS_ERR_FORMAT, "is %s, but must be an object", tmsi_json_kind(record));
    TMS_TRY(tmsi_json_int(record, "version", VERSION, VERSION, &version));
    if (!json_is_array(runs))
        return tmsi_fail(TMS_ERR_FORMAT, "\"runs\" is %s, but must be an array",
                         tmsi_json_kind(runs));
    for (size_t i = 0; i < json_array_size(runs); i++)
        TMS_TRY(check_run(json_array_get(runs, i)));
done:
    return status;
}

tms_status tmsi_record_read(const tms_checkpoint *checkpoint, json_t **out) {
    const char *text = tmsi_checkpoint_metadata(checkpoint, TMSI_RECORD_KEY);
    json_t *record = NULL;
    tms_status status = TMS_OK;

    if (text == NULL)
        return TMS_OK;
    TMS_TRY(tmsi_json_parse(text, strlen(text), DEPTH_MAX, &record));
    TMS_TRY(check_record(record));
    *out = record;
    return TMS_OK;
done:
    json_decref(record);
    return tmsi_fail_in(status, "metadata key " TMSI_RECORD_KEY " of \"%s\"", checkpoint->path);
}

bool tmsi_record_find(const json_t *record, const char *layer, tms_pattern *out) {
    const json_t *runs = json_object_get(record, "runs");

    for (size_t i = json_array_size(runs); i-- > 0;) {
        const json_t *run = json_array_get(runs, i);
        if (json_object_get(json_object_get(run, "layers"), layer) != NULL)
            return tmsi_pattern_parse(json_string_value(json_object_get(run, "pattern")), out) ==
                   TMS_OK;
    }
    return false;
}

static tms_status mark_layers(const tms_checkpoint *checkpoint, const json_t *run,
                              bool *is_recorded) {
    const char *name;
    json_t *zeros;

    json_object_foreach(json_object_get(run, "layers"), name, zeros) {
        int64_t i = tmsi_checkpoint_find(checkpoint, name);
        if (i < 0 || !tmsi_tensor_is_layer(&checkpoint->tensors[i].tensor))
            return tmsi_fail(TMS_ERR_FORMAT,
                             "metadata key " TMSI_RECORD_KEY " speaks of layer \"%.200s\", but "
                             "\"%s\" has no 2-D float tensor of that name",
                             name, checkpoint->path);
        is_recorded[i] = true;
    }
    return TMS_OK;
}

tms_status tmsi_record_layers(const tms_checkpoint *checkpoint, const json_t *record, int64_t **out,
                              int64_t *out_count) {
    const json_t *runs = json_object_get(record, "runs");
    size_t room = (size_t)checkpoint->tensor_count;
    int64_t *layers = NULL, count = 0;
    bool *is_recorded = NULL;
    tms_status status = TMS_OK;

    TMS_TRY(tmsi_alloc(checkpoint->context, room, sizeof *layers, &layers));
    TMS_TRY(tmsi_alloc(checkpoint->context, room, sizeof *is_recorded, &is_recorded));
    for (size_t i = 0; i < json_array_size(runs); i++)
        TMS_TRY(mark_layers(checkpoint, json_array_get(runs, i), is_recorded));
    for (int64_t i = 0; i < checkpoint->tensor_count; i++)
        if (is_recorded[i])
            layers[count++] = i;
    *out = layers;
    *out_count = count;
    layers = NULL;
done:
    tmsi_free(checkpoint->context, layers);
    tmsi_free(checkpoint->context, is_recorded);
    return status;
}

/* ---- Printing -------------------------------------------------------------------------------
 * jansson's setters take NULL for what could not be allocated and fail: each step is tried only
 * while all went well. */

static bool set(bool is_whole, json_t *object, const char *key, json_t *value) {
    if (is_whole)
        return json_object_set_new(object, key, value) == 0;
    json_decref(value);
    return false;
}

static json_t *make_calibration(const tmsi_record_run *run) {
    json_t *calibration = json_object();
    char hash[17];
    bool is_whole;

    snprintf(hash, sizeof hash, "%016" PRIx64, run->calibration_hash);
    is_whole = set(true, calibration, "lines", json_integer(run->calibration_lines));
    is_whole = set(is_whole, calibration, "hash", json_string(hash));
    if (is_whole)
        return calibration;
    json_decref(calibration);
    return NULL;
}

static bool has_blocks(const tms_pattern *pattern) {
    return pattern->kind != TMS_PATTERN_UNSTRUCTURED && pattern->kind != TMS_PATTERN_NM;
}

static json_t *make_run(const tmsi_record_run *run) {
    json_t *made = json_object(), *layers = json_object();
    char pattern[TMS_PATTERN_TEXT_MAX];
    bool is_whole = layers != NULL;

    tmsi_pattern_print(run->pattern, pattern);
    is_whole = set(is_whole, made, "tamis", json_string(tms_version_text()));
    is_whole = set(is_whole, made, "pattern", json_string(pattern));
    is_whole = set(is_whole, made, "method", json_string(tmsi_methods[run->method].name));
    if (has_blocks(run->pattern))
        is_whole = set(is_whole, made, "block_norm",
                       json_string(run->block_norm == TMS_NORM_L1 ? "l1" : "l2"));
    if (run->calibration_lines > 0)
        is_whole = set(is_whole, made, "calibration", make_calibration(run));
    for (int64_t i = 0; i < run->layer_count; i++)
        is_whole = set(is_whole, layers, run->layers[i].name, json_integer(run->layers[i].zeros));
    is_whole = is_whole && json_object_set(made, "layers", layers) == 0;
    json_decref(layers);
    if (is_whole)
        return made;
    json_decref(made);
    return NULL;
}

/* Takes the run's layers out of the runs before it, and runs that have none left with them. */
static void forget_layers(json_t *runs, const tmsi_record_run *run) {
    for (size_t i = json_array_size(runs); i-- > 0;) {
        json_t *layers = json_object_get(json_array_get(runs, i), "layers");
        for (int64_t j = 0; j < run->layer_count; j++)
            json_object_del(layers, run->layers[j].name);
        if (json_object_size(layers) == 0)
            json_array_remove(runs, i);
    }
}

static json_t *make_record(const json_t *old, const tmsi_record_run *run) {
    json_t *record = json_object();
    json_t *runs = old != NULL ? json_deep_copy(json_object_get(old, "runs")) : json_array();
    bool is_whole = runs != NULL;

    forget_layers(runs, run);
    is_whole = set(is_whole, record, "version", json_integer(VERSION));
    is_whole = is_whole && json_array_append_new(runs, make_run(run)) == 0 &&
               json_object_set(record, "runs", runs) == 0;
    json_decref(runs);
    if (is_whole)
        return record;
    json_decref(record);
    return NULL;
}

tms_status tmsi_record_print(tms_context *context, const json_t *old, const tmsi_record_run *run,
                             char **out) {
    json_t *record = make_record(old, run);
    tms_status status = tmsi_json_print(context, record, false, out);

    json_decref(record);
    return status;
}
