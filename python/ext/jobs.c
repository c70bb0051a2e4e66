#include <stdlib.h>
#include <string.h>

#include "core.h"

/* inspect, prune, check, pack, unpack: one desc serves all, as in the library. */
typedef struct job {
    tms_job_desc desc;
    tms_pattern pattern;
    const char **layers; /* owned; its texts belong to `globs` */
} job;

/* Called without the interpreter's lock. A true result, or an exception, stops the job. */
static int32_t report(void *user, const char *what, int64_t done, int64_t total) {
    PyGILState_STATE state = PyGILState_Ensure();
    PyObject *answer = PyObject_CallFunction(user, "sLL", what, (long long)done, (long long)total);
    int32_t stops = answer == NULL ? 1 : PyObject_IsTrue(answer) != 0;

    Py_XDECREF(answer);
    PyGILState_Release(state);
    return stops;
}

static bool read_globs(PyObject *globs, job *out) {
    Py_ssize_t count = PySequence_Size(globs);

    if (count < 0)
        return false;
    out->layers = malloc((size_t)(count + 1) * sizeof *out->layers);
    if (out->layers == NULL) {
        PyErr_NoMemory();
        return false;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *glob = PySequence_GetItem(globs, i);

        out->layers[i] = glob != NULL ? PyUnicode_AsUTF8AndSize(glob, NULL) : NULL;
        Py_XDECREF(glob); /* the sequence holds it */
        if (out->layers[i] == NULL)
            return false;
    }
    out->desc.layers = count > 0 ? out->layers : NULL;
    out->desc.layer_count = (int32_t)count;
    return true;
}

static PyObject *row_dict(const tms_layer_row *row) {
    char pattern[TMS_PATTERN_TEXT_MAX] = "";
    PyObject *bytes = PyDict_New(), *result;

    if (bytes == NULL)
        return NULL;
    if (row->pattern.kind != TMS_PATTERN_NONE)
        tms_pattern_print(&row->pattern, pattern);
    for (int f = 0; f < TMS_FORMAT_COUNT; f++) {
        PyObject *number = PyLong_FromLongLong(row->format_bytes[f]);

        if (number == NULL ||
            PyDict_SetItemString(bytes, tms_format_name((tms_format)f), number) != 0) {
            Py_XDECREF(number);
            Py_DECREF(bytes);
            return NULL;
        }
        Py_DECREF(number);
    }
    result = Py_BuildValue(
        "{s:s,s:L,s:L,s:s,s:s,s:s,s:N,s:L,s:L,s:L,s:d,s:d,s:N,s:s,s:L,s:N,s:L}", "name", row->name,
        "n", (long long)row->n, "k", (long long)row->k, "dtype", tms_dtype_name(row->dtype),
        "format", tms_format_name(row->format), "pattern", pattern, "is_skipped",
        PyBool_FromLong(row->is_skipped), "elements", (long long)row->zeros.elements, "zeros",
        (long long)row->zeros.zeros, "zeros_before", (long long)row->zeros_before, "error",
        row->error, "seconds", row->seconds, "holds", PyBool_FromLong(row->check.holds), "sentence",
        row->check.text, "dense_bytes", (long long)row->dense_bytes, "format_bytes", bytes,
        "negative_zeros", (long long)row->negative_zeros);
    return result;
}

static PyObject *rows_of(const tms_layer_table *table) {
    PyObject *rows = PyList_New(0);

    for (int64_t i = 0; rows != NULL && i < tms_layer_table_count(table); i++) {
        PyObject *row = row_dict(tms_layer_table_row(table, i));

        if (row == NULL || PyList_Append(rows, row) != 0)
            Py_CLEAR(rows);
        Py_XDECREF(row);
    }
    return rows;
}

typedef enum job_verb { JOB_INSPECT, JOB_PRUNE, JOB_CHECK, JOB_PACK, JOB_UNPACK } job_verb;

static tms_status run_job(job_verb verb, tms_context *context, const tms_job_desc *desc,
                          int32_t *out_holds, tms_layer_table **out_table) {
    switch (verb) {
    case JOB_INSPECT:
        return tms_inspect_run(context, desc, out_table);
    case JOB_PRUNE:
        return tms_prune_run(context, desc, out_table);
    case JOB_CHECK:
        return tms_check_run(context, desc, out_holds, out_table);
    case JOB_PACK:
        return tms_pack_run(context, desc, out_table);
    case JOB_UNPACK:
        return tms_unpack_run(context, desc, out_table);
    }
    return TMS_ERR_INVALID;
}

static bool read_job(PyObject *args, int *out_verb, int *out_context, job *out) {
    PyObject *globs, *pattern, *progress;
    const char *method;
    int force, block_norm, skip_unfit, format;

    out->desc = tms_job_desc_default();
    out->layers = NULL;
    if (!PyArg_ParseTuple(args, "iizzpOOsizpiO:job_run", out_verb, out_context, &out->desc.in,
                          &out->desc.out, &force, &globs, &pattern, &method, &block_norm,
                          &out->desc.calibration, &skip_unfit, &format, &progress) ||
        !read_globs(globs, out))
        return false;
    if (tms_method_parse(method, &out->desc.method) != TMS_OK) {
        core_raise(TMS_ERR_INVALID);
        return false;
    }
    if (pattern != Py_None) {
        if (!core_pattern(pattern, &out->pattern))
            return false;
        out->desc.pattern = &out->pattern;
    }
    out->desc.force = force;
    out->desc.block_norm = (tms_norm)block_norm;
    out->desc.skip_unfit = skip_unfit;
    out->desc.has_format = format >= 0;
    out->desc.format = format >= 0 ? (tms_format)format : TMS_FORMAT_DENSE;
    if (progress != Py_None) {
        out->desc.progress = report;
        out->desc.progress_user = progress;
    }
    return true;
}

static PyObject *job_run(PyObject *module, PyObject *args) {
    job given;
    int verb, handle;
    tms_context *context = NULL;
    tms_layer_table *table = NULL;
    int32_t holds = 0;
    tms_status status;
    PyObject *rows = NULL;

    (void)module;
    if (read_job(args, &verb, &handle, &given))
        context = core_context(handle);
    if (context != NULL) {
        Py_BEGIN_ALLOW_THREADS
        status = run_job((job_verb)verb, context, &given.desc, &holds, &table);
        Py_END_ALLOW_THREADS
        rows = status == TMS_OK ? rows_of(table) : core_raise(status);
        tms_layer_table_destroy(table);
    }
    free(given.layers);
    return rows != NULL ? Py_BuildValue("(NN)", PyBool_FromLong(holds), rows) : NULL;
}

PyMethodDef core_job_methods[] = {
    {"job_run", job_run, METH_VARARGS,
     "job_run(verb, context, in, out, force, layers, pattern, method, block_norm, calibration, "
     "skip_unfit, format, progress) -> (holds, rows)\n\nverb: 0 inspect, 1 prune, 2 check, 3 pack, "
     "4 unpack."},
    {NULL, NULL, 0, NULL},
};
