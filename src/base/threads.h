/* The only door to threads. */
#ifndef TAMIS_BASE_THREADS_H
#define TAMIS_BASE_THREADS_H

#include "base/status.h"

/* Cores this process may use (its affinity mask), at least 1. */
int32_t tmsi_threads_available(void);

/* Runs task(arg, i) for i in [0, count) on the context's threads, taken one by one as threads get
 * free, and returns when all are done. Results must not depend on which thread took what. With one
 * thread or one task it is a plain loop. Tasks must not fail through tmsi_fail: its sentence is the
 * calling thread's. */
void tmsi_parallel_for(const tms_context *context, int64_t count, tms_task task, void *arg);

#endif
