#include "api/arguments.h"

#include <string.h>

#include "base/dtype.h"
#include "base/memory.h"

static size_t struct_size(const void *given) {
    size_t size;
    memcpy(&size, given, sizeof size);
    return size;
}

tms_status tmsi_struct_check(const char *name, const void *given, size_t bytes) {
    if (given == NULL)
        return tmsi_fail(TMS_ERR_INVALID, "%s is NULL", name);
    if (struct_size(given) < sizeof(size_t) || struct_size(given) > bytes)
        return tmsi_fail(TMS_ERR_INVALID,
                         "%s->struct_size is %zu, but this library knows %zu to %zu bytes: begin "
                         "with the struct's _default function",
                         name, struct_size(given), sizeof(size_t), bytes);
    return TMS_OK;
}

tms_status tmsi_struct_read(const char *name, const void *given, size_t bytes, void *out) {
    tms_status status = tmsi_struct_check(name, given, bytes);

    if (status != TMS_OK)
        return status;
    memset(out, 0, bytes);
    memcpy(out, given, struct_size(given));
    memcpy(out, &bytes, sizeof bytes);
    return TMS_OK;
}

void tmsi_struct_write(const void *known, void *given) {
    size_t size = struct_size(given);

    memcpy((char *)given + sizeof size, (const char *)known + sizeof size, size - sizeof size);
}

tms_status tmsi_matrix_known(const tms_matrix *matrix) {
    if (matrix->struct_size != sizeof *matrix)
        return tmsi_fail(TMS_ERR_INVALID,
                         "the matrix's struct_size is %zu, but must be %zu: get one from "
                         "tms_matrix_dense or tms_matrix_size",
                         matrix->struct_size, sizeof *matrix);
    return TMS_OK;
}

tms_status tmsi_dense_check(const char *name, const tms_matrix *dense) {
    tms_status status;
    size_t count, bytes;

    if (dense == NULL)
        return tmsi_fail(TMS_ERR_INVALID, "%s is NULL", name);
    status = tmsi_matrix_known(dense);
    if (status != TMS_OK)
        return tmsi_fail_in(status, "%s", name);
    if (dense->format != TMS_FORMAT_DENSE)
        return tmsi_fail(TMS_ERR_INVALID, "%s is stored as %s, but must be dense", name,
                         tms_format_name(dense->format));
    if (!tmsi_dtype_is_matrix(dense->dtype))
        return tmsi_fail(TMS_ERR_INVALID, "%s holds %s, but weights are f32, bf16, f16, i8 or e4m3",
                         name, tms_dtype_name(dense->dtype));
    if (dense->n < 0 || dense->k < 0)
        return tmsi_fail(TMS_ERR_INVALID, "%s is %lld x %lld, but n and k must be at least 0", name,
                         (long long)dense->n, (long long)dense->k);
    if (!tmsi_mul_bytes((size_t)dense->n, (size_t)dense->k, &count) ||
        !tmsi_mul_bytes(count, tmsi_dtype_bytes(dense->dtype), &bytes) || bytes > PTRDIFF_MAX)
        return tmsi_fail(TMS_ERR_INVALID, "%s is %lld x %lld, more than memory can hold", name,
                         (long long)dense->n, (long long)dense->k);
    if (count > 0 && (dense->component_count < 1 || dense->components[0].data == NULL))
        return tmsi_fail(TMS_ERR_INVALID, "%s is %lld x %lld, but its values are NULL", name,
                         (long long)dense->n, (long long)dense->k);
    return TMS_OK;
}
