/* Rows of measurements on their way to the user: what `tamis bench` and `tamis demo` share. */
#ifndef TAMIS_CLI_BENCH_H
#define TAMIS_CLI_BENCH_H

#include "cli.h"

/* Lets the rival be a fair one: OpenBLAS reads OPENBLAS_CORETYPE when it is loaded, guesses badly
 * on CPUs younger than itself, and must not use instruction sets that the context may not. Its idle
 * threads sleep early, so that they do not spin into the next candidate's turn. To be called before
 * tms_bench_run. */
void cli_bench_prepare(const tms_context *context);

#endif
