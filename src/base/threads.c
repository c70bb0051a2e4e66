/* The one file with OpenMP. Thread counts are given a loop at a time, never set for the process:
 * other libraries share the runtime. */
#define _GNU_SOURCE
#include "base/threads.h"

#include <sched.h>

#include "base/context.h"

int32_t tmsi_threads_available(void) {
    cpu_set_t set;
    int count = 0;

    if (sched_getaffinity(0, sizeof set, &set) == 0)
        count = CPU_COUNT(&set);
    return count > 0 ? (int32_t)count : 1;
}

void tmsi_parallel_for(const tms_context *context, int64_t count, tms_task task, void *arg) {
    if (count <= 1 || context->threads == 1) {
        for (int64_t i = 0; i < count; i++)
            task(arg, i);
        return;
    }
    if (context->parallel_for != NULL) {
        context->parallel_for(context->parallel_user, count, task, arg);
        return;
    }
#pragma omp parallel for schedule(dynamic, 1) num_threads(context->threads)
    for (int64_t i = 0; i < count; i++)
        task(arg, i);
}
