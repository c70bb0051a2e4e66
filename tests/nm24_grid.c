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

/* Every tile has one CTA; the only ones besides are past the end of a single row of odd length. */
static void check_places(int32_t tiles_n, int32_t tiles_t, int32_t raster) {
    const tmsi_nm24_grid grid = tmsi_nm24_grid_of(tiles_n, tiles_t, 1, 1);
    int counts[32][32] = {{0}};

    for (int32_t cluster = 0; cluster < grid.clusters; cluster++) {
        const tmsi_nm24_place a = tmsi_nm24_place_of(&grid, raster, cluster, 0);
        const tmsi_nm24_place b = tmsi_nm24_place_of(&grid, raster, cluster, 1);

        assert_int_equal(a.shares_x, b.shares_x);
        assert_int_equal(b.tile_n - a.tile_n, a.shares_x);
        assert_int_equal(b.tile_t - a.tile_t, !a.shares_x);
        counts[a.tile_n][a.tile_t]++;
        counts[b.tile_n][b.tile_t]++;
    }
    for (int32_t n = 0; n < 32; n++)
        for (int32_t t = 0; t < 32; t++) {
            const bool is_past = tiles_n % 2 != 0 && tiles_t % 2 != 0 && n == tiles_n - 1;

            assert_int_equal(counts[n][t], n < tiles_n && t < tiles_t + is_past);
        }
}

static void every_tile_has_one_place_in_any_raster(void **state) {
    (void)state;
    for (int32_t n = 1; n <= 31; n++)
        for (int32_t t = 1; t <= 31; t++)
            for (int32_t raster = 1; raster <= 17; raster++)
                check_places(n, t, raster);
}

/* Planning asks for costs up to the most tokens that a plan may be for. */
static void clusters_do_not_overflow(void **state) {
    (void)state;
    assert_true(tmsi_nm24_grid_of(INT32_MAX, INT32_MAX, 64, 64).clusters > (int64_t)1 << 48);
}

static void nothing_is_cut_where_there_are_no_tokens(void **state) {
    (void)state;
    assert_int_equal(tmsi_nm24_grid_of(4096, 0, 256, 192).clusters, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clusters_cover_the_product_once),
        cmocka_unit_test(every_tile_has_one_place_in_any_raster),
        cmocka_unit_test(clusters_do_not_overflow),
        cmocka_unit_test(nothing_is_cut_where_there_are_no_tokens),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
