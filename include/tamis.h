/* tamis: sparse neural networks that are really faster.
 *
 * Words, used everywhere alike: y[t,n] = sum over k of x[t,k] * w[n,k], as in a linear layer.
 * The weight w is N x K, row-major (N output features, K input features); the activation x is
 * T x K (T tokens); the result y is T x N. A pattern says which zeros are allowed in w; a format
 * is a canonical way to store it (plain arrays, the caller's); an image is kernel-ready bytes
 * built from a format; a plan holds the kernels chosen for a problem.
 *
 * The way through: tms_context_create -> tms_mask_select, tms_mask_apply (prune) ->
 * tms_matrix_size, tms_matrix_encode (store) -> tms_spmm_layout_choose, tms_image_bytes,
 * tms_image_build (once a weight) -> tms_spmm_plan_create (once a shape) -> tms_spmm_plan_run
 * (every call). examples/linear.c walks it.
 *
 * Rules that hold for all of it:
 * - A function that can fail returns tms_status; outputs come last and are untouched on failure.
 *   tms_error_text() then holds a sentence with the argument, its value and the limit.
 * - The library never prints, aborts, exits or reads the environment.
 * - Structs that may grow begin with struct_size; get one from its ..._default() function. Zero in
 *   a field is its default. Handles are opaque; destroy accepts NULL.
 * - Shapes are int64_t, elements row-major; byte counts are size_t and named ..._bytes.
 * - A context, image or plan may be used by many threads at once unless its comment says other.
 * - A function that returns no status takes NULL for a handle: it answers NULL, "" or 0, or does
 *   nothing. Memory that is written overlaps nothing else that the call is given, unless said.
 *
 * The first part is stable in shape from 0.1 on; the second (from "Experimental") may change
 * until 1.0. Compiles as C17 and as C++11. */
#ifndef TAMIS_H
#define TAMIS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define TMS_API __attribute__((visibility("default")))
#else
#define TMS_API
#endif

/* Zero-fills a struct in both languages, without a warning in either. */
#ifdef __cplusplus
#define TMS_INIT_ZERO                                                                              \
    {}
#else
#define TMS_INIT_ZERO                                                                              \
    { 0 }
#endif

#define TMS_VERSION_MAJOR 0
#define TMS_VERSION_MINOR 1
#define TMS_VERSION_PATCH 0

/* ---- Status -------------------------------------------------------------------------------- */

/* name, text: every status a function may return. */
#define TMS_STATUS_MAP(X)                                                                          \
    X(OK, "success")                                                                               \
    X(ERR_INVALID, "an argument is wrong")                                                         \
    X(ERR_MEMORY, "out of memory")                                                                 \
    X(ERR_IO, "the system refused a file operation")                                               \
    X(ERR_FORMAT, "a file or matrix is malformed")                                                 \
    X(ERR_PATTERN, "a matrix does not hold or cannot fit the pattern")                             \
    X(ERR_VALUE, "a weight or score is NaN or infinite")                                           \
    X(ERR_UNSUPPORTED, "no kernel or format serves this")                                          \
    X(ERR_DEVICE, "the device reported an error")                                                  \
    X(ERR_CANCELLED, "stopped by the caller")

typedef enum tms_status {
#define TMS_STATUS_ENUM(name, text) TMS_##name,
    TMS_STATUS_MAP(TMS_STATUS_ENUM)
#undef TMS_STATUS_ENUM
        TMS_STATUS_COUNT
} tms_status;

/* The enumerator's name ("TMS_ERR_IO") and a short text. Never NULL, for any value. */
TMS_API const char *tms_status_name(tms_status status);
TMS_API const char *tms_status_text(tms_status status);

/* The sentence of the last failure on this thread: "<public function>: <what, value, limit>".
 * Valid until the next tms_ call on this thread; "" before any failure. */
TMS_API const char *tms_error_text(void);

/* "0.1.0", and the commit it was built from ("unknown" outside a git checkout). */
TMS_API const char *tms_version_text(void);
TMS_API const char *tms_commit_text(void);

/* ---- Types of elements ---------------------------------------------------------------------- */

/* Enumerator, tamis name, safetensors name, bits an element. 16-bit floats are uint16_t in C. */
#define TMS_DTYPE_MAP(X)                                                                           \
    X(F32, "f32", "F32", 32)                                                                       \
    X(BF16, "bf16", "BF16", 16)                                                                    \
    X(F16, "f16", "F16", 16)                                                                       \
    X(I8, "i8", "I8", 8)                                                                           \
    X(E4M3, "e4m3", "F8_E4M3", 8)                                                                  \
    X(U8, "u8", "U8", 8)                                                                           \
    X(I32, "i32", "I32", 32)                                                                       \
    X(I64, "i64", "I64", 64)                                                                       \
    X(F64, "f64", "F64", 64)                                                                       \
    X(BOOL, "bool", "BOOL", 8)                                                                     \
    X(I16, "i16", "I16", 16)                                                                       \
    X(U16, "u16", "U16", 16)                                                                       \
    X(U32, "u32", "U32", 32)                                                                       \
    X(U64, "u64", "U64", 64)                                                                       \
    X(C64, "c64", "C64", 64)                                                                       \
    X(E5M2, "e5m2", "F8_E5M2", 8)                                                                  \
    X(E8M0, "e8m0", "F8_E8M0", 8)                                                                  \
    X(E4M3FNUZ, "e4m3fnuz", "F8_E4M3FNUZ", 8)                                                      \
    X(E5M2FNUZ, "e5m2fnuz", "F8_E5M2FNUZ", 8)                                                      \
    X(E2M1, "e2m1", "F4", 4)                                                                       \
    X(E2M3, "e2m3", "F6_E2M3", 6)                                                                  \
    X(E3M2, "e3m2", "F6_E3M2", 6)

typedef enum tms_dtype {
#define TMS_DTYPE_ENUM(id, name, file_name, bits) TMS_##id,
    TMS_DTYPE_MAP(TMS_DTYPE_ENUM)
#undef TMS_DTYPE_ENUM
        TMS_DTYPE_COUNT
} tms_dtype;

/* "f32", or "?" for a value outside the enum. */
TMS_API const char *tms_dtype_name(tms_dtype dtype);

/* ---- Context -------------------------------------------------------------------------------- */

/* Instruction sets; a context's mask narrows what kernels may use. */
#define TMS_ISA_AVX2     0x1u    /* AVX2 and FMA */
#define TMS_ISA_AVX512   0x2u    /* AVX-512 F, BW, DQ, VL */
#define TMS_ISA_SM90     0x100u  /* NVIDIA Hopper GPUs: wgmma and the copy engine */
#define TMS_ISA_SM80     0x200u  /* NVIDIA GPUs from Ampere on, Hopper too: mma.sp and cp.async */
#define TMS_ISA_CUBLASLT 0x1000u /* NVIDIA's dense library, where it is found at run time */
#define TMS_ISA_ALL      0x7fffffffu
#define TMS_ISA_NONE     0x80000000u /* as a mask: portable C alone */

/* allocate returns bytes (> 0), of any content, at the alignment (a power of two), or NULL; release
 * gets the same pointer back, never NULL. Both may be called from any thread. */
