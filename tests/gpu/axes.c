/* Every kernel of the GPU's table against float64, over declared axes: type x shape x epilogue x
 * tokens x type of y in full, and by turns y's order, how rows lie, and kinds of numbers. A new row
 * is tested by being there. */
#define _POSIX_C_SOURCE 200809L
#include <inttypes.h>
#include <time.h>

#include "gpu/tests.h"
#include "spmm/problem.h"
#include "support/matrices.h"

const tms_dtype gpu_types[GPU_TYPE_COUNT] = {TMS_BF16, TMS_F16, TMS_E4M3, TMS_I8};

/* n and k: one block, parts of blocks, an odd number of tiles either way, a long k, k's that are a
 * multiple of 4 and no more. */
static const int64_t shapes[][2] = {{264, 1540}, {520, 260}, {64, 64},   {2, 4},
                                    {40, 68},    {129, 40},  {304, 388}, {257, 100},
                                    {696, 204},  {72, 2052}, {130, 4096}};
enum { SHAPE_COUNT = sizeof shapes / sizeof shapes[0], TOKENS_MAX = 300 };

static const int64_t tokens[] = {0, 1, 3, 8, 17, 64, 130, 193, TOKENS_MAX};

/* Beside those of tests/support. */
static const test_epilogue more_epilogues[] = {
    {TMS_EPILOGUE_BIAS, TMS_ACT_RELU},
    {0, TMS_ACT_SILU},
    {TMS_EPILOGUE_SCALE_N | TMS_EPILOGUE_RESIDUAL, TMS_ACT_NONE},
    {TMS_EPILOGUE_SCALE_N | TMS_EPILOGUE_SCALE_T | TMS_EPILOGUE_BIAS | TMS_EPILOGUE_RESIDUAL,
     TMS_ACT_SILU},
};

static const tms_dtype y_types[] = {TMS_BF16, TMS_F32, TMS_F16, TMS_I8, TMS_E4M3};

/* Made when first asked for: all kernels share them. */
static gpu_ground *grounds[GPU_TYPE_COUNT][SHAPE_COUNT][TEST_KIND_COUNT];

static gpu_ground *ground_of(int type, int64_t shape, test_kind kind) {
    gpu_ground **ground = &grounds[type][shape][kind];

    if (*ground == NULL)
        *ground =
            gpu_ground_make(gpu_types[type], shapes[shape][0], shapes[shape][1], TOKENS_MAX, kind,
                            -1, test_seed() + (uint64_t)(shape * TEST_KIND_COUNT + kind));
    return *ground;
}

void gpu_axes_free(void) {
    for (int type = 0; type < GPU_TYPE_COUNT; type++)
        for (int64_t shape = 0; shape < SHAPE_COUNT; shape++)
            for (int kind = 0; kind < TEST_KIND_COUNT; kind++)
                if (grounds[type][shape][kind] != NULL)
                    gpu_ground_free(grounds[type][shape][kind]);
}

/* One third each: exact, random, any. */
static test_kind kind_of(const tms_spmm_problem *problem, uint64_t turn) {
    test_kind kind = (test_kind)(turn / 3 % TEST_KIND_COUNT);

    if (turn % 3 == 0)
        kind = TEST_INTEGER;
    else if (turn % 3 == 1)
        kind = TEST_RANDOM;
    if (kind == TEST_INTEGER && problem->activation > TMS_ACT_RELU)
        kind = TEST_RANDOM;
    if (kind == TEST_HUGE && problem->activation != TMS_ACT_NONE)
        kind = TEST_RANDOM; /* an infinite z of either sign has no bound to keep */
    return kind;
}

/* y's order by turns, the other one where the kernel has not this. */
static bool choose_order(const tmsi_spmm_kernel *kernel, uint64_t turn, tms_spmm_problem *problem) {
    for (int i = 0; i < 2; i++) {
        problem->y_order = (turn / 8 % 4 == 3) != (i == 1) ? TMS_ORDER_NT : TMS_ORDER_TN;
        if (kernel->fits(problem))
            return true;
    }
    return false;
}

static const test_epilogue *epilogue_at(int64_t i) {
    return i < test_epilogue_count ? &test_epilogues[i] : &more_epilogues[i - test_epilogue_count];
}

typedef struct tally {
    const tmsi_spmm_kernel *kernel;
    int64_t cases, unserved, wrong;
} tally;

/* One of each axis, by its number in the table. */
typedef struct place {
    int type, y_type;
    int64_t shape, epilogue, tokens;
} place;

