/* Any text is either refused with a sentence, or a table whose prices are finite and not negative
 * and whose times are above 0, in the order of t. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "spmm/kernel.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void check_table(const tmsi_tuning *tuning) {
    for (int32_t i = 0; i < TMSI_TUNING_KERNELS_MAX; i++)
        for (int term = 0; term < TMSI_TERM_COUNT; term++)
            if (!(tuning->price[i][term] >= 0.0) || isinf(tuning->price[i][term]))
                abort();
    for (int32_t i = 0; i < tuning->point_count; i++)
        if (!(tuning->points[i].us > 0.0) || tuning->points[i].t < 1 ||
            (i > 0 && tuning->points[i - 1].t > tuning->points[i].t))
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    static const tmsi_hardware machines[] = {
        {"Zen", 0, 0, 0, TMS_ISA_AVX2, 0, 0, 0, 0, 0, 0},
        {"NVIDIA H200", 0, 0, 0, TMS_ISA_ALL, 0, 0, 0, 132, 1980, 4800},
    };
    static tms_context *context;

    if (context == NULL && tms_context_create(NULL, &context) != TMS_OK)
        abort();
    for (size_t m = 0; m < 2; m++) {
        tmsi_tuning *tuning = NULL;

        if (tmsi_tuning_create(context, &machines[m], (const char *)data, bytes, &tuning) == TMS_OK)
            check_table(tuning);
        else if (tms_error_text()[0] == 0)
            abort();
        tmsi_free(context, tuning);
    }
    return 0;
}
