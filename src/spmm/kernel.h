/* What a kernel is to the rest of the house: one row of a .def table in cpu/, one function.
 *
 * A family's table is cpu/<family>.def, named in kernels.def, with rows
 *     TMS_KERNEL(name, needs, layout, format, fits, part, accepts, cost, work)
 * or, for kernels of a GPU, cuda/<family>.def, named in cuda/kernels.def, with rows
 * TMS_DEVICE_KERNEL of the same columns; TMS_PLANNED_KERNEL where tmsi_<name>_open and _close, of
 * each plan, come beside them.
 * Each of the five last is a function tmsi_spmm_<column> (cost differs between the two tables); the
 * row declares them and the kernel itself, tmsi_<name>. Rows may share them. Only the kernel lies
 * in a file with an ISA suffix: the others run on every machine, so they stand in a file without.
 */
#ifndef TAMIS_SPMM_KERNEL_H
#define TAMIS_SPMM_KERNEL_H

#include <stdbool.h>

#include "base/context.h"
#include "format/layout.h"
#include "spmm/tuning.h"

/* One call, all checked: t >= 1, leading dimensions and scale_y are set, pointers that the epilogue
 * needs are there (and only those: the others are NULL), the image's layout is the plan's.
 *
 * The kernel writes y[t, column] for every token and column and nothing else, absmax_t where the
 * problem asks for it; it reads nothing outside x, the part and the epilogue's arrays. The bits of
 * y must not depend on the number of threads, and a token's row only on that token. */
typedef struct tmsi_spmm_run {
    const tms_context *context; /* for tmsi_parallel_for and threads */
    const tms_spmm_problem *problem;
    const tms_part *part;
    const void *weight; /* the part's bytes, 64-byte aligned */
    const tms_spmm_args *args;
    void *work;        /* as many bytes as the row's `work` said, 64-byte aligned; not zeroed */
    tms_stream stream; /* of a device kernel */
    const void *state; /* that the row's `open` made, or NULL */
    /* CTAs that share the k's of a tile, for kernels that have such: as many, or as the blocks of k
     * allow. 0: their own choice, as always but in tests, which walk them all. */
    int32_t split;
} tmsi_spmm_run;

typedef struct tmsi_spmm_kernel {
    const char *name; /* "spmm_nm24_f32_1x64_avx2" */
    uint32_t needs;   /* TMS_ISA_ bits; 0: a reference, taken only when nothing else fits */
    tmsi_layout_id layout;
    /* Of the weights in its part. A dense kernel serves problems of every format. */
    tms_format format;
    /* Whether it computes this problem (types, pattern, epilogue, order), at any t. */
    bool (*fits)(const tms_spmm_problem *problem);
    /* Sets the parameters (and, where it regroups them, the block) of the part it wants; the other
     * fields are filled already, from the row and the problem. */
    void (*part)(const tms_spmm_problem *problem, const tmsi_hardware *hardware, tms_part *out);
    /* Whether a part of its layout, format and type, but with other parameters, will do. */
    bool (*accepts)(const tms_spmm_problem *problem, const tms_part *part);
    /* One of the two: modelled microseconds for t tokens on one thread; or how many of each term
     * (spmm/tuning.h) they take on the GPU, into zeros. */
    double (*cost)(const tms_spmm_problem *problem, int64_t t, const tmsi_hardware *hardware);
    void (*terms)(const tms_spmm_problem *problem, int64_t t, const tmsi_hardware *hardware,
                  double out[TMSI_TERM_COUNT]);
    /* Bytes of work for calls of up to t_max tokens. */
    size_t (*work)(const tms_spmm_problem *problem, const tms_part *part, int64_t t_max,
                   int32_t threads);
    /* One of the two: computes y, or enqueues that on the context's GPU. */
    void (*run)(const tmsi_spmm_run *run);
    tms_status (*launch)(const tmsi_spmm_run *run);
    /* NULL, or what readies something with a plan that calls the kernel for first .. last tokens,
     * and takes it back (or NULL). open may raise the bytes of work that such calls need. */
    tms_status (*open)(tms_context *context, const tms_spmm_problem *problem, int64_t first,
                       int64_t last, void **out_state, size_t *work_bytes);
    void (*close)(tms_context *context, void *state);
} tmsi_spmm_kernel;

/* Every kernel of the CPU, references first; choosing, tests and bench walk it. */
extern const tmsi_spmm_kernel tmsi_spmm_kernels[];
extern const int32_t tmsi_spmm_kernel_count;

typedef struct tmsi_spmm_table {
    const tmsi_spmm_kernel *kernels;
    int32_t count;
} tmsi_spmm_table;

/* The kernels of a CPU, or of a GPU: none where the library was built without CUDA. */
tmsi_spmm_table tmsi_spmm_table_of(const tmsi_hardware *hardware);

/* Row i of a machine's table: the terms of a product, and its modelled microseconds by a tuning
 * table; infinite where that has no price for the kernel. */
void tmsi_spmm_terms(const tmsi_spmm_kernel *kernel, const tms_spmm_problem *problem, int64_t t,
                     const tmsi_hardware *hardware, double out[TMSI_TERM_COUNT]);
double tmsi_spmm_cost(int32_t i, const tms_spmm_problem *problem, int64_t t,
                      const tmsi_hardware *hardware, const tmsi_tuning *tuning);

static inline bool tmsi_spmm_is_reference(const tmsi_spmm_kernel *kernel) {
    return kernel->needs == 0;
}

/* Columns that rows share: any problem; no parameters; no work. */
bool tmsi_spmm_fits_any(const tms_spmm_problem *problem);
bool tmsi_spmm_accepts_any(const tms_spmm_problem *problem, const tms_part *part);
void tmsi_spmm_part_bare(const tms_spmm_problem *problem, const tmsi_hardware *hardware,
                         tms_part *out);
size_t tmsi_spmm_work_none(const tms_spmm_problem *problem, const tms_part *part, int64_t t_max,
                           int32_t threads);

#endif
