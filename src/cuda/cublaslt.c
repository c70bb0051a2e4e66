/* The few types and constants that these calls take are written down here, from the library's
 * documentation: its header need not be there. Descriptors are opaque words, made anew for each
 * call on the stack: a product's shape and pointers differ from call to call, and plans are shared
 * by threads. The library thinks in columns: its d, m rows by n columns, is our row-major d. */
#include "cuda/cublaslt.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include "base/context.h"
#include "base/memory.h"

enum {
    STATUS_SUCCESS = 0,
    OP_TRANSPOSE = 1,
    COMPUTE_F32 = 68,
    COMPUTE_I32 = 72,
    /* cudaDataType */
    TYPE_F32 = 0,
    TYPE_F16 = 2,
    TYPE_I8 = 3,
    TYPE_I32 = 10,
    TYPE_BF16 = 14,
    TYPE_E4M3 = 28,
    /* attributes of a product, and of a search */
    DESC_TRANSA = 3,
    DESC_EPILOGUE = 7,
    DESC_BIAS_POINTER = 8,
    DESC_FAST_ACCUM = 25,
    DESC_BIAS_TYPE = 26,
    PREF_WORK_BYTES = 1,
    PREF_REDUCTION = 3,
    PREF_ALIGN_A = 5, /* b, c, d follow */
    /* partial sums of a split k: none, or kept in the type of the sums and added in order */
    REDUCTION_IN_ORDER = 2,
};

/* Versions grow their descriptors (26 and 11 words are used by 13.4), and take more than they need.
 */
typedef struct description {
    uint64_t words[64];
} description;
typedef struct layout {
    uint64_t words[16];
} layout;

typedef struct heuristic { /* cublasLtMatmulHeuristicResult_t */
    uint64_t algorithm[8];
    size_t work_bytes;
    int state;
    float waves;
    int reserved[4];
} heuristic;

/* Each function: our name for it, the library's, and its arguments. All return its status. */
#define FUNCTIONS(X)                                                                               \
    X(create, "cublasLtCreate", (void **))                                                         \
    X(destroy, "cublasLtDestroy", (void *))                                                        \
    X(init_description, "cublasLtMatmulDescInit_internal", (void *, size_t, int, int))             \
    X(set_description, "cublasLtMatmulDescSetAttribute", (void *, int, const void *, size_t))      \
    X(init_layout, "cublasLtMatrixLayoutInit_internal",                                            \
      (void *, size_t, int, uint64_t, uint64_t, int64_t))                                          \
    X(create_preference, "cublasLtMatmulPreferenceCreate", (void **))                              \
    X(destroy_preference, "cublasLtMatmulPreferenceDestroy", (void *))                             \
    X(set_preference, "cublasLtMatmulPreferenceSetAttribute", (void *, int, const void *, size_t)) \
    X(search, "cublasLtMatmulAlgoGetHeuristic",                                                    \
      (void *, void *, void *, void *, void *, void *, void *, int, heuristic *, int *))           \
    X(multiply, "cublasLtMatmul",                                                                  \
      (void *, void *, const void *, const void *, void *, const void *, void *, const void *,     \
       const void *, void *, void *, void *, const void *, void *, size_t, void *))

struct tmsi_cublaslt {
    void *handle;
#define FIELD(name, symbol, arguments) int(*name) arguments;
    FUNCTIONS(FIELD)
#undef FIELD
};

/* ISO C has no cast from void * to a function pointer; POSIX promises that they are alike. */
static bool find_function(void *library, const char *symbol, void *out) {
    void *found = dlsym(library, symbol);

    memcpy(out, &found, sizeof found);
    return found != NULL;
}

/* The first symbol that the library lacks, or NULL. */
static const char *find_functions(void *library, tmsi_cublaslt *out) {
#define FIND(name, symbol, arguments)                                                              \
    if (!find_function(library, symbol, &out->name))                                               \
        return symbol;
    FUNCTIONS(FIND)
#undef FIND
    return NULL;
}

/* By name: also the copy that a framework has loaded into the process under that name. */
static void *load(const char *path) {
    static const char *const names[] = {"libcublasLt.so.13", "libcublasLt.so.12"};
    void *library = NULL;

    if (path != NULL)
        return dlopen(path, RTLD_NOW | RTLD_LOCAL);
    for (size_t i = 0; library == NULL && i < sizeof names / sizeof names[0]; i++)
        library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    return library;
}

static void print_version(void *library, char *text, size_t text_bytes) {
    size_t (*version_of)(void) = NULL;
    size_t version = 0;

    if (find_function(library, "cublasLtGetVersion", &version_of))
        version = version_of();
    snprintf(text, text_bytes, "cuBLASLt %zu.%zu.%zu", version / 10000, version / 100 % 100,
             version % 100);
}

/* What is wrong with a library, or "". Once loaded it stays: what it started in the process would
 * not survive that its code went away. */
static void try_open(const char *path, tmsi_cublaslt *self, char *text, char why[512]) {
    void *library = load(path);
    const char *missing;
    int status;

    why[0] = '\0';
    if (library == NULL) {
        const char *reason = dlerror();
        snprintf(why, 512, "it was not found: %s", reason != NULL ? reason : "no reason given");
        return;
    }
    missing = find_functions(library, self);
    if (missing != NULL) {
        snprintf(why, 512, "it has no %s", missing);
        return;
    }
    status = self->create(&self->handle);
    if (status != STATUS_SUCCESS)
        snprintf(why, 512, "its cublasLtCreate failed with status %d", status);
    else
        print_version(library, text, 64);
}

