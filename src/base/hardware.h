/* What choosing needs to know of a CPU or a GPU: probed once, or filled by a test. */
#ifndef TAMIS_BASE_HARDWARE_H
#define TAMIS_BASE_HARDWARE_H

#include <stddef.h>
#include <stdint.h>

typedef struct tmsi_hardware {
    char cpu_name[64]; /* brand string, trimmed */
    int32_t family, model, stepping;
    uint32_t isa;                         /* TMS_ISA_ bits */
    int64_t l1_bytes, l2_bytes, l3_bytes; /* data caches; 0: not known */
    int32_t processors;                   /* a GPU's multiprocessors; 0: a CPU */
} tmsi_hardware;

void tmsi_hardware_probe(tmsi_hardware *out);

/* "avx2 avx512", "avx2 sm80 sm90", "none". */
void tmsi_isa_print(uint32_t isa, char *text, size_t text_bytes);

#endif
