#define _DEFAULT_SOURCE
#include "measure/rivals.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* The kernels that an OpenBLAS of x86-64 may have chosen, and what they need of a CPU beyond SSE.
 * A name that is not here counts as the widest. */
static uint32_t core_needs(const char *core) {
    static const struct {
        const char *name;
        uint32_t isa;
    } cores[] = {{"Prescott", 0},           {"Core2", 0},         {"Nehalem", 0}, {"Barcelona", 0},
                 {"Haswell", TMS_ISA_AVX2}, {"Zen", TMS_ISA_AVX2}};

    for (size_t i = 0; i < sizeof cores / sizeof cores[0]; i++)
        if (strcasecmp(core, cores[i].name) == 0)
            return cores[i].isa;
    return TMS_ISA_AVX2 | TMS_ISA_AVX512;
}

/* Function pointers from dlsym, by the detour that ISO C allows. */
static bool find_symbol(void *library, const char *name, void *function) {
    void *symbol = dlsym(library, name);

    memcpy(function, &symbol, sizeof symbol);
    return symbol != NULL;
}

void tmsi_openblas_open(const tms_context *context, tmsi_openblas *out) {
    void *library = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL);
    char *(*core_name)(void) = NULL, *(*config)(void) = NULL;
    void (*set_threads)(int) = NULL;
    const char *version;

    memset(out, 0, sizeof *out);
    if (library == NULL)
        return;
    if (!find_symbol(library, "openblas_get_corename", &core_name) ||
        !find_symbol(library, "openblas_get_config", &config) ||
        !find_symbol(library, "openblas_set_num_threads", &set_threads) ||
        !find_symbol(library, "cblas_sgemm", &out->sgemm) ||
        !find_symbol(library, "cblas_sgemv", &out->sgemv) ||
        (core_needs(core_name()) & ~context->hardware.isa) != 0)
        return;
    set_threads(context->threads);
    version = config(); /* "OpenBLAS 0.3.21 NO_LAPACKE ..." */
    version += strncmp(version, "OpenBLAS ", 9) == 0 ? 9 : 0;
    snprintf(out->version, sizeof out->version, "OpenBLAS %.*s %s", (int)strcspn(version, " "),
             version, core_name());
    out->is_there = true;
}

void tmsi_openblas_run(const tmsi_openblas *self, const float *x, const float *w, float *y,
                       int64_t t, int64_t k, int64_t n) {
    enum { ROW_MAJOR = 101, AS_IS = 111, TRANSPOSED = 112 }; /* of cblas.h */

    if (t == 1)
        self->sgemv(ROW_MAJOR, AS_IS, (int)n, (int)k, 1.0f, w, (int)k, x, 1, 0.0f, y, 1);
    else
        self->sgemm(ROW_MAJOR, AS_IS, TRANSPOSED, (int)t, (int)n, (int)k, 1.0f, x, (int)k, w,
                    (int)k, 0.0f, y, (int)n);
}
