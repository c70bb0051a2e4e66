#define _GNU_SOURCE
#include "support/support.h"

#include <ftw.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint64_t test_seed(void) {
    static bool is_printed;
    const char *text = getenv("TAMIS_TEST_SEED");
    uint64_t seed = text != NULL ? strtoull(text, NULL, 0) : 20261125u;

    if (!is_printed) {
        print_message("seed: TAMIS_TEST_SEED=%" PRIu64 "\n", seed);
        is_printed = true;
    }
    return seed;
}

void test_random_seed(test_random *random, uint64_t seed) {
    for (int i = 0; i < 4; i++) { /* splitmix64 */
        uint64_t z = (seed += 0x9e3779b97f4a7c15u);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        random->state[i] = z ^ (z >> 31);
    }
}

static uint64_t rotate(uint64_t x, int k) {
    return (x << k) | (x >> (64 - k));
}

uint64_t test_random_u64(test_random *random) {
    uint64_t *s = random->state;
    uint64_t result = rotate(s[1] * 5, 7) * 9, t = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

int64_t test_random_int(test_random *random, int64_t low, int64_t high) {
    return low + (int64_t)(test_random_u64(random) % (uint64_t)(high - low + 1));
}

double test_random_unit(test_random *random) {
    return (double)(test_random_u64(random) >> 11) * 0x1p-53;
}

double test_random_normal(test_random *random) {
    double u = 1.0 - test_random_unit(random), v = test_random_unit(random);
    return sqrt(-2.0 * log(u)) * cos(6.283185307179586 * v);
}

/* Counters are atomic, since builders may allocate on many threads. */
static void *allocate_counted(void *user, size_t bytes, size_t alignment) {
    test_allocator *self = user;
    int64_t call = __atomic_add_fetch(&self->calls, 1, __ATOMIC_SEQ_CST);
    void *memory;

    if (self->fail_at != 0 && call == self->fail_at)
        return NULL;
    memory = aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
    if (memory != NULL)
        __atomic_add_fetch(&self->live, 1, __ATOMIC_SEQ_CST);
    return memory;
}

static void release_counted(void *user, void *memory) {
    test_allocator *self = user;
    __atomic_sub_fetch(&self->live, 1, __ATOMIC_SEQ_CST);
    free(memory);
}

void test_allocator_init(test_allocator *out) {
    memset(out, 0, sizeof *out);
    out->allocator.allocate = allocate_counted;
    out->allocator.release = release_counted;
    out->allocator.user = out;
}

tms_context *test_context(int32_t threads, uint32_t isa_mask) {
    tms_context_desc desc = tms_context_desc_default();
    tms_context *context = NULL;

    desc.threads = threads;
    desc.isa_mask = isa_mask;
    assert_ok(tms_context_create(&desc, &context));
    return context;
}

void test_every_allocation_fails_once(tms_status (*attempt)(tms_context *context, void *user),
                                      void *user) {
    for (int64_t n = 1; n < 100000; n++) {
        test_allocator allocator;
        tms_context_desc desc = tms_context_desc_default();
        tms_context *context = NULL;
        tms_status status;

        test_allocator_init(&allocator);
        desc.threads = 1;
        desc.allocator = &allocator.allocator;
        assert_ok(tms_context_create(&desc, &context));
        allocator.fail_at = allocator.calls + n;
        status = attempt(context, user);
        tms_context_destroy(context);
        assert_int_equal(allocator.live, 0);
        if (status == TMS_OK) {
            assert_true(n > 1); /* an attempt that allocates nothing tests nothing */
            return;
        }
        if (status != TMS_ERR_MEMORY)
            print_error("allocation %" PRId64 " failed, but the call said: %s\n", n,
                        tms_error_text());
        assert_int_equal(status, TMS_ERR_MEMORY);
    }
    fail_msg("the call never succeeded");
}

void test_assert_contains(const char *whole, const char *part) {
    if (strstr(whole, part) == NULL)
        fail_msg("\"%s\" does not contain \"%s\"", whole, part);
}

void test_folder_make(char path[256]) {
    const char *base = getenv("TMPDIR");
    snprintf(path, 256, "%s/tamis-test-XXXXXX", base != NULL ? base : "/tmp");
    assert_non_null(mkdtemp(path));
}

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *where) {
    (void)info, (void)type, (void)where;
    return remove(path);
}

void test_folder_remove(const char *path) {
    assert_int_equal(nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS), 0);
}
