/* What the tests share: a seeded random source, an allocator that fails on demand and counts, and
 * comparisons that print both values. */
#ifndef TAMIS_TESTS_SUPPORT_H
#define TAMIS_TESTS_SUPPORT_H

/* cmocka.h needs these four before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdbool.h>

#include "tamis.h"

/* xoshiro256** by Blackman and Vigna (public domain algorithm), seeded by splitmix64. */
typedef struct test_random {
    uint64_t state[4];
} test_random;

/* The seed of this run: TAMIS_TEST_SEED, else a fixed one; printed once by the first call. */
uint64_t test_seed(void);
void test_random_seed(test_random *random, uint64_t seed);
uint64_t test_random_u64(test_random *random);
/* In [low, high]. */
int64_t test_random_int(test_random *random, int64_t low, int64_t high);
/* Uniform in [0, 1); standard normal. */
double test_random_unit(test_random *random);
double test_random_normal(test_random *random);

/* Counts live blocks; the fail_at-th allocation from now (1 is the next) gives NULL; 0: none. */
typedef struct test_allocator {
    tms_allocator allocator; /* give this to a context */
    int64_t calls, live, fail_at;
} test_allocator;
void test_allocator_init(test_allocator *out);

/* A context on the standard allocator with that many threads (0: all) and ISA mask (0: all). */
tms_context *test_context(int32_t threads, uint32_t isa_mask);

/* Makes allocation 1, 2, 3 ... fail until attempt returns TMS_OK; attempt must return
 * TMS_ERR_MEMORY till then, and nothing may stay allocated in any round. attempt makes its own use
 * of the context and releases what it made. */
void test_every_allocation_fails_once(tms_status (*attempt)(tms_context *context, void *user),
                                      void *user);

/* The status is TMS_OK; else prints the sentence. */
#define assert_ok(call)                                                                            \
    do {                                                                                           \
        tms_status status_ = (call);                                                               \
        if (status_ != TMS_OK)                                                                     \
            print_error("%s: %s: %s\n", #call, tms_status_name(status_), tms_error_text());        \
        assert_int_equal(status_, TMS_OK);                                                         \
    } while (0)

/* The call fails with that status and its sentence contains that text. */
#define assert_fails(call, expected, text)                                                         \
    do {                                                                                           \
        tms_status status_ = (call);                                                               \
        assert_string_equal(tms_status_name(status_), tms_status_name(expected));                  \
        test_assert_contains(tms_error_text(), text);                                              \
    } while (0)
void test_assert_contains(const char *whole, const char *part);

/* A new empty folder under the system's temporary one, removed with all in it by
 * test_folder_remove. */
void test_folder_make(char path[256]);
void test_folder_remove(const char *path);

#endif
