/* Any text is either refused with a sentence or a pattern that survives print and parse. */
#include <stdlib.h>
#include <string.h>

#include "tamis.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    char *text = malloc(bytes + 1), printed[TMS_PATTERN_TEXT_MAX], again[TMS_PATTERN_TEXT_MAX];
    tms_pattern pattern;

    if (text == NULL)
        return 0;
    if (bytes > 0)
        memcpy(text, data, bytes);
    text[bytes] = 0;
    if (tms_pattern_parse(text, &pattern) == TMS_OK) {
        if (tms_pattern_print(&pattern, printed) != TMS_OK ||
            tms_pattern_parse(printed, &pattern) != TMS_OK ||
            tms_pattern_print(&pattern, again) != TMS_OK || strcmp(printed, again) != 0)
            abort();
    } else if (tms_error_text()[0] == 0) {
        abort();
    }
    free(text);
    return 0;
}
