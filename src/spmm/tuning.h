/* Tuning tables: what the choice knows of a machine beyond its description.
 *
 * A GPU kernel's time is made of terms: how many of each a product takes is the kernel's `cost` (a
 * row's column, spmm/kernel.h), what one costs is the table's price, in microseconds:
 *
 *     launches + max(steps + tiles, megabytes) + second pass
 *
 * where the multiprocessors and the memory work at the same time, so the slower of them counts. A
 * CPU kernel's time is its own model's, times a price that is 1 unless measured. So a table is
 * plain numbers, and a choice a pure function of problem, hardware and table. */
#ifndef TAMIS_SPMM_TUNING_H
#define TAMIS_SPMM_TUNING_H

#include <stdbool.h>

#include "base/hardware.h"
#include "tamis.h"

/* Term, and the name of its price. */
#define TMSI_TERM_MAP(X)                                                                           \
    X(LAUNCH, "launch_us") /* kernels launched */                                                  \
    X(BLOCK, "block_us")   /* steps of the inner loop, on the busiest multiprocessor */            \
    X(TILE, "tile_us")     /* tiles begun and stored, on the busiest multiprocessor */             \
    X(MEMORY, "mb_us")     /* megabytes (10^6) to and from the GPU's memory meanwhile */           \
    X(PASS, "pass_us")     /* megabytes of a pass over y or over sums that follows the product */  \
    X(MODEL, "scale")      /* microseconds of a CPU kernel's own model */

typedef enum tmsi_term {
#define TMSI_TERM_ENUM(id, name) TMSI_TERM_##id,
    TMSI_TERM_MAP(TMSI_TERM_ENUM)
#undef TMSI_TERM_ENUM
        TMSI_TERM_COUNT
} tmsi_term;

const char *tmsi_term_name(tmsi_term term); /* "launch_us" */

/* Prices of the kernels of that name, in which one * stands for any text. */
typedef struct tmsi_price {
    const char *kernel;
    double of[TMSI_TERM_COUNT];
} tmsi_price;

/* A GPU that the library has measured prices of: a file of cuda/tuning/. */
typedef struct tmsi_chip {
    const char *name; /* occurs in the device's name */
    int32_t processors;
    double mhz, gb_per_s; /* highest clock, memory */
    int64_t l2_bytes;
    const tmsi_price *prices;
    int32_t price_count;
} tmsi_chip;

extern const tmsi_chip tmsi_chips[];
extern const int32_t tmsi_chip_count;

enum { TMSI_TUNING_KERNELS_MAX = 256 };

/* A measured time of a kernel (by its place in the table) for a plain product. */
typedef struct tmsi_tuning_point {
    int32_t kernel;
    int64_t t, k, n;
    double us;
} tmsi_tuning_point;

/* Prices of one machine's kernels, by their place in tmsi_spmm_table_of(hardware), and measured
 * times, in the order of their t. A kernel without a price has none above 0, and is taken only
 * where nothing else fits. */
typedef struct tmsi_tuning {
    char source[96]; /* "H100", "H100, multiprocessors' times x 1.4 ..." */
    double price[TMSI_TUNING_KERNELS_MAX][TMSI_TERM_COUNT];
    int32_t point_count;
    tmsi_tuning_point *points; /* behind the table, in the same memory */
} tmsi_tuning;

/* The table that the library itself has for a machine: the chip's own where its name and number of
 * multiprocessors agree; for other GPUs the first chip's, its times on a multiprocessor scaled by
 * the clocks and those of memory by the bandwidths; for a CPU a price of 1 for every kernel. */
void tmsi_tuning_fill(const tmsi_hardware *hardware, tmsi_tuning *out);

/* The same, changed by what a text (docs/tuning.md; NULL: none) says of that machine.
 * TMS_ERR_FORMAT with the line where it is malformed. The caller frees *out. */
tms_status tmsi_tuning_create(tms_context *context, const tmsi_hardware *hardware, const char *text,
                              size_t text_bytes, tmsi_tuning **out);

/* Microseconds of so many terms at such prices. */
double tmsi_tuning_time(const double terms[TMSI_TERM_COUNT], const double price[TMSI_TERM_COUNT]);

/* Whether a price's name stands for a kernel's. */
bool tmsi_tuning_matches(const char *pattern, const char *kernel);

#endif