typedef struct tms_allocator {
    void *(*allocate)(void *user, size_t bytes, size_t alignment);
    void (*release)(void *user, void *memory);
    void *user;
} tms_allocator;

/* Runs task(arg, i) for every i in [0, count), in any order, on any threads, and returns when all
 * are done. */
typedef void (*tms_task)(void *arg, int64_t i);
typedef void (*tms_parallel_for)(void *user, int64_t count, tms_task task, void *arg);

/* Where a product runs, and so where its weight, input and output lie. */
typedef enum tms_device { TMS_DEVICE_CPU, TMS_DEVICE_CUDA, TMS_DEVICE_COUNT } tms_device;

typedef void *tms_stream; /* NULL on a CPU; on a GPU a cudaStream_t, NULL being the default one */

typedef struct tms_context_desc {
    size_t struct_size;
    int32_t threads;                /* at most this many; 0: the cores this process may use */
    uint32_t isa_mask;              /* TMS_ISA_ bits kernels may use; 0: all */
    const tms_allocator *allocator; /* copied; NULL: the C library's */
    tms_parallel_for parallel_for;  /* NULL: OpenMP, with `threads` threads a call; not called where
                                     * there is but one thread or task */
    void *parallel_user;
    tms_device device;    /* TMS_DEVICE_CUDA: products may run on a GPU too, and not only the CPU */
    int32_t device_index; /* that GPU's number in CUDA's own counting */
    const char *tuning;   /* a tuning table (docs/tuning.md), read during the call; NULL: what
                           * the library itself knows of kernels' times */
    size_t tuning_bytes;  /* of it; 0: up to its closing 0 */
    const char *cublaslt_path; /* with a GPU: the libcublasLt that serves dense products; NULL: the
                                * one that the process has loaded, or that is found by its name */
} tms_context_desc;

static inline tms_context_desc tms_context_desc_default(void) {
    tms_context_desc desc = TMS_INIT_ZERO;
    desc.struct_size = sizeof(desc);
    return desc;
}

typedef struct tms_context tms_context;

/* Probes the CPU once, and the GPU where desc asks for one. desc may be NULL. Everything made with
 * a context must be destroyed before it. Returns TMS_OK, TMS_ERR_INVALID (threads < 0 or > 4096),
 * TMS_ERR_MEMORY, TMS_ERR_FORMAT (a malformed tuning table) or TMS_ERR_DEVICE (no such GPU, no
 * driver, a library built without CUDA, or a GPU that no kernel runs on: older than Ampere, compute
 * capability 8.0). Since 0.1. */
TMS_API tms_status tms_context_create(const tms_context_desc *desc, tms_context **out_context);
TMS_API void tms_context_destroy(tms_context *context);

/* What the context runs on: the CPU's name, threads, and the instruction sets it may use, its GPU's
 * too ("avx2 avx512", "avx2 sm80 sm90", "none"). Strings live as long as the context. */
TMS_API const char *tms_context_cpu_name(const tms_context *context);
TMS_API const char *tms_context_isa_text(const tms_context *context);
TMS_API int32_t tms_context_threads(const tms_context *context);
/* The context's GPU, "NVIDIA H100 80GB HBM3 (sm_90, 132 multiprocessors)"; "none". */
TMS_API const char *tms_context_device_text(const tms_context *context);
/* The driver's newest CUDA, "CUDA 13.0"; and "cuBLASLt 13.1.0", or why there is none: then dense is
 * no candidate on the GPU. "" without a GPU. */
TMS_API const char *tms_context_driver_text(const tms_context *context);
TMS_API const char *tms_context_cublaslt_text(const tms_context *context);

/* ---- Patterns: which zeros are allowed --------------------------------------------------------
 */

/* Enumerator, name in the code, and an example of the text form, which is the grammar too: a word
 * with ':' is keep:group, one with 'x' rows (n) by columns (k), one with '%' the share of zeros,
 * any other stands for itself. A scope may follow. docs/patterns.md explains each. */
#define TMS_PATTERN_MAP(X)                                                                         \
    X(NONE, dense, "dense")                                                                        \
    X(UNSTRUCTURED, unstructured, "unstructured 80%")                                              \
    X(NM, nm, "2:4") /* keep of every group along k; share unused */                               \
    X(BLOCK, block, "block 32x32 90%")                                                             \
    X(ROWS, rows, "rows 50%")                             /* output features */                    \
    X(COLUMNS, columns, "columns 50%")                    /* input features */                     \
    X(NM_IN_BLOCK, nm_in_block, "2:4 in block 64x64 50%") /* n:m inside the blocks that stay */

typedef enum tms_pattern_kind {
#define TMS_PATTERN_ENUM(id, name, example) TMS_PATTERN_##id,
    TMS_PATTERN_MAP(TMS_PATTERN_ENUM)
#undef TMS_PATTERN_ENUM
        TMS_PATTERN_KIND_COUNT
} tms_pattern_kind;

typedef enum tms_scope {
    TMS_SCOPE_DEFAULT,    /* not said: per tensor unless the method says other */
    TMS_SCOPE_PER_TENSOR, /* the share holds over the whole matrix */
    TMS_SCOPE_PER_ROW,    /* ... in each row (for blocks: in each row of blocks) */
    TMS_SCOPE_COUNT
} tms_scope;

/* A share of zeros is kept as an exact decimal: billionths, 800000000 for 80 %. Of `count` elements
 * (blocks, rows, columns), floor(share * count + 1/2) are dropped. */
typedef struct tms_pattern {
    tms_pattern_kind kind;
    tms_scope scope;
    int32_t keep, group; /* nm: keep of every `group` along k, 1 <= keep < group <= 64 */
    int32_t block_rows, block_columns; /* block: 1 .. 65536 each; with n:m in it, columns are a
                                        * multiple of group */
    int64_t share_ppb;                 /* 0 .. 1000000000 */
} tms_pattern;

/* Longest text of a pattern with its 0. */
#define TMS_PATTERN_TEXT_MAX 96

/* Text to pattern and back; printing what was parsed and parsing it again gives the same pattern.
 * Spaces may repeat; case counts not. A share has at most seven decimals of a percent.
 * Returns TMS_OK or TMS_ERR_INVALID with what was expected and where. Since 0.1. */
TMS_API tms_status tms_pattern_parse(const char *text, tms_pattern *out_pattern);
TMS_API tms_status tms_pattern_print(const tms_pattern *pattern,
                                     char out_text[TMS_PATTERN_TEXT_MAX]);

/* Whether a matrix of n x k can hold the pattern: with n:m, k must be a multiple of the group. Any
 * block fits any shape: edge blocks are smaller. Returns TMS_OK, TMS_ERR_PATTERN or TMS_ERR_INVALID
 * (a pattern or shape that makes no sense). Since 0.1. */
TMS_API tms_status tms_pattern_fits(const tms_pattern *pattern, int64_t n, int64_t k);

/* ---- Matrices: canonical formats --------------------------------------------------------------
 */

