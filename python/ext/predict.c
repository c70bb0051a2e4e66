#include <stdlib.h>
#include <string.h>

#include "core.h"

/* What a product would be computed by and how long the model says it takes, with no weight at hand:
 * a plan for exactly t rows, of which the last range is the one that serves t. */

/* "t 1..64: KERNEL from PART, 12.3 us at t 64" of the last line, as (kernel, part, 12.3). */
static PyObject *read_last_range(const char *text) {
    const char *line = text, *next, *kernel, *part, *unit, *time;

    while ((next = strchr(line, '\n')) != NULL && next[1] != '\0')
        line = next + 1;
    kernel = strstr(line, ": ");
    part = kernel != NULL ? strstr(kernel, " from ") : NULL;
    unit = part != NULL ? strstr(part, " us at t ") : NULL;
    for (time = unit; time != NULL && time > part && *time != ',';)
        time--;
    if (time == NULL || *time != ',')
        return core_refuse("the plan describes itself as \"%.80s\", which names no time", line);
    kernel += strlen(": ");
    return Py_BuildValue("(s#s#d)", kernel, (Py_ssize_t)(part - kernel), part + strlen(" from "),
                         (Py_ssize_t)(time - part) - (Py_ssize_t)strlen(" from "),
                         strtod(time + 1, NULL));
}

static PyObject *predict(PyObject *module, PyObject *args) {
    tms_spmm_problem problem;
    PyObject *tuple;
    int handle, keep_dense;
    unsigned int epilogue;
    long long t, t_max;
    tms_context *context;
    tms_layout layout;
    tms_spmm_plan *plan;
    tms_status status;
    char text[8192];

    (void)module;
    if (!PyArg_ParseTuple(args, "iO!ILLi:predict", &handle, &PyTuple_Type, &tuple, &epilogue, &t,
                          &t_max, &keep_dense) ||
        !core_problem(tuple, &problem))
        return NULL;
    context = core_context(handle);
    if (context == NULL)
        return NULL;
    problem.t_max = t_max;
    problem.epilogue = epilogue;
    status = tms_spmm_layout_choose(context, &problem, 1, t_max, keep_dense, &layout);
    if (status != TMS_OK)
        return core_raise(status);
    problem.t_max = t;
    status = tms_spmm_plan_create(context, &problem, &layout, &plan);
    if (status != TMS_OK)
        return core_raise(status);
    tms_spmm_plan_describe(plan, text, sizeof text);
    tms_spmm_plan_destroy(plan);
    return read_last_range(text);
}

PyMethodDef core_predict_methods[] = {
    {"predict", predict, METH_VARARGS,
     "predict(context, problem, epilogue, t, t_max, keep_dense) -> (kernel, part, microseconds)\n\n"
     "problem: as layout_choose takes it. What serves t rows from an image chosen for up to t_max, "
     "by the library's model."},
    {NULL, NULL, 0, NULL},
};
