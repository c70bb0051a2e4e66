#include <string.h>

#include "core.h"

/* ---- patterns */

bool core_pattern(PyObject *tuple, tms_pattern *out) {
    int kind, scope, keep, group, block_rows, block_columns;
    long long share_ppb;

    if (!PyArg_ParseTuple(tuple, "iiiiiiL:pattern", &kind, &scope, &keep, &group, &block_rows,
                          &block_columns, &share_ppb))
        return false;
    memset(out, 0, sizeof *out);
    out->kind = (tms_pattern_kind)kind;
    out->scope = (tms_scope)scope;
    out->keep = keep;
    out->group = group;
    out->block_rows = block_rows;
    out->block_columns = block_columns;
    out->share_ppb = share_ppb;
    return true;
}

static PyObject *pattern_parse(PyObject *module, PyObject *args) {
    const char *text;
    tms_pattern pattern;
    tms_status status;

    (void)module;
    if (!PyArg_ParseTuple(args, "s:pattern_parse", &text))
        return NULL;
    status = tms_pattern_parse(text, &pattern);
    if (status != TMS_OK)
        return core_raise(status);
    return Py_BuildValue("(iiiiiiL)", (int)pattern.kind, (int)pattern.scope, (int)pattern.keep,
                         (int)pattern.group, (int)pattern.block_rows, (int)pattern.block_columns,
                         (long long)pattern.share_ppb);
}

static PyObject *pattern_print(PyObject *module, PyObject *tuple) {
    char text[TMS_PATTERN_TEXT_MAX];
    tms_pattern pattern;
    tms_status status;

    (void)module;
    if (!core_pattern(tuple, &pattern))
        return NULL;
    status = tms_pattern_print(&pattern, text);
    return status == TMS_OK ? PyUnicode_FromString(text) : core_raise(status);
}

static PyObject *pattern_fits(PyObject *module, PyObject *args) {
    PyObject *tuple;
    tms_pattern pattern;
    long long n, k;
    tms_status status;

    (void)module;
    if (!PyArg_ParseTuple(args, "OLL:pattern_fits", &tuple, &n, &k) ||
        !core_pattern(tuple, &pattern))
        return NULL;
    status = tms_pattern_fits(&pattern, n, k);
    if (status != TMS_OK)
        return core_raise(status);
    Py_RETURN_NONE;
}

/* ---- matrices */

/* Names of a format's components, in the order of docs/formats.md. */
static const char *const *component_names(tms_format format) {
    static const char *const dense[] = {"values", NULL};
    static const char *const nm[] = {"values", "index", NULL};
    static const char *const compressed[] = {"values", "columns", "offsets", NULL};

    switch (format) {
    case TMS_FORMAT_DENSE:
        return dense;
    case TMS_FORMAT_NM:
        return nm;
    default:
        return compressed;
    }
}

static tms_dtype component_dtype(const tms_matrix *matrix, const char *name) {
    if (strcmp(name, "values") == 0)
        return matrix->dtype;
    if (strcmp(name, "index") == 0)
        return TMS_U8;
    return strcmp(name, "columns") == 0 ? TMS_I32 : TMS_I64;
}

static bool read_spec(PyObject *spec, tms_matrix *out) {
    int format, dtype, keep, group, block_rows, block_columns;
    long long n, k, nnz;

    if (!PyArg_ParseTuple(spec, "iiLLLiiii:matrix", &format, &dtype, &n, &k, &nnz, &keep, &group,
                          &block_rows, &block_columns))
        return false;
    memset(out, 0, sizeof *out);
    out->struct_size = sizeof *out;
    out->format = (tms_format)format;
    out->dtype = (tms_dtype)dtype;
    out->n = n;
    out->k = k;
    out->nnz = nnz;
    out->keep = keep;
    out->group = group;
    out->block_rows = block_rows;
    out->block_columns = block_columns;
    return true;
}

typedef enum place { HOST_READ, HOST_WRITTEN, ON_GPU } place;

