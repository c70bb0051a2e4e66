#include "model/pooling.h"

#include <math.h>
#include <string.h>

#include "base/threads.h"
#include "io/json.h"

#define POOLING_FOLDER "1_Pooling"

enum { BYTES_MAX = 1 << 20, DEPTH_MAX = 8 };

/* ---- What the folder says ---- */

/* Flags of 1_Pooling/config.json that can be run. */
static const struct {
    const char *flag;
    tmsi_pooling pooling;
} modes[] = {
    {"pooling_mode_mean_tokens", TMSI_POOLING_MEAN},
    {"pooling_mode_cls_token", TMSI_POOLING_CLS},
};

/* The one flag that is true. Others may be there, or be left out. */
static tms_status find_flag(const json_t *config, const char **out) {
    static const char lead[] = "pooling_mode";
    const char *key, *found = NULL;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)config, key, value) {
        if (strncmp(key, lead, sizeof lead - 1) != 0)
            continue;
        if (!json_is_boolean(value))
            return tmsi_fail(TMS_ERR_FORMAT, "%.80s is %s, but must be true or false", key,
                             tmsi_json_kind(value));
        if (json_is_true(value) && found != NULL)
            return tmsi_fail(TMS_ERR_UNSUPPORTED,
                             "%.80s and %.80s are both true, but only one pooling can be run",
                             found, key);
        if (json_is_true(value))
            found = key;
    }
    if (found == NULL)
        return tmsi_fail(TMS_ERR_UNSUPPORTED, "no pooling_mode is true, but one must be");
    *out = found;
    return TMS_OK;
}

static tms_status read_mode(const json_t *config, tmsi_pooling *out) {
    tms_status status = TMS_OK;
    const char *flag = NULL;

    TMS_TRY(find_flag(config, &flag));
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++)
        if (strcmp(modes[i].flag, flag) == 0) {
            *out = modes[i].pooling;
            return TMS_OK;
        }
    status = tmsi_fail(TMS_ERR_UNSUPPORTED, "%.80s is true, but only %s and %s can be run", flag,
                       modes[0].flag, modes[1].flag);
done:
    return status;
}

/* One step of modules.json: {"type": "sentence_transformers.models.Pooling", "path": "1_Pooling"}.
 */
static tms_status check_module(const json_t *module) {
    tms_status status = TMS_OK;
    const char *type, *name, *path;

    TMS_TRY(tmsi_json_text(module, "type", &type));
    name = strrchr(type, '.') != NULL ? strrchr(type, '.') + 1 : type;
    if (strcmp(name, "Transformer") == 0 || strcmp(name, "Normalize") == 0)
        return TMS_OK;
    if (strcmp(name, "Pooling") != 0)
        return tmsi_fail(TMS_ERR_UNSUPPORTED,
                         "it has the step \"%.80s\", but only Transformer, Pooling and Normalize "
                         "can be run",
                         type);
    TMS_TRY(tmsi_json_text(module, "path", &path));
    if (strcmp(path, POOLING_FOLDER) != 0)
        status =
            tmsi_fail(TMS_ERR_UNSUPPORTED, "Pooling lies in \"%.80s\", but is read from \"%s\"",
                      path, POOLING_FOLDER);
done:
    return status;
}

static tms_status check_modules(tms_context *context, const char *folder) {
    static const tmsi_json_bounds bounds = {JSON_ARRAY, BYTES_MAX, DEPTH_MAX};
    tms_status status = TMS_OK;
    json_t *modules = NULL;

    TMS_TRY(tmsi_json_read(context, folder, "modules.json", &bounds, &modules));
    for (size_t i = 0; status == TMS_OK && i < json_array_size(modules); i++)
        status = check_module(json_array_get(modules, i));
    if (status != TMS_OK)
        status = tmsi_fail_in(status, "\"%s/modules.json\"", folder);
done:
    json_decref(modules);
    return status;
}

tms_status tmsi_pooling_read(tms_context *context, const char *folder, tmsi_pooling *out) {
    static const tmsi_json_bounds bounds = {JSON_OBJECT, BYTES_MAX, DEPTH_MAX};
    static const char name[] = POOLING_FOLDER "/config.json";
    tmsi_pooling pooling = TMSI_POOLING_MEAN;
    tms_status status = TMS_OK;
    json_t *config = NULL;

    TMS_TRY(check_modules(context, folder));
    TMS_TRY(tmsi_json_read(context, folder, name, &bounds, &config));
    if (config != NULL)
        status = read_mode(config, &pooling);
    if (status != TMS_OK)
        TMS_TRY(tmsi_fail_in(status, "\"%s/%s\"", folder, name));
    *out = pooling;
done:
    json_decref(config);
    return status;
}

/* ---- How it runs ---- */

typedef struct pooling_job {
    tmsi_pooling pooling;
    const tmsi_text_rows *texts;
    int64_t hidden;
    const float *x;
    float *out;
} pooling_job;

/* The mean's length cancels: the sum of a text's rows is brought to unit length. */
static void pool_text(void *arg, int64_t text) {
    const pooling_job *job = arg;
    const int64_t *offsets = job->texts->offsets;
    int64_t first = offsets[text], hidden = job->hidden;
    int64_t last = job->pooling == TMSI_POOLING_CLS ? first + 1 : offsets[text + 1];
    float *out = job->out + text * hidden;
    double squares = 0.0, inverse;

    memset(out, 0, (size_t)hidden * sizeof *out);
    for (int64_t row = first; row < last; row++)
        for (int64_t i = 0; i < hidden; i++)
            out[i] += job->x[row * hidden + i];
    for (int64_t i = 0; i < hidden; i++)
        squares += (double)out[i] * (double)out[i];
    inverse = squares > 0.0 ? 1.0 / sqrt(squares) : 0.0;
    for (int64_t i = 0; i < hidden; i++)
        out[i] = (float)(out[i] * inverse);
}

void tmsi_pooling_run(const tms_context *context, tmsi_pooling pooling, const tmsi_text_rows *texts,
                      int64_t hidden, const float *x, float *out) {
    pooling_job job = {pooling, texts, hidden, x, out};

    tmsi_parallel_for(context, texts->count, pool_text, &job);
}
