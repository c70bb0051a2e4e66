/* Status, the last error's sentence, and the one way out of a function. */
#ifndef TAMIS_BASE_STATUS_H
#define TAMIS_BASE_STATUS_H

#include <assert.h>

#include "tamis.h"

/* Keeps the sentence for this thread, prefixed by the public function entered last, and returns
 * status: `return tmsi_fail(TMS_ERR_INVALID, "k is %lld, but must be a multiple of 4", k);`
 * Sentences name the argument, its value and the limit. */
#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
tms_status
tmsi_fail(tms_status status, const char *format, ...);

/* Every public function that can fail begins with tmsi_enter(__func__). */
void tmsi_enter(const char *public_function);

/* Like tmsi_fail, but puts words before the sentence already kept: how an outer layer says which
 * file or tensor an inner failure was about. */
#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
tms_status
tmsi_fail_in(tms_status status, const char *format, ...);

/* clang's analyser sees one file at a time, and would take it that a failure may be TMS_OK and
 * leave outputs unset. */
#ifdef __clang_analyzer__
static inline tms_status tmsi_failure(tms_status status) {
    return status == TMS_OK ? TMS_ERR_INVALID : status;
}
#define tmsi_fail(status, ...)    (tmsi_fail((status), __VA_ARGS__), tmsi_failure(status))
#define tmsi_fail_in(status, ...) (tmsi_fail_in((status), __VA_ARGS__), tmsi_failure(status))
#endif

/* status = call; on failure goto done. The function has `tms_status status` and a label `done`. */
#define TMS_TRY(call)                                                                              \
    do {                                                                                           \
        status = (call);                                                                           \
        if (status != TMS_OK)                                                                      \
            goto done;                                                                             \
    } while (0)

/* What must hold below the checks of the API; nothing in release builds. */
#ifdef NDEBUG
#define TMS_ASSERT(condition) ((void)0)
#else
#define TMS_ASSERT(condition) assert(condition)
#endif

#endif
