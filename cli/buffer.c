#include "buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Room for `more` bytes and a closing 0. */
static bool reserve(cli_buffer *buffer, size_t more) {
    size_t needed = buffer->length + more + 1, capacity = buffer->capacity * 2;
    char *text;

    if (buffer->is_broken)
        return false;
    if (needed <= buffer->capacity)
        return true;
    if (capacity < needed)
        capacity = needed + 4096;
    text = realloc(buffer->text, capacity);
    if (text == NULL) {
        buffer->is_broken = true;
        return false;
    }
    buffer->text = text;
    buffer->capacity = capacity;
    return true;
}

void cli_buffer_add(cli_buffer *buffer, const char *format, ...) {
    va_list arguments;
    int length;

    va_start(arguments, format);
    length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (length < 0 || !reserve(buffer, (size_t)length))
        return;
    va_start(arguments, format);
    vsnprintf(buffer->text + buffer->length, (size_t)length + 1, format, arguments);
    va_end(arguments);
    buffer->length += (size_t)length;
}

void cli_buffer_add_bytes(cli_buffer *buffer, const char *bytes, size_t count) {
    if (!reserve(buffer, count))
        return;
    memcpy(buffer->text + buffer->length, bytes, count);
    buffer->length += count;
    buffer->text[buffer->length] = '\0';
}

/* Bytes of the UTF-8 sequence at text, or 0 where there is none: checked as far as a browser must
 * be spared (form and length; not overlong forms, which it replaces itself). */
static size_t sequence_bytes(const unsigned char *text) {
    size_t bytes = text[0] < 0x80   ? 1
                   : text[0] < 0xc2 ? 0
                   : text[0] < 0xe0 ? 2
                   : text[0] < 0xf0 ? 3
                   : text[0] < 0xf5 ? 4
                                    : 0;

    for (size_t i = 1; i < bytes; i++)
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    return bytes;
}

void cli_buffer_add_escaped(cli_buffer *buffer, const char *text) {
    static const char specials[] = "&<>\"'";
    static const char *const entities[] = {"&amp;", "&lt;", "&gt;", "&quot;", "&#39;"};

    while (*text != '\0') {
        size_t bytes = sequence_bytes((const unsigned char *)text);
        const char *special = strchr(specials, *text);

        if (special != NULL)
            cli_buffer_add(buffer, "%s", entities[special - specials]);
        else if (bytes == 0 || (unsigned char)*text < 0x20 || *text == 0x7f)
            cli_buffer_add_bytes(buffer, "?", 1);
        else
            cli_buffer_add_bytes(buffer, text, bytes);
        text += bytes > 0 ? bytes : 1;
    }
}

void cli_buffer_free(cli_buffer *buffer) {
    free(buffer->text);
    memset(buffer, 0, sizeof *buffer);
}
