/* What the files of the extension share. Arrays come in and go out; a status becomes an exception;
 * nothing is decided here. CPython's limited API of 3.11: one binary for every later version. */
#ifndef TAMIS_CORE_H
#define TAMIS_CORE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdbool.h>
#include <stdint.h>

#include "tamis.h"

/* ---- errors.c */

/* Makes tamis.Error and a subclass a status, and adds them to the module. 0, or -1 and an
 * exception. */
int core_add_errors(PyObject *module);
/* Raises what the library's last failure on this thread was; NULL. */
PyObject *core_raise(tms_status status);
/* Raises InvalidError with a sentence; NULL. */
PyObject *core_refuse(const char *format, ...);

/* ---- arrays.c */

#define CORE_RANK_MAX  8
#define CORE_DTYPE_ANY (-1)

/* Memory of a numpy array, a tensor, or whatever else has a buffer or DLPack's exchange API. */
typedef struct core_array {
    void *data;
    bool is_cuda;
    int32_t device_index;
    int32_t dtype; /* tms_dtype, or CORE_DTYPE_ANY for one that tamis has no name for */
    size_t element_bytes;
    int32_t rank;
    int64_t shape[CORE_RANK_MAX], strides[CORE_RANK_MAX]; /* in elements */
    bool is_readonly;
    bool has_buffer; /* buffer is to be released */
    Py_buffer buffer;
} core_array;

/* Looks at an object's memory; the object must stay alive while it is looked at. `name` is for the
 * sentence. True, or false and an exception. */
bool core_array_open(PyObject *object, const char *name, core_array *out);
void core_array_close(core_array *array);
/* The same, for host memory whose elements lie row-major without gaps. dtype: what elements are
 * read as; 16-bit floats may come as any 16-bit type. */
bool core_array_plain(PyObject *object, const char *name, int32_t dtype, bool is_written,
                      core_array *out);
/* The same for memory of a GPU. */
bool core_array_plain_gpu(PyObject *object, const char *name, int32_t dtype, core_array *out);
int64_t core_array_count(const core_array *array);
/* Rows of the last axis, all `ld` elements apart, as products take them: false where the axes
 * before the last do not fold into one, or the last is not contiguous. No exception. */
bool core_array_rows(const core_array *array, int64_t *out_rows, int64_t *out_ld);
/* The stream that the tensor's framework works on. */
bool core_array_stream(PyObject *object, const core_array *array, void **out_stream);

/* ---- context.c */

/* A context by its number; NULL and an exception where there is none of it. */
tms_context *core_context(int32_t handle);
/* The number of the context for a device, made where it is not there; -1 and an exception. Contexts
 * live as long as the process: plans hold on to them. */
int32_t core_context_find(tms_device device, int32_t index, int32_t threads);

/* ---- matrices.c */

/* (kind, scope, keep, group, block rows, block columns, share in billionths), as in tms_pattern. */
bool core_pattern(PyObject *tuple, tms_pattern *out);

/* A matrix over components that Python owns. */
typedef struct core_matrix {
    tms_matrix matrix;
    core_array arrays[TMS_COMPONENT_MAX];
    int32_t array_count;
} core_matrix;

/* spec: (format, dtype, n, k, nnz, keep, group, block rows, block columns); components: a sequence
 * of arrays in docs/formats.md's order. */
bool core_matrix_open(PyObject *spec, PyObject *components, bool is_written, core_matrix *out);
/* The same over components on a GPU. */
bool core_matrix_open_gpu(PyObject *spec, PyObject *components, core_matrix *out);
void core_matrix_close(core_matrix *matrix);

/* ---- images.c */

/* (format, n, k, density, keep, group, block rows, block columns, x type, w type, device): a
 * problem whose y is of x's type, but for t_max and epilogue. */
bool core_problem(PyObject *tuple, tms_spmm_problem *out);

/* Methods of the module, a table a file. */
extern PyMethodDef core_context_methods[], core_matrix_methods[], core_mask_methods[],
    core_image_methods[], core_product_methods[], core_job_methods[], core_predict_methods[],
    core_device_methods[];

#endif
