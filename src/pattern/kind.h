/* A kind of pattern: one file with its tmsi_pattern_<name> and one row in TMS_PATTERN_MAP, whose
 * example is its text form. Text, printing and ranges come from the example; a kind says what only
 * it can know. Matrices that reach these functions have elements, finite where selection asks. */
#ifndef TAMIS_PATTERN_KIND_H
#define TAMIS_PATTERN_KIND_H

#include "pattern/pattern.h"

typedef struct tmsi_pattern_ops {
    bool has_scope;       /* "per row" makes sense */
    const char *no_scope; /* else: why not, for the sentence that refuses it */
    bool says_tensor;     /* "per tensor" may be said, though it is all there is */
    /* What the fields must hold beyond their ranges; NULL: nothing. */
    tms_status (*valid)(const tms_pattern *pattern);
    /* NULL: every shape. */
    tms_status (*fits)(const tms_pattern *pattern, int64_t n, int64_t k);
    /* Writes every byte of the mask, and none before the last thing that can fail. */
    tms_status (*select)(tms_context *context, const tms_select_desc *desc, uint8_t *out_mask);
    /* *out has struct_size set, row and column -1, all else 0. */
    tms_status (*check)(tms_context *context, const tms_pattern *pattern, const tms_matrix *dense,
                        tms_check_report *out);
} tmsi_pattern_ops;

#define TMSI_PATTERN_DECLARE(id, name, example) extern const tmsi_pattern_ops tmsi_pattern_##name;
TMS_PATTERN_MAP(TMSI_PATTERN_DECLARE)
#undef TMSI_PATTERN_DECLARE

/* Indexed by tms_pattern_kind. */
extern const tmsi_pattern_ops *const tmsi_patterns[TMS_PATTERN_KIND_COUNT];

/* The fields that a kind's example shows: the words of its text form. */
typedef enum tmsi_field {
    TMSI_FIELD_WORD,
    TMSI_FIELD_NM,
    TMSI_FIELD_BLOCK,
    TMSI_FIELD_SHARE
} tmsi_field;

/* A word of an example; *at moves past it. false at its end. */
typedef struct tmsi_example_word {
    tmsi_field field;
    const char *text;
    int32_t bytes;
} tmsi_example_word;
bool tmsi_example_next(const char **at, tmsi_example_word *out);
const char *tmsi_pattern_example(tms_pattern_kind kind);

/* k is a multiple of the group, or a sentence. */
tms_status tmsi_group_fits(const tms_pattern *pattern, int64_t n, int64_t k);

/* "holds <pattern>: <found> of <total> <things> are zero". */
void tmsi_report_holds(tms_check_report *report, const tms_pattern *pattern, const char *things,
                       int64_t total);
/* Judges a share: zeros[i] of the `width` things in row i are zero; a row is `height` rows of the
 * matrix. By the scope, the sum must reach the drop count, or each row its own. */
void tmsi_share_judge(const tms_pattern *pattern, const int64_t *zeros, int64_t rows, int64_t width,
                      int64_t height, const char *things, tms_check_report *out);

/* Rows split among tasks: part i of `parts` has rows [begin, end). Results are merged by integers
 * or by the lowest index, so that the split never shows. */
typedef struct tmsi_range {
    int64_t begin, end;
} tmsi_range;
int64_t tmsi_part_count(const tms_context *context, int64_t n);
tmsi_range tmsi_part_rows(int64_t n, int64_t parts, int64_t i);

#endif
