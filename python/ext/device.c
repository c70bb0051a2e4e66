#include <string.h>

#include "core.h"
#include "kinds.h"

/* Images built and read back on a GPU, where components and image lie in its memory. */

static bool read_bytes(PyObject *bytes, void *out, size_t size, const char *what) {
    char *data;
    Py_ssize_t length;

    if (PyBytes_AsStringAndSize(bytes, &data, &length) != 0)
        return false;
    if (length != (Py_ssize_t)size) {
        core_refuse("%s has %zd bytes, but must have %zu", what, length, size);
        return false;
    }
    memcpy(out, data, size);
    return true;
}

static tms_image_desc gpu_desc(const core_matrix *matrix, const tms_layout *layout,
                               bool is_checked) {
    tms_image_desc desc = tms_image_desc_default();

    desc.matrices = &matrix->matrix;
    desc.count = 1;
    desc.layout = *layout;
    desc.device = TMS_DEVICE_CUDA;
    desc.intake = is_checked ? TMS_INTAKE_CHECK : TMS_INTAKE_SELECT;
    desc.nan = TMS_NAN_KEEP;
    return desc;
}

static PyObject *device_sizes(PyObject *module, PyObject *args) {
    PyObject *layout_bytes, *spec, *components, *result = NULL;
    tms_image_desc desc;
    tms_layout layout;
    core_matrix matrix;
    tms_context *context;
    size_t image = 0, work = 0;
    int handle, is_checked;
    tms_status status;

    (void)module;
    if (!PyArg_ParseTuple(args, "iOOOp:device_sizes", &handle, &layout_bytes, &spec, &components,
                          &is_checked))
        return NULL;
    context = core_context(handle);
    if (context == NULL || !read_bytes(layout_bytes, &layout, sizeof layout, "layout") ||
        !core_matrix_open_gpu(spec, components, &matrix))
        return NULL;
    desc = gpu_desc(&matrix, &layout, is_checked);
    status = tms_image_bytes(context, &desc, &image);
    if (status == TMS_OK)
        status = tms_image_work_bytes(context, &desc, &work);
    result = status == TMS_OK ? Py_BuildValue("(nn)", (Py_ssize_t)image, (Py_ssize_t)work)
                              : core_raise(status);
    core_matrix_close(&matrix);
    return result;
}

static PyObject *build(tms_context *context, tms_image_desc *desc, PyObject *out_object,
                       PyObject *work_object) {
    core_array out = {0}, work = {0};
    void *stream;
    tms_image image;
    PyObject *result = NULL;

    memset(&image, 0, sizeof image); /* no stray byte between fields: they are compared */
    if (core_array_plain_gpu(out_object, "image", TMS_U8, &out) &&
        core_array_plain_gpu(work_object, "work", TMS_U8, &work) &&
        core_array_stream(out_object, &out, &stream)) {
        tms_status status;

        desc->stream = stream;
        desc->work = core_array_count(&work) > 0 ? work.data : NULL;
        Py_BEGIN_ALLOW_THREADS
        status = tms_image_build(context, desc, out.data, (size_t)core_array_count(&out), &image);
        Py_END_ALLOW_THREADS
        image.data = NULL;
        result = status == TMS_OK ? PyBytes_FromStringAndSize((const char *)&image, sizeof image)
                                  : core_raise(status);
    }
    core_array_close(&work);
    core_array_close(&out);
    return result;
}

static PyObject *device_build(PyObject *module, PyObject *args) {
    PyObject *layout_bytes, *spec, *components, *out, *work, *result;
    tms_image_desc desc;
    tms_layout layout;
    core_matrix matrix;
    tms_context *context;
    int handle, is_checked;

    (void)module;
    if (!PyArg_ParseTuple(args, "iOOOOOp:device_build", &handle, &layout_bytes, &spec, &components,
                          &out, &work, &is_checked))
        return NULL;
    context = core_context(handle);
    if (context == NULL || !read_bytes(layout_bytes, &layout, sizeof layout, "layout") ||
        !core_matrix_open_gpu(spec, components, &matrix))
        return NULL;
    desc = gpu_desc(&matrix, &layout, is_checked);
    result = build(context, &desc, out, work);
    core_matrix_close(&matrix);
    return result;
}

static PyObject *device_decode(PyObject *module, PyObject *args) {
    PyObject *image_bytes, *image_object, *spec, *components, *result = NULL;
    tms_image_desc desc;
    tms_image image;
    core_array data = {0};
    core_matrix matrix;
    tms_context *context;
    void *stream;
    int handle;

    (void)module;
    if (!PyArg_ParseTuple(args, "iOOOO:device_decode", &handle, &image_bytes, &image_object, &spec,
                          &components))
        return NULL;
    context = core_context(handle);
    if (context == NULL || !read_bytes(image_bytes, &image, sizeof image, "image's description") ||
        !core_matrix_open_gpu(spec, components, &matrix))
        return NULL;
    if (core_array_plain_gpu(image_object, "image", TMS_U8, &data) &&
        core_array_stream(image_object, &data, &stream)) {
        tms_status status;

        image.data = data.data;
        desc = gpu_desc(&matrix, &image.layout, true);
        desc.stream = stream;
        status = tms_image_decode(context, &image, &desc);
        result = status == TMS_OK ? Py_NewRef(Py_None) : core_raise(status);
    }
    core_array_close(&data);
    core_matrix_close(&matrix);
    return result;
}

static PyObject *kind_describe(PyObject *module, PyObject *number) {
    const core_kind *kind = core_kind_of(number);

    (void)module;
    return kind == NULL ? NULL
                        : PyBytes_FromStringAndSize((const char *)&kind->image, sizeof kind->image);
}

PyMethodDef core_device_methods[] = {
    {"kind_describe", kind_describe, METH_O,
     "kind_describe(kind) -> bytes\n\nThe description of its images, for device_decode."},
    {"device_sizes", device_sizes, METH_VARARGS,
     "device_sizes(context, layout, spec, components, check) -> (image bytes, work bytes)"},
    {"device_build", device_build, METH_VARARGS,
     "device_build(context, layout, spec, components, out, work, check) -> bytes\n\nLike "
     "image_build, with everything in the GPU's memory; components are dense or nm. With check it "
     "waits and refuses what is not in the pattern; without it only enqueues, and keeps the "
     "largest "
     "of each group."},
    {"device_decode", device_decode, METH_VARARGS,
     "device_decode(context, described, image, spec, components)\n\nWrites an image's weights into "
     "dense or nm components in the GPU's memory."},
    {NULL, NULL, 0, NULL},
};
