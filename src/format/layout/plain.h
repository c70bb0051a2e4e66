/* The plain layout: a header of 64 bytes, then the components of the part's format in their
 * canonical order and form (docs/formats.md), each from a multiple of 64 bytes on. What references
 * read. */
#ifndef TAMIS_FORMAT_LAYOUT_PLAIN_H
#define TAMIS_FORMAT_LAYOUT_PLAIN_H

#include "format/layout.h"

typedef struct tmsi_plain_header {
    int64_t offset[8]; /* of component i, in bytes from the header on; 0: no such component */
} tmsi_plain_header;

_Static_assert(sizeof(tmsi_plain_header) == 64, "components begin on a cache line");

/* Component i of a part in this layout: values first, then index, or columns and offsets. */
static inline const void *tmsi_plain_component(const void *part, int32_t i) {
    return (const char *)part + ((const tmsi_plain_header *)part)->offset[i];
}

#endif
