#include "core.h"
#include "kinds.h"

static PyObject *version(PyObject *module, PyObject *unused) {
    (void)module;
    (void)unused;
    return Py_BuildValue("(ss)", tms_version_text(), tms_commit_text());
}

static PyMethodDef methods[] = {
    {"version", version, METH_NOARGS, "version() -> (version, commit)"},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    "tamis._core",
    "libtamis for Python; _core.pyi has its types.",
    -1,
    methods,
    NULL,
    NULL,
    NULL,
    NULL,
};

/* Names that Python needs as numbers. */
static int add_numbers(PyObject *module) {
    PyObject *names = PyList_New(0);
    int failed = names == NULL;

    for (int i = 0; !failed && i < TMS_DTYPE_COUNT; i++) {
        PyObject *name = PyUnicode_FromString(tms_dtype_name((tms_dtype)i));

        failed = name == NULL || PyList_Append(names, name) != 0;
        Py_XDECREF(name);
    }
    failed = failed || PyModule_AddObjectRef(module, "DTYPES", names) != 0;
    Py_XDECREF(names);
    return failed ? -1 : 0;
}

PyMODINIT_FUNC PyInit__core(void);

PyMODINIT_FUNC PyInit__core(void) {
    PyMethodDef *const tables[] = {core_context_methods, core_matrix_methods,  core_mask_methods,
                                   core_image_methods,   core_kind_methods,    core_product_methods,
                                   core_job_methods,     core_predict_methods, core_device_methods};
    PyObject *module = PyModule_Create(&definition);
    int failed = module == NULL || core_add_errors(module) != 0 || add_numbers(module) != 0;

    for (size_t i = 0; !failed && i < sizeof tables / sizeof tables[0]; i++)
        failed = PyModule_AddFunctions(module, tables[i]) != 0;
    if (failed)
        Py_CLEAR(module);
    return module;
}
