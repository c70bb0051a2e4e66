/* Tables for people: cells are added row by row, columns find their width by themselves. */
#ifndef TAMIS_CLI_TABLE_H
#define TAMIS_CLI_TABLE_H

#include "cli.h"

enum { CLI_COLUMNS_MAX = 16 };

typedef struct cli_table {
    const char *const *heads;
    const char *aligns; /* a letter a column: 'l' or 'r' */
    int columns;
    char **cells; /* row by row */
    int64_t count;
    bool is_broken; /* memory ran out; said when the table ends */
} cli_table;

/* heads has a text for every letter of aligns; both must outlive the table. */
void cli_table_begin(cli_table *table, const char *aligns, const char *const *heads);

/* Adds the next cell, printf-like. */
#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
void
cli_table_add(cli_table *table, const char *format, ...);

/* Prints the table and frees it. */
cli_exit cli_table_end(cli_table *table);

/* Frees it unprinted. */
void cli_table_drop(cli_table *table);

/* "999 B", "1.77 MB": three digits, decimal units. */
enum { CLI_BYTES_TEXT = 24 };
const char *cli_bytes(int64_t bytes, char out[CLI_BYTES_TEXT]);

/* Part of whole in percent; 0 of 0 is 0. */
double cli_percent(int64_t part, int64_t whole);

#endif
