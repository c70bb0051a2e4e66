/* Importance of elements: |w| or a given score, times a column norm. */
#ifndef TAMIS_PATTERN_SCORE_H
#define TAMIS_PATTERN_SCORE_H

#include "base/dtype.h"
#include "pattern/pattern.h"

/* Most elements read at once: scores live on the stack and in the first cache, never as a copy of
 * the matrix. A multiple of 8, so that a mask's bytes never straddle segments. */
enum { TMSI_SEGMENT = 1024 };

/* Weights [row, column .. column + count) as f32; count <= TMSI_SEGMENT where out is a segment. */
void tmsi_weight_segment(const tms_matrix *dense, int64_t row, int64_t column, int64_t count,
                         float *out);
/* Their scores. */
void tmsi_score_segment(const tms_select_desc *desc, int64_t row, int64_t column, int64_t count,
                        float *out);

enum { TMSI_SCORE_BITS = 31 };

/* Order of non-negative floats as integers: the IEEE 754 bits without the sign, so that -0.0 equals
 * +0.0 and no comparison depends on the floating-point unit. */
static inline uint32_t tmsi_score_key(float score) {
    return tmsi_bits_from_f32(score) & 0x7fffffffu;
}

/* Every weight and score is finite and no score negative, or TMS_ERR_VALUE naming the first in
 * row-major order. */
tms_status tmsi_scores_check(tms_context *context, const tms_select_desc *desc);

#endif