typedef enum tms_format {
    TMS_FORMAT_DENSE, /* values [n, k] */
    TMS_FORMAT_NM,    /* values [n, k*keep/group], index u8 [n, row bytes] */
    TMS_FORMAT_CSR,   /* values [nnz], columns i32 [nnz], offsets i64 [n+1] */
    TMS_FORMAT_BSR, /* values [blocks, r, c], columns i32 [blocks], offsets i64 [block rows + 1] */
    TMS_FORMAT_COUNT
} tms_format;

/* "dense", "nm", "csr", "bsr"; "?" outside the enum. */
TMS_API const char *tms_format_name(tms_format format);
/* Returns TMS_OK or TMS_ERR_INVALID, naming the formats there are. */
TMS_API tms_status tms_format_parse(const char *text, tms_format *out_format);

/* One plain array of a format. */
typedef struct tms_component {
    const char *name; /* "values"; static */
    tms_dtype dtype;
    int32_t rank; /* 1 .. 3 */
    int64_t shape[3];
    size_t bytes; /* product of shape times element size */
    void *data;   /* the caller's; aligned to its element, but for values, which may lie anywhere */
} tms_component;

#define TMS_COMPONENT_MAX 8

/* A weight in one format: a view of arrays in the caller's memory. docs/formats.md has every bit.
 * Comes from tms_matrix_dense, or from tms_matrix_size with data set afterwards. k is below 2^31.
 * Matrices lie in arrays and in other structs, so struct_size is exact, and there is room for what
 * comes later. */
typedef struct tms_matrix {
    size_t struct_size;
    tms_format format;
    tms_dtype dtype; /* of values: f32, bf16, f16, i8 or e4m3 */
    int64_t n, k;
    int64_t nnz;                       /* values stored: csr elements; bsr blocks*r*c; else n*k.. */
    int32_t keep, group;               /* nm */
    int32_t block_rows, block_columns; /* bsr */
    int32_t component_count;
    int32_t reserved[5]; /* 0 */
    tms_component components[TMS_COMPONENT_MAX];
} tms_matrix;

/* A dense view of n x k weights at `values`. No copy; cannot fail: uses check it. */
TMS_API tms_matrix tms_matrix_dense(tms_dtype dtype, int64_t n, int64_t k, const void *values);

/* The component of that name, or NULL. */
TMS_API const tms_component *tms_matrix_component(const tms_matrix *matrix, const char *name);

/* Bytes of all components. */
TMS_API size_t tms_matrix_bytes(const tms_matrix *matrix);

typedef struct tms_format_desc {
    size_t struct_size;
    tms_format format;
    int32_t keep, group;               /* nm: needed */
    int32_t block_rows, block_columns; /* bsr: needed */
} tms_format_desc;

static inline tms_format_desc tms_format_desc_default(tms_format format) {
    tms_format_desc desc = TMS_INIT_ZERO;
    desc.struct_size = sizeof(desc);
    desc.format = format;
    return desc;
}

/* Finds what `dense` needs in a format: counts its non-zeros and fills out_matrix but for the
 * components' data pointers, which the caller then sets to memory of components[i].bytes each.
 * -0.0 counts as zero. Returns TMS_OK, TMS_ERR_INVALID, TMS_ERR_PATTERN (nm: the first group with
 * too many non-zeros, with row and column) or TMS_ERR_VALUE (NaN or Inf, where). Since 0.1. */
TMS_API tms_status tms_matrix_size(tms_context *context, const tms_matrix *dense,
                                   const tms_format_desc *desc, tms_matrix *out_matrix);

/* Writes dense's values into the components of a matrix sized from it. Kept values keep their bits;
 * -0.0 becomes +0.0, and *out_negative_zeros (may be NULL) counts those. The same dense matrix must
 * be given as to tms_matrix_size; nothing is written where it does not fit: TMS_ERR_INVALID, or as
 * tms_matrix_size. Since 0.1. */
TMS_API tms_status tms_matrix_encode(tms_context *context, const tms_matrix *dense,
                                     const tms_matrix *matrix, int64_t *out_negative_zeros);

/* Writes the matrix as dense row-major n x k of its own dtype, at any alignment. The matrix is
 * validated first. Returns as tms_matrix_validate. Since 0.1. */
TMS_API tms_status tms_matrix_decode(tms_context *context, const tms_matrix *matrix,
                                     void *out_values);

/* Checks every length, offset and index against docs/formats.md, so that any later use is safe.
 * Values are not judged. Returns TMS_OK, TMS_ERR_INVALID (fields and shapes), TMS_ERR_PATTERN (k is
 * no multiple of nm's group) or TMS_ERR_FORMAT (entries), saying which entry of which component is
 * wrong, its value and the limit. Since 0.1. */
TMS_API tms_status tms_matrix_validate(tms_context *context, const tms_matrix *matrix);

/* ---- Masks: selection and checking ------------------------------------------------------------
 */

typedef enum tms_norm { TMS_NORM_L1, TMS_NORM_L2 } tms_norm;

/* What decides importance. Score of an element: scores[n,k] if given, else |w[n,k]|, times
 * column_norms[k] if given (Wanda). A block, row or column scores the mean over its elements of
 * score (L1) or score squared (L2). */
typedef struct tms_select_desc {
    size_t struct_size;
    tms_pattern pattern;
    tms_matrix weights;        /* dense */
    const float *scores;       /* [n, k], >= 0, or NULL */
    const float *column_norms; /* [k], >= 0, or NULL */
    tms_norm block_norm;
} tms_select_desc;

static inline tms_select_desc tms_select_desc_default(void) {
    tms_select_desc desc = TMS_INIT_ZERO;
    desc.struct_size = sizeof(desc);
    return desc;
}

/* Bytes of a mask: one bit an element, 1 = kept, bit k%8 of byte k/8 of its row, rows padded with
 * 0 bits to whole bytes. 0 where n or k is below 1, SIZE_MAX where memory cannot hold it. */
TMS_API size_t tms_mask_bytes(int64_t n, int64_t k);

/* Chooses which weights stay. Exact: a share drops exactly floor(share*count + 1/2); of equal
 * scores the lower index is kept. Deterministic for any number of threads; linear time. Returns
 * TMS_OK, TMS_ERR_INVALID, TMS_ERR_PATTERN (does not fit the shape), TMS_ERR_VALUE (NaN or Inf,
 * with row and column) or TMS_ERR_MEMORY. Since 0.1. */
TMS_API tms_status tms_mask_select(tms_context *context, const tms_select_desc *desc,
                                   uint8_t *out_mask);

/* Sets dropped weights to +0.0 in place; kept ones keep their bits. Returns TMS_OK or
 * TMS_ERR_INVALID. Since 0.1. */
TMS_API tms_status tms_mask_apply(tms_context *context, const uint8_t *mask,
                                  const tms_matrix *dense);

/* What tms_pattern_check found. */
typedef struct tms_check_report {
    size_t struct_size;
    int32_t holds;       /* 1: the pattern holds */
    int64_t row, column; /* first violation, from 0; -1 where the share is missed as a whole */
    int64_t zeros_found; /* zero elements (blocks, rows, columns), in that row for scope per row */
    int64_t zeros_needed;
    char text[320]; /* a sentence: "holds ..." or the violation with its values */
} tms_check_report;

