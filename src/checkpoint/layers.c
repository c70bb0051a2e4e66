#include "checkpoint/layers.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/dtype.h"
#include "base/memory.h"

/* Architectures, a row each: the model_type of config.json, and the names of its blocks' linear
 * layers, in which # is a block's number. Any prefix that ends in a dot may stand before. */
static const struct {
    const char *name;
    const char *layers[8];
} architectures[] = {
    {"bert",
     {"encoder.layer.#.attention.self.query.weight", "encoder.layer.#.attention.self.key.weight",
      "encoder.layer.#.attention.self.value.weight",
      "encoder.layer.#.attention.output.dense.weight", "encoder.layer.#.intermediate.dense.weight",
      "encoder.layer.#.output.dense.weight"}},
};

enum {
    ARCHITECTURE_COUNT = sizeof architectures / sizeof *architectures,
    LAYERS_MAX = sizeof architectures->layers / sizeof *architectures->layers,
    NAMES_SHOWN = 5, /* in the sentence about a glob that names nothing */
};

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

static bool is_linear(int architecture, const char *name) {
    for (const char *part = name; part != NULL; part = strchr(part, '.')) {
        part += *part == '.';
        for (int i = 0; i < LAYERS_MAX && architectures[architecture].layers[i] != NULL; i++)
            if (form_matches(architectures[architecture].layers[i], part))
                return true;
    }
    return false;
}

bool tmsi_tensor_is_layer(const tms_tensor *tensor) {
    return tensor->rank == 2 && tmsi_dtype_is_weight(tensor->dtype);
}

/* The row of the table, or -1. A model_type that the table lacks says no more than none. */
static int find_architecture(const tms_checkpoint *checkpoint) {
    const char *type = json_string_value(json_object_get(checkpoint->config, "model_type"));

    for (int a = 0; type != NULL && a < ARCHITECTURE_COUNT; a++)
        if (strcmp(architectures[a].name, type) == 0)
            return a;
    for (int a = 0; a < ARCHITECTURE_COUNT; a++)
        for (int64_t i = 0; i < checkpoint->tensor_count; i++)
            if (is_linear(a, checkpoint->tensors[i].tensor.name))
                return a;
    return -1;
}

const char *tmsi_architecture_name(const tms_checkpoint *checkpoint) {
    int a = find_architecture(checkpoint);
    return a < 0 ? NULL : architectures[a].name;
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

tms_status tmsi_layers_choose(const tms_checkpoint *checkpoint, const char *const *globs,
                              int32_t glob_count, int64_t **out, int64_t *out_count) {
    tms_context *context = checkpoint->context;
    int architecture = find_architecture(checkpoint);
    tms_status status = TMS_OK;
    bool *is_used = NULL;
    int64_t *chosen = NULL, count = 0;

    TMS_TRY(tmsi_alloc(context, (size_t)glob_count, sizeof *is_used, &is_used));
    TMS_TRY(tmsi_alloc(context, (size_t)checkpoint->tensor_count, sizeof *chosen, &chosen));
    for (int64_t i = 0; i < checkpoint->tensor_count; i++) {
        const tms_tensor *tensor = &checkpoint->tensors[i].tensor;
        bool is_chosen =
            glob_count == 0 && (architecture < 0 || is_linear(architecture, tensor->name));
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
