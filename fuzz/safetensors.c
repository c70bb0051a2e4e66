/* Any bytes as a safetensors file: refused, or every tensor lies within them. */
#include <stdlib.h>
#include <string.h>

#include "io/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static tms_context *context;

/* Reads a tensor's first and last byte, where a sanitizer would see a wrong range. */
static void touch(const tms_tensor *tensor, const uint8_t *data, size_t bytes) {
    const uint8_t *begin = tensor->data;
    static volatile uint8_t seen;

    if (begin < data || begin + tensor->bytes > data + bytes)
        abort();
    if (tensor->bytes > 0)
        seen = (uint8_t)(begin[0] ^ begin[tensor->bytes - 1]);
    (void)seen;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    tmsi_safetensors file;

    if (context == NULL && tms_context_create(NULL, &context) != TMS_OK)
        abort();
    if (tmsi_safetensors_parse(context, data, bytes, &file) != TMS_OK) {
        if (tms_error_text()[0] == '\0')
            abort();
        return 0;
    }
    for (int64_t i = 0; i < file.tensor_count; i++) {
        touch(&file.tensors[i], data, bytes);
        if (tmsi_safetensors_find(&file, file.tensors[i].name) != &file.tensors[i])
            abort();
    }
    for (int64_t i = 0; i < file.metadata_count; i++)
        if (tmsi_safetensors_metadata(&file, file.metadata[i].key) != file.metadata[i].value)
            abort();
    tmsi_safetensors_close(&file);
    return 0;
}
