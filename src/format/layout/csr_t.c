#include "format/layout/csr_t.h"

#include <string.h>

#include "base/memory.h"
#include "format/layout.h"

static tms_status check_part(const tms_part *part) {
    if (part->dtype != TMS_F32 || part->parameters[0] != TMSI_CSR_T_ROWS ||
        part->parameters[1] != TMSI_CSR_T_BLOCK)
        return tmsi_fail(TMS_ERR_INVALID,
                         "csr-t holds f32 in chunks of %d rows and blocks of %d, not %s in %d and "
                         "%d",
                         TMSI_CSR_T_ROWS, TMSI_CSR_T_BLOCK, tms_dtype_name((tms_dtype)part->dtype),
                         part->parameters[0], part->parameters[1]);
    return TMS_OK;
}

/* A chunk of rows, dense, and how many steps each row has in the block at hand. */
typedef struct dense_rows {
    int64_t count;
    float *values; /* [count, k] */
    uint8_t steps[TMSI_CSR_T_ROWS];
    uint8_t order[TMSI_CSR_T_ROWS]; /* rows by falling steps */
} dense_rows;

static void read_chunk(const tmsi_source *source, int64_t first_row, dense_rows *chunk) {
    chunk->count = tmsi_min(TMSI_CSR_T_ROWS, source->n - first_row);
    for (int64_t r = 0; r < chunk->count; r++)
        tmsi_source_row(source, first_row + r, chunk->values + r * source->k);
}

static int64_t count_steps(dense_rows *chunk, int64_t k, int64_t first_column, int64_t *out_rows) {
    int64_t end = tmsi_min(first_column + TMSI_CSR_T_BLOCK, k), total = 0;

    *out_rows = 0;
    for (int64_t r = 0; r < chunk->count; r++) {
        int64_t nonzeros = 0;
        for (int64_t c = first_column; c < end; c++)
            nonzeros += chunk->values[r * k + c] != 0.0f;
        chunk->steps[r] = (uint8_t)tmsi_div_up(nonzeros, TMSI_CSR_T_STEP);
        total += chunk->steps[r];
        *out_rows += chunk->steps[r] > 0;
    }
    return total;
}

/* Steps, and rows with any, of the whole weight; places the arrays and returns the bytes. */
static size_t place_arrays(const tmsi_source *source, dense_rows *chunk,
                           tmsi_csr_t_header *header) {
    int64_t blocks = tmsi_div_up(source->k, TMSI_CSR_T_BLOCK);
    int64_t chunks = tmsi_div_up(source->n, TMSI_CSR_T_ROWS);
    size_t steps = 0, rows = 0, at = sizeof *header;

    for (int64_t first_row = 0; first_row < source->n; first_row += TMSI_CSR_T_ROWS) {
        read_chunk(source, first_row, chunk);
        for (int64_t c = 0; c < source->k; c += TMSI_CSR_T_BLOCK) {
            int64_t cell_rows;
            steps += (size_t)count_steps(chunk, source->k, c, &cell_rows);
            rows += (size_t)cell_rows;
        }
    }
    memset(header, 0, sizeof *header);
    header->cells = (int64_t)at;
    at += tmsi_round_up((size_t)(chunks * blocks + 1) * sizeof(tmsi_csr_t_cell), TMSI_ALIGNMENT);
    header->rows = (int64_t)at;
    at += tmsi_round_up(rows * sizeof(tmsi_csr_t_row), TMSI_ALIGNMENT);
    header->values = (int64_t)at;
    at += tmsi_round_up(steps * TMSI_CSR_T_STEP * sizeof(float), TMSI_ALIGNMENT);
    header->columns = (int64_t)at;
    at += tmsi_round_up(steps * TMSI_CSR_T_STEP, TMSI_ALIGNMENT);
    return at;
}

/* Rows by falling steps, ties by row: a counting sort. */
static void sort_rows(dense_rows *chunk) {
    int64_t at = 0;

    for (int32_t steps = TMSI_CSR_T_BLOCK / TMSI_CSR_T_STEP; steps >= 0; steps--)
        for (int64_t r = 0; r < chunk->count; r++)
            if (chunk->steps[r] == steps)
                chunk->order[at++] = (uint8_t)r;
}

/* The arrays while they are written. */
typedef struct arrays {
    tmsi_csr_t_cell *cell;
    tmsi_csr_t_row *rows;
    float *values;
    uint8_t *columns;
    int64_t step, row; /* written so far */
} arrays;

static void write_cell(arrays *writer, dense_rows *chunk, int64_t k, int64_t first_column) {
    int64_t end = tmsi_min(first_column + TMSI_CSR_T_BLOCK, k), row_count;

    count_steps(chunk, k, first_column, &row_count);
    sort_rows(chunk);
    *writer->cell++ = (tmsi_csr_t_cell){writer->step, writer->row};
    for (int64_t i = 0; i < row_count; i++) {
        uint8_t r = chunk->order[i];
        int64_t at = writer->step * TMSI_CSR_T_STEP;
        writer->rows[writer->row++] = (tmsi_csr_t_row){r, chunk->steps[r]};
        writer->step += chunk->steps[r];
        for (int64_t c = first_column; c < end; c++) {
            float value = chunk->values[r * k + c];
            if (value == 0.0f)
                continue;
            writer->values[at] = value;
            writer->columns[at++] = (uint8_t)(c - first_column);
        }
    }
}

/* Room for one dense chunk. */
static tms_status alloc_chunk(tms_context *context, const tmsi_source *source, dense_rows *chunk) {
    size_t rows = (size_t)tmsi_min(source->n, TMSI_CSR_T_ROWS);
    return tmsi_alloc(context, rows * (size_t)source->k, sizeof(float), &chunk->values);
}

tms_status tmsi_layout_csr_t_bytes(tms_context *context, const tmsi_source *source,
                                   const tms_part *part, size_t *out) {
    tmsi_csr_t_header header;
    dense_rows chunk = {0};
    tms_status status = TMS_OK;

    TMS_TRY(check_part(part));
    TMS_TRY(alloc_chunk(context, source, &chunk));
    *out = place_arrays(source, &chunk, &header);
done:
    tmsi_free(context, chunk.values);
    return status;
}

tms_status tmsi_layout_csr_t_build(tms_context *context, const tmsi_source *source,
                                   const tms_part *part, void *dst) {
    tmsi_csr_t_header *header = dst;
    char *base = dst;
    arrays writer = {0};
    dense_rows chunk = {0};
    tms_status status = TMS_OK;

    TMS_TRY(check_part(part));
    TMS_TRY(alloc_chunk(context, source, &chunk));
    place_arrays(source, &chunk, header);
    writer.cell = (tmsi_csr_t_cell *)(base + header->cells);
    writer.rows = (tmsi_csr_t_row *)(base + header->rows);
    writer.values = (float *)(base + header->values);
    writer.columns = (uint8_t *)(base + header->columns);
    for (int64_t first_row = 0; first_row < source->n; first_row += TMSI_CSR_T_ROWS) {
        read_chunk(source, first_row, &chunk);
        for (int64_t c = 0; c < source->k; c += TMSI_CSR_T_BLOCK)
            write_cell(&writer, &chunk, source->k, c);
    }
    *writer.cell = (tmsi_csr_t_cell){writer.step, writer.row};
done:
    tmsi_free(context, chunk.values);
    return status;
}
