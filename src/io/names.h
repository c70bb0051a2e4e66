/* A sorted list of names, to find a number by: what looks up tensors. */
#ifndef TAMIS_IO_NAMES_H
#define TAMIS_IO_NAMES_H

#include <stdint.h>

typedef struct tmsi_name {
    const char *text;
    int64_t number;
} tmsi_name;

void tmsi_names_sort(tmsi_name *names, int64_t count);
/* The number under that name in a sorted list, or -1. */
int64_t tmsi_names_find(const tmsi_name *names, int64_t count, const char *text);

#endif
