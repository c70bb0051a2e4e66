#include "spmm/tuning.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "spmm/kernel.h"

/* Each file of cuda/tuning/ twice: its prices, then what chip they are of. */
#define TMS_PRICE(kernel, ...) {kernel, {__VA_ARGS__}},
#define TMS_CHIP(name, processors, mhz, gb_per_s, l2_mib)
static const tmsi_price h100[] = {
#include "spmm/cuda/tuning/h100.def"
};
static const tmsi_price h200[] = {
#include "spmm/cuda/tuning/h200.def"
};
#undef TMS_PRICE
#undef TMS_CHIP

#define COUNT_OF(array) ((int32_t)(sizeof(array) / sizeof(array)[0]))
#define TMS_PRICE(kernel, ...)
const tmsi_chip tmsi_chips[] = {
#define TMS_CHIP(name, processors, mhz, gb_per_s, l2_mib)                                          \
    {name, processors, mhz, gb_per_s, (int64_t)(l2_mib) << 20, h100, COUNT_OF(h100)},
#include "spmm/cuda/tuning/h100.def"
#undef TMS_CHIP
#define TMS_CHIP(name, processors, mhz, gb_per_s, l2_mib)                                          \
    {name, processors, mhz, gb_per_s, (int64_t)(l2_mib) << 20, h200, COUNT_OF(h200)},
#include "spmm/cuda/tuning/h200.def"
#undef TMS_CHIP
};
#undef TMS_PRICE
const int32_t tmsi_chip_count = COUNT_OF(tmsi_chips);

const char *tmsi_term_name(tmsi_term term) {
    static const char *const names[TMSI_TERM_COUNT] = {
#define TMSI_TERM_NAME(id, name) name,
        TMSI_TERM_MAP(TMSI_TERM_NAME)
#undef TMSI_TERM_NAME
    };
    return names[term];
}

double tmsi_tuning_time(const double terms[TMSI_TERM_COUNT], const double price[TMSI_TERM_COUNT]) {
    double us[TMSI_TERM_COUNT];

    for (int i = 0; i < TMSI_TERM_COUNT; i++)
        us[i] = terms[i] * price[i];
    return us[TMSI_TERM_LAUNCH] +
           fmax(us[TMSI_TERM_BLOCK] + us[TMSI_TERM_TILE], us[TMSI_TERM_MEMORY]) +
           us[TMSI_TERM_PASS] + us[TMSI_TERM_MODEL];
}

bool tmsi_tuning_matches(const char *pattern, const char *kernel) {
    const char *star = strchr(pattern, '*');
    size_t before, behind, length = strlen(kernel);

    if (star == NULL)
        return strcmp(pattern, kernel) == 0;
    before = (size_t)(star - pattern);
    behind = strlen(star + 1);
    return length >= before + behind && strncmp(pattern, kernel, before) == 0 &&
           strcmp(star + 1, kernel + length - behind) == 0;
}

static const tmsi_chip *find_chip(const tmsi_hardware *hardware) {
    for (int32_t i = 0; i < tmsi_chip_count; i++)
        if (strstr(hardware->name, tmsi_chips[i].name) != NULL &&
            hardware->processors == tmsi_chips[i].processors)
            return &tmsi_chips[i];
    return NULL;
}

static double ratio(double there, double here) {
    return there > 0.0 && here > 0.0 ? there / here : 1.0;
}

static void fill_gpu(const tmsi_hardware *hardware, tmsi_tuning *out) {
    const tmsi_spmm_table table = tmsi_spmm_table_of(hardware);
    const tmsi_chip *own = find_chip(hardware), *chip = own != NULL ? own : &tmsi_chips[0];
    const double clock = own != NULL ? 1.0 : ratio(chip->mhz, hardware->mhz);
    const double memory = own != NULL ? 1.0 : ratio(chip->gb_per_s, hardware->gb_per_s);

    if (own != NULL)
        snprintf(out->source, sizeof out->source, "%s", chip->name);
    else
        snprintf(out->source, sizeof out->source,
                 "%s, multiprocessors' times x %.3g, memory's x %.3g", chip->name, clock, memory);
    for (int32_t i = 0; i < table.count; i++)
        for (int32_t p = 0; p < chip->price_count; p++)
            if (tmsi_tuning_matches(chip->prices[p].kernel, table.kernels[i].name)) {
                memcpy(out->price[i], chip->prices[p].of, sizeof out->price[i]);
                out->price[i][TMSI_TERM_BLOCK] *= clock;
                out->price[i][TMSI_TERM_TILE] *= clock;
                out->price[i][TMSI_TERM_MEMORY] *= memory;
                out->price[i][TMSI_TERM_PASS] *= memory;
                break;
            }
}

void tmsi_tuning_fill(const tmsi_hardware *hardware, tmsi_tuning *out) {
    memset(out, 0, sizeof *out);
    if (hardware->processors > 0) {
        fill_gpu(hardware, out);
        return;
    }
    snprintf(out->source, sizeof out->source, "the kernels' own models");
    for (int32_t i = 0; i < tmsi_spmm_kernel_count; i++)
        out->price[i][TMSI_TERM_MODEL] = 1.0;
}
