#include <inttypes.h>
#include <string.h>

#include "core.h"
#include "dlpack.h"

/* ---- DLPack's exchange API: tensors */

/* The exchange API of a type, or NULL without an exception. Looking an attribute up costs as much
 * as all else here, so the last types are remembered; a type once seen is kept alive. */
static const dlpack_exchange *find_exchange(PyObject *object) {
    enum { REMEMBERED = 4 };
    static PyObject *types[REMEMBERED];
    static const dlpack_exchange *exchanges[REMEMBERED];
    static int next;
    PyObject *type = (PyObject *)Py_TYPE(object);
    PyObject *capsule;
    const dlpack_exchange *found = NULL;

    for (int i = 0; i < REMEMBERED; i++)
        if (types[i] == type)
            return exchanges[i];
    capsule = PyObject_GetAttrString(type, DLPACK_ATTRIBUTE);
    if (capsule != NULL && PyCapsule_IsValid(capsule, DLPACK_CAPSULE))
        found = PyCapsule_GetPointer(capsule, DLPACK_CAPSULE);
    PyErr_Clear();
    Py_XDECREF(capsule);
    if (found != NULL && (found->version_major != 1 || found->tensor_from_object == NULL))
        found = NULL;
    Py_INCREF(type);
    Py_XDECREF(types[next]);
    types[next] = type;
    exchanges[next] = found;
    next = (next + 1) % REMEMBERED;
    return found;
}

static int32_t dlpack_dtype(const dlpack_tensor *tensor) {
    static const struct {
        uint8_t code, bits;
        tms_dtype dtype;
    } rows[] = {
        {DLPACK_FLOAT, 32, TMS_F32}, {DLPACK_BFLOAT, 16, TMS_BF16}, {DLPACK_FLOAT, 16, TMS_F16},
        {DLPACK_UINT, 8, TMS_U8},    {DLPACK_INT, 32, TMS_I32},     {DLPACK_INT, 64, TMS_I64},
        {DLPACK_INT, 8, TMS_I8},     {DLPACK_FLOAT, 64, TMS_F64},   {DLPACK_BOOL, 8, TMS_BOOL},
        {DLPACK_INT, 16, TMS_I16},   {DLPACK_UINT, 16, TMS_U16},    {DLPACK_E4M3FN, 8, TMS_E4M3},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].code == tensor->type_code && rows[i].bits == tensor->type_bits)
            return (int32_t)rows[i].dtype;
    return CORE_DTYPE_ANY;
}

static bool refuse_rank(const char *name, int32_t rank) {
    core_refuse("%s has %d axes, but at most %d are served", name, rank, CORE_RANK_MAX);
    return false;
}

static bool open_tensor(PyObject *object, const dlpack_exchange *exchange, const char *name,
                        core_array *out) {
    dlpack_tensor tensor;
    int64_t stride = 1;

    if (exchange->tensor_from_object(object, &tensor) != 0) {
        if (PyErr_Occurred() == NULL)
            core_refuse("%s does not show its memory", name);
        return false;
    }
    if (tensor.rank > CORE_RANK_MAX)
        return refuse_rank(name, tensor.rank);
    if (tensor.type_lanes != 1 ||
        (tensor.device_type != DLPACK_CPU && tensor.device_type != DLPACK_CUDA &&
         tensor.device_type != DLPACK_CUDA_HOST)) {
        core_refuse("%s lies on a device that tamis does not know (DLPack's number %d): it must be "
                    "on the CPU or a CUDA GPU",
                    name, tensor.device_type);
        return false;
    }
    out->data = (char *)tensor.data + tensor.byte_offset;
    out->is_cuda = tensor.device_type == DLPACK_CUDA;
    out->device_index = tensor.device_index;
    out->dtype = dlpack_dtype(&tensor);
    out->element_bytes = tensor.type_bits / 8u;
    out->rank = tensor.rank;
    for (int32_t i = tensor.rank - 1; i >= 0; i--) {
        out->shape[i] = tensor.shape[i];
        out->strides[i] = tensor.strides != NULL ? tensor.strides[i] : stride;
        stride *= tensor.shape[i];
    }
    return true;
}

bool core_array_stream(PyObject *object, const core_array *array, void **out_stream) {
    const dlpack_exchange *exchange = find_exchange(object);

    if (exchange->current_stream(DLPACK_CUDA, array->device_index, out_stream) == 0)
        return true;
    if (PyErr_Occurred() == NULL)
        core_refuse("the current stream of GPU %d is not known", array->device_index);
    return false;
}

/* ---- the buffer protocol: numpy and others */

static int32_t buffer_dtype(const Py_buffer *buffer) {
    const char *format = buffer->format != NULL ? buffer->format : "B";
    const bool is_long = buffer->itemsize == 8;

    if (*format == '<' || *format == '=' || *format == '@')
        format++;
    if (format[0] == '\0' || format[1] != '\0')
        return CORE_DTYPE_ANY;
    switch (format[0]) {
    case 'f':
        return TMS_F32;
    case 'e':
        return TMS_F16;
    case 'd':
        return TMS_F64;
    case 'b':
        return TMS_I8;
    case 'B':
    case 'c':
        return TMS_U8;
    case 'h':
        return TMS_I16;
    case 'H':
        return TMS_U16;
    case '?':
        return TMS_BOOL;
    case 'i':
    case 'l':
    case 'q':
        return is_long ? TMS_I64 : TMS_I32;
    case 'I':
    case 'L':
    case 'Q':
        return is_long ? TMS_U64 : TMS_U32;
    default:
        return CORE_DTYPE_ANY;
    }
}

