#include "format/layout/nm24_mma.h"

#include "base/dtype.h"
#include "base/memory.h"
#include "format/element.h"
#include "format/layout.h"

enum { ROWS = TMSI_NM24_MMA_BLOCK };

/* The shape of the image: whole blocks. */
typedef struct image_shape {
    tms_dtype dtype;
    int32_t depth; /* k's of a block */
    size_t block_bytes;
    int64_t row_blocks, k_blocks;
} image_shape;

static image_shape shape_of(const tmsi_source *source, const tms_part *part) {
    const bool is_narrow = tmsi_dtype_bytes((tms_dtype)part->dtype) == 1;
    image_shape shape;

    shape.dtype = (tms_dtype)part->dtype;
    shape.depth = is_narrow ? TMSI_NM24_MMA_BLOCK_8 : TMSI_NM24_MMA_BLOCK;
    shape.block_bytes = is_narrow ? TMSI_NM24_MMA_BLOCK_BYTES_8 : TMSI_NM24_MMA_BLOCK_BYTES;
    shape.row_blocks = tmsi_div_up(source->n, ROWS);
    shape.k_blocks = tmsi_div_up(source->k, shape.depth);
    return shape;
}

static tms_status check_part(const tmsi_source *source, const tms_part *part) {
    if (part->dtype == TMS_F32 || part->keep != 2 || part->group != 4)
        return tmsi_fail(TMS_ERR_INVALID,
                         "nm24-mma holds 2:4 weights in bf16, f16, i8 or e4m3, not %d:%d in %s",
                         part->keep, part->group, tms_dtype_name((tms_dtype)part->dtype));
    if (source->k % 4 != 0)
        return tmsi_fail(TMS_ERR_PATTERN, "k is %lld, but must be a multiple of 4 for 2:4",
                         (long long)source->k);
    return TMS_OK;
}

tms_status tmsi_layout_nm24_mma_bytes(tms_context *context, const tmsi_source *source,
                                      const tms_part *part, size_t *out) {
    const image_shape shape = shape_of(source, part);
    size_t blocks;
    tms_status status = check_part(source, part);

    (void)context;
    if (status != TMS_OK)
        return status;
    if (!tmsi_mul_bytes((size_t)shape.row_blocks, (size_t)shape.k_blocks, &blocks) ||
        !tmsi_mul_bytes(blocks, shape.block_bytes, out))
        return tmsi_fail(TMS_ERR_INVALID, "%lld x %lld weights in nm24-mma do not fit in memory",
                         (long long)source->n, (long long)source->k);
    return TMS_OK;
}

/* The nibble of a group by the set of its non-zeros, bit i for position i: one or none are filled
 * as the nm format fills them. 0, which is no nibble, where there are more than two. */
static const uint8_t nibbles[16] = {
    [0x0] = 0x4, [0x1] = 0xc, [0x2] = 0xd, [0x4] = 0xe, [0x8] = 0xc, [0x3] = 0x4,
    [0x5] = 0x8, [0x9] = 0xc, [0x6] = 0x9, [0xa] = 0xd, [0xc] = 0xe};

/* One row of a block: `depth` elements. Returns the column of the first third non-zero of a group,
 * where the row ends; else -1. */
static int32_t write_row(const image_shape *shape, const char *row, int32_t r, char *block) {
    const tmsi_element element = tmsi_element_of(shape->dtype);
    uint32_t *words = (uint32_t *)(block + TMSI_NM24_MMA_VALUE_BYTES);

    for (int32_t k = 0; k < shape->depth; k += 4) {
        const tmsi_nm24_mma_place place = tmsi_nm24_mma_place_of(r, k, (int32_t)element.bytes);
        uint32_t group[4], set = 0, nibble;

        for (int32_t i = 0; i < 4; i++) {
            group[i] = tmsi_element_load(row, element.bytes, k + i);
            set |= (uint32_t)((group[i] & element.magnitude) != 0) << i;
        }
        nibble = nibbles[set];
        if (nibble == 0)
            return k + ((set & 7) == 7 ? 2 : 3);
        for (int32_t i = 0; i < 2; i++)
            tmsi_element_store(block + place.value, element.bytes, i,
                               tmsi_element_plain_zero(element, group[nibble >> 2 * i & 3]));
        words[place.word] |= nibble << place.shift;
    }
    return -1;
}

