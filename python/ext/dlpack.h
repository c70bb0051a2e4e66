/* The part of DLPack's binary interface (1.3) that is used here: how a framework shows a tensor's
 * memory and its current stream to C, without Python calls. Names are ours, the layout theirs. */
#ifndef TAMIS_DLPACK_H
#define TAMIS_DLPACK_H

#include <stdint.h>

enum { DLPACK_CPU = 1, DLPACK_CUDA = 2, DLPACK_CUDA_HOST = 3 };
enum {
    DLPACK_INT = 0,
    DLPACK_UINT = 1,
    DLPACK_FLOAT = 2,
    DLPACK_BFLOAT = 4,
    DLPACK_BOOL = 6,
    DLPACK_E4M3FN = 10
};

typedef struct dlpack_tensor {
    void *data; /* the first element is byte_offset bytes further */
    int32_t device_type, device_index;
    int32_t rank;
    uint8_t type_code, type_bits;
    uint16_t type_lanes;
    int64_t *shape, *strides; /* of the producer; strides in elements, NULL: row-major */
    uint64_t byte_offset;
} dlpack_tensor;

/* Found as a capsule named DLPACK_CAPSULE on a tensor's type. */
#define DLPACK_ATTRIBUTE "__dlpack_c_exchange_api__"
#define DLPACK_CAPSULE   "dlpack_exchange_api"

typedef struct dlpack_exchange {
    uint32_t version_major, version_minor;
    struct dlpack_exchange *previous;
    int (*allocate)(dlpack_tensor *, void **, void *, void (*)(void *, const char *, const char *));
    int (*managed_from_object)(void *object, void **out);
    int (*managed_to_object)(void *managed, void **out);
    /* Borrows: valid while the object lives. May be NULL. -1 with a Python exception. */
    int (*tensor_from_object)(void *object, dlpack_tensor *out);
    int (*current_stream)(int32_t device_type, int32_t device_index, void **out);
} dlpack_exchange;

#endif
