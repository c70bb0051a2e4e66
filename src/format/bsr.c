/* bsr: the blocks of r rows by c columns that have a non-zero, whole.
 *
 * values [blocks, r, c], each block row-major; columns i32 [blocks], counted in blocks; offsets i64
 * [block rows + 1]: block row b has blocks offsets[b] .. offsets[b + 1] - 1, columns strictly
 * ascending. Where r does not divide n or c does not divide k, the blocks at the edge are stored
 * full, with +0.0 past the edge. */
#include <string.h>

#include "base/memory.h"
#include "base/rows.h"
#include "format/compressed.h"
#include "format/element.h"
#include "format/format.h"

enum { VALUES, COLUMNS, OFFSETS };
enum { BLOCK_MAX = 65536 };

static int64_t block_row_count(const tms_matrix *matrix) {
    return tmsi_div_up(matrix->n, matrix->block_rows);
}

static int64_t block_column_count(const tms_matrix *matrix) {
    return tmsi_div_up(matrix->k, matrix->block_columns);
}

static int64_t block_elements(const tms_matrix *matrix) {
    return (int64_t)matrix->block_rows * matrix->block_columns;
}

/* Rows of a block row, columns of a block column, that lie in the matrix. */
static int64_t rows_inside(const tms_matrix *matrix, int64_t block_row) {
    return tmsi_min(matrix->block_rows, matrix->n - block_row * matrix->block_rows);
}

static int64_t columns_inside(const tms_matrix *matrix, int64_t block_column) {
    return tmsi_min(matrix->block_columns, matrix->k - block_column * matrix->block_columns);
}

tms_status tmsi_bsr_describe(tms_matrix *matrix) {
    int64_t blocks;
    tms_status status;

    if (matrix->block_rows < 1 || matrix->block_rows > BLOCK_MAX || matrix->block_columns < 1 ||
        matrix->block_columns > BLOCK_MAX)
        return tmsi_fail(TMS_ERR_INVALID, "block is %dx%d, but each side must be 1 to %d",
                         matrix->block_rows, matrix->block_columns, BLOCK_MAX);
    if (matrix->n > INT64_MAX - BLOCK_MAX)
        return tmsi_fail(TMS_ERR_INVALID, "n is %lld, but blocks of %d rows would pass %lld",
                         (long long)matrix->n, matrix->block_rows, (long long)INT64_MAX);
    blocks = matrix->nnz / block_elements(matrix);
    if (matrix->nnz < 0 || matrix->nnz % block_elements(matrix) != 0 ||
        (blocks > 0 && block_column_count(matrix) == 0) ||
        (blocks > 0 && tmsi_div_up(blocks, block_column_count(matrix)) > block_row_count(matrix)))
        return tmsi_fail(TMS_ERR_INVALID,
                         "nnz is %lld, but must be a multiple of %lld, for at most %lld by %lld "
                         "blocks of %dx%d",
                         (long long)matrix->nnz, (long long)block_elements(matrix),
                         (long long)block_row_count(matrix), (long long)block_column_count(matrix),
                         matrix->block_rows, matrix->block_columns);
    TMS_TRY(tmsi_component_add(matrix, "values", matrix->dtype, 3, blocks, matrix->block_rows,
                               matrix->block_columns));
    TMS_TRY(tmsi_component_add(matrix, "columns", TMS_I32, 1, blocks, 0, 0));
    TMS_TRY(tmsi_component_add(matrix, "offsets", TMS_I64, 1, block_row_count(matrix) + 1, 0, 0));
done:
    return status;
}

typedef struct encoding {
    const tms_matrix *dense, *matrix;
    int64_t *offsets;
} encoding;

static bool is_block_zero(const encoding *self, int64_t block_row, int64_t block_column) {
    const tms_matrix *matrix = self->matrix;
    tmsi_element element = tmsi_element_of(matrix->dtype);
    uint32_t any = 0;

    for (int64_t r = 0; r < rows_inside(matrix, block_row); r++) {
        int64_t first =
            (block_row * matrix->block_rows + r) * matrix->k + block_column * matrix->block_columns;
        for (int64_t c = 0; c < columns_inside(matrix, block_column); c++)
            any |=
                tmsi_element_load(self->dense->components[VALUES].data, element.bytes, first + c);
        if ((any & element.magnitude) != 0)
            return false;
    }
    return true;
}

static int64_t count_blocks(const void *arg, int64_t block_row) {
    const encoding *self = arg;
    int64_t count = 0;

    for (int64_t b = 0; b < block_column_count(self->matrix); b++)
        count += !is_block_zero(self, block_row, b);
    return count;
}

tms_status tmsi_bsr_count(const tms_context *context, const tms_matrix *dense, tms_matrix *matrix) {
    const encoding self = {dense, matrix, NULL};
    int64_t nnz, blocks = tmsi_rows_sum(context, block_row_count(matrix),
                                        matrix->k * matrix->block_rows, count_blocks, &self);

    if (__builtin_mul_overflow(blocks, block_elements(matrix), &nnz))
        return tmsi_fail(TMS_ERR_INVALID,
                         "%lld blocks of %dx%d are more elements than memory can hold",
                         (long long)blocks, matrix->block_rows, matrix->block_columns);
    matrix->nnz = nnz;
    return TMS_OK;
}

static void write_count(const void *arg, int64_t block_row) {
    const encoding *self = arg;
    self->offsets[block_row + 1] = count_blocks(arg, block_row);
}

