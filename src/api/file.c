#include "api/arguments.h"
#include "base/memory.h"
#include "io/lines.h"

struct tms_lines {
    tmsi_lines lines;
};

tms_status tms_lines_open(tms_context *context, const char *path, tms_lines **out_lines) {
    tms_lines *lines = NULL;
    tms_status status;

    tmsi_enter(__func__);
    TMSI_NEED(context);
    TMSI_NEED(path);
    TMSI_NEED(out_lines);
    TMS_TRY(tmsi_alloc(context, 1, sizeof *lines, &lines));
    TMS_TRY(tmsi_lines_open(context, path, &lines->lines));
    *out_lines = lines;
    lines = NULL;
done:
    tmsi_free(context, lines);
    return status;
}

void tms_lines_close(tms_lines *lines) {
    tms_context *context;

    if (lines == NULL)
        return;
    context = lines->lines.context;
    tmsi_lines_close(&lines->lines);
    tmsi_free(context, lines);
}

int64_t tms_lines_get(const tms_lines *lines, const char *const **out_texts,
                      const size_t **out_lengths) {
    *out_texts = lines != NULL ? lines->lines.texts : NULL;
    *out_lengths = lines != NULL ? lines->lines.lengths : NULL;
    return lines != NULL ? lines->lines.count : 0;
}

tms_status tms_file_write(tms_context *context, const char *path, int32_t force, const void *data,
                          size_t bytes) {
    tmsi_enter(__func__);
    TMSI_NEED(context);
    TMSI_NEED(path);
    if (bytes > 0)
        TMSI_NEED(data);
    return tmsi_file_write(context, path, force != 0, data, bytes);
}
