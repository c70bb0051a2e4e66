#include "kinds.h"

#include <stdlib.h>
#include <string.h>

/* Open addressing; the table doubles when it is half full, kinds themselves never move. */
typedef struct kind_slot {
    core_kind *kind; /* or NULL */
} kind_slot;

static kind_slot *table;
static size_t table_size, kind_count;

/* Where the kind of that number is, or would be put. */
static kind_slot *find_slot(kind_slot *slots, size_t size, int64_t id) {
    size_t slot = (size_t)id & (size - 1);

    while (slots[slot].kind != NULL && slots[slot].kind->id != id)
        slot = (slot + 1) & (size - 1);
    return &slots[slot];
}

static bool grow_table(void) {
    size_t size = table_size == 0 ? 64 : table_size * 2;
    kind_slot *slots;

    if (kind_count * 2 < table_size)
        return true;
    slots = calloc(size, sizeof *slots);
    if (slots == NULL) {
        PyErr_NoMemory();
        return false;
    }
    for (size_t i = 0; i < table_size; i++)
        if (table[i].kind != NULL)
            *find_slot(slots, size, table[i].kind->id) = table[i];
    free(table);
    table = slots;
    table_size = size;
    return true;
}

core_kind *core_kind_find(int64_t id) {
    core_kind *kind = table_size > 0 ? find_slot(table, table_size, id)->kind : NULL;

    if (kind == NULL)
        core_refuse("no weight of kind %lld was made in this process: a SparseWeight makes its "
                    "image, and with it the kind, when it is first used or refreshed",
                    (long long)id);
    return kind;
}

/* FNV-1a, without its sign bit: the number must fit an int of a schema. */
static int64_t hash_bytes(int64_t hash, const void *data, size_t bytes) {
    const uint8_t *byte = data;
    uint64_t h = (uint64_t)hash;

    for (size_t i = 0; i < bytes; i++)
        h = (h ^ byte[i]) * UINT64_C(0x100000001b3);
    return (int64_t)(h & INT64_MAX);
}

static int64_t hash_kind(const core_kind *kind) {
    const int32_t numbers[] = {kind->format,     kind->keep,          kind->group,
                               kind->block_rows, kind->block_columns, kind->w_type};
    int64_t hash = INT64_C(0x4bf29ce484222325);

    hash = hash_bytes(hash, &kind->image, sizeof kind->image);
    hash = hash_bytes(hash, &kind->density, sizeof kind->density);
    return hash_bytes(hash, numbers, sizeof numbers);
}

static bool is_same(const core_kind *a, const core_kind *b) {
    return memcmp(&a->image, &b->image, sizeof a->image) == 0 && a->density == b->density &&
           a->format == b->format && a->keep == b->keep && a->group == b->group &&
           a->block_rows == b->block_rows && a->block_columns == b->block_columns &&
           a->w_type == b->w_type;
}