static inline tms_check_report tms_check_report_default(void) {
    tms_check_report report = TMS_INIT_ZERO;
    report.struct_size = sizeof(report);
    return report;
}

/* Checks that a dense matrix holds the pattern: no group of n:m has more non-zeros than keep; at
 * least the share of elements (blocks, rows, columns) is zero. Not holding is not a failure: see
 * out_report->holds. NaN and Inf are no zeros. Returns TMS_OK, TMS_ERR_INVALID, TMS_ERR_PATTERN
 * (does not fit) or TMS_ERR_MEMORY. Since 0.1. */
TMS_API tms_status tms_pattern_check(tms_context *context, const tms_pattern *pattern,
                                     const tms_matrix *dense, tms_check_report *out_report);

/* Zeros of a dense matrix and patterns it happens to hold. */
typedef struct tms_zero_report {
    size_t struct_size;
    int64_t elements, zeros, negative_zeros; /* zeros include negative ones */
    int64_t zero_rows, zero_columns;
    int64_t zero_blocks[4], blocks[4]; /* of 8x8, 16x16, 32x32, 64x64 */
    int32_t holds_2_4, holds_1_4;      /* every group of 4 along k has at most 2 (1) non-zeros */
    int64_t non_finite;                /* NaN or Inf */
    int64_t first_non_finite_row, first_non_finite_column; /* -1: none */
} tms_zero_report;

static inline tms_zero_report tms_zero_report_default(void) {
    tms_zero_report report = TMS_INIT_ZERO;
    report.struct_size = sizeof(report);
    return report;
}

/* One read of the matrix. Returns TMS_OK, TMS_ERR_INVALID or TMS_ERR_MEMORY. Since 0.1. */
TMS_API tms_status tms_matrix_count(tms_context *context, const tms_matrix *dense,
                                    tms_zero_report *out_report);

/* ---- The product: problem, layout, image, plan ------------------------------------------------
 */

typedef enum tms_activation {
    TMS_ACT_NONE,
    TMS_ACT_RELU,
    TMS_ACT_RELU2,     /* max(z, 0) squared */
    TMS_ACT_GELU,      /* exact: z/2 (1 + erf(z/sqrt 2)) */
    TMS_ACT_GELU_TANH, /* its tanh form */
    TMS_ACT_SILU,
    TMS_ACT_COUNT
} tms_activation;

/* What is fused behind the product, in this order, in fp32:
 * z = (acc*scale_n[n])*scale_t[t] + bias[n]; y = act(z), or with gate act(z_gate)*z_up;
 * + residual; rounded to the output type (i8 and e4m3: times 1/scale_y, saturating). */
#define TMS_EPILOGUE_SCALE_N  0x01u
#define TMS_EPILOGUE_SCALE_T  0x02u
#define TMS_EPILOGUE_BIAS     0x04u
#define TMS_EPILOGUE_GATE     0x08u /* weight rows come in pairs gate, up; y has n/2 columns */
#define TMS_EPILOGUE_RESIDUAL 0x10u
#define TMS_EPILOGUE_ABSMAX_T 0x20u /* writes max over n of |y[t,n]| before rounding */

typedef enum tms_order { TMS_ORDER_TN, TMS_ORDER_NT } tms_order; /* y as [t, n], or transposed */

/* One product, without its weight. */
typedef struct tms_spmm_problem {
    size_t struct_size;
    int64_t n, k;
    int64_t t_max;                     /* most tokens a call brings, >= 1 */
    tms_format format;                 /* of the weight */
    double density;                    /* share of weights stored, 0..1; dense: 1; nm: keep/group */
    int32_t keep, group;               /* nm */
    int32_t block_rows, block_columns; /* bsr */
    /* x and w (w's in the image): any two of f32 bf16 f16, or both i8, or both e4m3. y: any of the
     * five. Sums of i8 are whole numbers, rounded once to f32. */
    tms_dtype x_type, w_type, y_type;
    tms_order y_order;
    uint32_t epilogue; /* TMS_EPILOGUE_ bits */
    tms_activation activation;
    tms_device device; /* TMS_DEVICE_CUDA: on the context's GPU. There: 2:4 weights (or dense ones,
                        * by cuBLASLt) in bf16, f16, i8 or e4m3 and x of the same type. 2:4 weights
                        * in e4m3 want a Hopper GPU (sm90) */
} tms_spmm_problem;

static inline tms_spmm_problem tms_spmm_problem_default(void) {
    tms_spmm_problem problem = TMS_INIT_ZERO;
    problem.struct_size = sizeof(problem);
    problem.t_max = 1;
    problem.density = 1.0;
    return problem;
}

/* One part of an image: bytes in one kernel's order. */
typedef struct tms_part {
    int32_t id;      /* a row of the layout table */
    int32_t version; /* of that layout's byte order */
    int32_t format;  /* tms_format whose components it stores; dense for dense parts */
    int32_t dtype;   /* of values in it */
    int32_t keep, group, block_rows, block_columns;
    int32_t parameters[4]; /* panel rows, k block ... : meaning by id */
} tms_part;

#define TMS_PART_MAX 4

/* Which parts an image has. Plain data: may be stored and compared byte for byte. */
typedef struct tms_layout {
    size_t struct_size;
    int64_t n, k;
    int32_t part_count;
    int32_t reserved; /* 0 */
    tms_part parts[TMS_PART_MAX];
} tms_layout;

/* Chooses the parts that serve the problem for t_min .. t_max tokens on this context's CPU or GPU;
 * keep_dense adds the dense part, so that no plan is slower than dense (at the price of its bytes).
 * Without it a sparse weight gets a dense part only where its format has no fast kernel but dense
 * has one.
 * Returns TMS_OK, TMS_ERR_INVALID or TMS_ERR_UNSUPPORTED. Since 0.1. */
TMS_API tms_status tms_spmm_layout_choose(tms_context *context, const tms_spmm_problem *problem,
                                          int64_t t_min, int64_t t_max, int32_t keep_dense,
                                          tms_layout *out_layout);

typedef enum tms_join {
    TMS_JOIN_STACK,      /* matrices one below the other (q, k, v) */
    TMS_JOIN_INTERLEAVE, /* two matrices, row by row in turn (gate, up) */
} tms_join;

/* How weights come into an n:m part. */
typedef enum tms_intake {
    TMS_INTAKE_CHECK,  /* no group has more than n non-zeros, or the first one too many is named */
    TMS_INTAKE_SELECT, /* the n largest magnitudes of each group are kept, exactly as
                        * tms_mask_select keeps them; of equal ones the lower index; the rest is
                        * dropped */
} tms_intake;

/* What selecting does about weights that are NaN or infinite. */
typedef enum tms_nan_rule {
    TMS_NAN_ERROR, /* TMS_ERR_VALUE, naming the first; on a GPU the build waits to know */
    TMS_NAN_KEEP, /* their magnitudes are larger than any number's, NaN's than Inf's: by the bits */
} tms_nan_rule;

