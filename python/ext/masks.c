#include "core.h"

/* An optional host array of floats of `count` elements. */
static bool open_floats(PyObject *object, const char *name, int64_t count, core_array *out,
                        const float **out_data) {
    *out_data = NULL;
    if (object == Py_None)
        return true;
    if (!core_array_plain(object, name, TMS_F32, false, out))
        return false;
    if (core_array_count(out) != count) {
        core_refuse("%s has %lld elements, but must have %lld", name,
                    (long long)core_array_count(out), (long long)count);
        core_array_close(out);
        return false;
    }
    *out_data = out->data;
    return true;
}

static bool open_mask(PyObject *object, int64_t n, int64_t k, bool is_written, core_array *out) {
    if (!core_array_plain(object, "mask", TMS_U8, is_written, out))
        return false;
    if ((size_t)core_array_count(out) == tms_mask_bytes(n, k))
        return true;
    core_refuse("mask has %lld bytes, but one of %lld x %lld weights has %zu",
                (long long)core_array_count(out), (long long)n, (long long)k, tms_mask_bytes(n, k));
    core_array_close(out);
    return false;
}

static PyObject *mask_select(PyObject *module, PyObject *args) {
    tms_select_desc desc = tms_select_desc_default();
    PyObject *spec, *components, *pattern, *scores, *norms, *out, *result = NULL;
    core_array score_array = {0}, norm_array = {0}, mask = {0};
    core_matrix dense;
    tms_context *context;
    int handle, block_norm;
    tms_status status;

    (void)module;
    if (!PyArg_ParseTuple(args, "iOOOOOiO:mask_select", &handle, &spec, &components, &pattern,
                          &scores, &norms, &block_norm, &out))
        return NULL;
    context = core_context(handle);
    if (context == NULL || !core_pattern(pattern, &desc.pattern) ||
        !core_matrix_open(spec, components, false, &dense))
        return NULL;
    desc.weights = dense.matrix;
    desc.block_norm = (tms_norm)block_norm;
    if (open_floats(scores, "scores", dense.matrix.n * dense.matrix.k, &score_array,
                    &desc.scores) &&
        open_floats(norms, "column_norms", dense.matrix.k, &norm_array, &desc.column_norms) &&
        open_mask(out, dense.matrix.n, dense.matrix.k, true, &mask)) {
        Py_BEGIN_ALLOW_THREADS
        status = tms_mask_select(context, &desc, mask.data);
        Py_END_ALLOW_THREADS
        result = status == TMS_OK ? Py_NewRef(Py_None) : core_raise(status);
    }
    core_array_close(&mask);
    core_array_close(&norm_array);
    core_array_close(&score_array);
    core_matrix_close(&dense);
    return result;
}

static PyObject *mask_apply(PyObject *module, PyObject *args) {
    PyObject *spec, *components, *object, *result = NULL;
    core_array mask = {0};
    core_matrix dense;
    tms_context *context;
    int handle;
    tms_status status;

    (void)module;
    if (!PyArg_ParseTuple(args, "iOOO:mask_apply", &handle, &object, &spec, &components))
        return NULL;
    context = core_context(handle);
    if (context == NULL || !core_matrix_open(spec, components, true, &dense))
        return NULL;
    if (open_mask(object, dense.matrix.n, dense.matrix.k, false, &mask)) {
        Py_BEGIN_ALLOW_THREADS
        status = tms_mask_apply(context, mask.data, &dense.matrix);
        Py_END_ALLOW_THREADS
        result = status == TMS_OK ? Py_NewRef(Py_None) : core_raise(status);
    }
    core_array_close(&mask);
    core_matrix_close(&dense);
    return result;
}

static PyObject *pattern_check(PyObject *module, PyObject *args) {
    tms_check_report report = tms_check_report_default();
    PyObject *pattern_tuple, *spec, *components;
    tms_pattern pattern;
    core_matrix dense;
    tms_context *context;
    int handle;
    tms_status status;

    (void)module;
    if (!PyArg_ParseTuple(args, "iOOO:pattern_check", &handle, &pattern_tuple, &spec, &components))
        return NULL;
    context = core_context(handle);
    if (context == NULL || !core_pattern(pattern_tuple, &pattern) ||
        !core_matrix_open(spec, components, false, &dense))
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    status = tms_pattern_check(context, &pattern, &dense.matrix, &report);
    Py_END_ALLOW_THREADS
    core_matrix_close(&dense);
    if (status != TMS_OK)
        return core_raise(status);
    return Py_BuildValue("(iLLLLs)", (int)report.holds, (long long)report.row,
                         (long long)report.column, (long long)report.zeros_found,
                         (long long)report.zeros_needed, report.text);
}

static PyObject *matrix_count(PyObject *module, PyObject *args) {
    tms_zero_report report = tms_zero_report_default();
    PyObject *spec, *components;
    core_matrix dense;
    tms_context *context;
    int handle;
    tms_status status;

    (void)module;
    if (!PyArg_ParseTuple(args, "iOO:matrix_count", &handle, &spec, &components))
        return NULL;
    context = core_context(handle);
    if (context == NULL || !core_matrix_open(spec, components, false, &dense))
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    status = tms_matrix_count(context, &dense.matrix, &report);
    Py_END_ALLOW_THREADS
    core_matrix_close(&dense);
    if (status != TMS_OK)
        return core_raise(status);
    return Py_BuildValue(
        "{s:L,s:L,s:L,s:L,s:L,s:N,s:N,s:L}", "elements", (long long)report.elements, "zeros",
        (long long)report.zeros, "negative_zeros", (long long)report.negative_zeros, "zero_rows",
        (long long)report.zero_rows, "zero_columns", (long long)report.zero_columns, "holds_2_4",
        PyBool_FromLong(report.holds_2_4), "holds_1_4", PyBool_FromLong(report.holds_1_4),
        "non_finite", (long long)report.non_finite);
}

PyMethodDef core_mask_methods[] = {
    {"mask_select", mask_select, METH_VARARGS,
     "mask_select(context, spec, components, pattern, scores, column_norms, block_norm, out_mask)"
     "\n\nWrites the bits of the weights that stay."},
    {"mask_apply", mask_apply, METH_VARARGS,
     "mask_apply(context, mask, spec, components)\n\nZeros what the mask drops, in place."},
    {"pattern_check", pattern_check, METH_VARARGS,
     "pattern_check(context, pattern, spec, components)\n"
     "-> (holds, row, column, zeros_found, zeros_needed, sentence)"},
    {"matrix_count", matrix_count, METH_VARARGS,
     "matrix_count(context, spec, components) -> dict\n\nZeros, and what they happen to hold."},
    {NULL, NULL, 0, NULL},
};
