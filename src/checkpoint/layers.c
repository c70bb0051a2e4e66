#include "checkpoint/layers.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/dtype.h"
#include "base/memory.h"

const tmsi_architecture tmsi_architectures[TMSI_ARCHITECTURE_COUNT] = {
#define TMSI_ARCHITECTURE(word, model_type, ...)                                                   \
    {model_type, sizeof((const char *[]){__VA_ARGS__}) / sizeof(const char *),                     \
     (const char *const[]){__VA_ARGS__}},
#include "checkpoint/architecture.def"
#undef TMSI_ARCHITECTURE
};

enum { NAMES_SHOWN = 5 }; /* in the sentence about a glob that names nothing */

/* Whether the whole text has the template's form, # standing for digits. */
static bool form_matches(const char *form, const char *text) {
    for (; *form != '\0'; form++) {
        if (*form == '#') {
            size_t digits = strspn(text, "0123456789");
            if (digits == 0)
                return false;
            text += digits;
        } else if (*form != *text++) {
            return false;
        }
    }
    return *text == '\0';
}

void tmsi_layer_name(const char *form, int64_t block, char out[TMSI_LAYER_NAME_MAX]) {
    const char *number = strchr(form, '#');

    snprintf(out, TMSI_LAYER_NAME_MAX, "%.*s%" PRId64 "%s", (int)(number - form), form, block,
             number + 1);
}

static bool is_linear(const tmsi_architecture *architecture, const char *name) {
    for (const char *part = name; part != NULL; part = strchr(part, '.')) {
        part += *part == '.';
        for (int32_t i = 0; i < architecture->layer_count; i++)
            if (form_matches(architecture->layers[i], part))
                return true;
    }
    return false;
}

bool tmsi_tensor_is_layer(const tms_tensor *tensor) {
    return tensor->rank == 2 && tmsi_dtype_is_weight(tensor->dtype);
}

/* A model_type that the table lacks says no more than none. */
const tmsi_architecture *tmsi_architecture_find(const tms_checkpoint *checkpoint) {
    const char *type = json_string_value(json_object_get(checkpoint->config, "model_type"));

    for (int a = 0; type != NULL && a < TMSI_ARCHITECTURE_COUNT; a++)
        if (strcmp(tmsi_architectures[a].name, type) == 0)
            return &tmsi_architectures[a];
    for (int a = 0; a < TMSI_ARCHITECTURE_COUNT; a++)
        for (int64_t i = 0; i < checkpoint->tensor_count; i++)
            if (is_linear(&tmsi_architectures[a], checkpoint->tensors[i].tensor.name))
                return &tmsi_architectures[a];
    return NULL;
}

/* The names there are, so that the user need not look them up: the first few and how many. */
static tms_status fail_glob(const tms_checkpoint *checkpoint, const char *glob) {
    char names[NAMES_SHOWN * 90] = "";
    int64_t count = 0;
    size_t used = 0;

    for (int64_t i = 0; i < checkpoint->tensor_count; i++) {
        const tms_tensor *tensor = &checkpoint->tensors[i].tensor;
        if (!tmsi_tensor_is_layer(tensor))
            continue;
        if (count++ < NAMES_SHOWN)
            used += (size_t)snprintf(names + used, sizeof names - used, "%s%.80s",
                                     used > 0 ? ", " : "", tensor->name);
    }
    return tmsi_fail(TMS_ERR_INVALID,
                     "layer glob \"%.200s\" names none of the %" PRId64
                     " 2-D float tensors there are (%s%s)",
                     glob, count, names, count > NAMES_SHOWN ? ", ..." : "");
}

tms_status tmsi_layers_fail_none(const tms_checkpoint *checkpoint) {
    const tmsi_architecture *architecture = tmsi_architecture_find(checkpoint);

    if (architecture != NULL)
        return tmsi_fail(TMS_ERR_INVALID,
                         "\"%s\" has no layer: none of its %" PRId64
                         " tensors bears the name of a linear layer in a %s block and is 2-D and "
                         "f32, bf16 or f16",
                         checkpoint->path, checkpoint->tensor_count, architecture->name);
    return tmsi_fail(TMS_ERR_INVALID,
                     "\"%s\" has no layer: none of its %" PRId64
                     " tensors is 2-D and f32, bf16 or f16",
                     checkpoint->path, checkpoint->tensor_count);
}

tms_status tmsi_layers_choose(const tms_checkpoint *checkpoint, const char *const *globs,
                              int32_t glob_count, int64_t **out, int64_t *out_count) {
    tms_context *context = checkpoint->context;
    const tmsi_architecture *architecture = tmsi_architecture_find(checkpoint);
    tms_status status = TMS_OK;
    bool *is_used = NULL;
    int64_t *chosen = NULL, count = 0;

    TMS_TRY(tmsi_alloc(context, (size_t)glob_count, sizeof *is_used, &is_used));
    TMS_TRY(tmsi_alloc(context, (size_t)checkpoint->tensor_count, sizeof *chosen, &chosen));
    for (int64_t i = 0; i < checkpoint->tensor_count; i++) {
        const tms_tensor *tensor = &checkpoint->tensors[i].tensor;
        bool is_chosen =
            glob_count == 0 && (architecture == NULL || is_linear(architecture, tensor->name));
        if (!tmsi_tensor_is_layer(tensor))
            continue;
        for (int32_t g = 0; g < glob_count; g++)
            if (tmsi_glob_matches(globs[g], tensor->name))
                is_chosen = is_used[g] = true;
        if (is_chosen)
            chosen[count++] = i;
    }
    for (int32_t g = 0; g < glob_count; g++)
        if (!is_used[g]) {
            status = fail_glob(checkpoint, globs[g]);
            goto done;
        }
    *out = chosen;
    *out_count = count;
    chosen = NULL;
done:
    tmsi_free(context, is_used);
    tmsi_free(context, chosen);
    return status;
}
