#include <stdlib.h>
#include <string.h>

#include "core.h"

enum { CONTEXT_MAX = 256 };

static char *tuning; /* the table that contexts choose kernels by, or NULL */
static size_t tuning_bytes;

static struct context_entry {
    tms_device device;
    int32_t index, threads;
    tms_context *context;
} entries[CONTEXT_MAX];
static int32_t entry_count;

tms_context *core_context(int32_t handle) {
    if (handle >= 0 && handle < entry_count)
        return entries[handle].context;
    core_refuse("there is no context %d: tamis._core.context makes them", handle);
    return NULL;
}

int32_t core_context_find(tms_device device, int32_t index, int32_t threads) {
    tms_context_desc desc = tms_context_desc_default();
    struct context_entry *entry = &entries[entry_count];
    tms_status status;

    for (int32_t i = 0; i < entry_count; i++)
        if (entries[i].device == device && entries[i].index == index &&
            entries[i].threads == threads)
            return i;
    if (entry_count == CONTEXT_MAX) {
        core_refuse("%d numbers of threads were asked for, which is as many as there is room for",
                    CONTEXT_MAX);
        return -1;
    }
    desc.device = device;
    desc.device_index = index;
    desc.threads = threads;
    desc.tuning = tuning;
    desc.tuning_bytes = tuning_bytes;
    status = tms_context_create(&desc, &entry->context);
    if (status != TMS_OK) {
        core_raise(status);
        return -1;
    }
    entry->device = device;
    entry->index = index;
    entry->threads = threads;
    return entry_count++;
}

static PyObject *context_make(PyObject *module, PyObject *args) {
    int device, index, threads, handle;

    (void)module;
    if (!PyArg_ParseTuple(args, "iii:context", &device, &index, &threads))
        return NULL;
    handle = core_context_find((tms_device)device, index, threads);
    return handle >= 0 ? PyLong_FromLong(handle) : NULL;
}

/* Whether a context can be made with that table: else an exception says what is wrong with it. */
static bool check_tuning(const char *text, size_t bytes) {
    tms_context_desc desc = tms_context_desc_default();
    tms_context *context;
    tms_status status;

    desc.tuning = text;
    desc.tuning_bytes = bytes;
    status = tms_context_create(&desc, &context);
    if (status != TMS_OK)
        return core_raise(status) != NULL;
    tms_context_destroy(context);
    return true;
}

static PyObject *context_tune(PyObject *module, PyObject *args) {
    const char *text;
    Py_ssize_t bytes;
    char *copy;

    (void)module;
    if (!PyArg_ParseTuple(args, "y#:context_tune", &text, &bytes))
        return NULL;
    if (entry_count > 0)
        return core_refuse("something was computed already, by the tables that there were: name "
                           "the tuning table before");
    if (!check_tuning(text, (size_t)bytes))
        return NULL;
    copy = malloc((size_t)bytes + 1);
    if (copy == NULL)
        return PyErr_NoMemory();
    memcpy(copy, text, (size_t)bytes + 1); /* with its closing 0 */
    free(tuning);
    tuning = copy;
    tuning_bytes = (size_t)bytes;
    Py_RETURN_NONE;
}

static PyObject *context_describe(PyObject *module, PyObject *args) {
    const tms_context *context;
    int handle;

    (void)module;
    if (!PyArg_ParseTuple(args, "i:context_describe", &handle))
        return NULL;
    context = core_context(handle);
    if (context == NULL)
        return NULL;
    return Py_BuildValue("{s:s,s:s,s:s,s:i}", "cpu", tms_context_cpu_name(context), "isa",
                         tms_context_isa_text(context), "device", tms_context_device_text(context),
                         "threads", (int)tms_context_threads(context));
}

PyMethodDef core_context_methods[] = {
    {"context", context_make, METH_VARARGS,
     "context(device, index, threads) -> int\n\nNumber of the context for a device (0 CPU, 1 CUDA) "
     "and a number of threads (0: all cores)."},
    {"context_tune", context_tune, METH_VARARGS,
     "context_tune(table)\n\nThe bytes of a tuning table, for all contexts; before the first."},
    {"context_describe", context_describe, METH_VARARGS,
     "context_describe(context) -> dict\n\nWhat it runs on: cpu, isa, device, threads."},
    {NULL, NULL, 0, NULL},
};
