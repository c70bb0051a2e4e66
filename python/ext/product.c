#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core.h"
#include "kinds.h"

/* One product: its arrays, and what they make of it. */
typedef struct product {
    core_kind *kind;
    core_array x, image, bias, residual, y;
    int64_t t, ldx, ldr;
    uint32_t epilogue;
    tms_activation activation;
    int32_t context;
    const tms_spmm_plan *plan;
} product;

static void close_product(product *p) {
    core_array_close(&p->x);
    core_array_close(&p->image);
    core_array_close(&p->bias);
    core_array_close(&p->residual);
    core_array_close(&p->y);
}

static bool parse_activation(PyObject *text, tms_activation *out) {
    static const char *const names[TMS_ACT_COUNT] = {"none", "relu",      "relu2",
                                                     "gelu", "gelu_tanh", "silu"};
    const char *name = PyUnicode_AsUTF8AndSize(text, NULL);

    if (name == NULL)
        return false;
    for (int i = 0; i < TMS_ACT_COUNT; i++)
        if (strcmp(name, names[i]) == 0) {
            *out = (tms_activation)i;
            return true;
        }
    core_refuse("activation is \"%.40s\", but must be none, relu, relu2, gelu, gelu_tanh or silu",
                name);
    return false;
}

static const char *dtype_text(const core_array *array) {
    return array->dtype < 0 ? "of an unknown type" : tms_dtype_name((tms_dtype)array->dtype);
}

static bool check_device(const product *p, const core_array *array, const char *name) {
    if (array->is_cuda == p->x.is_cuda &&
        (!array->is_cuda || array->device_index == p->x.device_index))
        return true;
    core_refuse("%s and x lie on different devices", name);
    return false;
}

static bool check_x(product *p) {
    const tms_layout *layout = &p->kind->image.layout;
    const int64_t k = p->x.rank > 0 ? p->x.shape[p->x.rank - 1] : -1;

    if (k != layout->k) {
        core_refuse("x has %" PRId64 " features, but the weight is %" PRId64 " x %" PRId64
                    " and takes %" PRId64,
                    k, layout->n, layout->k, layout->k);
        return false;
    }
    if (p->x.dtype != TMS_F32 && p->x.dtype != TMS_BF16 && p->x.dtype != TMS_F16) {
        core_refuse("x is %s, but must be f32, bf16 or f16", dtype_text(&p->x));
        return false;
    }
    return true;
}

static bool check_image(const product *p) {
    if (p->image.dtype == TMS_U8 && p->image.rank == 1 &&
        (size_t)p->image.shape[0] >= p->kind->image.bytes)
        return true;
    core_refuse("image is %s of %" PRId64 " elements, but one of its kind has %zu bytes",
                dtype_text(&p->image), core_array_count(&p->image), p->kind->image.bytes);
    return false;
}

static bool open_bias(product *p, PyObject *bias) {
    const int64_t n = p->kind->image.layout.n;

    if (bias == Py_None)
        return true;
    if (!core_array_open(bias, "bias", &p->bias) || !check_device(p, &p->bias, "bias"))
        return false;
    if (p->bias.dtype != TMS_F32 || p->bias.rank != 1 || p->bias.shape[0] != n ||
        (n > 1 && p->bias.strides[0] != 1)) {
        core_refuse("bias is %s of %" PRId64 " elements, but must be contiguous f32 [%" PRId64 "]",
                    dtype_text(&p->bias), core_array_count(&p->bias), n);
        return false;
    }
    p->epilogue |= TMS_EPILOGUE_BIAS;
    return true;
}

static bool open_residual(product *p, PyObject *residual, int64_t columns) {
    int64_t t;

    if (residual == Py_None)
        return true;
    if (!core_array_open(residual, "residual", &p->residual) ||
        !check_device(p, &p->residual, "residual"))
        return false;
    if (p->residual.dtype != p->x.dtype || p->residual.rank != p->x.rank ||
        core_array_count(&p->residual) != p->t * columns ||
        p->residual.shape[p->residual.rank - 1] != columns) {
        core_refuse("residual is %s of %" PRId64 " elements in rows of %" PRId64
                    ", but the product is %s of %" PRId64 " x %" PRId64,
                    dtype_text(&p->residual), core_array_count(&p->residual),
                    p->residual.rank > 0 ? p->residual.shape[p->residual.rank - 1] : 0,
                    dtype_text(&p->x), p->t, columns);
        return false;
    }
    if (!core_array_rows(&p->residual, &t, &p->ldr)) {
        core_refuse("residual's rows do not lie evenly: call contiguous() on it");
        return false;
    }
    p->epilogue |= TMS_EPILOGUE_RESIDUAL;
    return true;
}

