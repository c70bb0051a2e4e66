/* Images: kernel-ready bytes built from formats. A layout is one file in layout/ and one row in
 * layout.def; kernels name its id. An image is its parts one behind another, each from a multiple
 * of 64 bytes on. */
#ifndef TAMIS_FORMAT_LAYOUT_H
#define TAMIS_FORMAT_LAYOUT_H

#include <stdbool.h>

#include "format/format.h"

typedef enum tmsi_layout_id {
#define TMS_LAYOUT(id, name, version, stem) TMSI_LAYOUT_##id,
#include "format/layout.def"
#undef TMS_LAYOUT
    TMSI_LAYOUT_COUNT
} tmsi_layout_id;

/* The weight that an image is built from: several matrices seen as one n x k. */
typedef struct tmsi_source {
    const tms_matrix *matrices;
    int32_t count;
    tms_join join;
    int64_t n, k;
} tmsi_source;

/* Row `row` of the joined weight in its own type, where the matrices have but one. */
void tmsi_source_row_bits(const tmsi_source *source, int64_t row, void *out);
/* The same, widened to f32. */
void tmsi_source_row(const tmsi_source *source, int64_t row, float *out);

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
} tmsi_layout_ops;

/* Prototypes: tmsi_layout_<stem>_bytes and tmsi_layout_<stem>_build for each row. */
#define TMS_LAYOUT(id, name, version, stem)                                                        \
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

/* The contracts of the public twins. Matrices are validated and join to the layout's n x k; data is
 * aligned. */
tms_status tmsi_image_bytes(tms_context *context, const tms_image_desc *desc, size_t *out_bytes);
tms_status tmsi_image_build(tms_context *context, const tms_image_desc *desc, void *data,
                            size_t data_bytes, tms_image *out);

#endif
