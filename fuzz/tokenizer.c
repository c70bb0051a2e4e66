/* Any bytes as a vocabulary and as a text: up to the first 0xff byte the vocabulary's lines (behind
 * three that every vocabulary needs), after it the text. */
#include <stdlib.h>
#include <string.h>

#include "model/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    static const char head[] = "[UNK]\n[CLS]\n[SEP]\n";
    const tmsi_tokenizer_rules rules = {bytes % 2 == 0, bytes % 3 != 0, bytes % 5 != 0};
    const uint8_t *split = bytes > 0 ? memchr(data, 0xff, bytes) : NULL;
    size_t lines = split != NULL ? (size_t)(split - data) : bytes;
    size_t text = split != NULL ? bytes - lines - 1 : 0;
    tms_context_desc desc = tms_context_desc_default();
    tms_context *context = NULL;
    tmsi_tokenizer *tokenizer = NULL;
    char *vocab = malloc(sizeof head + lines);
    int32_t ids[32];

    desc.threads = 1;
    if (vocab == NULL || tms_context_create(&desc, &context) != TMS_OK)
        abort();
    memcpy(vocab, head, sizeof head - 1);
    if (lines > 0)
        memcpy(vocab + sizeof head - 1, data, lines);
    if (tmsi_tokenizer_create(context, vocab, sizeof head - 1 + lines, &rules, &tokenizer) ==
        TMS_OK) {
        int64_t count = tmsi_tokenizer_encode(
            tokenizer, split != NULL ? (const char *)split + 1 : "", text, 32, ids);
        if (count < 2 || count > 32)
            abort();
        for (int64_t i = 0; i < count; i++)
            if (ids[i] < 0 || ids[i] >= tmsi_tokenizer_count(tokenizer))
                abort();
        tmsi_tokenizer_destroy(context, tokenizer);
    }
    tms_context_destroy(context);
    free(vocab);
    return 0;
}
