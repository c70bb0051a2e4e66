#include <stddef.h>
#include <string.h>

#include "core.h"

static bool read_layout(PyObject *bytes, tms_layout *out) {
    char *data;
    Py_ssize_t length;

    if (PyBytes_AsStringAndSize(bytes, &data, &length) != 0)
        return false;
    if (length != (Py_ssize_t)sizeof *out) {
        core_refuse("layout has %zd bytes, but must have %zu: it comes from layout_choose", length,
                    sizeof *out);
        return false;
    }
    memcpy(out, data, sizeof *out);
    return true;
}

bool core_problem(PyObject *tuple, tms_spmm_problem *out) {
    int format, x_type, w_type, device;
    long long n, k;

    *out = tms_spmm_problem_default();
    if (!PyArg_ParseTuple(tuple, "iLLdiiiiiii:problem", &format, &n, &k, &out->density, &out->keep,
                          &out->group, &out->block_rows, &out->block_columns, &x_type, &w_type,
                          &device))
        return false;
    out->format = (tms_format)format;
    out->n = n;
    out->k = k;
    out->x_type = out->y_type = (tms_dtype)x_type;
    out->w_type = (tms_dtype)w_type;
    out->device = (tms_device)device;
    return true;
}

static PyObject *layout_choose(PyObject *module, PyObject *args) {
    tms_spmm_problem problem;
    int handle, keep_dense;
    long long t_min, t_max;
    tms_context *context;
    PyObject *tuple;
    tms_layout layout;
    tms_status status;

    (void)module;
    if (!PyArg_ParseTuple(args, "iO!LLi:layout_choose", &handle, &PyTuple_Type, &tuple, &t_min,
                          &t_max, &keep_dense) ||
        !core_problem(tuple, &problem))
        return NULL;
    context = core_context(handle);
    if (context == NULL)
        return NULL;
    problem.t_max = t_max;
    status = tms_spmm_layout_choose(context, &problem, t_min, t_max, keep_dense, &layout);
    if (status != TMS_OK)
        return core_raise(status);
    return PyBytes_FromStringAndSize((const char *)&layout, sizeof layout);
}

static PyObject *image_bytes(PyObject *module, PyObject *args) {
    tms_image_desc desc = tms_image_desc_default();
    PyObject *layout, *spec, *components;
    core_matrix matrix;
    tms_context *context;
    size_t bytes = 0;
    int handle;
    tms_status status;

    (void)module;
    if (!PyArg_ParseTuple(args, "iOOO:image_bytes", &handle, &layout, &spec, &components))
        return NULL;
    context = core_context(handle);
    if (context == NULL || !read_layout(layout, &desc.layout) ||
        !core_matrix_open(spec, components, false, &matrix))
        return NULL;
    desc.matrices = &matrix.matrix;
    desc.count = 1;
    Py_BEGIN_ALLOW_THREADS
    status = tms_image_bytes(context, &desc, &bytes);
    Py_END_ALLOW_THREADS
    core_matrix_close(&matrix);
    return status == TMS_OK ? PyLong_FromSize_t(bytes) : core_raise(status);
}

/* The image as plain bytes with no address in it, for product.c. */
static PyObject *image_build(PyObject *module, PyObject *args) {
    tms_image_desc desc = tms_image_desc_default();
    PyObject *layout, *spec, *components, *out;
    core_matrix matrix;
    core_array data;
    tms_context *context;
    tms_image image;
    int handle;
    tms_status status;

    (void)module;
    if (!PyArg_ParseTuple(args, "iOOOO:image_build", &handle, &layout, &spec, &components, &out))
        return NULL;
    context = core_context(handle);
    if (context == NULL || !read_layout(layout, &desc.layout) ||
        !core_matrix_open(spec, components, false, &matrix))
        return NULL;
    if (!core_array_plain(out, "image", TMS_U8, true, &data)) {
        core_matrix_close(&matrix);
        return NULL;
    }
    desc.matrices = &matrix.matrix;
    desc.count = 1;
    memset(&image, 0, sizeof image); /* no stray byte between fields: they are compared */
    Py_BEGIN_ALLOW_THREADS
    status = tms_image_build(context, &desc, data.data, (size_t)core_array_count(&data), &image);
    Py_END_ALLOW_THREADS
    core_array_close(&data);
    core_matrix_close(&matrix);
    if (status != TMS_OK)
        return core_raise(status);
    image.data = NULL;
    return PyBytes_FromStringAndSize((const char *)&image, sizeof image);
}

/* Ids and formats of a layout's parts, for reports. */
static PyObject *layout_parts(PyObject *module, PyObject *bytes) {
    tms_layout layout;
    PyObject *parts;

    (void)module;
    if (!read_layout(bytes, &layout))
        return NULL;
    parts = PyTuple_New(layout.part_count);
    for (int32_t i = 0; parts != NULL && i < layout.part_count; i++) {
        const tms_part *part = &layout.parts[i];
        PyObject *row =
            Py_BuildValue("(iss)", (int)part->id, tms_format_name((tms_format)part->format),
                          tms_dtype_name((tms_dtype)part->dtype));

        if (row == NULL || PyTuple_SetItem(parts, i, row) != 0) {
            Py_DECREF(parts);
            return NULL;
        }
    }
    return parts;
}

PyMethodDef core_image_methods[] = {
    {"layout_choose", layout_choose, METH_VARARGS,
     "layout_choose(context, problem, t_min, t_max, keep_dense) -> bytes\n\nproblem: (format, n, "
     "k, "
     "density, keep, group, block_rows, block_columns, x_type, w_type, device)."},
    {"layout_parts", layout_parts, METH_O,
     "layout_parts(layout) -> ((id, format, dtype), ...)\n\nA part of format \"dense\" is the "
     "dense "
     "weight."},
    {"image_bytes", image_bytes, METH_VARARGS,
     "image_bytes(context, layout, spec, components) -> int"},
    {"image_build", image_build, METH_VARARGS,
     "image_build(context, layout, spec, components, out) -> bytes\n\nWrites the image into out "
     "(host memory, 64-byte aligned); returns its description for kind_add."},
    {NULL, NULL, 0, NULL},
};
