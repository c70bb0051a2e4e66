#include "format/layout/bsr_panel.h"

#include <string.h>

#include "base/memory.h"
#include "format/layout.h"

static tms_status check_part(const tms_part *part) {
    int32_t rows = tmsi_bsr_panel_rows(part->block_rows);

    if (part->dtype != TMS_F32 || part->parameters[0] != rows)
        return tmsi_fail(TMS_ERR_INVALID,
                         "bsr-panel holds blocks of %d rows as f32 in panels of %d, not %s in %d",
                         part->block_rows, rows, tms_dtype_name((tms_dtype)part->dtype),
                         part->parameters[0]);
    return TMS_OK;
}

/* One block row, dense. */
typedef struct block_row {
    int64_t count;         /* rows of it that there are */
    int64_t block_columns; /* c */
    float *values;         /* [count, k] */
    uint8_t *is_kept;      /* [blocks across] */
} block_row;

/* Reads block row b and returns how many of its blocks have a non-zero. */
static int64_t read_strip(const tmsi_source *source, const tms_part *part, int64_t b,
                          block_row *strip) {
    int64_t first_row = b * part->block_rows, kept = 0;
    int64_t across = tmsi_div_up(source->k, part->block_columns);

    strip->count = tmsi_min(part->block_rows, source->n - first_row);
    memset(strip->is_kept, 0, (size_t)across);
    for (int64_t r = 0; r < strip->count; r++) {
        float *row = strip->values + r * source->k;
        tmsi_source_row(source, first_row + r, row);
        for (int64_t k = 0; k < source->k; k++)
            if (row[k] != 0.0f)
                strip->is_kept[k / part->block_columns] = 1;
    }
    for (int64_t i = 0; i < across; i++)
        kept += strip->is_kept[i];
    return kept;
}

static tms_status alloc_strip(tms_context *context, const tmsi_source *source, const tms_part *part,
                              block_row *strip) {
    size_t rows = (size_t)tmsi_min(part->block_rows, source->n);
    tms_status status = TMS_OK;

    TMS_TRY(tmsi_alloc(context, rows * (size_t)source->k, sizeof(float), &strip->values));
    TMS_TRY(tmsi_alloc(context, (size_t)tmsi_div_up(source->k, part->block_columns), 1,
                       &strip->is_kept));
done:
    return status;
}

static void free_strip(tms_context *context, block_row *strip) {
    tmsi_free(context, strip->values);
    tmsi_free(context, strip->is_kept);
}

/* Floats that a block takes: its rows rounded up to whole panels. */
static size_t block_floats(const tms_part *part) {
    return tmsi_round_up((size_t)part->block_rows, (size_t)part->parameters[0]) *
           (size_t)part->block_columns;
}

/* Places the arrays for so many blocks and returns the part's bytes. */
static tms_status place_arrays(const tmsi_source *source, const tms_part *part, int64_t blocks,
                               tmsi_bsr_panel_header *header, size_t *out_bytes) {
    size_t block_rows = (size_t)tmsi_div_up(source->n, part->block_rows);
    size_t at = sizeof *header, values;

    memset(header, 0, sizeof *header);
    header->offsets = (int64_t)at;
    at += tmsi_round_up((block_rows + 1) * sizeof(int64_t), TMSI_ALIGNMENT);
    header->columns = (int64_t)at;
    at += tmsi_round_up((size_t)blocks * sizeof(int32_t), TMSI_ALIGNMENT);
    header->values = (int64_t)at;
    if (!tmsi_mul_bytes((size_t)blocks, block_floats(part) * sizeof(float), &values) ||
        !tmsi_add_bytes(at, values, out_bytes))
        return tmsi_fail(TMS_ERR_INVALID, "%lld blocks of %dx%d in bsr-panel do not fit in memory",
                         (long long)blocks, part->block_rows, part->block_columns);
    return TMS_OK;
}

static tms_status count_blocks(const tmsi_source *source, const tms_part *part, block_row *strip,
                               tmsi_bsr_panel_header *header, size_t *out_bytes) {
    int64_t blocks = 0;

    for (int64_t b = 0; b * part->block_rows < source->n; b++)
        blocks += read_strip(source, part, b, strip);
    return place_arrays(source, part, blocks, header, out_bytes);
}

tms_status tmsi_layout_bsr_panel_bytes(tms_context *context, const tmsi_source *source,
                                       const tms_part *part, size_t *out) {
    tmsi_bsr_panel_header header;
    block_row strip = {0};
    tms_status status = TMS_OK;

    TMS_TRY(check_part(part));
    TMS_TRY(alloc_strip(context, source, part, &strip));
    TMS_TRY(count_blocks(source, part, &strip, &header, out));
done:
    free_strip(context, &strip);
    return status;
}

/* The kept blocks of a strip into values, [panel][block][column][row in panel]. */
static void write_strip(const tmsi_source *source, const tms_part *part, const block_row *strip,
                        int64_t kept, int32_t *columns, float *values) {
    const int64_t lanes = part->parameters[0], depth = part->block_columns;
    int64_t i = 0;

    for (int64_t first = 0; first < source->k; first += depth) {
        int64_t end = tmsi_min(first + depth, source->k);
        if (!strip->is_kept[first / depth])
            continue;
        for (int64_t r = 0; r < strip->count; r++) {
            float *panel = values + (r / lanes * kept + i) * depth * lanes;
            for (int64_t k = first; k < end; k++)
                panel[(k - first) * lanes + r % lanes] = strip->values[r * source->k + k];
        }
        columns[i++] = (int32_t)first;
    }
}

tms_status tmsi_layout_bsr_panel_build(tms_context *context, const tmsi_source *source,
                                       const tms_part *part, void *dst) {
    tmsi_bsr_panel_header *header = dst;
    block_row strip = {0};
    int64_t *offsets;
    int32_t *columns;
    float *values;
    size_t bytes;
    tms_status status = TMS_OK;

    TMS_TRY(check_part(part));
    TMS_TRY(alloc_strip(context, source, part, &strip));
    TMS_TRY(count_blocks(source, part, &strip, header, &bytes));
    offsets = (int64_t *)((char *)dst + header->offsets);
    columns = (int32_t *)((char *)dst + header->columns);
    values = (float *)((char *)dst + header->values);
    for (int64_t b = 0; b * part->block_rows < source->n; b++) {
        int64_t kept = read_strip(source, part, b, &strip);
        offsets[b + 1] = offsets[b] + kept;
        write_strip(source, part, &strip, kept, columns + offsets[b],
                    values + (size_t)offsets[b] * block_floats(part));
    }
done:
    free_strip(context, &strip);
    return status;
}
