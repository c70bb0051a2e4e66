#include "support/contexts.h"

tms_context *test_contexts[TEST_CONTEXTS];
const int32_t test_context_threads[TEST_CONTEXTS] = {1, 2, 5};

int test_contexts_open(void **state) {
    (void)state;
    for (int i = 0; i < TEST_CONTEXTS; i++)
        test_contexts[i] = test_context(test_context_threads[i], 0);
    return 0;
}

int test_contexts_close(void **state) {
    (void)state;
    for (int i = 0; i < TEST_CONTEXTS; i++)
        tms_context_destroy(test_contexts[i]);
    return 0;
}