/* The number of an equal kind, or of a copy that is put into the table; -1 and an exception. */
static int64_t add_kind(core_kind *kind) {
    core_kind *copy;

    if (!grow_table())
        return -1;
    for (kind->id = hash_kind(kind);; kind->id = (kind->id + 1) & INT64_MAX) {
        const core_kind *found = find_slot(table, table_size, kind->id)->kind;

        if (found == NULL)
            break;
        if (is_same(found, kind))
            return kind->id;
    }
    copy = malloc(sizeof *copy);
    if (copy == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    *copy = *kind;
    find_slot(table, table_size, copy->id)->kind = copy;
    kind_count++;
    return copy->id;
}

static PyObject *kind_add(PyObject *module, PyObject *args) {
    core_kind kind;
    const char *data;
    Py_ssize_t length;
    int64_t id;

    (void)module;
    memset(&kind, 0, sizeof kind);
    if (!PyArg_ParseTuple(args, "y#diiiiii:kind_add", &data, &length, &kind.density, &kind.format,
                          &kind.keep, &kind.group, &kind.block_rows, &kind.block_columns,
                          &kind.w_type))
        return NULL;
    if (length != (Py_ssize_t)sizeof kind.image)
        return core_refuse("image has %zd bytes, but must have %zu: it comes from image_build",
                           length, sizeof kind.image);
    memcpy(&kind.image, data, sizeof kind.image);
    kind.image.data = NULL;
    id = add_kind(&kind);
    return id >= 0 ? PyLong_FromLongLong(id) : NULL;
}

core_kind *core_kind_of(PyObject *number) {
    const long long id = PyLong_AsLongLong(number);

    return id == -1 && PyErr_Occurred() != NULL ? NULL : core_kind_find(id);
}

/* ---- plans */

static kind_plans *find_plans(core_kind *kind, int32_t context, tms_dtype x_type, uint32_t epilogue,
                              tms_activation activation) {
    kind_plans *plans;

    for (int32_t i = 0; i < kind->plan_count; i++) {
        plans = &kind->plans[i];
        if (plans->context == context && plans->x_type == x_type && plans->epilogue == epilogue &&
            plans->activation == activation)
            return plans;
    }
    plans = realloc(kind->plans, (size_t)(kind->plan_count + 1) * sizeof *plans);
    if (plans == NULL)
        return NULL;
    kind->plans = plans;
    plans = &plans[kind->plan_count++];
    memset(plans, 0, sizeof *plans);
    plans->context = context;
    plans->x_type = x_type;
    plans->epilogue = epilogue;
    plans->activation = activation;
    return plans;
}

static tms_status make_plan(const core_kind *kind, const kind_plans *plans, tms_device device,
                            int64_t t_max, tms_spmm_plan **out_plan) {
    tms_spmm_problem problem = tms_spmm_problem_default();

    problem.n = kind->image.layout.n;
    problem.k = kind->image.layout.k;
    problem.t_max = t_max;
    problem.format = (tms_format)kind->format;
    problem.density = kind->density;
    problem.keep = kind->keep;
    problem.group = kind->group;
    problem.block_rows = kind->block_rows;
    problem.block_columns = kind->block_columns;
    problem.x_type = problem.y_type = plans->x_type;
    problem.w_type = (tms_dtype)kind->w_type;
    problem.epilogue = plans->epilogue;
    problem.activation = plans->activation;
    problem.device = device;
    return tms_spmm_plan_create(core_context(plans->context), &problem, &kind->image.layout,
                                out_plan);
}

/* The plan for exactly t tokens, or NULL and TMS_OK where there are too many such plans. */
static tms_spmm_plan *find_exact(const core_kind *kind, kind_plans *plans, tms_device device,
                                 int64_t t, tms_status *out_status) {
    kind_exact *next = &plans->exact[plans->exact_count];

    *out_status = TMS_OK;
    for (int32_t i = 0; i < plans->exact_count; i++)
        if (plans->exact[i].t == t)
            return plans->exact[i].plan;
    if (plans->exact_count == KIND_EXACT)
        return NULL;
    *out_status = make_plan(kind, plans, device, t, &next->plan);
    if (*out_status != TMS_OK)
        return NULL;
    next->t = t;
    plans->exact_count++;
    return next->plan;
}

static tms_spmm_plan *find_bucket(const core_kind *kind, kind_plans *plans, tms_device device,
                                  int64_t t, tms_status *out_status) {
    int32_t bucket = 0;

    while (bucket < KIND_BUCKETS - 2 && (INT64_C(1) << bucket) < t)
        bucket++;
    *out_status = TMS_OK;
    if (plans->plans[bucket] == NULL)
        *out_status = make_plan(kind, plans, device, INT64_C(1) << bucket, &plans->plans[bucket]);
    return plans->plans[bucket];
}

tms_spmm_plan *core_kind_plan(core_kind *kind, int32_t context, tms_device device, tms_dtype x_type,
                              uint32_t epilogue, tms_activation activation, int64_t t,
                              tms_status *out_status) {
    kind_plans *plans = find_plans(kind, context, x_type, epilogue, activation);
    tms_spmm_plan *exact;

    *out_status = TMS_ERR_MEMORY;
    if (plans == NULL)
        return NULL;
    if (t > KIND_EXACT_BEYOND) {
        exact = find_exact(kind, plans, device, t, out_status);
        if (exact != NULL || *out_status != TMS_OK)
            return exact;
    }
    return find_bucket(kind, plans, device, t, out_status);
}

PyMethodDef core_kind_methods[] = {
    {"kind_add", kind_add, METH_VARARGS,
     "kind_add(image, density, format, keep, group, block_rows, block_columns, w_type) -> int\n\n"
     "The number by which products know images like this one; equal in every process."},
    {NULL, NULL, 0, NULL},
};
