/* The commit that this library was built from; scripts/commit.cmake writes the file. */
#include "tamis.h"

const char *tms_commit_text(void) {
    return
#include "commit.inc"
        ;
}
