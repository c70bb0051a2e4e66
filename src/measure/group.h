/* A group: the ways to compute one product, timed side by side. Always in it: the peak of the CPU
 * (op "peak"), OpenBLAS where it can be had, our dense kernel; sparse weights are added. */
#ifndef TAMIS_MEASURE_GROUP_H
#define TAMIS_MEASURE_GROUP_H

#include "measure/bench.h"

/* Candidates beside the added ones. */
enum { TMSI_GROUP_FIXED = 3 };

typedef struct tmsi_group tmsi_group;

/* The dense weight w [n, k] is read until the group is destroyed; label may be NULL. */
tms_status tmsi_group_create(tmsi_bench *bench, const char *label, const tms_shape *shape,
                             const float *w, int32_t added_max, tmsi_group **out);
void tmsi_group_destroy(tmsi_group *group); /* takes NULL */

/* Adds a weight, multiplied as the problem says (for the shape's tokens); it may be freed
 * afterwards. The pattern's text must stay. */
tms_status tmsi_group_add(tmsi_group *group, const tms_matrix *matrix,
                          const tms_spmm_problem *problem, const char *pattern);

/* Times all and hands out their rows. */
tms_status tmsi_group_run(tmsi_group *group);

#endif