/* An epilogue with a type of y. */
static int64_t turn_of(const place *at) {
    return at->epilogue * (int64_t)TEST_COUNT(y_types) + at->y_type;
}

/* The first few wrong cells are printed; the others counted. */
static void check_cell(tally *self, int64_t cell, const place *at) {
    static gpu_room room;
    tms_spmm_problem problem = tmsi_spmm_problem_24(gpu_types[at->type], shapes[at->shape][0],
                                                    shapes[at->shape][1], TOKENS_MAX);
    const test_epilogue *epilogue = epilogue_at(at->epilogue);
    test_random random;
    gpu_product product;
    int processors = 0; /* that there are, where few are to be used */
    char message[512];
    bool is_right;
    uint64_t turn;

    test_random_seed(&random, test_seed() + (uint64_t)cell);
    turn = test_random_u64(&random);
    problem.epilogue = epilogue->bits;
    problem.activation = epilogue->activation;
    problem.y_type = y_types[at->y_type];
    if ((tmsi_spmm_has(&problem, TMS_EPILOGUE_GATE) && problem.n % 2 != 0) ||
        !choose_order(self->kernel, turn, &problem)) {
        self->unserved++;
        return;
    }
    gpu_product_make(&product, &room, ground_of(at->type, at->shape, kind_of(&problem, turn >> 8)),
                     &problem, tokens[at->tokens],
                     turn >> 40 & 1 ? GPU_ROWS_ALIGNED : (gpu_rows)(turn / 3 % GPU_ROWS_COUNT),
                     turn % 2 == 0, turn >> 16);
    self->cases++;
    if (gpu_option.is_reduced && turn_of(at) % 2 != 0)
        processors = gpu_set_processors(gpu_context, GPU_FEW_PROCESSORS);
    is_right = gpu_kernel_is_right(self->kernel, &product, message);
    if (processors > 0)
        gpu_set_processors(gpu_context, processors);
    if (is_right)
        return;
    if (self->wrong++ < 5)
        print_message("%s, cell %" PRId64 ": %s\n", self->kernel->name, cell, message);
}

/* Whether the options want cell i of a type's. The reduced list has one cell for each epilogue and
 * type of y, whose shape and tokens go by turns; a step begins with another one for each kernel. */
static bool is_walked(const tmsi_spmm_kernel *kernel, int64_t i, int64_t cell, const place *at) {
    const tmsi_spmm_table table = tmsi_spmm_table_of(&gpu_context->gpu);
    const int64_t turn = turn_of(at);

    if (gpu_option.cell >= 0)
        return cell == gpu_option.cell;
    if (!gpu_option.is_reduced)
        return i % gpu_option.step == 0;
    return at->shape == 3 * turn % SHAPE_COUNT &&
           at->tokens == 1 + 5 * turn % ((int64_t)TEST_COUNT(tokens) - 1) &&
           (turn + (kernel - table.kernels)) % gpu_option.step == 0;
}

static void walk_type(tally *self, int type) {
    const int64_t epilogues = test_epilogue_count + (int64_t)TEST_COUNT(more_epilogues);
    const int64_t token_count = (int64_t)TEST_COUNT(tokens), ys = (int64_t)TEST_COUNT(y_types);

    for (int64_t i = 0; i < SHAPE_COUNT * epilogues * token_count * ys; i++) {
        const int64_t cell = i * GPU_TYPE_COUNT + type; /* the same for every kernel */
        const place at = {type, (int)(i % ys), i / (epilogues * token_count * ys),
                          i / (token_count * ys) % epilogues, i / ys % token_count};

        if (is_walked(self->kernel, i, cell, &at))
            check_cell(self, cell, &at);
    }
}

void gpu_kernel_is_right_on_every_axis(void **state) {
    tally self = {.kernel = *state};
    struct timespec begin, end;

    clock_gettime(CLOCK_MONOTONIC, &begin);
    for (int type = 0; type < GPU_TYPE_COUNT; type++)
        if (gpu_type_is_wanted(gpu_types[type]) && gpu_serves(self.kernel, gpu_types[type]))
            walk_type(&self, type);
    clock_gettime(CLOCK_MONOTONIC, &end);
    print_message("%s: %" PRId64 " products in %.2f s, %" PRId64 " not served\n", self.kernel->name,
                  self.cases,
                  (double)(end.tv_sec - begin.tv_sec) +
                      1e-9 * (double)(end.tv_nsec - begin.tv_nsec),
                  self.unserved);
    if (self.wrong > 0)
        fail_msg("%s: %" PRId64 " of %" PRId64 " products are wrong", self.kernel->name, self.wrong,
                 self.cases);
}