static bool open_buffer(PyObject *object, const char *name, core_array *out) {
    Py_buffer *buffer = &out->buffer;

    if (PyObject_GetBuffer(object, buffer, PyBUF_STRIDES | PyBUF_FORMAT) != 0)
        return false;
    out->has_buffer = true;
    if (buffer->ndim > CORE_RANK_MAX)
        return refuse_rank(name, buffer->ndim);
    out->data = buffer->buf;
    out->dtype = buffer_dtype(buffer);
    out->element_bytes = (size_t)buffer->itemsize;
    out->rank = buffer->ndim;
    out->is_readonly = buffer->readonly != 0;
    for (int32_t i = 0; i < buffer->ndim; i++) {
        out->shape[i] = buffer->shape[i];
        out->strides[i] = buffer->strides[i] / buffer->itemsize;
        if (buffer->strides[i] % buffer->itemsize != 0) {
            core_refuse("%s has elements of %zd bytes that lie %zd bytes apart", name,
                        buffer->itemsize, buffer->strides[i]);
            return false;
        }
    }
    return true;
}

/* ---- both */

bool core_array_open(PyObject *object, const char *name, core_array *out) {
    const dlpack_exchange *exchange = find_exchange(object);
    bool is_open;

    memset(out, 0, offsetof(core_array, buffer));
    is_open = exchange != NULL ? open_tensor(object, exchange, name, out)
                               : open_buffer(object, name, out);
    if (!is_open)
        core_array_close(out);
    return is_open;
}

void core_array_close(core_array *array) {
    if (array->has_buffer)
        PyBuffer_Release(&array->buffer);
    array->has_buffer = false;
}

int64_t core_array_count(const core_array *array) {
    int64_t count = 1;

    for (int32_t i = 0; i < array->rank; i++)
        count *= array->shape[i];
    return count;
}

static bool is_compact(const core_array *array) {
    int64_t stride = 1;

    for (int32_t i = array->rank - 1; i >= 0; i--) {
        if (array->shape[i] != 1 && array->strides[i] != stride)
            return false;
        stride *= array->shape[i];
    }
    return true;
}

/* 16-bit floats come as they are, or as plain bits. */
static bool reads_as(const core_array *array, int32_t dtype) {
    const bool is_half = dtype == TMS_BF16 || dtype == TMS_F16;

    return array->dtype == dtype || dtype == CORE_DTYPE_ANY ||
           (is_half && array->element_bytes == 2 &&
            (array->dtype == TMS_U16 || array->dtype == TMS_I16));
}

/* Closes the array where its elements are not as wanted. */
static bool check_plain(const char *name, int32_t dtype, bool is_written, core_array *out) {
    if (!reads_as(out, dtype))
        core_refuse("%s holds %s, but %s is needed", name,
                    out->dtype < 0 ? "an unknown type" : tms_dtype_name((tms_dtype)out->dtype),
                    tms_dtype_name((tms_dtype)dtype));
    else if (core_array_count(out) > 0 && !is_compact(out))
        core_refuse("%s is not contiguous", name);
    else if (is_written && out->is_readonly)
        core_refuse("%s is read-only, but is written to", name);
    else
        return true;
    core_array_close(out);
    return false;
}

bool core_array_plain(PyObject *object, const char *name, int32_t dtype, bool is_written,
                      core_array *out) {
    if (!core_array_open(object, name, out))
        return false;
    if (!out->is_cuda)
        return check_plain(name, dtype, is_written, out);
    core_refuse("%s lies on GPU %d, but is needed in host memory", name, out->device_index);
    core_array_close(out);
    return false;
}

bool core_array_plain_gpu(PyObject *object, const char *name, int32_t dtype, core_array *out) {
    if (!core_array_open(object, name, out))
        return false;
    if (out->is_cuda)
        return check_plain(name, dtype, false, out);
    core_refuse("%s lies in host memory, but is needed on a GPU", name);
    core_array_close(out);
    return false;
}

bool core_array_rows(const core_array *array, int64_t *out_rows, int64_t *out_ld) {
    const int32_t last = array->rank - 1;
    int64_t rows = 1, ld = 0; /* ld 0: there is one row, or none */

    if (last < 0 || (array->strides[last] != 1 && array->shape[last] > 1))
        return false;
    for (int32_t i = last - 1; i >= 0; i--) {
        if (array->shape[i] == 1)
            continue;
        if (ld == 0)
            ld = array->strides[i];
        else if (array->strides[i] != ld * rows)
            return false;
        rows *= array->shape[i];
    }
    if (rows > 1 && ld < array->shape[last])
        return false; /* broadcast or reversed */
    *out_rows = rows;
    *out_ld = rows > 1 ? ld : array->shape[last];
    return true;
}
