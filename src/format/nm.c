/* nm: of every `group` elements along k, `keep` values and their positions.
 *
 * values [n, k*keep/group]; index u8 [n, row bytes]: positions in the group, ascending, of
 * ceil(log2 group) bits each, least significant bits first, a row padded with 0 bits to whole
 * bytes. For 2:4 that makes a nibble a group, first position in its low bits: the metadata of the
 * tensor cores' sparse instructions.
 *
 * A group with fewer non-zeros than keep also stores zeros, so that positions stay distinct: for
 * 2:4 the completion is the one that hardware and its libraries expect (0 and 1 for an empty group,
 * else position 3 beside the value, 0 beside a value at 3); for others the lowest free positions.
 * Groups are handled as bit sets of their positions: a group has at most 64. */
#include "format/nm.h"

#include <string.h>

#include "base/dtype.h"
#include "base/rows.h"
#include "format/element.h"
#include "format/format.h"

enum { VALUES, INDEX };
enum { GROUP_MAX = 64 };

tms_status tmsi_nm_describe(tms_matrix *matrix) {
    int64_t stored;
    tms_status status;

    if (matrix->group < 2 || matrix->group > GROUP_MAX || matrix->keep < 1 ||
        matrix->keep >= matrix->group)
        return tmsi_fail(
            TMS_ERR_INVALID,
            "keep:group is %d:%d, but keep must be at least 1 and less than group, and "
            "group at most %d",
            matrix->keep, matrix->group, GROUP_MAX);
    if (matrix->k % matrix->group != 0)
        return tmsi_fail(TMS_ERR_PATTERN, "k is %lld, but must be a multiple of %d for %d:%d",
                         (long long)matrix->k, matrix->group, matrix->keep, matrix->group);
    stored = matrix->k / matrix->group * matrix->keep;
    matrix->nnz = matrix->n * stored;
    TMS_TRY(tmsi_component_add(matrix, "values", matrix->dtype, 2, matrix->n, stored, 0));
    TMS_TRY(tmsi_component_add(matrix, "index", TMS_U8, 2, matrix->n,
                               tmsi_nm_row_bytes(matrix->k, matrix->keep, matrix->group), 0));
done:
    return status;
}

typedef struct encoding {
    const tms_matrix *dense, *matrix;
} encoding;

/* Bit i set: element i of the group is not zero. first is the element's number in the matrix. */
static uint64_t group_non_zeros(const encoding *self, int64_t first) {
    tmsi_element element = tmsi_element_of(self->dense->dtype);
    const void *values = self->dense->components[VALUES].data;
    uint64_t set = 0;

    for (int32_t i = 0; i < self->matrix->group; i++) {
        uint32_t bits = tmsi_element_load(values, element.bytes, first + i);
        set |= (uint64_t)((bits & element.magnitude) != 0) << i;
    }
    return set;
}

/* The first group of the row with more than keep non-zeros, or -1. */
static int64_t find_full_group(const encoding *self, int64_t row) {
    int64_t groups = self->dense->k / self->matrix->group;

    for (int64_t g = 0; g < groups; g++) {
        int64_t first = row * self->dense->k + g * self->matrix->group;
        if (__builtin_popcountll(group_non_zeros(self, first)) > self->matrix->keep)
            return g;
    }
    return -1;
}

static bool is_row_too_full(const void *arg, int64_t row) {
    return find_full_group(arg, row) >= 0;
}

tms_status tmsi_nm_count(const tms_context *context, const tms_matrix *dense, tms_matrix *matrix) {
    const encoding self = {dense, matrix};
    int64_t column, row = tmsi_rows_find(context, dense->n, dense->k, is_row_too_full, &self);
    uint64_t set;

    if (row < 0) {
        matrix->nnz = dense->n * (dense->k / matrix->group * matrix->keep);
        return TMS_OK;
    }
    column = find_full_group(&self, row) * matrix->group;
    set = group_non_zeros(&self, row * dense->k + column);
    return tmsi_fail(TMS_ERR_PATTERN,
                     "row %lld, columns %lld to %lld hold %d non-zeros, but %d:%d keeps at most %d",
                     (long long)row, (long long)column, (long long)column + matrix->group - 1,
                     __builtin_popcountll(set), matrix->keep, matrix->group, matrix->keep);
}

/* Adds zeros to a group's set until it has keep members. */
static uint64_t complete_group(uint64_t set, int32_t keep, int32_t group) {
    if (keep == 2 && group == 4 && set != 0 && (set & (set - 1)) == 0)
        return set == 0x8 ? 0x9 : set | 0x8;
    while (__builtin_popcountll(set) < keep)
        set |= set + 1; /* sets the lowest clear bit */
    return set;
}

static void put_position(uint8_t *row, int64_t bit, uint32_t position) {
    uint32_t window = position << bit % 8;

    row[bit / 8] |= (uint8_t)window;
    if (window >> 8 != 0)
        row[bit / 8 + 1] |= (uint8_t)(window >> 8);
}