tms_status tmsi_cublaslt_open(tms_context *context, const char *path) {
    tmsi_cublaslt *self = NULL;
    char why[512];
    tms_status status;

    TMS_TRY(tmsi_alloc(context, 1, sizeof *self, &self));
    try_open(path, self, context->cublaslt_text, why);
    if (why[0] == '\0') {
        context->cublaslt = self;
        return TMS_OK;
    }
    tmsi_free(context, self);
    if (path != NULL)
        return tmsi_fail(TMS_ERR_INVALID, "desc->cublaslt_path is \"%s\", but cannot be used: %s",
                         path, why);
    snprintf(context->cublaslt_text, sizeof context->cublaslt_text, "no cuBLASLt: %.*s",
             (int)sizeof context->cublaslt_text - 16, why);
done:
    return status;
}

void tmsi_cublaslt_close(tms_context *context) {
    if (context->cublaslt != NULL)
        context->cublaslt->destroy(context->cublaslt->handle);
    tmsi_free(context, context->cublaslt);
    context->cublaslt = NULL;
}

static int type_of(tms_dtype type) {
    switch (type) {
    case TMS_BF16:
        return TYPE_BF16;
    case TMS_F16:
        return TYPE_F16;
    case TMS_I8:
        return TYPE_I8;
    case TMS_I32:
        return TYPE_I32;
    case TMS_E4M3:
        return TYPE_E4M3;
    default:
        return TYPE_F32;
    }
}

/* A product as the library describes it. */
typedef struct described {
    description product;
    layout a, b, c, d;
} described;

static bool describe(const tmsi_cublaslt *self, const tmsi_lt_product *p, const float *bias,
                     described *out) {
    const bool is_integer = p->type == TMS_I8;
    const int scale = is_integer ? TYPE_I32 : TYPE_F32, bias_type = TYPE_F32;
    const int type = type_of(p->type), d_type = type_of(p->d_type);
    const int transpose = OP_TRANSPOSE;
    const int8_t fast = 1; /* as our own e4m3 kernels add up */
    int status = 0;

#define SET(attribute, value)                                                                      \
    self->set_description(&out->product, attribute, &(value), sizeof(value))
    status |= self->init_description(&out->product, sizeof out->product,
                                     is_integer ? COMPUTE_I32 : COMPUTE_F32, scale);
    status |= SET(DESC_TRANSA, transpose);
    status |= SET(DESC_EPILOGUE, p->epilogue);
    if (p->type == TMS_E4M3)
        status |= SET(DESC_FAST_ACCUM, fast);
    if (p->epilogue & TMSI_LT_BIAS) {
        status |= SET(DESC_BIAS_TYPE, bias_type);
        status |= SET(DESC_BIAS_POINTER, bias);
    }
#undef SET
#define LAYOUT(matrix, element, rows, columns, ld)                                                 \
    self->init_layout(matrix, sizeof *(matrix), element, (uint64_t)(rows), (uint64_t)(columns), ld)
    status |= LAYOUT(&out->a, type, p->k, p->m, p->lda);
    status |= LAYOUT(&out->b, type, p->k, p->n, p->ldb);
    status |= LAYOUT(&out->c, d_type, p->m, p->n, p->beta != 0.0f ? p->ldc : p->ldd);
    status |= LAYOUT(&out->d, d_type, p->m, p->n, p->ldd);
#undef LAYOUT
    return status == STATUS_SUCCESS;
}

bool tmsi_cublaslt_find(const tmsi_cublaslt *self, const tmsi_lt_product *product,
                        uint32_t alignment, size_t work_max, tmsi_lt_algorithm *out) {
    const uint32_t reduction = REDUCTION_IN_ORDER;
    const float no_bias = 0.0f; /* the search wants a pointer, and reads nothing behind it */
    void *preference = NULL;
    heuristic found;
    described d;
    int count = 0, status;

    memset(&found, 0, sizeof found);
    if (!describe(self, product, &no_bias, &d) || self->create_preference(&preference) != 0)
        return false;
    status = self->set_preference(preference, PREF_WORK_BYTES, &work_max, sizeof work_max);
    status |= self->set_preference(preference, PREF_REDUCTION, &reduction, sizeof reduction);
    for (int i = 0; i < 4; i++)
        status |= self->set_preference(preference, PREF_ALIGN_A + i, &alignment, sizeof alignment);
    if (status == STATUS_SUCCESS)
        status = self->search(self->handle, &d.product, &d.a, &d.b, &d.c, &d.d, preference, 1,
                              &found, &count);
    self->destroy_preference(preference);
    if (status != STATUS_SUCCESS || count < 1 || found.state != STATUS_SUCCESS)
        return false;
    memcpy(out->data, found.algorithm, sizeof out->data);
    out->work_bytes = found.work_bytes;
    return true;
}

int tmsi_cublaslt_run(const tmsi_cublaslt *self, const tmsi_lt_product *product,
                      const tmsi_lt_algorithm *algorithm, const tmsi_lt_arrays *arrays) {
    const float one = 1.0f, beta = product->beta;
    const int32_t integer_one = 1, integer_zero = 0;
    const bool is_integer = product->type == TMS_I8;
    described d;

    if (!describe(self, product, arrays->bias, &d))
        return -1;
    return self->multiply(self->handle, &d.product, is_integer ? (const void *)&integer_one : &one,
                          arrays->a, &d.a, arrays->b, &d.b,
                          is_integer ? (const void *)&integer_zero : &beta,
                          beta != 0.0f ? arrays->c : arrays->d, &d.c, arrays->d, &d.d,
                          algorithm->data, arrays->work, algorithm->work_bytes, arrays->stream);
}
