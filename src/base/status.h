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