typedef struct tms_image_desc {
    size_t struct_size;
    const tms_matrix *matrices; /* any formats that hold in the layout; equal k. On a GPU all dense
                                 * or all nm 2:4, of the part's type, at most 64 */
    int32_t count;
    tms_join join;
    tms_layout layout;
    tms_intake intake;
    tms_nan_rule nan;  /* of TMS_INTAKE_SELECT */
    tms_device device; /* where the matrices' components, the image's data and work lie. On a GPU,
                        * the context's, parts are nm24-mma or plain dense */
    tms_stream stream; /* of that GPU, as tms_spmm_plan_run's: the build is enqueued there */
    void *work;        /* tms_image_work_bytes bytes of that GPU, 64-byte aligned, or NULL for 0 */
} tms_image_desc;

static inline tms_image_desc tms_image_desc_default(void) {
    tms_image_desc desc = TMS_INIT_ZERO;
    desc.struct_size = sizeof(desc);
    return desc;
}

/* A kernel-ready weight. data is the caller's memory, 64-byte aligned; the source matrices may be
 * freed after the build. Read-only afterwards: any number of plans and threads share it. For a GPU
 * it is built there (desc->device), or in host memory like any other: the bytes are the same, so
 * copy them to the GPU and set data to the copy. */
typedef struct tms_image {
    size_t struct_size;
    tms_layout layout;
    void *data;
    size_t bytes;
    size_t part_offset[TMS_PART_MAX]; /* where each part begins in data */
    size_t part_bytes[TMS_PART_MAX];
} tms_image;

/* Bytes that tms_image_build needs for exactly these matrices. Returns TMS_OK, TMS_ERR_INVALID,
 * TMS_ERR_PATTERN, TMS_ERR_FORMAT (a matrix that tms_matrix_validate refuses), TMS_ERR_VALUE or
 * TMS_ERR_MEMORY. Since 0.1. */
TMS_API tms_status tms_image_bytes(tms_context *context, const tms_image_desc *desc,
                                   size_t *out_bytes);

/* Bytes of work that a build on a GPU needs (any content): 0 where it only enqueues. One work
 * serves one build at a time. Returns as tms_image_bytes. Since 0.1. */
TMS_API tms_status tms_image_work_bytes(tms_context *context, const tms_image_desc *desc,
                                        size_t *out_bytes);

/* Builds the image into data (64-byte aligned, at least as many bytes as tms_image_bytes said). A
 * narrower float type is widened exactly; a matrix that breaks the layout's pattern is
 * TMS_ERR_PATTERN with row and column. Otherwise returns as tms_image_bytes. After a failure
 * out_image is untouched, but what data holds is not said.
 *
 * On a GPU components are read there, so that only shapes are checked before. Checking, and
 * selecting with TMS_NAN_ERROR, wait for the stream and then answer as on the host. Selecting with
 * TMS_NAN_KEEP only enqueues, may be captured in a CUDA graph, and does not look at nm's index:
 * where that is malformed, so are the weights, but the image is safe. Also returns TMS_ERR_DEVICE,
 * and TMS_ERR_UNSUPPORTED (matrices or parts that a GPU does not build). Since 0.1. */
TMS_API tms_status tms_image_build(tms_context *context, const tms_image_desc *desc, void *data,
                                   size_t data_bytes, tms_image *out_image);

/* The way back: writes the image's weights into desc->matrices, whose shapes, join, layout, device
 * and stream are those of a build; intake, nan and work are not read. They are dense or nm 2:4 and
 * of the part's type, dense from tms_matrix_dense, nm from tms_matrix_size of any weight of that
 * shape. What was built from them before comes back bit for bit, -0.0 as +0.0, and nm as
 * tms_matrix_encode fills it.
 *
 * On a GPU it only enqueues; positions that are none are not looked for there. Returns TMS_OK,
 * TMS_ERR_INVALID, TMS_ERR_FORMAT (the image has positions that are none), TMS_ERR_DEVICE or
 * TMS_ERR_UNSUPPORTED: matrices of other formats, or an image without a part of nm24-mma.
 * Since 0.1. */
TMS_API tms_status tms_image_decode(tms_context *context, const tms_image *image,
                                    const tms_image_desc *desc);

typedef struct tms_spmm_plan tms_spmm_plan;

/* Chooses part and kernel for every range of T by a cost model, never by a clock. The plan holds no
 * weight: images of an equal layout share it. Returns TMS_OK, TMS_ERR_INVALID,
 * TMS_ERR_UNSUPPORTED or TMS_ERR_MEMORY. Since 0.1. */
TMS_API tms_status tms_spmm_plan_create(tms_context *context, const tms_spmm_problem *problem,
                                        const tms_layout *layout, tms_spmm_plan **out_plan);
TMS_API void tms_spmm_plan_destroy(tms_spmm_plan *plan);

/* Bytes of work memory a run needs (need not be zeroed), for the plan's t_max. */
TMS_API size_t tms_spmm_plan_work_bytes(const tms_spmm_plan *plan);

/* What was chosen, a line a range of T: range, kernel, part, modelled microseconds. Writes at most
 * text_bytes bytes with the closing 0; returns the length it would have. */
TMS_API size_t tms_spmm_plan_describe(const tms_spmm_plan *plan, char *text, size_t text_bytes);

/* The kernel that serves t tokens: its name ("spmm_nm24_f32_1x64_avx2"), static. NULL where none
 * runs: t < 1 or t > t_max. */
TMS_API const char *tms_spmm_plan_kernel(const tms_spmm_plan *plan, int64_t t);

typedef struct tms_spmm_args {
    size_t struct_size;
    int64_t t; /* rows of x: tokens, 0 .. t_max */
    const tms_image *image;
    const void *x; /* [t, k], rows ldx elements apart (0: k) */
    int64_t ldx;
    void *y; /* [t, n] or [n, t]; rows ldy apart (0: packed); overlaps nothing but residual */
    int64_t ldy;
    const float *scale_n; /* [n] */
    const float *scale_t; /* [t] */
    const float *bias;    /* [n]; with gate, gate and up interleaved as the weight's rows */
    const void *residual; /* as y in type, order and shape, except that i8 and e4m3 take f32; may
                           * be y itself where the types agree */
    int64_t ldr;
    float scale_y;   /* i8, e4m3: y = round(value / scale_y); 0: 1 */
    float *absmax_t; /* [t], out */
    void *work;      /* tms_spmm_plan_work_bytes, 64-byte aligned; one a concurrent run */
} tms_spmm_args;

static inline tms_spmm_args tms_spmm_args_default(void) {
    tms_spmm_args args = TMS_INIT_ZERO;
    args.struct_size = sizeof(args);
    return args;
}

/* Runs y = x w^T and the plan's epilogue. Allocates nothing, takes no lock; on a CPU it returns
 * when y is written. On a GPU all pointers but args->image are of the context's GPU, whichever one
 * is current (nobody asks: that would cost more than the call), and it only enqueues on the stream
 * (of that GPU: another's is TMS_ERR_DEVICE, if the driver is of CUDA 12.8 on and the stream is not
 * being captured), waits for nothing and may be captured in a CUDA graph; x and y of any alignment
 * are served, fastest where n is a multiple of 8 and addresses and rows are multiples of 16 bytes.
 * Same plan, image and input give the same bits, for any number of threads. Returns TMS_OK,
 * TMS_ERR_INVALID or TMS_ERR_DEVICE. Since 0.1. */
