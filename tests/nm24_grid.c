/* Which operand the clusters of two of the nm24 kernels share. None of it needs a GPU. */
#include "spmm/cuda/nm24.h"
#include "support/matrices.h"
#include "support/setup.h"

enum { PAIRS = 66 }; /* of multiprocessors, on an H100 */

typedef struct tile {
    int64_t rows, tokens;
} tile;

static const tile tiles[] = {{256, 192}, {256, 160}, {192, 256}, {128, 256}, {128, 128}, {64, 64}};

/* Clusters are whole tiles, with at most one to spare in a row or column of them. */
static void grid_covers_the_product_once(void **state) {
    static const int64_t sizes[] = {1, 64, 65, 200, 256, 1280, 4096, 8192, 22016};

    (void)state;
    for (size_t i = 0; i < TEST_COUNT(tiles); i++)
        for (size_t n = 0; n < TEST_COUNT(sizes); n++)
            for (size_t t = 0; t < TEST_COUNT(sizes); t++) {
                const tmsi_nm24_grid grid =
                    tmsi_nm24_grid_of(sizes[n], sizes[t], tiles[i].rows, tiles[i].tokens, PAIRS);
                const int64_t rows = (grid.shares_x ? 2 : 1) * tiles[i].rows;
                const int64_t tokens = (grid.shares_x ? 1 : 2) * tiles[i].tokens;

                assert_true(grid.clusters_n * rows >= sizes[n]);
                assert_true((grid.clusters_n - 1) * rows < sizes[n]);
                assert_true(grid.clusters_t * tokens >= sizes[t]);
                assert_true((grid.clusters_t - 1) * tokens < sizes[t]);
            }
}

/* An even number of tiles along n leaves none idle. */
static void even_rows_of_tiles_share_x(void **state) {
    (void)state;
    for (size_t i = 0; i < TEST_COUNT(tiles); i++)
        for (int64_t pairs = 2; pairs < 40; pairs += 2)
            for (int64_t t = 1; t < 5000; t += 333)
                assert_true(tmsi_nm24_grid_of(pairs * tiles[i].rows, t, tiles[i].rows,
                                              tiles[i].tokens, PAIRS)
                                .shares_x);
}

/* Of an odd number one would be idle: x is shared where that costs less than the bytes it saves.
 * All five were measured so, on an H100. */
static void odd_rows_of_tiles_share_what_is_cheaper(void **state) {
    (void)state;
    assert_true(tmsi_nm24_grid_of(5120, 16384, 192, 256, PAIRS).shares_x);  /* of 27 */
    assert_true(tmsi_nm24_grid_of(4224, 4096, 128, 256, PAIRS).shares_x);   /* of 33 */
    assert_true(tmsi_nm24_grid_of(12032, 4096, 256, 192, PAIRS).shares_x);  /* of 47 */
    assert_false(tmsi_nm24_grid_of(22016, 4096, 192, 256, PAIRS).shares_x); /* a wave more */
    assert_false(tmsi_nm24_grid_of(3840, 16384, 256, 192, PAIRS).shares_x); /* of 15, likewise */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grid_covers_the_product_once),
        cmocka_unit_test(even_rows_of_tiles_share_x),
        cmocka_unit_test(odd_rows_of_tiles_share_what_is_cheaper),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