static bool open_component(core_matrix *matrix, PyObject *object, const char *name, place where) {
    tms_component *component = &matrix->matrix.components[matrix->array_count];
    core_array *array = &matrix->arrays[matrix->array_count];

    component->name = name;
    component->dtype = component_dtype(&matrix->matrix, name);
    if (where == ON_GPU ? !core_array_plain_gpu(object, name, (int32_t)component->dtype, array)
                        : !core_array_plain(object, name, (int32_t)component->dtype,
                                            where == HOST_WRITTEN, array))
        return false;
    matrix->array_count++;
    if (array->rank > 3) {
        core_refuse("%s has %d axes, but components have at most 3", name, array->rank);
        return false;
    }
    component->rank = array->rank;
    memcpy(component->shape, array->shape, sizeof component->shape);
    component->bytes = (size_t)core_array_count(array) * array->element_bytes;
    component->data = array->data;
    return true;
}

static bool open_matrix(PyObject *spec, PyObject *components, place where, core_matrix *out) {
    const char *const *names;
    Py_ssize_t count = PySequence_Size(components);

    out->array_count = 0;
    if (count < 0 || !read_spec(spec, &out->matrix))
        return false;
    names = component_names(out->matrix.format);
    for (Py_ssize_t i = 0; names[i] != NULL; i++) {
        PyObject *object = i < count ? PySequence_GetItem(components, i) : NULL;
        bool is_open = object != NULL && open_component(out, object, names[i], where);

        if (object == NULL && PyErr_Occurred() == NULL)
            core_refuse("the component \"%s\" is not there", names[i]);
        Py_XDECREF(object); /* the sequence, which the caller holds, keeps it alive */
        if (!is_open) {
            core_matrix_close(out);
            return false;
        }
    }
    out->matrix.component_count = out->array_count;
    return true;
}

bool core_matrix_open(PyObject *spec, PyObject *components, bool is_written, core_matrix *out) {
    return open_matrix(spec, components, is_written ? HOST_WRITTEN : HOST_READ, out);
}

bool core_matrix_open_gpu(PyObject *spec, PyObject *components, core_matrix *out) {
    return open_matrix(spec, components, ON_GPU, out);
}

void core_matrix_close(core_matrix *matrix) {
    for (int32_t i = 0; i < matrix->array_count; i++)
        core_array_close(&matrix->arrays[i]);
    matrix->array_count = 0;
}

/* What an encoding needs: the number of values, and (name, dtype, shape) of each component. */
static PyObject *describe(const tms_matrix *matrix) {
    PyObject *components = PyTuple_New(matrix->component_count);

    if (components == NULL)
        return NULL;
    for (int32_t i = 0; i < matrix->component_count; i++) {
        const tms_component *component = &matrix->components[i];
        const int64_t *shape = component->shape;
        PyObject *row =
            component->rank == 1 ? Py_BuildValue("(si(L))", component->name, (int)component->dtype,
                                                 (long long)shape[0])
            : component->rank == 2
                ? Py_BuildValue("(si(LL))", component->name, (int)component->dtype,
                                (long long)shape[0], (long long)shape[1])
                : Py_BuildValue("(si(LLL))", component->name, (int)component->dtype,
                                (long long)shape[0], (long long)shape[1], (long long)shape[2]);

        if (row == NULL || PyTuple_SetItem(components, i, row) != 0) {
            Py_DECREF(components);
            return NULL;
        }
    }
    return Py_BuildValue("(LN)", (long long)matrix->nnz, components);
}

static PyObject *matrix_size(PyObject *module, PyObject *args) {
    tms_format_desc desc = tms_format_desc_default(TMS_FORMAT_DENSE);
    PyObject *spec, *components;
    core_matrix dense;
    tms_matrix sized;
    tms_context *context;
    int handle, format;
    tms_status status;

    (void)module;
    if (!PyArg_ParseTuple(args, "iOOiiiii:matrix_size", &handle, &spec, &components, &format,
                          &desc.keep, &desc.group, &desc.block_rows, &desc.block_columns))
        return NULL;
    desc.format = (tms_format)format;
    context = core_context(handle);
    if (context == NULL || !core_matrix_open(spec, components, false, &dense))
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    status = tms_matrix_size(context, &dense.matrix, &desc, &sized);
    Py_END_ALLOW_THREADS
    core_matrix_close(&dense);
    return status == TMS_OK ? describe(&sized) : core_raise(status);
}