TMS_API tms_status tms_spmm_plan_run(const tms_spmm_plan *plan, const tms_spmm_args *args,
                                     tms_stream stream);

/* ==== Experimental ============================================================================
 * What the command is made of: checkpoints, jobs on them, models, evaluation, measuring. Names and
 * structs below may change until 1.0; docs/abi.txt lists them apart. Any function that returns a
 * status may return TMS_ERR_INVALID (an argument) or TMS_ERR_MEMORY; comments name the others. */

/* Called between steps of a long call, on the calling thread, with `what` being done ("layer
 * encoder.layer.3...") and done of total steps. A return other than 0 stops the call cleanly, which
 * then returns TMS_ERR_CANCELLED and leaves no partial output. */
typedef int32_t (*tms_progress)(void *user, const char *what, int64_t done, int64_t total);

/* ---- Checkpoints: a safetensors file, or a model folder ----------------------------------------
 */

typedef struct tms_checkpoint tms_checkpoint;

#define TMS_RANK_MAX 8

typedef struct tms_tensor {
    const char *name; /* lives as long as the checkpoint */
    tms_dtype dtype;
    int32_t rank; /* 0 .. TMS_RANK_MAX */
    int64_t shape[TMS_RANK_MAX];
    const void *data;  /* read-only, mapped, at any alignment; NULL where format is not dense */
    size_t bytes;      /* of the dense tensor */
    tms_format format; /* how the file stores it; other than dense: as components (docs/files.md) */
} tms_tensor;

/* Opens a safetensors file (dense or packed), or a folder with config.json and model.safetensors or
 * model.safetensors.index.json. Every length and offset is checked before use. Returns TMS_OK,
 * TMS_ERR_IO, TMS_ERR_FORMAT or TMS_ERR_MEMORY. */
TMS_API tms_status tms_checkpoint_open(tms_context *context, const char *path,
                                       tms_checkpoint **out_checkpoint);
TMS_API void tms_checkpoint_close(tms_checkpoint *checkpoint);

TMS_API int64_t tms_checkpoint_tensor_count(const tms_checkpoint *checkpoint);
/* Tensors in the order of their bytes. i outside 0 .. count-1 is TMS_ERR_INVALID. */
TMS_API tms_status tms_checkpoint_tensor(const tms_checkpoint *checkpoint, int64_t i,
                                         tms_tensor *out_tensor);
/* Value of a key of the file's __metadata__, or NULL. */
TMS_API const char *tms_checkpoint_metadata(const tms_checkpoint *checkpoint, const char *key);
/* Architecture by config.json, else by tensor names: "bert"; NULL where it is not known. */
TMS_API const char *tms_checkpoint_architecture(const tms_checkpoint *checkpoint);
/* 1 where some tensor is stored as components of a sparse format. */
TMS_API int32_t tms_checkpoint_is_packed(const tms_checkpoint *checkpoint);

/* ---- Files: read whole, written whole or not at all
 * --------------------------------------------- */

/* A text file, a text a line; texts have no closing 0, empty lines count, and a carriage return
 * before the line feed is dropped. Arrays live as long as lines. Returns TMS_OK, TMS_ERR_IO or
 * TMS_ERR_MEMORY. */
typedef struct tms_lines tms_lines;
TMS_API tms_status tms_lines_open(tms_context *context, const char *path, tms_lines **out_lines);
TMS_API void tms_lines_close(tms_lines *lines);
TMS_API int64_t tms_lines_get(const tms_lines *lines, const char *const **out_texts,
                              const size_t **out_lengths);

/* Both write to a temporary file and rename it; a path where something is, is refused without
 * force. tms_tensors_write makes a safetensors file of dense tensors; names are UTF-8, differ, and
 * are none that tms_checkpoint_open refuses. Both may return TMS_ERR_IO. */
TMS_API tms_status tms_file_write(tms_context *context, const char *path, int32_t force,
                                  const void *data, size_t bytes);
TMS_API tms_status tms_tensors_write(tms_context *context, const char *path, int32_t force,
                                     const tms_tensor *tensors, int64_t count);

/* ---- Jobs: inspect, prune, check, pack, unpack
 * --------------------------------------------------- */

/* What a job found or did for one layer (a 2-D weight). Fields a job does not set are zero. */
typedef struct tms_layer_row {
    const char *name; /* tensor name; lives as long as the table */
    int64_t n, k;
    tms_dtype dtype;
    tms_format format;     /* how the file stores it (pack: how the output does) */
    tms_pattern pattern;   /* prune, check: the pattern; inspect, unpack: as recorded in the file */
    int32_t is_skipped;    /* prune: left dense, since the pattern does not fit */
    tms_zero_report zeros; /* of the values (prune: after) */
    int64_t zeros_before;  /* prune */
    double error;          /* prune: ||X dW'|| / ||X W'|| by calibration, else ||dW|| / ||W|| */
    double seconds;        /* prune */
    tms_check_report check;                 /* check, prune */
    int64_t dense_bytes;                    /* inspect, pack, unpack */
    int64_t format_bytes[TMS_FORMAT_COUNT]; /* inspect, pack: -1 where the format cannot hold it;
                                             * unpack: that of the file, 0 for the others */
    int64_t negative_zeros;                 /* pack: -0.0 written as +0.0 */
} tms_layer_row;

typedef struct tms_layer_table tms_layer_table;
TMS_API int64_t tms_layer_table_count(const tms_layer_table *table);
TMS_API const tms_layer_row *tms_layer_table_row(const tms_layer_table *table,
                                                 int64_t i); /* or NULL */
TMS_API void tms_layer_table_destroy(tms_layer_table *table);

typedef enum tms_prune_method {
    TMS_METHOD_MAGNITUDE, /* |w| */
    TMS_METHOD_WANDA,     /* |w| * norm of its input feature over calibration texts */
    TMS_METHOD_COUNT
} tms_prune_method;

TMS_API const char *tms_method_name(tms_prune_method method); /* "magnitude"; "?" outside */
TMS_API tms_status tms_method_parse(const char *text, tms_prune_method *out_method);

/* One desc serves every job; each job's comment says which fields it reads. Paths and texts are
 * UTF-8 and only read during the call. progress counts bytes of tensors, but during calibration
 * steps of blocks. docs/files.md says how output is written: whole or not at all.
 *
 * Jobs may return TMS_ERR_IO, TMS_ERR_FORMAT (a malformed file), TMS_ERR_PATTERN (a layer that the
 * pattern cannot fit, or that does not hold in the format asked for), TMS_ERR_VALUE (NaN or Inf,
 * where), TMS_ERR_UNSUPPORTED (a model that cannot be run for calibration) or TMS_ERR_CANCELLED. */
