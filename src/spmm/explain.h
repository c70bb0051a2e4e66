/* Every kernel that could compute a product, with its modelled time and what that is made of. */
#ifndef TAMIS_SPMM_EXPLAIN_H
#define TAMIS_SPMM_EXPLAIN_H

#include "spmm/choose.h"

/* A machine by a short name: that of a chip of tmsi_chips ("h100") with all that its kernels need,
 * cuBLASLt included. False where there is none of that name. */
bool tmsi_machine_describe(const char *name, tmsi_hardware *out);
/* "h100, h200" */
void tmsi_machine_names(char *text, size_t text_bytes);

/* The contract of tms_spmm_explain; the problem is checked. */
tms_status tmsi_spmm_explain(const tms_spmm_problem *problem, int64_t t,
                             const tmsi_machine *machine, bool keep_dense, tms_explain_sink sink,
                             void *sink_user);

#endif
