#include "rivals.h"

#include <string.h>

#include "rival.h"

const char *bench_rivals_load(const char *cublaslt, const char *cusparselt) {
    static char text[96];
    size_t used;

    bench_cublaslt_load(cublaslt, text, sizeof text);
    used = strlen(text);
    bench_cusparselt_load(cusparselt, text + used, sizeof text - used);
    return text;
}

bool bench_rival_run(bench_rival *self) {
    return self->run(self);
}

tms_dtype bench_rival_y_type(const bench_rival *self) {
    return self->y_type;
}

void bench_rival_close(bench_rival *self) {
    if (self != NULL)
        self->close(self);
}
