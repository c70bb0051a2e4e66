/* `tamis bench --explain`: which kernels could compute a product, and why one is taken. */
#ifndef TAMIS_CLI_EXPLAIN_H
#define TAMIS_CLI_EXPLAIN_H

#include "options.h"

/* What shall be explained: products of random weights in the patterns, or the layers of a
 * checkpoint at each of the tokens. */
typedef struct cli_explanation {
    const char *checkpoint; /* or NULL */
    const cli_texts *globs;
    const cli_shapes *shapes;
    const cli_patterns *patterns;
    const cli_numbers *tokens;
    tms_dtype dtype; /* of x and w */
    int32_t keep_dense;
} cli_explanation;

cli_exit cli_explain(const cli_session *session, const cli_explanation *what);

#endif
