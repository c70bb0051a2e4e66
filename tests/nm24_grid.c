/* In what clusters of two the nm24 kernels cut a product. None of it needs a GPU. */
#include "spmm/cuda/nm24.h"
#include "support/matrices.h"
#include "support/setup.h"

typedef struct tile {
    int64_t rows, tokens;
} tile;

static const tile tiles[] = {{256, 192}, {256, 160}, {192, 256}, {128, 256}, {128, 128}, {64, 64}};
static const int64_t sizes[] = {1, 64, 65, 200, 256, 1280, 3840, 4096, 8192, 22016};

/* Each tile is in one cluster: pairs along n, and of an odd number the last row in pairs along t,
 * of which at most one has a single tile. */
static void clusters_cover_the_product_once(void **state) {
    (void)state;
    for (size_t i = 0; i < TEST_COUNT(tiles); i++)
        for (size_t n = 0; n < TEST_COUNT(sizes); n++)
            for (size_t t = 0; t < TEST_COUNT(sizes); t++) {
                const tmsi_nm24_grid grid =
                    tmsi_nm24_grid_of(sizes[n], sizes[t], tiles[i].rows, tiles[i].tokens);
                const int64_t tiles_n = 2 * grid.pairs_n + grid.has_single;

                assert_true(tiles_n * tiles[i].rows >= sizes[n]);
                assert_true((tiles_n - 1) * tiles[i].rows < sizes[n]);
                assert_true(grid.tiles_t * tiles[i].tokens >= sizes[t]);
                assert_true((grid.tiles_t - 1) * tiles[i].tokens < sizes[t]);
                assert_int_equal(2 * grid.clusters, tiles_n * grid.tiles_t +
                                                        (grid.has_single && grid.tiles_t % 2 != 0));
            }
}

static void nothing_is_cut_where_there_are_no_tokens(void **state) {
    (void)state;
    assert_int_equal(tmsi_nm24_grid_of(4096, 0, 256, 192).clusters, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clusters_cover_the_product_once),
        cmocka_unit_test(nothing_is_cut_where_there_are_no_tokens),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
