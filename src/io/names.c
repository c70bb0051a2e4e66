#include "io/names.h"

#include <stdlib.h>
#include <string.h>

static int compare_names(const void *a, const void *b) {
    return strcmp(((const tmsi_name *)a)->text, ((const tmsi_name *)b)->text);
}

void tmsi_names_sort(tmsi_name *names, int64_t count) {
    qsort(names, (size_t)count, sizeof *names, compare_names);
}

int64_t tmsi_names_find(const tmsi_name *names, int64_t count, const char *text) {
    const tmsi_name key = {text, 0};
    const tmsi_name *found = bsearch(&key, names, (size_t)count, sizeof *names, compare_names);
    return found == NULL ? -1 : found->number;
}
