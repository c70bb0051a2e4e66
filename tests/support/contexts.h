/* Contexts of 1, 2 and 5 threads: for promises that hold for any number of them. */
#ifndef TAMIS_TESTS_CONTEXTS_H
#define TAMIS_TESTS_CONTEXTS_H

#include "support/support.h"

enum { TEST_CONTEXTS = 3 };
extern tms_context *test_contexts[TEST_CONTEXTS];
extern const int32_t test_context_threads[TEST_CONTEXTS];

/* Set-up and tear-down of a group. */
int test_contexts_open(void **state);
int test_contexts_close(void **state);

#endif