/* Opens all but y, with x already open and its rows known. */
static bool open_others(product *p, PyObject *image, PyObject *bias, PyObject *residual,
                        PyObject *activation, bool has_gate) {
    const int64_t n = p->kind->image.layout.n;

    p->epilogue = has_gate ? TMS_EPILOGUE_GATE : 0;
    return check_x(p) && parse_activation(activation, &p->activation) &&
           core_array_open(image, "image", &p->image) && check_device(p, &p->image, "image") &&
           check_image(p) && open_bias(p, bias) && open_residual(p, residual, has_gate ? n / 2 : n);
}

static bool find_plan(product *p, tms_device device) {
    tms_status status;

    p->plan = core_kind_plan(p->kind, p->context, device, (tms_dtype)p->x.dtype, p->epilogue,
                             p->activation, p->t, &status);
    if (p->plan == NULL)
        core_raise(status);
    return p->plan != NULL;
}

static bool run_product(const product *p, void *work, void *stream) {
    tms_spmm_args args = tms_spmm_args_default();
    tms_image image = p->kind->image;
    tms_status status;

    image.data = p->image.data;
    args.t = p->t;
    args.image = &image;
    args.x = p->x.data;
    args.ldx = p->ldx;
    args.y = p->y.data;
    args.bias = p->bias.data;
    args.residual = p->residual.data;
    args.ldr = p->ldr;
    args.work = work;
    if (p->x.is_cuda) { /* a few microseconds: giving the lock away would cost as much */
        status = tms_spmm_plan_run(p->plan, &args, stream);
    } else {
        Py_BEGIN_ALLOW_THREADS
        status = tms_spmm_plan_run(p->plan, &args, NULL);
        Py_END_ALLOW_THREADS
    }
    if (status != TMS_OK)
        core_raise(status);
    return status == TMS_OK;
}

/* ---- torch: called by its dispatcher, with tensors */

static PyObject *count_threads; /* torch.get_num_threads */
static PyObject *make_work;     /* (tensor, bytes) -> tensor on its device */
static PyObject *widen;         /* torch_product in float32, for 16-bit tensors on a CPU */
static PyObject *name_new_empty, *name_contiguous;

static PyObject *torch_setup(PyObject *module, PyObject *args) {
    PyObject *threads, *work, *wide;

    (void)module;
    if (!PyArg_ParseTuple(args, "OOO:torch_setup", &threads, &work, &wide))
        return NULL;
    name_new_empty = PyUnicode_InternFromString("new_empty");
    name_contiguous = PyUnicode_InternFromString("contiguous");
    if (name_new_empty == NULL || name_contiguous == NULL)
        return NULL;
    count_threads = Py_NewRef(threads);
    make_work = Py_NewRef(work);
    widen = Py_NewRef(wide);
    Py_RETURN_NONE;
}

static int32_t find_context(const core_array *x) {
    PyObject *threads;
    long count;

    if (x->is_cuda)
        return core_context_find(TMS_DEVICE_CUDA, x->device_index, 0);
    threads = PyObject_CallNoArgs(count_threads);
    count = threads != NULL ? PyLong_AsLong(threads) : -1;
    Py_XDECREF(threads);
    return count < 0 ? -1 : core_context_find(TMS_DEVICE_CPU, 0, (int32_t)count);
}

/* A fresh tensor of x's type and device: x's shape with `columns` in the last axis. */
static PyObject *make_output(const product *p, PyObject *x, int64_t columns) {
    PyObject *shape = PyTuple_New(p->x.rank), *y = NULL;

    for (int32_t i = 0; shape != NULL && i < p->x.rank; i++) {
        PyObject *size = PyLong_FromLongLong(i < p->x.rank - 1 ? p->x.shape[i] : columns);

        if (size == NULL || PyTuple_SetItem(shape, i, size) != 0)
            Py_CLEAR(shape);
    }
    if (shape != NULL)
        y = PyObject_CallMethodObjArgs(x, name_new_empty, shape, NULL);
    Py_XDECREF(shape);
    return y;
}

