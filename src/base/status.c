/* The last error is kept per thread: plans are shared by threads, and a failed context create has
 * no context to ask. */
#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#ifdef __clang_analyzer__
#undef tmsi_fail
#undef tmsi_fail_in
#endif

enum { ERROR_TEXT_BYTES = 16384 }; /* some sentences list every layer of a large model */

static _Thread_local char error_text[ERROR_TEXT_BYTES];
static _Thread_local const char *entered = "";

const char *tms_status_name(tms_status status) {
    static const char *const names[] = {
#define NAME(name, text) "TMS_" #name,
        TMS_STATUS_MAP(NAME)
#undef NAME
    };
    return (unsigned)status < TMS_STATUS_COUNT ? names[status] : "TMS_?";
}

const char *tms_status_text(tms_status status) {
    static const char *const texts[] = {
#define TEXT(name, text) text,
        TMS_STATUS_MAP(TEXT)
#undef TEXT
    };
    return (unsigned)status < TMS_STATUS_COUNT ? texts[status] : "unknown status";
}

const char *tms_error_text(void) {
    return error_text;
}

const char *tms_version_text(void) {
#define TEXT_OF_(x) #x
#define TEXT_OF(x)  TEXT_OF_(x)
    return TEXT_OF(TMS_VERSION_MAJOR) "." TEXT_OF(TMS_VERSION_MINOR) "." TEXT_OF(TMS_VERSION_PATCH);
}

void tmsi_enter(const char *public_function) {
    entered = public_function;
}

tms_status tmsi_fail(tms_status status, const char *format, ...) {
    va_list arguments;
    int used = snprintf(error_text, sizeof error_text, "%s%s", entered, *entered ? ": " : "");

    va_start(arguments, format);
    vsnprintf(error_text + used, sizeof error_text - (size_t)used, format, arguments);
    va_end(arguments);
    return status;
}

tms_status tmsi_fail_in(tms_status status, const char *format, ...) {
    char inner[ERROR_TEXT_BYTES];
    const char *sentence = error_text;
    size_t prefix = strlen(entered);
    va_list arguments;
    int used;

    if (prefix > 0 && strncmp(sentence, entered, prefix) == 0 &&
        strncmp(sentence + prefix, ": ", 2) == 0)
        sentence += prefix + 2;
    snprintf(inner, sizeof inner, "%s", sentence);
    used = snprintf(error_text, sizeof error_text, "%s%s", entered, prefix > 0 ? ": " : "");
    va_start(arguments, format);
    used += vsnprintf(error_text + used, sizeof error_text - (size_t)used, format, arguments);
    va_end(arguments);
    if ((size_t)used < sizeof error_text)
        snprintf(error_text + used, sizeof error_text - (size_t)used, ": %s", inner);
    return status;
}
