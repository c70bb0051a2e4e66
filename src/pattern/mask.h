/* Bits of masks: 1 = kept, bit k%8 of byte k/8 of a row. */
#ifndef TAMIS_PATTERN_MASK_H
#define TAMIS_PATTERN_MASK_H

#include "pattern/pattern.h"

/* Packs count flags (0 or 1), the first of which is bit 0; bits past the last are 0. */
void tmsi_mask_pack(const uint8_t *keep, int64_t count, uint8_t *bits);

/* Sets bits [begin, end) of a row. */
void tmsi_mask_set(uint8_t *bits, int64_t begin, int64_t end);

#endif
