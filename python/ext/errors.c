#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core.h"

static PyObject *error_class;               /* tamis.Error */
static PyObject *classes[TMS_STATUS_COUNT]; /* one a status; [TMS_OK] stays NULL */

/* A status' class, and the class of Python's own that it is as well. */
typedef struct error_row {
    tms_status status;
    const char *name;
    PyObject **base;
} error_row;

static int add_class(PyObject *module, const error_row *row) {
    char name[64];
    PyObject *bases, *made;
    const char *doc = tms_status_text(row->status);

    snprintf(name, sizeof name, "tamis.%s", row->name);
    bases = PyTuple_Pack(2, error_class, *row->base);
    if (bases == NULL)
        return -1;
    made = PyErr_NewExceptionWithDoc(name, doc, bases, NULL);
    Py_DECREF(bases);
    if (made == NULL)
        return -1;
    classes[row->status] = made; /* for as long as the process lives */
    return PyModule_AddObjectRef(module, row->name, made);
}

int core_add_errors(PyObject *module) {
    const error_row rows[] = {
        {TMS_ERR_INVALID, "InvalidError", &PyExc_ValueError},
        {TMS_ERR_MEMORY, "OutOfMemoryError", &PyExc_MemoryError},
        {TMS_ERR_IO, "FileError", &PyExc_OSError},
        {TMS_ERR_FORMAT, "FormatError", &PyExc_ValueError},
        {TMS_ERR_PATTERN, "PatternError", &PyExc_ValueError},
        {TMS_ERR_VALUE, "NonFiniteError", &PyExc_ValueError},
        {TMS_ERR_UNSUPPORTED, "UnsupportedError", &PyExc_RuntimeError},
        {TMS_ERR_DEVICE, "DeviceError", &PyExc_RuntimeError},
        {TMS_ERR_CANCELLED, "CancelledError", &PyExc_RuntimeError},
    };

    error_class = PyErr_NewExceptionWithDoc(
        "tamis.Error", "What the library refused, in a sentence with the value and the limit.",
        NULL, NULL);
    if (error_class == NULL || PyModule_AddObjectRef(module, "Error", error_class) < 0)
        return -1;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (add_class(module, &rows[i]) < 0)
            return -1;
    return 0;
}

PyObject *core_raise(tms_status status) {
    const char *sentence = tms_error_text();
    const char *colon = strstr(sentence, ": ");
    PyObject *kind = error_class;

    if (PyErr_Occurred() != NULL) /* a callback's own exception says more */
        return NULL;
    if (strncmp(sentence, "tms_", 4) == 0 && colon != NULL)
        sentence = colon + 2; /* the traceback names the call */
    if (status > TMS_OK && status < TMS_STATUS_COUNT && classes[status] != NULL)
        kind = classes[status];
    PyErr_SetString(kind, *sentence != '\0' ? sentence : tms_status_text(status));
    return NULL;
}

PyObject *core_refuse(const char *format, ...) {
    char sentence[1024];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    PyErr_SetString(classes[TMS_ERR_INVALID], sentence);
    return NULL;
}