static bool run_on_stream(const product *p, PyObject *x, tms_device device) {
    const size_t bytes = tms_spmm_plan_work_bytes(p->plan);
    PyObject *memory = NULL;
    core_array work = {0};
    void *stream = NULL;
    bool is_done = true;

    if (bytes > 0) {
        memory = PyObject_CallFunction(make_work, "On", x, (Py_ssize_t)bytes);
        is_done = memory != NULL && core_array_open(memory, "work", &work);
    }
    if (is_done && device == TMS_DEVICE_CUDA)
        is_done = core_array_stream(x, &p->x, &stream);
    is_done = is_done && run_product(p, work.data, stream);
    Py_XDECREF(memory); /* the allocator keeps it until the stream has passed */
    return is_done;
}

/* With x's rows known: the output, or NULL and an exception. */
static PyObject *multiply_tensor(product *p, PyObject *x, PyObject *const *args, bool has_gate) {
    const int64_t n = p->kind->image.layout.n, columns = has_gate ? n / 2 : n;
    const tms_device device = p->x.is_cuda ? TMS_DEVICE_CUDA : TMS_DEVICE_CPU;
    PyObject *y;

    if (!open_others(p, args[1], args[2], args[3], args[6], has_gate))
        return NULL;
    p->context = find_context(&p->x);
    if (p->context < 0)
        return NULL;
    y = make_output(p, x, columns);
    if (y == NULL || p->t == 0)
        return y;
    if (core_array_open(y, "y", &p->y) && find_plan(p, device) && run_on_stream(p, x, device))
        return y;
    Py_DECREF(y);
    return NULL;
}

/* The CPU has fast kernels for float32 alone. */
static PyObject *call_widened(PyObject *const *args, Py_ssize_t count) {
    PyObject *tuple = PyTuple_New(count), *y;

    for (Py_ssize_t i = 0; tuple != NULL && i < count; i++)
        if (PyTuple_SetItem(tuple, i, Py_NewRef(args[i])) != 0)
            Py_CLEAR(tuple);
    y = tuple != NULL ? PyObject_Call(widen, tuple, NULL) : NULL;
    Py_XDECREF(tuple);
    return y;
}

static PyObject *torch_product(PyObject *module, PyObject *const *args, Py_ssize_t count) {
    product p;
    PyObject *x, *y = NULL;
    long long id;
    int has_gate;

    (void)module;
    if (count != 8)
        return core_refuse("torch_product takes 8 arguments, not %zd", count);
    if (count_threads == NULL)
        return core_refuse("torch_setup was not called");
    id = PyLong_AsLongLong(args[4]);
    has_gate = PyObject_IsTrue(args[7]);
    if ((id == -1 && PyErr_Occurred() != NULL) || has_gate < 0)
        return NULL;
    memset(&p, 0, sizeof p);
    p.kind = core_kind_find(id);
    if (p.kind == NULL || !core_array_open(args[0], "x", &p.x))
        return NULL;
    if (!p.x.is_cuda && (p.x.dtype == TMS_BF16 || p.x.dtype == TMS_F16))
        return call_widened(args, count); /* x is borrowed: nothing to close */
    x = Py_NewRef(args[0]);
    if (p.x.rank > 0 && !core_array_rows(&p.x, &p.t, &p.ldx)) {
        core_array_close(&p.x);
        Py_DECREF(x);
        x = PyObject_CallMethodObjArgs(args[0], name_contiguous, NULL);
        if (x == NULL || !core_array_open(x, "x", &p.x) || !core_array_rows(&p.x, &p.t, &p.ldx)) {
            Py_XDECREF(x);
            return NULL;
        }
    }
    y = multiply_tensor(&p, x, args, has_gate != 0);
    close_product(&p);
    Py_DECREF(x);
    return y;
}

/* ---- numpy: host arrays, output given */

