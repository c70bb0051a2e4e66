/* Features by the compiler's builtins, which also ask whether the system saves the registers; name
 * by CPUID leaves 0x80000002..4 (Intel SDM vol. 2, CPUID); caches by sysconf. Other machines get
 * "none" and the portable kernels. */
#define _GNU_SOURCE
#include "base/hardware.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tamis.h"

#if defined(__x86_64__)
#include <cpuid.h>

static uint32_t probe_isa(void) {
    uint32_t isa = 0;

    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        isa |= TMS_ISA_AVX2;
    if (isa != 0 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        isa |= TMS_ISA_AVX512;
    return isa;
}

static void probe_name(tmsi_hardware *out) {
    uint32_t words[12] = {0}, a, b, c, d;
    char raw[49] = {0};
    const char *start = raw;
    size_t length;

    for (uint32_t leaf = 0; leaf < 3; leaf++)
        if (!__get_cpuid(0x80000002u + leaf, words + 4 * leaf, words + 4 * leaf + 1,
                         words + 4 * leaf + 2, words + 4 * leaf + 3))
            break;
    memcpy(raw, words, 48);
    while (*start == ' ')
        start++;
    length = strlen(start);
    while (length > 0 && start[length - 1] == ' ')
        length--;
    snprintf(out->name, sizeof out->name, "%.*s", (int)length, start);
    if (__get_cpuid(1, &a, &b, &c, &d)) {
        out->stepping = (int32_t)(a & 0xf);
        out->model = (int32_t)(((a >> 4) & 0xf) | ((a >> 12) & 0xf0));
        out->family = (int32_t)(((a >> 8) & 0xf) + ((a >> 20) & 0xff));
    }
}
#else
static uint32_t probe_isa(void) {
    return 0;
}
static void probe_name(tmsi_hardware *out) {
    snprintf(out->name, sizeof out->name, "unknown CPU");
}
#endif

static int64_t cache_bytes(int name) {
    long bytes = sysconf(name);
    return bytes > 0 ? (int64_t)bytes : 0;
}

void tmsi_hardware_probe(tmsi_hardware *out) {
    memset(out, 0, sizeof *out);
    probe_name(out);
    out->isa = probe_isa();
    out->l1_bytes = cache_bytes(_SC_LEVEL1_DCACHE_SIZE);
    out->l2_bytes = cache_bytes(_SC_LEVEL2_CACHE_SIZE);
    out->l3_bytes = cache_bytes(_SC_LEVEL3_CACHE_SIZE);
}

void tmsi_isa_print(uint32_t isa, char *text, size_t text_bytes) {
    static const struct {
        uint32_t bit;
        const char *name;
    } sets[] = {{TMS_ISA_AVX2, "avx2"},
                {TMS_ISA_AVX512, "avx512"},
                {TMS_ISA_SM80, "sm80"},
                {TMS_ISA_SM90, "sm90"}};
    size_t used = 0;

    snprintf(text, text_bytes, "none");
    for (size_t i = 0; i < sizeof sets / sizeof sets[0] && used < text_bytes; i++)
        if (isa & sets[i].bit)
            used += (size_t)snprintf(text + used, text_bytes - used, "%s%s", used > 0 ? " " : "",
                                     sets[i].name);
}
