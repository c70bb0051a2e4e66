#include "format/layout.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/dtype.h"

const tmsi_layout_ops tmsi_layouts[TMSI_LAYOUT_COUNT] = {
#define TMS_LAYOUT(id, name, version, stem, extra)                                                 \
    {name, version, tmsi_layout_##stem##_bytes, tmsi_layout_##stem##_build, extra},
#include "format/layout.def"
#undef TMS_LAYOUT
};

/* Pattern of the stored weights: "2:4 ", "block 32x32 ", "csr ", "". */
static void print_pattern(const tms_part *part, char text[32]) {
    text[0] = '\0';
    if (part->format == TMS_FORMAT_NM)
        snprintf(text, 32, "%d:%d ", part->keep, part->group);
    else if (part->format == TMS_FORMAT_BSR)
        snprintf(text, 32, "block %dx%d ", part->block_rows, part->block_columns);
    else if (part->format == TMS_FORMAT_CSR)
        snprintf(text, 32, "csr ");
    else if (part->id == TMSI_LAYOUT_PLAIN)
        snprintf(text, 32, "dense ");
}

void tmsi_part_print(const tms_part *part, char text[TMSI_PART_TEXT_MAX]) {
    const int32_t *p = part->parameters;
    char pattern[32], parameters[48] = "";

    print_pattern(part, pattern);
    if (p[3] != 0)
        snprintf(parameters, sizeof parameters, " [%d %d %d %d]", p[0], p[1], p[2], p[3]);
    else if (p[2] != 0)
        snprintf(parameters, sizeof parameters, " [%d %d %d]", p[0], p[1], p[2]);
    else if (p[1] != 0)
        snprintf(parameters, sizeof parameters, " [%d %d]", p[0], p[1]);
    else if (p[0] != 0)
        snprintf(parameters, sizeof parameters, " [%d]", p[0]);
    snprintf(text, TMSI_PART_TEXT_MAX, "%s %s%s%s",
             (uint32_t)part->id < TMSI_LAYOUT_COUNT ? tmsi_layouts[part->id].name : "?", pattern,
             tms_dtype_name((tms_dtype)part->dtype), parameters);
}

void tmsi_layout_print(const tms_layout *layout, char text[TMSI_LAYOUT_TEXT_MAX]) {
    size_t used = 0;

    text[0] = '\0';
    for (int32_t i = 0; i < layout->part_count && i < TMS_PART_MAX; i++) {
        char part[TMSI_PART_TEXT_MAX];
        tmsi_part_print(&layout->parts[i], part);
        used += (size_t)snprintf(text + used, TMSI_LAYOUT_TEXT_MAX - used, "%s%s",
                                 i > 0 ? " + " : "", part);
        if (used >= TMSI_LAYOUT_TEXT_MAX)
            return;
    }
}

bool tmsi_part_equal(const tms_part *a, const tms_part *b) {
    return memcmp(a, b, sizeof *a) == 0; /* all int32_t: no padding */
}

bool tmsi_layout_equal(const tms_layout *a, const tms_layout *b) {
    if (a->n != b->n || a->k != b->k || a->part_count != b->part_count)
        return false;
    for (int32_t i = 0; i < a->part_count; i++)
        if (!tmsi_part_equal(&a->parts[i], &b->parts[i]))
            return false;
    return true;
}

static tms_status check_part(const tms_part *part, const char *name, int32_t i) {
    if (part->id < 0 || part->id >= TMSI_LAYOUT_COUNT)
        return tmsi_fail(TMS_ERR_INVALID,
                         "%s.parts[%d].id is %d, but this library knows layouts 0 to %d", name, i,
                         part->id, TMSI_LAYOUT_COUNT - 1);
    if (part->version != tmsi_layouts[part->id].version)
        return tmsi_fail(TMS_ERR_INVALID,
                         "%s.parts[%d] is %s in version %d, but this library reads version %d: "
                         "choose the layout and build the image again",
                         name, i, tmsi_layouts[part->id].name, part->version,
                         tmsi_layouts[part->id].version);
    if (part->dtype < 0 || part->dtype >= TMS_DTYPE_COUNT ||
        !tmsi_dtype_is_matrix((tms_dtype)part->dtype))
        return tmsi_fail(
            TMS_ERR_INVALID,
            "%s.parts[%d].dtype is %s (%d), but images hold f32, bf16, f16, i8 or e4m3", name, i,
            tms_dtype_name((tms_dtype)part->dtype), part->dtype);
    if (part->format < 0 || part->format >= TMS_FORMAT_COUNT)
        return tmsi_fail(TMS_ERR_INVALID, "%s.parts[%d].format is %d, but formats are 0 to %d",
                         name, i, part->format, TMS_FORMAT_COUNT - 1);
    if (part->format == TMS_FORMAT_NM &&
        (part->keep < 1 || part->keep >= part->group || part->group > 64))
        return tmsi_fail(TMS_ERR_INVALID, "%s.parts[%d] is %d:%d, but n:m needs 1 <= n < m <= 64",
                         name, i, part->keep, part->group);
    if (part->format == TMS_FORMAT_BSR && (part->block_rows < 1 || part->block_columns < 1 ||
                                           part->block_rows > 65536 || part->block_columns > 65536))
        return tmsi_fail(TMS_ERR_INVALID,
                         "%s.parts[%d] has blocks of %dx%d, but each side must be 1 to 65536", name,
                         i, part->block_rows, part->block_columns);
    return TMS_OK;
}

tms_status tmsi_layout_check(const tms_layout *layout, const char *name) {
    if (layout->struct_size != sizeof *layout)
        return tmsi_fail(TMS_ERR_INVALID,
                         "%s.struct_size is %zu, but must be %zu: use tms_spmm_layout_choose", name,
                         layout->struct_size, sizeof *layout);
    if (layout->n < 1 || layout->k < 1 || layout->n > INT32_MAX || layout->k > INT32_MAX)
        return tmsi_fail(TMS_ERR_INVALID,
                         "%s is for %" PRId64 " x %" PRId64 " weights, but n and k must be 1 to %d",
                         name, layout->n, layout->k, INT32_MAX);
    if (layout->part_count < 1 || layout->part_count > TMS_PART_MAX)
        return tmsi_fail(TMS_ERR_INVALID, "%s.part_count is %d, but must be 1 to %d", name,
                         layout->part_count, TMS_PART_MAX);
    for (int32_t i = 0; i < layout->part_count; i++) {
        tms_status status = check_part(&layout->parts[i], name, i);
        if (status != TMS_OK)
            return status;
    }
    return TMS_OK;
}