typedef struct tms_job_desc {
    size_t struct_size;
    const char *in;            /* file or folder */
    const char *out;           /* file; folder where in is one */
    int32_t force;             /* 1: replace an output that exists */
    const char *const *layers; /* globs of tensor names (* ? [..]); none: the architecture's linear
                                * layers, or every 2-D float tensor of an unknown file */
    int32_t layer_count;
    const tms_pattern *pattern;
    tms_prune_method method;
    tms_norm block_norm;
    const char
        *calibration;   /* text file, a text a line: wanda needs it, others measure error on it */
    int32_t skip_unfit; /* 1: layers the pattern cannot fit stay dense; 0: they are an error */
    int32_t has_format; /* pack: 1: `format`; 0: the smallest for each layer */
    tms_format format;
    tms_progress progress; /* or NULL */
    void *progress_user;
} tms_job_desc;

static inline tms_job_desc tms_job_desc_default(void) {
    tms_job_desc desc = TMS_INIT_ZERO;
    desc.struct_size = sizeof(desc);
    return desc;
}

/* Layers of a checkpoint with their zeros, patterns that hold and bytes in each format. Reads: in,
 * layers, progress. */
TMS_API tms_status tms_inspect_run(tms_context *context, const tms_job_desc *desc,
                                   tms_layer_table **out_table);

/* Writes a pruned standard checkpoint; other tensors and metadata stay untouched, and metadata key
 * "tamis.prune" records what was done. Reads all but has_format and format. */
TMS_API tms_status tms_prune_run(tms_context *context, const tms_job_desc *desc,
                                 tms_layer_table **out_table);

/* Checks layers against the pattern, or each against the one recorded for it in the file where
 * pattern is NULL. Without globs the layers are the recorded ones, or, where nothing is recorded,
 * those that prune would take. *out_holds is 1 if every layer holds its pattern. Reads: in, layers,
 * pattern, progress. */
TMS_API tms_status tms_check_run(tms_context *context, const tms_job_desc *desc, int32_t *out_holds,
                                 tms_layer_table **out_table);

/* Stores layers in sparse formats, losslessly but for -0.0. Reads: in, out, force, layers,
 * has_format, format, progress. */
TMS_API tms_status tms_pack_run(tms_context *context, const tms_job_desc *desc,
                                tms_layer_table **out_table);

/* Gives back the dense checkpoint of a packed one, bit for bit. The table has a row a packed
 * tensor. Reads: in, out, force, progress. */
TMS_API tms_status tms_unpack_run(tms_context *context, const tms_job_desc *desc,
                                  tms_layer_table **out_table);

/* ---- Models: text encoders of the BERT family
 * ---------------------------------------------------- */

typedef struct tms_model tms_model;

typedef struct tms_model_desc {
    size_t struct_size;
    int32_t dense_kernels; /* 1: every linear layer on the dense kernel, zeros and all */
    int32_t keep_dense;    /* 1: dense parts beside the sparse ones, so that no layer is slower */
    int32_t max_tokens;    /* longest text in tokens, with [CLS] and [SEP]; 0: 256 */
} tms_model_desc;

static inline tms_model_desc tms_model_desc_default(void) {
    tms_model_desc desc = TMS_INIT_ZERO;
    desc.struct_size = sizeof(desc);
    return desc;
}

typedef struct tms_model_info {
    size_t struct_size;
    const char *architecture; /* "bert" */
    int64_t layers, hidden, heads, intermediate, vocabulary;
    int64_t max_tokens;
    size_t image_bytes; /* kernel-ready linear layers */
    size_t dense_bytes; /* the same layers dense in fp32 */
    int64_t linear_weights, linear_zeros;
} tms_model_info;

static inline tms_model_info tms_model_info_default(void) {
    tms_model_info info = TMS_INIT_ZERO;
    info.struct_size = sizeof(info);
    return info;
}

/* Opens a folder in the Hugging Face layout (config.json, vocab.txt, weights dense or packed) and
 * builds images and plans of its linear layers, each in the format that its zeros and the
 * checkpoint suggest. Returns TMS_OK, TMS_ERR_IO, TMS_ERR_FORMAT, TMS_ERR_VALUE (NaN or Inf,
 * where), TMS_ERR_UNSUPPORTED or TMS_ERR_MEMORY. */
TMS_API tms_status tms_model_open(tms_context *context, const char *path,
                                  const tms_model_desc *desc, tms_model **out_model);
TMS_API void tms_model_close(tms_model *model);
TMS_API tms_status tms_model_describe(const tms_model *model, tms_model_info *out_info);

/* Which kernel serves which linear layer, a line each; like tms_spmm_plan_describe. */
TMS_API size_t tms_model_kernels(const tms_model *model, char *text, size_t text_bytes);

/* Token ids of a text with [CLS] and [SEP], cut at the model's max_tokens: writes at most capacity
 * ids, *out_count is how many there are. */
TMS_API tms_status tms_model_tokenize(const tms_model *model, const char *text, size_t text_bytes,
                                      int32_t *out_ids, int64_t capacity, int64_t *out_count);

/* Embeds texts (UTF-8, lengths in bytes): out is [count, hidden] fp32, rows of unit length, in the
 * texts' order. One call at a time per model. May return TMS_ERR_CANCELLED. */
TMS_API tms_status tms_model_embed(tms_model *model, const char *const *texts,
                                   const size_t *lengths, int64_t count, tms_progress progress,
                                   void *progress_user, float *out);

/* ---- Evaluation: the reverse dictionary
 * ------------------------------------------------------------ */

/* 2,000 WordNet definitions look for their word among 10,000 (docs/evaluation.md). */
typedef struct tms_eval tms_eval;

/* Reads data.noun, data.verb, data.adj and data.adv in the folder. May return TMS_ERR_IO or
 * TMS_ERR_FORMAT (too few entries, or none of WordNet's form). */
TMS_API tms_status tms_eval_create(tms_context *context, const char *wordnet_dir,
                                   tms_eval **out_eval);
TMS_API void tms_eval_destroy(tms_eval *eval);

/* Writes queries.txt, candidates.txt, answers.txt (per query the indices of its right candidates)
 * and calibration.txt into a new folder: all of them or, where that fails, none. */
TMS_API tms_status tms_eval_dump(const tms_eval *eval, const char *dir);

/* The queries' definitions, and the 512 calibration texts; arrays live as long as eval. */
TMS_API int64_t tms_eval_queries(const tms_eval *eval, const char *const **out_texts,
                                 const size_t **out_lengths);
TMS_API int64_t tms_eval_calibration(const tms_eval *eval, const char *const **out_texts,
                                     const size_t **out_lengths);

/* Ranks and embeddings of one model. */
typedef struct tms_eval_result tms_eval_result;
TMS_API tms_status tms_eval_run(const tms_eval *eval, tms_model *model, tms_progress progress,
                                void *progress_user, tms_eval_result **out_result);
TMS_API void tms_eval_result_destroy(tms_eval_result *result);

typedef struct tms_share {
    double value, low, high;
} tms_share; /* with its 95 % interval */

