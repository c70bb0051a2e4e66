/* What public functions check alike. The sentences name the argument as the caller wrote it. */
#ifndef TAMIS_API_ARGUMENTS_H
#define TAMIS_API_ARGUMENTS_H

#include "base/status.h"

/* Refuses an argument that is NULL, by its name. Before anything is owned: it returns. */
#define TMSI_NEED(argument)                                                                        \
    do {                                                                                           \
        if ((argument) == NULL)                                                                    \
            return tmsi_fail(TMS_ERR_INVALID, "%s is NULL", #argument);                            \
    } while (0)

/* Copies the part of a growing struct that the caller knows (its first field, struct_size, says how
 * many bytes) into *out, `bytes` long, and zeroes the rest. out->struct_size is then `bytes`. */
tms_status tmsi_struct_read(const char *name, const void *given, size_t bytes, void *out);

/* Fills the part of a growing output struct that the caller knows, his struct_size kept. It was
 * checked with tmsi_struct_check. */
void tmsi_struct_write(const void *known, void *given);
tms_status tmsi_struct_check(const char *name, const void *given, size_t bytes);

/* A matrix lies in arrays and in other structs, so its size must be the library's. */
tms_status tmsi_matrix_known(const tms_matrix *matrix);

/* A dense matrix that may be read: f32, bf16, f16, i8 or e4m3, n and k >= 0, memory where there are
 * elements, a size that does not overflow. `name` is the argument's. */
tms_status tmsi_dense_check(const char *name, const tms_matrix *dense);

#endif
