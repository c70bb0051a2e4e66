/* Images: kernel-ready bytes built from formats. A layout is one file in layout/ and one row in
 * layout.def; kernels name its id. An image is its parts one behind another, each from a multiple
 * of TMSI_PART_ALIGNMENT bytes on, with zeros between them. */
#ifndef TAMIS_FORMAT_LAYOUT_H
#define TAMIS_FORMAT_LAYOUT_H

#include <stdbool.h>

#include "format/format.h"
#include "format/source.h"

/* Parts of an image begin at multiples of a GPU's cache line: behind a dense part, which is 64
 * bytes longer than its weights, 512 bytes of a warp would touch five lines, not four. Zeros lie
 * between parts: a build on a GPU writes them behind each part that does not end at such a
 * multiple. */
enum { TMSI_PART_ALIGNMENT = 128 };

typedef enum tmsi_layout_id {
#define TMS_LAYOUT(id, name, version, stem, extra) TMSI_LAYOUT_##id,
#include "format/layout.def"
#undef TMS_LAYOUT
    TMSI_LAYOUT_COUNT
} tmsi_layout_id;

/* What only some layouts can: be built on a GPU, and be decoded. */
typedef struct tmsi_layout_extra {
    /* Writes the matrices of `target`, dense or nm 2:4 of the part's type. NULL, as device_decode
     * then: the layout is not decoded. */
    tms_status (*decode)(tms_context *context, const tmsi_source *target, const tms_part *part,
                         const void *data);
    /* Whether the GPU can: the matrices' formats and types. Both ways ask it first. */
    tms_status (*device_check)(const tmsi_source *source, const tms_part *part);
    /* As build and decode on desc->device; matrices have the right shapes, all else is unread. */
    tms_status (*device_build)(tms_context *context, const tmsi_source *source,
                               const tms_part *part, const tms_image_desc *desc, void *dst);
    tms_status (*device_decode)(tms_context *context, const tmsi_source *target,
                                const tms_part *part, const tms_image_desc *desc, const void *data);
} tmsi_layout_extra;

extern const tmsi_layout_extra tmsi_layout_nm24_mma_extra, tmsi_layout_plain_extra;

typedef struct tmsi_layout_ops {
    const char *name; /* "nm24-t" */
    int32_t version;
    /* Bytes that build will write for this weight. */
    tms_status (*bytes)(tms_context *context, const tmsi_source *source, const tms_part *part,
                        size_t *out);
    /* dst is 64-byte aligned and zero-filled. Values of the source fit the part's dtype exactly. A
     * weight that breaks the part's pattern is TMS_ERR_PATTERN with row and column. */
    tms_status (*build)(tms_context *context, const tmsi_source *source, const tms_part *part,
                        void *dst);
    const tmsi_layout_extra *extra; /* NULL: none of it */
} tmsi_layout_ops;

/* Prototypes: tmsi_layout_<stem>_bytes and tmsi_layout_<stem>_build for each row. */
#define TMS_LAYOUT(id, name, version, stem, extra)                                                 \
    tms_status tmsi_layout_##stem##_bytes(tms_context *context, const tmsi_source *source,         \
                                          const tms_part *part, size_t *out);                      \
    tms_status tmsi_layout_##stem##_build(tms_context *context, const tmsi_source *source,         \
                                          const tms_part *part, void *dst);
#include "format/layout.def"
#undef TMS_LAYOUT

/* Indexed by tmsi_layout_id. */
extern const tmsi_layout_ops tmsi_layouts[TMSI_LAYOUT_COUNT];

/* Longest text of a part or a layout, with its 0. */
enum { TMSI_PART_TEXT_MAX = 96, TMSI_LAYOUT_TEXT_MAX = TMS_PART_MAX * TMSI_PART_TEXT_MAX };

/* "nm24-t 2:4 f32 [8 96]": layout, pattern or block of its weights, type, parameters if any. */
void tmsi_part_print(const tms_part *part, char text[TMSI_PART_TEXT_MAX]);
/* The parts, with " + " between them. */
void tmsi_layout_print(const tms_layout *layout, char text[TMSI_LAYOUT_TEXT_MAX]);

bool tmsi_part_equal(const tms_part *a, const tms_part *b);
bool tmsi_layout_equal(const tms_layout *a, const tms_layout *b);

/* Whether a layout that came from outside is one that this library can read: known ids, their
 * versions, sensible fields. `name` is how the caller calls it ("desc->layout"). */
tms_status tmsi_layout_check(const tms_layout *layout, const char *name);

/* The contracts of the public twins. Matrices are validated (on a GPU: of the right shapes) and
 * join to the layout's n x k; data and work are aligned. */
tms_status tmsi_image_bytes(tms_context *context, const tms_image_desc *desc, size_t *out_bytes);
tms_status tmsi_image_build(tms_context *context, const tms_image_desc *desc, void *data,
                            size_t data_bytes, tms_image *out);
/* The number of the first part that can be decoded, or -1. */
int32_t tmsi_image_decoded_part(const tms_layout *layout);
/* There is such a part; the matrices are dense or nm 2:4 of its type. */
tms_status tmsi_image_decode(tms_context *context, const tms_image *image,
                             const tms_image_desc *desc);

/* Whether a GPU builds and decodes all parts for such matrices. */
tms_status tmsi_image_device_check(const tms_image_desc *desc);

/* Whether a build waits for an answer, and so needs work. */
static inline bool tmsi_image_waits(const tms_image_desc *desc) {
    return desc->device != TMS_DEVICE_CPU &&
           (desc->intake == TMS_INTAKE_CHECK || desc->nan == TMS_NAN_ERROR);
}

#endif