static void write_block(const encoding *self, int64_t block_row, int64_t block_column,
                        int64_t block) {
    const tms_matrix *matrix = self->matrix;
    tmsi_element element = tmsi_element_of(matrix->dtype);
    char *out =
        (char *)matrix->components[VALUES].data + block * block_elements(matrix) * element.bytes;

    memset(out, 0, (size_t)(block_elements(matrix) * element.bytes));
    for (int64_t r = 0; r < rows_inside(matrix, block_row); r++) {
        int64_t first =
            (block_row * matrix->block_rows + r) * matrix->k + block_column * matrix->block_columns;
        for (int64_t c = 0; c < columns_inside(matrix, block_column); c++) {
            uint32_t bits =
                tmsi_element_load(self->dense->components[VALUES].data, element.bytes, first + c);
            tmsi_element_store(out, element.bytes, r * matrix->block_columns + c,
                               tmsi_element_plain_zero(element, bits));
        }
    }
}

static void write_block_row(const void *arg, int64_t block_row) {
    const encoding *self = arg;
    int32_t *columns = self->matrix->components[COLUMNS].data;
    int64_t block = self->offsets[block_row];

    for (int64_t b = 0; b < block_column_count(self->matrix); b++) {
        if (is_block_zero(self, block_row, b))
            continue;
        write_block(self, block_row, b, block);
        columns[block++] = (int32_t)b;
    }
}

void tmsi_bsr_write(const tms_context *context, const tms_matrix *dense, const tms_matrix *matrix) {
    const encoding self = {dense, matrix, matrix->components[OFFSETS].data};
    int64_t block_rows = block_row_count(matrix), row_elements = matrix->k * matrix->block_rows;

    /* One element a row at least: offsets are written even where there are no columns. */
    tmsi_rows_each(context, block_rows, row_elements + 1, write_count, &self);
    tmsi_offsets_from_counts(self.offsets, block_rows);
    tmsi_rows_each(context, block_rows, row_elements, write_block_row, &self);
}

/* The first element past the edge that is not +0.0, or -1; elements are counted within the block.
 */
static int64_t find_padding(const tms_matrix *matrix, int64_t block_row, int64_t block) {
    const int32_t *columns = matrix->components[COLUMNS].data;
    int64_t bytes = tmsi_element_of(matrix->dtype).bytes;
    int64_t rows = rows_inside(matrix, block_row), inside = columns_inside(matrix, columns[block]);

    for (int64_t r = 0; r < matrix->block_rows; r++)
        for (int64_t c = r < rows ? inside : 0; c < matrix->block_columns; c++)
            if (tmsi_element_load(matrix->components[VALUES].data, bytes,
                                  block * block_elements(matrix) + r * matrix->block_columns + c))
                return r * matrix->block_columns + c;
    return -1;
}

/* Only the last block row and the last block of a row can reach past the edge. */
static tms_status check_padding(const tms_matrix *matrix) {
    const int64_t *offsets = matrix->components[OFFSETS].data;
    int64_t last_row = block_row_count(matrix) - 1;

    for (int64_t b = 0; b <= last_row; b++) {
        bool is_short = rows_inside(matrix, b) < matrix->block_rows;
        int64_t block = is_short ? offsets[b] : tmsi_max(offsets[b], offsets[b + 1] - 1);

        for (; block < offsets[b + 1]; block++) {
            int64_t wrong = find_padding(matrix, b, block);
            if (wrong >= 0)
                return tmsi_fail(TMS_ERR_FORMAT,
                                 "block %lld has a value at its row %lld, column %lld, but that "
                                 "lies past the edge of the %lld x %lld matrix and must be +0.0",
                                 (long long)block, (long long)(wrong / matrix->block_columns),
                                 (long long)(wrong % matrix->block_columns), (long long)matrix->n,
                                 (long long)matrix->k);
        }
    }
    return TMS_OK;
}

tms_status tmsi_bsr_validate(const tms_context *context, const tms_matrix *matrix) {
    tms_status status = tmsi_compressed_validate(
        context, matrix->components[OFFSETS].data, matrix->components[COLUMNS].data,
        block_row_count(matrix), matrix->nnz / block_elements(matrix), block_column_count(matrix),
        "block row");
    return status == TMS_OK ? check_padding(matrix) : status;
}

void tmsi_bsr_decode_rows(const tms_matrix *matrix, int64_t row, int64_t count, void *out) {
    const int64_t *offsets = matrix->components[OFFSETS].data;
    const int32_t *columns = matrix->components[COLUMNS].data;
    const char *values = matrix->components[VALUES].data;
    int64_t bytes = tmsi_element_of(matrix->dtype).bytes;

    if (count * matrix->k == 0)
        return;
    memset(out, 0, (size_t)(count * matrix->k * bytes));
    for (int64_t r = 0; r < count; r++) {
        int64_t block_row = (row + r) / matrix->block_rows;
        int64_t in_block = (row + r) % matrix->block_rows * matrix->block_columns;

        for (int64_t b = offsets[block_row]; b < offsets[block_row + 1]; b++)
            memcpy((char *)out +
                       (r * matrix->k + (int64_t)columns[b] * matrix->block_columns) * bytes,
                   values + (b * block_elements(matrix) + in_block) * bytes,
                   (size_t)(columns_inside(matrix, columns[b]) * bytes));
    }
}