static PyObject *matrix_encode(PyObject *module, PyObject *args) {
    PyObject *dense_spec, *dense_components, *spec, *components;
    core_matrix dense, encoded;
    tms_context *context;
    int64_t negative_zeros = 0;
    int handle;
    tms_status status;

    (void)module;
    if (!PyArg_ParseTuple(args, "iOOOO:matrix_encode", &handle, &dense_spec, &dense_components,
                          &spec, &components))
        return NULL;
    context = core_context(handle);
    if (context == NULL || !core_matrix_open(dense_spec, dense_components, false, &dense))
        return NULL;
    if (!core_matrix_open(spec, components, true, &encoded)) {
        core_matrix_close(&dense);
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS
    status = tms_matrix_encode(context, &dense.matrix, &encoded.matrix, &negative_zeros);
    Py_END_ALLOW_THREADS
    core_matrix_close(&encoded);
    core_matrix_close(&dense);
    return status == TMS_OK ? PyLong_FromLongLong(negative_zeros) : core_raise(status);
}

static PyObject *matrix_decode(PyObject *module, PyObject *args) {
    PyObject *spec, *components, *out;
    core_matrix matrix;
    core_array values;
    tms_context *context;
    int handle;
    tms_status status;

    (void)module;
    if (!PyArg_ParseTuple(args, "iOOO:matrix_decode", &handle, &spec, &components, &out))
        return NULL;
    context = core_context(handle);
    if (context == NULL || !core_matrix_open(spec, components, false, &matrix))
        return NULL;
    if (!core_array_plain(out, "out", (int32_t)matrix.matrix.dtype, true, &values)) {
        core_matrix_close(&matrix);
        return NULL;
    }
    if (core_array_count(&values) != matrix.matrix.n * matrix.matrix.k) {
        core_refuse("out has %lld elements, but the matrix %lld x %lld",
                    (long long)core_array_count(&values), (long long)matrix.matrix.n,
                    (long long)matrix.matrix.k);
        status = TMS_ERR_INVALID;
    } else {
        Py_BEGIN_ALLOW_THREADS
        status = tms_matrix_decode(context, &matrix.matrix, values.data);
        Py_END_ALLOW_THREADS
    }
    core_array_close(&values);
    core_matrix_close(&matrix);
    if (status != TMS_OK)
        return core_raise(status);
    Py_RETURN_NONE;
}

static PyObject *matrix_validate(PyObject *module, PyObject *args) {
    PyObject *spec, *components;
    core_matrix matrix;
    tms_context *context;
    int handle;
    tms_status status;

    (void)module;
    if (!PyArg_ParseTuple(args, "iOO:matrix_validate", &handle, &spec, &components))
        return NULL;
    context = core_context(handle);
    if (context == NULL || !core_matrix_open(spec, components, false, &matrix))
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    status = tms_matrix_validate(context, &matrix.matrix);
    Py_END_ALLOW_THREADS
    core_matrix_close(&matrix);
    if (status != TMS_OK)
        return core_raise(status);
    Py_RETURN_NONE;
}

PyMethodDef core_matrix_methods[] = {
    {"pattern_parse", pattern_parse, METH_VARARGS,
     "pattern_parse(text) -> (kind, scope, keep, group, block_rows, block_columns, share_ppb)"},
    {"pattern_print", pattern_print, METH_O, "pattern_print(pattern) -> str"},
    {"pattern_fits", pattern_fits, METH_VARARGS,
     "pattern_fits(pattern, n, k)\n\nRaises PatternError where n x k cannot hold it."},
    {"matrix_size", matrix_size, METH_VARARGS,
     "matrix_size(context, spec, components, format, keep, group, block_rows, block_columns)\n"
     "-> (nnz, ((name, dtype, shape), ...))\n\nWhat a dense matrix needs in a format."},
    {"matrix_encode", matrix_encode, METH_VARARGS,
     "matrix_encode(context, dense_spec, dense_components, spec, components) -> int\n\nFills the "
     "components; returns how many -0.0 became +0.0."},
    {"matrix_decode", matrix_decode, METH_VARARGS,
     "matrix_decode(context, spec, components, out)\n\nWrites the dense values."},
    {"matrix_validate", matrix_validate, METH_VARARGS,
     "matrix_validate(context, spec, components)\n\nRaises where docs/formats.md is broken."},
    {NULL, NULL, 0, NULL},
};
