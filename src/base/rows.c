#include "base/rows.h"

#include <stdatomic.h>

#include "base/memory.h"
#include "base/threads.h"

/* A task takes about 30 us at memory speed: far above the cost of handing it out. */
enum { TASK_ELEMENTS = 1 << 16 };

typedef struct loop {
    int64_t rows, task_rows;
    void (*work)(const void *arg, int64_t row);
    int64_t (*value)(const void *arg, int64_t row);
    bool (*is_bad)(const void *arg, int64_t row);
    const void *arg;
    _Atomic int64_t result;
} loop;

static void run_loop(const tms_context *context, loop *self, int64_t row_elements, tms_task task) {
    if (row_elements == 0)
        return;
    self->task_rows = tmsi_max(1, TASK_ELEMENTS / row_elements);
    tmsi_parallel_for(context, tmsi_div_up(self->rows, self->task_rows), task, self);
}

static int64_t task_end(const loop *self, int64_t i) {
    return tmsi_min(self->rows, (i + 1) * self->task_rows);
}

static void each_task(void *arg, int64_t i) {
    loop *self = arg;
    for (int64_t row = i * self->task_rows; row < task_end(self, i); row++)
        self->work(self->arg, row);
}

static void sum_task(void *arg, int64_t i) {
    loop *self = arg;
    int64_t sum = 0;
    for (int64_t row = i * self->task_rows; row < task_end(self, i); row++)
        sum += self->value(self->arg, row);
    atomic_fetch_add(&self->result, sum);
}

static void find_task(void *arg, int64_t i) {
    loop *self = arg;
    int64_t lowest = atomic_load(&self->result);

    for (int64_t row = i * self->task_rows; row < tmsi_min(lowest, task_end(self, i)); row++)
        if (self->is_bad(self->arg, row)) {
            while (row < lowest && !atomic_compare_exchange_weak(&self->result, &lowest, row)) {
            }
            return;
        }
}

void tmsi_rows_each(const tms_context *context, int64_t rows, int64_t row_elements,
                    void (*work)(const void *arg, int64_t row), const void *arg) {
    loop self = {.rows = rows, .work = work, .arg = arg};
    run_loop(context, &self, row_elements, each_task);
}

int64_t tmsi_rows_sum(const tms_context *context, int64_t rows, int64_t row_elements,
                      int64_t (*value)(const void *arg, int64_t row), const void *arg) {
    loop self = {.rows = rows, .value = value, .arg = arg};
    run_loop(context, &self, row_elements, sum_task);
    return self.result;
}

int64_t tmsi_rows_find(const tms_context *context, int64_t rows, int64_t row_elements,
                       bool (*is_bad)(const void *arg, int64_t row), const void *arg) {
    loop self = {.rows = rows, .is_bad = is_bad, .arg = arg, .result = INT64_MAX};
    run_loop(context, &self, row_elements, find_task);
    return self.result == INT64_MAX ? -1 : self.result;
}