static void write_row(const void *arg, int64_t row) {
    const encoding *self = arg;
    const tms_matrix *matrix = self->matrix;
    tmsi_element element = tmsi_element_of(matrix->dtype);
    int32_t bits = tmsi_nm_position_bits(matrix->group);
    int64_t row_bytes = matrix->components[INDEX].shape[1];
    int64_t stored = matrix->components[VALUES].shape[1], i = 0;
    uint8_t *index = (uint8_t *)matrix->components[INDEX].data + row * row_bytes;

    memset(index, 0, (size_t)row_bytes);
    for (int64_t g = 0; g < matrix->k / matrix->group; g++) {
        int64_t first = row * matrix->k + g * matrix->group;
        uint64_t set = complete_group(group_non_zeros(self, first), matrix->keep, matrix->group);

        for (; set != 0; set &= set - 1, i++) {
            int32_t position = __builtin_ctzll(set);
            uint32_t value = tmsi_element_load(self->dense->components[VALUES].data, element.bytes,
                                               first + position);
            tmsi_element_store(matrix->components[VALUES].data, element.bytes, row * stored + i,
                               tmsi_element_plain_zero(element, value));
            put_position(index, i * bits, (uint32_t)position);
        }
    }
}

void tmsi_nm_write(const tms_context *context, const tms_matrix *dense, const tms_matrix *matrix) {
    const encoding self = {dense, matrix};
    if (matrix->nnz > 0)
        tmsi_rows_each(context, dense->n, dense->k, write_row, &self);
}

static const uint8_t *index_row(const tms_matrix *matrix, int64_t row) {
    return (const uint8_t *)matrix->components[INDEX].data +
           row * matrix->components[INDEX].shape[1];
}

/* The stored value whose position is wrong in a row's index; the number stored where the padding
 * is; -1 where all is well. */
static int64_t find_wrong_position(const tms_matrix *matrix, const uint8_t *index) {
    int32_t bits = tmsi_nm_position_bits(matrix->group), last = -1;
    int64_t row_bytes = matrix->components[INDEX].shape[1];
    int64_t stored = matrix->components[VALUES].shape[1];

    for (int64_t i = 0; i < stored; i++) {
        int32_t position = tmsi_nm_position(index, i, bits);
        last = i % matrix->keep == 0 ? -1 : last;
        if (position <= last || position >= matrix->group)
            return i;
        last = position;
    }
    if (stored * bits % 8 != 0 && index[row_bytes - 1] >> stored * bits % 8 != 0)
        return stored;
    return -1;
}

static bool is_row_wrong(const void *arg, int64_t row) {
    return find_wrong_position(arg, index_row(arg, row)) >= 0;
}

tms_status tmsi_nm_fail_row(const tms_matrix *matrix, int64_t row, const uint8_t *index) {
    int64_t stored = matrix->components[VALUES].shape[1];
    int64_t i = find_wrong_position(matrix, index);

    if (i < 0)
        return TMS_OK;
    if (i == stored)
        return tmsi_fail(TMS_ERR_FORMAT,
                         "index of row %lld ends in byte 0x%02x, but the bits behind its %lld "
                         "positions must be 0",
                         (long long)row, index[matrix->components[INDEX].shape[1] - 1],
                         (long long)stored);
    return tmsi_fail(TMS_ERR_FORMAT,
                     "index of row %lld, value %lld is position %d, but positions of a group must "
                     "ascend and be less than %d",
                     (long long)row, (long long)i,
                     tmsi_nm_position(index, i, tmsi_nm_position_bits(matrix->group)),
                     matrix->group);
}

tms_status tmsi_nm_validate(const tms_context *context, const tms_matrix *matrix) {
    int64_t row;

    if (matrix->nnz == 0)
        return TMS_OK;
    row = tmsi_rows_find(context, matrix->n, matrix->k, is_row_wrong, matrix);
    return row < 0 ? TMS_OK : tmsi_nm_fail_row(matrix, row, index_row(matrix, row));
}

void tmsi_nm_decode_rows(const tms_matrix *matrix, int64_t row, int64_t count, void *out) {
    int64_t bytes = tmsi_element_of(matrix->dtype).bytes;
    int32_t bits = tmsi_nm_position_bits(matrix->group);
    int64_t row_bytes = matrix->components[INDEX].shape[1];
    int64_t stored = matrix->components[VALUES].shape[1];

    if (count * matrix->k == 0)
        return;
    memset(out, 0, (size_t)(count * matrix->k * bytes));
    for (int64_t r = 0; r < count; r++) {
        const uint8_t *index =
            (const uint8_t *)matrix->components[INDEX].data + (row + r) * row_bytes;
        for (int64_t i = 0; i < stored; i++) {
            int64_t column = i / matrix->keep * matrix->group + tmsi_nm_position(index, i, bits);
            uint32_t value =
                tmsi_element_load(matrix->components[VALUES].data, bytes, (row + r) * stored + i);
            tmsi_element_store(out, bytes, r * matrix->k + column, value);
        }
    }
}
