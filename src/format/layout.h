/* Images: kernel-ready bytes built from formats. A layout is one file in layout/ and one row in
 * layout.def; kernels name its id. */
#ifndef TAMIS_FORMAT_LAYOUT_H
#define TAMIS_FORMAT_LAYOUT_H

#include "format/format.h"

typedef enum tmsi_layout_id {
#define TMS_LAYOUT(id, name, version, is_dense) TMSI_LAYOUT_##id,
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

/* Row `row` of the joined weight, widened to f32. */
void tmsi_source_row(const tmsi_source *source, int64_t row, float *out);

typedef struct tmsi_layout_ops {
    const char *name; /* "nm24-t" */
    int32_t version;
    int32_t is_dense; /* 1: stores zeros too, so any weight fits */
    /* Bytes that build will write for this weight; a multiple of 64. */
    tms_status (*bytes)(tms_context *context, const tmsi_source *source, const tms_part *part,
                        size_t *out);
    /* dst is 64-byte aligned. A weight that breaks the part's pattern is TMS_ERR_PATTERN. */
    tms_status (*build)(tms_context *context, const tmsi_source *source, const tms_part *part,
                        void *dst);
} tmsi_layout_ops;

/* Indexed by tmsi_layout_id. */
extern const tmsi_layout_ops tmsi_layouts[TMSI_LAYOUT_COUNT];

tms_status tmsi_image_bytes(tms_context *context, const tms_image_desc *desc, size_t *out_bytes);
tms_status tmsi_image_build(tms_context *context, const tms_image_desc *desc, void *data,
                            size_t data_bytes, tms_image *out);

#endif