static PyObject *host_product(PyObject *module, PyObject *args) {
    PyObject *x, *image, *bias, *residual, *out, *activation, *result = NULL;
    product p;
    long long id;
    int has_gate;
    int64_t ldy, rows;
    void *work = NULL;
    size_t bytes;

    (void)module;
    memset(&p, 0, sizeof p);
    if (!PyArg_ParseTuple(args, "iOOOOLOpO:host_product", &p.context, &x, &image, &bias, &residual,
                          &id, &activation, &has_gate, &out))
        return NULL;
    p.kind = core_kind_find(id);
    if (p.kind == NULL || core_context(p.context) == NULL || !core_array_open(x, "x", &p.x))
        return NULL;
    if (!core_array_rows(&p.x, &p.t, &p.ldx)) {
        core_refuse("x's rows do not lie evenly: make it contiguous");
    } else if (open_others(&p, image, bias, residual, activation, has_gate != 0) &&
               core_array_plain(out, "out", p.x.dtype, true, &p.y) &&
               core_array_rows(&p.y, &rows, &ldy)) {
        const int64_t n = p.kind->image.layout.n;

        if (rows != p.t || p.y.shape[p.y.rank - 1] != (has_gate ? n / 2 : n))
            core_refuse("out is %" PRId64 " x %" PRId64 ", but the product %" PRId64 " x %" PRId64,
                        rows, p.y.shape[p.y.rank - 1], p.t, has_gate ? n / 2 : n);
        else if (p.t == 0)
            result = Py_NewRef(Py_None);
        else if (find_plan(&p, TMS_DEVICE_CPU)) {
            bytes = tms_spmm_plan_work_bytes(p.plan);
            work = bytes > 0 ? aligned_alloc(64, (bytes + 63) / 64 * 64) : NULL;
            if (bytes > 0 && work == NULL)
                PyErr_NoMemory();
            else if (run_product(&p, work, NULL))
                result = Py_NewRef(Py_None);
        }
    }
    free(work);
    close_product(&p);
    return result;
}

/* ---- what a plan chose */

static PyObject *plan_describe(PyObject *module, PyObject *args) {
    int handle, device, x_type, has_bias, has_residual, has_gate;
    long long id, t;
    PyObject *activation_text, *result = NULL;
    tms_activation activation;
    core_kind *kind;
    const tms_spmm_plan *plan;
    const char *kernel;
    char text[4096];
    tms_status status;

    (void)module;
    if (!PyArg_ParseTuple(args, "iiLiOpppL:plan_describe", &handle, &device, &id, &x_type,
                          &activation_text, &has_bias, &has_residual, &has_gate, &t))
        return NULL;
    kind = core_kind_find(id);
    if (kind == NULL || core_context(handle) == NULL ||
        !parse_activation(activation_text, &activation))
        return NULL;
    plan = core_kind_plan(kind, handle, (tms_device)device, (tms_dtype)x_type,
                          (has_bias ? TMS_EPILOGUE_BIAS : 0) |
                              (has_residual ? TMS_EPILOGUE_RESIDUAL : 0) |
                              (has_gate ? TMS_EPILOGUE_GATE : 0),
                          activation, t, &status);
    if (plan == NULL)
        return core_raise(status);
    tms_spmm_plan_describe(plan, text, sizeof text);
    kernel = tms_spmm_plan_kernel(plan, t);
    result = Py_BuildValue("(zs)", kernel, text);
    return result;
}

PyMethodDef core_product_methods[] = {
    {"torch_setup", torch_setup, METH_VARARGS,
     "torch_setup(get_num_threads, make_work, widen)\n\nWhat torch_product asks of torch."},
    {"torch_product", (PyCFunction)(void (*)(void))torch_product, METH_FASTCALL,
     "torch_product(x, image, bias, residual, kind, out_features, activation, gate) -> Tensor\n\n"
     "y = x w^T and its epilogue, on x's device and current stream."},
    {"host_product", host_product, METH_VARARGS,
     "host_product(context, x, image, bias, residual, kind, activation, gate, out)\n\nThe same "
     "into "
     "host memory."},
    {"plan_describe", plan_describe, METH_VARARGS,
     "plan_describe(context, device, kind, x_type, activation, bias, residual, gate, t)\n"
     "-> (kernel, text)\n\nThe kernel for t tokens, and all ranges."},
    {NULL, NULL, 0, NULL},
};
