#include "io/lines.h"

#include <string.h>

#include "base/memory.h"

/* The line at *at, which moves behind it. */
static size_t next_line(const char **at, const char *end) {
    const char *start = *at, *feed = memchr(start, '\n', (size_t)(end - start));
    size_t length = (size_t)((feed != NULL ? feed : end) - start);

    *at = feed != NULL ? feed + 1 : end;
    return length > 0 && start[length - 1] == '\r' ? length - 1 : length;
}

static int64_t count_lines(const char *at, const char *end) {
    int64_t count = 0;

    while (at < end) {
        next_line(&at, end);
        count++;
    }
    return count;
}

tms_status tmsi_lines_open(tms_context *context, const char *path, tmsi_lines *out) {
    tmsi_lines lines = {0};
    const char *at, *end;
    tms_status status;

    lines.context = context;
    TMS_TRY(tmsi_file_map(path, &lines.map));
    at = (const char *)lines.map.data;
    end = at + lines.map.bytes;
    lines.count = count_lines(at, end);
    TMS_TRY(tmsi_alloc(context, (size_t)lines.count, sizeof *lines.texts, &lines.texts));
    TMS_TRY(tmsi_alloc(context, (size_t)lines.count, sizeof *lines.lengths, &lines.lengths));
    for (int64_t i = 0; i < lines.count; i++) {
        lines.texts[i] = at;
        lines.lengths[i] = next_line(&at, end);
    }
    *out = lines;
    memset(&lines, 0, sizeof lines); /* now the caller's */
done:
    tmsi_lines_close(&lines);
    return status;
}

void tmsi_lines_close(tmsi_lines *lines) {
    if (lines->context == NULL)
        return;
    tmsi_free(lines->context, lines->texts);
    tmsi_free(lines->context, lines->lengths);
    tmsi_file_unmap(&lines->map);
    memset(lines, 0, sizeof *lines);
}
