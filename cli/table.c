#define _GNU_SOURCE
#include "table.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void cli_table_begin(cli_table *table, const char *aligns, const char *const *heads) {
    memset(table, 0, sizeof *table);
    table->heads = heads;
    table->aligns = aligns;
    table->columns = (int)strlen(aligns);
}

void cli_table_add(cli_table *table, const char *format, ...) {
    char **cells, *cell = NULL;
    va_list arguments;
    int length;

    va_start(arguments, format);
    length = vasprintf(&cell, format, arguments);
    va_end(arguments);
    cells = realloc(table->cells, ((size_t)table->count + 1) * sizeof *cells);
    if (cells != NULL)
        table->cells = cells;
    if (length < 0 || cells == NULL) {
        table->is_broken = true;
        if (length >= 0)
            free(cell);
        return;
    }
    table->cells[table->count++] = cell;
}

/* Columns a terminal gives the text: one a character of UTF-8, four a control character. */
static int cell_width(const char *text) {
    int width = 0;

    for (const unsigned char *c = (const unsigned char *)text; *c != '\0'; c++)
        width += *c < 0x20 || *c == 0x7f ? 4 : (*c & 0xc0) != 0x80;
    return width;
}

static void put_cell(const char *text, int width, bool is_right, bool is_last) {
    int pad = width - cell_width(text);

    if (is_right)
        printf("%*s", pad, "");
    cli_put(text);
    if (!is_right && !is_last)
        printf("%*s", pad, "");
    fputs(is_last ? "\n" : "  ", stdout);
}

cli_exit cli_table_end(cli_table *table) {
    int widths[CLI_COLUMNS_MAX] = {0};
    cli_exit code = CLI_GOOD;

    for (int c = 0; c < table->columns; c++)
        widths[c] = cell_width(table->heads[c]);
    for (int64_t i = 0; i < table->count; i++) {
        int width = cell_width(table->cells[i]), *widest = &widths[i % table->columns];
        *widest = width > *widest ? width : *widest;
    }
    for (int c = 0; c < table->columns; c++)
        put_cell(table->heads[c], widths[c], table->aligns[c] == 'r', c + 1 == table->columns);
    for (int64_t i = 0; i < table->count; i++) {
        int c = (int)(i % table->columns);
        put_cell(table->cells[i], widths[c], table->aligns[c] == 'r', c + 1 == table->columns);
    }
    if (table->is_broken)
        code = cli_fail(CLI_FAILED, "out of memory while the table was built");
    cli_table_drop(table);
    return code;
}

void cli_table_drop(cli_table *table) {
    for (int64_t i = 0; i < table->count; i++)
        free(table->cells[i]);
    free(table->cells);
    memset(table, 0, sizeof *table);
}

const char *cli_bytes(int64_t bytes, char out[CLI_BYTES_TEXT]) {
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
    double value = (double)bytes;
    int unit = 0;

    while (value >= 999.5 && unit < 6) {
        value /= 1000.0;
        unit++;
    }
    snprintf(out, CLI_BYTES_TEXT, "%.*f %s",
             unit == 0 || value >= 99.95 ? 0
             : value < 9.995             ? 2
                                         : 1,
             value, units[unit]);
    return out;
}

double cli_percent(int64_t part, int64_t whole) {
    return whole > 0 ? 100.0 * (double)part / (double)whole : 0.0;
}