tms_status tmsi_layout_nm24_mma_build(tms_context *context, const tmsi_source *source,
                                      const tms_part *part, void *dst) {
    const image_shape shape = shape_of(source, part);
    const size_t row_bytes = (size_t)shape.depth * tmsi_dtype_bytes(shape.dtype);
    char *row = NULL;
    tms_status status = TMS_OK;

    TMS_TRY(check_part(source, part));
    TMS_TRY(tmsi_alloc(context, (size_t)shape.k_blocks, row_bytes, &row)); /* zero past k */
    for (int64_t n = 0; n < shape.row_blocks * ROWS; n++) {
        if (n < source->n)
            tmsi_source_row_bits(source, n, row);
        else if (n == source->n)
            memset(row, 0, (size_t)shape.k_blocks * row_bytes);
        for (int64_t b = 0; b < shape.k_blocks; b++) {
            char *block = (char *)dst + (size_t)(n / ROWS * shape.k_blocks + b) * shape.block_bytes;
            const int32_t third =
                write_row(&shape, row + (size_t)b * row_bytes, (int32_t)(n % ROWS), block);

            if (third >= 0)
                TMS_TRY(tmsi_source_fail_third(source, n, b * shape.depth + third));
        }
    }
done:
    tmsi_free(context, row);
    return status;
}

/* One row of a block back to `depth` elements, which are 0 before. Returns the first column of a
 * group whose positions do not ascend, where the row ends; else -1. */
static int32_t read_row(const image_shape *shape, const char *block, int32_t r, char *row) {
    const int64_t bytes = tmsi_element_of(shape->dtype).bytes;
    const uint32_t *words = (const uint32_t *)(block + TMSI_NM24_MMA_VALUE_BYTES);

    for (int32_t k = 0; k < shape->depth; k += 4) {
        const tmsi_nm24_mma_place place = tmsi_nm24_mma_place_of(r, k, (int32_t)bytes);
        const uint32_t nibble = words[place.word] >> place.shift & 15;

        if ((nibble & 3) >= nibble >> 2)
            return k;
        for (int32_t i = 0; i < 2; i++)
            tmsi_element_store(row, bytes, k + (int32_t)(nibble >> 2 * i & 3),
                               tmsi_element_load(block + place.value, bytes, i));
    }
    return -1;
}

static tms_status decode(tms_context *context, const tmsi_source *target, const tms_part *part,
                         const void *data) {
    const image_shape shape = shape_of(target, part);
    const size_t row_bytes = (size_t)shape.depth * tmsi_dtype_bytes(shape.dtype);
    char *row = NULL;
    tms_status status = TMS_OK;

    TMS_TRY(tmsi_alloc(context, (size_t)shape.k_blocks, row_bytes, &row));
    for (int64_t n = 0; n < target->n; n++) {
        memset(row, 0, (size_t)shape.k_blocks * row_bytes);
        for (int64_t b = 0; b < shape.k_blocks; b++) {
            const char *block =
                (const char *)data + (size_t)(n / ROWS * shape.k_blocks + b) * shape.block_bytes;
            const int32_t wrong =
                read_row(&shape, block, (int32_t)(n % ROWS), row + (size_t)b * row_bytes);

            if (wrong >= 0) {
                status = tmsi_fail(TMS_ERR_FORMAT,
                                   "the positions of the image's row %lld, columns %lld to %lld, "
                                   "do not ascend",
                                   (long long)n, (long long)b * shape.depth + wrong,
                                   (long long)b * shape.depth + wrong + 3);
                goto done;
            }
        }
        tmsi_source_write_row(context, target, n, row);
    }
done:
    tmsi_free(context, row);
    return status;
}

const tmsi_layout_extra tmsi_layout_nm24_mma_extra = {
    decode, tmsi_nm24_mma_device_check, tmsi_nm24_mma_device_build, tmsi_nm24_mma_device_decode};