typedef struct tms_eval_report {
    size_t struct_size;
    int64_t queries, candidates;
    tms_share recall1, recall10; /* Wilson interval */
    tms_share mrr;               /* interval by normal approximation */
    double texts_per_second;     /* of this evaluation, not interleaved: a hint only */
    int32_t has_dense;           /* 1: the fields below compare with the dense result */
    tms_share recall1_change, recall10_change; /* paired differences */
    double cosine; /* mean cosine of the definitions' embeddings to the dense model's */
} tms_eval_report;

static inline tms_eval_report tms_eval_report_default(void) {
    tms_eval_report report = TMS_INIT_ZERO;
    report.struct_size = sizeof(report);
    return report;
}

/* dense may be NULL. */
TMS_API tms_status tms_eval_compare(const tms_eval_result *result, const tms_eval_result *dense,
                                    tms_eval_report *out_report);

/* ---- Measuring
 * -------------------------------------------------------------------------------------- */

/* One measured row; docs/measuring.md explains the columns. Texts are static or live during the
 * callback; NULL and NAN mean "does not apply". */
typedef struct tms_bench_row {
    size_t struct_size;
    const char *op;  /* "spmm" "model" ... */
    const char *who; /* "tamis", "openblas" */
    const char *kernel, *format, *pattern;
    double sparsity;
    const char *dtype, *isa;
    int32_t threads;
    int64_t t, k, n; /* -1: does not apply */
    const char *epilogue, *state;
    double us, us_min, us_max; /* median and its 95 % interval */
    int32_t rounds;
    double quiet; /* share of samples taken while the machine was quiet */
    double cycles;
    int64_t bytes, resident_bytes;
    double ratio_dense; /* fastest dense of the same run over us */
    double tokens_per_second, texts_per_second;
    const char *device, *versions, *commit, *date;
    const char *label; /* layer or model */
} tms_bench_row;

/* The row as one line of JSON, without a line end: writes at most text_bytes bytes with the closing
 * 0; returns the length it would have. */
TMS_API size_t tms_bench_row_print(const tms_bench_row *row, char *text, size_t text_bytes);

typedef int32_t (*tms_bench_sink)(void *user, const tms_bench_row *row); /* other than 0: stop */

typedef struct tms_shape {
    int64_t t, k, n;
} tms_shape;

typedef struct tms_bench_desc {
    size_t struct_size;
    const tms_shape *shapes; /* products on random weights in each pattern */
    int32_t shape_count;
    const tms_pattern *patterns; /* none: 2:4, unstructured 80%, block 32x32 80% */
    int32_t pattern_count;
    const char *checkpoint; /* its layers, at `tokens` tokens; or NULL */
    const char *const *layers;
    int32_t layer_count;
    const int64_t *tokens; /* none: 1, 64, 256 */
    int32_t token_count;
    /* Whole models, side by side on the same texts; ratios are to the first, the dense one. */
    const char *const *models;
    const tms_model_desc *model_descs; /* one a model; NULL: the default for all */
    int32_t model_count;
    const char *const *texts; /* for models; UTF-8, lengths in bytes */
    const size_t *lengths;
    int64_t text_count;
    int32_t rounds;  /* 0: 9 */
    int32_t is_cold; /* 1: rotate over copies of the weights that leave the caches */
    tms_progress progress;
    void *progress_user;
    tms_device device; /* TMS_DEVICE_CUDA: the context's GPU. There: shapes alone, 2:4, in `dtype`,
                        * ours beside cuBLASLt, the GPU's time in the sustained state */
    tms_dtype dtype;   /* of x and w on a GPU: bf16, f16, e4m3 or i8; 0, f32, is bf16 */
} tms_bench_desc;

static inline tms_bench_desc tms_bench_desc_default(void) {
    tms_bench_desc desc = TMS_INIT_ZERO;
    desc.struct_size = sizeof(desc);
    return desc;
}

/* Measures, interleaved, dense beside sparse beside the rivals found on this machine (OpenBLAS,
 * held to the context's ISA), and hands rows to the sink as they are known. A sink or progress that
 * says stop is TMS_ERR_CANCELLED; else errors are those of opening checkpoints and models, and of
 * what patterns fit. */
TMS_API tms_status tms_bench_run(tms_context *context, const tms_bench_desc *desc,
                                 tms_bench_sink sink, void *sink_user);

/* A kernel that could compute a product, and its modelled time. Texts live during the callback. */
typedef struct tms_explain_row {
    size_t struct_size;
    const char *kernel, *part; /* and the part that it reads */
    int64_t t;
    double us; /* modelled: launch + max(steps, memory) + pass, or as measured */
    double launch_us, steps_us, memory_us, pass_us;
    int32_t is_chosen;   /* 1: a plan with all parts of the layout takes it for t ... */
    int64_t first, last; /* ... and for these t */
    int32_t has_part; /* 1: the layout has its part; one without lost before, or was not wanted */
    int32_t is_reference;         /* 1: taken only where nothing else fits */
    int32_t is_measured;          /* 1: the tuning table has a measured time of it near by */
    const char *machine, *prices; /* what it would run on, and whose prices these are */
} tms_explain_row;

typedef int32_t (*tms_explain_sink)(void *user, const tms_explain_row *row); /* not 0: stop */

typedef struct tms_explain_desc {
    size_t struct_size;
    const tms_spmm_problem *problem; /* its device need not be there where machine is given */
    int64_t t;                       /* 1 .. problem->t_max */
    int32_t keep_dense;
    const char *machine; /* a GPU that is only described, "h100" or "h200"; NULL: the context's */
} tms_explain_desc;

static inline tms_explain_desc tms_explain_desc_default(void) {
    tms_explain_desc desc = TMS_INIT_ZERO;
    desc.struct_size = sizeof(desc);
    return desc;
}

/* Why a plan takes which kernel: hands every candidate to the sink, in the order of the tables.
 * Returns TMS_OK, TMS_ERR_INVALID, TMS_ERR_UNSUPPORTED or TMS_ERR_CANCELLED. */
TMS_API tms_status tms_spmm_explain(tms_context *context, const tms_explain_desc *desc,
                                    tms_explain_sink sink, void *sink_user);

typedef struct tms_tune_desc {
    size_t struct_size;
    tms_device device;       /* whose kernels */
    const tms_shape *shapes; /* products whose times the table shall hold besides; or none */
    int32_t shape_count;
    const char *out; /* the table's file; replaced whole or not at all; NULL: none is written */
    tms_progress progress;
    void *progress_user;
} tms_tune_desc;

static inline tms_tune_desc tms_tune_desc_default(void) {
    tms_tune_desc desc = TMS_INIT_ZERO;
    desc.struct_size = sizeof(desc);
    return desc;
}

/* Measures the kernels of a device over a grid of products, fits what their terms cost, and writes
 * that as a tuning table (docs/tuning.md), which desc->tuning of a context reads. The sink, which
 * may be NULL, gets each measured time. Returns TMS_OK, TMS_ERR_INVALID, TMS_ERR_DEVICE,
 * TMS_ERR_MEMORY, TMS_ERR_IO or TMS_ERR_CANCELLED. */
TMS_API tms_status tms_tune_run(tms_context *context, const tms_tune_desc *desc,
                                tms_bench_sink sink, void *sink_user);

#ifdef __cplusplus
}
#endif

#endif /* TAMIS_H */
