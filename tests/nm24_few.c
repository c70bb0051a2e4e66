/* On what grid the kernels for few tokens cut a product: tiles, and the CTAs that share a tile's k.
 * None of it needs a GPU. */
#include "spmm/cuda/nm24_few.h"
#include "support/matrices.h"
#include "support/setup.h"

enum { PROCESSORS = 132 };

static const int64_t tile_rows[] = {64, 128};
static const int64_t tile_tokens[] = {8, 16, 32, 64, 96, 128, 192};

static void check_grid(int64_t n, int64_t t, int64_t blocks, int64_t rows, int64_t tokens) {
    const tmsi_nm24_few_grid grid = tmsi_nm24_few_grid_of(n, t, blocks, rows, tokens, PROCESSORS);

    if (grid.tokens % 8 != 0 || grid.tokens > tokens || grid.tiles_n * rows < n ||
        (grid.tiles_n - 1) * rows >= n || grid.tiles_t * grid.tokens < t ||
        (grid.tiles_t - 1) * grid.tokens >= t || grid.split < 1 || grid.split > blocks ||
        grid.split > TMSI_NM24_FEW_SPLIT_MAX)
        fail_msg("n %d t %d blocks %d, tiles of %d x %d: %d x %d tiles of %d tokens, split %d",
                 (int)n, (int)t, (int)blocks, (int)rows, (int)tokens, (int)grid.tiles_n,
                 (int)grid.tiles_t, grid.tokens, grid.split);
}

/* Every token and row is in one tile, none is empty, and every CTA of a cluster has a block. */
static void grid_covers_the_product_once(void **state) {
    static const int64_t sizes[] = {1, 63, 64, 65, 1280, 4096, 8192, 22016};

    (void)state;
    for (size_t r = 0; r < TEST_COUNT(tile_rows); r++)
        for (size_t i = 0; i < TEST_COUNT(tile_tokens); i++)
            for (size_t n = 0; n < TEST_COUNT(sizes); n++)
                for (int64_t t = 1; t < 600; t += t < 20 ? 1 : 17)
                    for (int64_t blocks = 1; blocks < 130; blocks += blocks < 10 ? 1 : 59)
                        check_grid(sizes[n], t, blocks, tile_rows[r], tile_tokens[i]);
}

/* 64 tiles leave half of an H100 idle: two CTAs share each; 128 tiles are enough. */
static void few_tiles_are_split_along_k(void **state) {
    (void)state;
    assert_int_equal(tmsi_nm24_few_grid_of(4096, 16, 64, 64, 16, PROCESSORS).split, 2);
    assert_int_equal(tmsi_nm24_few_grid_of(8192, 16, 128, 64, 16, PROCESSORS).split, 1);
    assert_int_equal(tmsi_nm24_few_grid_of(1280, 16, 20, 64, 16, PROCESSORS).split, 5);
}

/* Tiles of which a multiprocessor runs one: 32 clusters of 4 do not fit an H100 at once, 32 of 3
 * do.
 */
static void clusters_that_do_not_fit_are_not_chosen(void **state) {
    (void)state;
    assert_int_equal(tmsi_nm24_few_grid_of(4096, 128, 64, 128, 128, PROCESSORS).split, 3);
}

/* 130 tokens are two tiles of 72 and 58, not of 128 and 2. */
static void tokens_are_cut_into_equal_tiles(void **state) {
    const tmsi_nm24_few_grid grid = tmsi_nm24_few_grid_of(4096, 130, 64, 128, 128, PROCESSORS);

    (void)state;
    assert_int_equal(grid.tokens, 72);
    assert_int_equal(grid.tiles_t, 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grid_covers_the_product_once),
        cmocka_unit_test(few_tiles_are_split_along_k),
        cmocka_unit_test(clusters_that_do_not_fit_are_not_chosen),
        cmocka_unit_test(tokens_are_cut_into_equal_tiles),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
