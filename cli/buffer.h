/* A text that grows: how a page or a list of lines is written before it goes to a file. */
#ifndef TAMIS_CLI_BUFFER_H
#define TAMIS_CLI_BUFFER_H

#include <stdbool.h>
#include <stddef.h>

/* Zero-filled it is empty. */
typedef struct cli_buffer {
    char *text; /* NULL while empty */
    size_t length, capacity;
    bool is_broken; /* memory ran out: the text is cut */
} cli_buffer;

#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
void
cli_buffer_add(cli_buffer *buffer, const char *format, ...);
void cli_buffer_add_bytes(cli_buffer *buffer, const char *bytes, size_t count);

/* Adds a text from outside, safe in HTML's text and in quoted attributes: the five special
 * characters as entities, control characters and bytes that are no UTF-8 as a question mark. */
void cli_buffer_add_escaped(cli_buffer *buffer, const char *text);

void cli_buffer_free(cli_buffer *buffer);

#endif
