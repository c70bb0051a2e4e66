/* What choosing needs to know of a CPU or a GPU: probed once, or filled by a test. */
#ifndef TAMIS_BASE_HARDWARE_H
#define TAMIS_BASE_HARDWARE_H

#include <stddef.h>
#include <stdint.h>

typedef struct tmsi_hardware {
    char name[64]; /* "AMD EPYC 9R14", "NVIDIA H200" */
    int32_t family, model, stepping;
    uint32_t isa;                         /* TMS_ISA_ bits */
    int64_t l1_bytes, l2_bytes, l3_bytes; /* data caches; 0: not known */
    int32_t processors;                   /* a GPU's multiprocessors; 0: a CPU */
    double mhz, gb_per_s;                 /* a GPU's highest clock, its memory; 0: not known */
} tmsi_hardware;

void tmsi_hardware_probe(tmsi_hardware *out);

/* "avx2 avx512", "avx2 sm80 sm90", "none". */
void tmsi_isa_print(uint32_t isa, char *text, size_t text_bytes);

#endif
